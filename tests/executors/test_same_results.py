"""Where candidates are made changes nothing: every algorithm, with workers that come and go."""

from __future__ import annotations

from pathlib import Path

import pytest
from crews import Here
from searching import ALGORITHMS, same, searched

from noisesearch import registry

# Noises alone, renoised prefixes, blobs of gradients, previews that go on.
FAST = ("zero-order", "paths", "first-order", "halving")


def test_every_algorithm_is_among_them() -> None:
    assert set(ALGORITHMS) == set(registry.TABLES["algorithm"])


@pytest.mark.parametrize(
    "algorithm",
    [pytest.param(a, marks=() if a in FAST else pytest.mark.slow) for a in ALGORITHMS],
)
def test_workers_that_die_give_what_one_gives_that_lives(algorithm: str, tmp_path: Path) -> None:
    alone = searched(tmp_path / "alone", algorithm)
    several = searched(tmp_path / "several", algorithm, Here(count=3, deaths=4))
    same(alone, several)
