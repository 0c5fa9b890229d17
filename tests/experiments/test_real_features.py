"""The file of real images' features that an experiment names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisesearch.errors import ConfigError
from noisesearch.experiments.measures import _real
from noisesearch.experiments.spec import Measure

NOBODY: Any = None  # neither looks nor model are needed where a file is read


def test_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "real.npz", features=np.eye(3))
    measure = Measure(real=str(tmp_path / "real.npz"))
    assert np.array_equal(_real(measure, NOBODY, NOBODY, []), np.eye(3))


@pytest.mark.parametrize(
    "arrays",
    [
        {"features": np.ones(3)},
        {"features": np.ones((1, 3))},
        {"features": np.full((2, 3), np.nan)},
        {"features": np.array([["a", "b"], ["c", "d"]])},
        {"others": np.eye(3)},
    ],
)
def test_files_of_something_else(tmp_path: Path, arrays: dict[str, Any]) -> None:
    np.savez(tmp_path / "real.npz", **arrays)
    with pytest.raises(ConfigError, match=r"cannot be read \(.*\[n, d\] of real images"):
        _real(Measure(real=str(tmp_path / "real.npz")), NOBODY, NOBODY, [])
