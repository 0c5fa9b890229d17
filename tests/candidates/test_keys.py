"""Keys are on disk, in every journal and picture: what they are of must never change."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisesearch.candidates.keys import digest

PART = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(st.lists(PART, max_size=6))
def test_a_key_is_of_canonical_json(parts: list[Any]) -> None:
    whole = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    assert digest(*parts) == hashlib.blake2b(whole.encode(), digest_size=16).hexdigest()


def test_a_key_of_an_earlier_version() -> None:
    assert digest("denoise", "ä\n", 12, None, 0.95) == "30d4a3119026cba0ef0b28f51d71aef2"


def test_what_is_no_number_has_no_key() -> None:
    with pytest.raises(ValueError, match="JSON"):
        digest("neighbour", float("nan"))
