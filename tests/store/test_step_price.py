"""What a step of somebody's solver costs, from numbers that may be hostile."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from noisesearch.store.spec import RunSpec
from noisesearch.store.step_price import MOST, step_price


def content(*nfe: float) -> dict[str, Any]:
    """The winners of searches whose baselines were counted so."""
    return {"searches": [
        {"baseline": {"trajectory": str(i)}, "ledger": {"baseline": {"nfe": n}}}
        for i, n in enumerate(nfe)
    ]}  # fmt: skip


@pytest.mark.parametrize(
    ("solver", "nfe", "price"),
    [
        ("heun", (1e100,), 2),
        ("ddim:0.5", (7,), 1),
        ("mine.py:Two", (20, 20), 2),
        ("mine.py:Two:0.5", (10,), 1),
        ("mine.py:Two", (0,), 1),
        ("mine.py:Two", (1e100,), MOST),
    ],
)
def test_a_step(solver: str, nfe: tuple[float, ...], price: int) -> None:
    spec = cast(RunSpec, SimpleNamespace(solver=solver, final_steps=10))
    assert step_price(spec, content(*nfe)) == price
