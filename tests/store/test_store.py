"""The run folder against the stores' contract."""

from __future__ import annotations

from typing import Any

import pytest

from noisesearch.store.run_store import RunStore
from noisesearch.testing import StoreContract


class TestRunStore(StoreContract):
    @pytest.fixture
    def store_type(self) -> Any:
        return RunStore
