"""The benchmark of the engine at its smallest, by its functions."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("engine")


@pytest.mark.slow
def test_its_parts_run(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are there and follow from each other; how long things take is not looked at."""
    asks = engine.driver(2, 12, 1)
    assert set(asks) == set(engine.DRIVEN)
    assert all(of["ms"] > 0 and 400 < of["journal_bytes"] < 1200 for of in asks.values())
    again = engine.resume(2, 9, 1)
    assert again["asks"] == 18 and again["ms_per_ask"] == 1e3 * again["seconds"] / 18
    monkeypatch.setattr(engine, "LIVE", (1, 16))
    slots = engine.occupancy(8)
    assert isinstance(slots["first-order"], str) and "set" in slots["population"]
    assert slots["zero-order"]["1"] < 0.5, "four neighbours leave most of 16 slots empty"
    shares = [of["16"] for of in slots.values() if isinstance(of, dict)]
    assert len(shares) > 8 and all(0 < share <= 1 for share in shares)


@pytest.mark.slow
def test_where_time_goes_adds_up(engine: Any) -> None:
    found = engine.table(engine.load(1))
    assert found["answers"] == 8 * 5 and found["nfe"] == 8 * 5 * 12
    shares = {name: part["share"] for name, part in found["parts"].items()}
    assert sum(shares.values()) == pytest.approx(1)
    assert {"network", "verifiers", "journal", "algorithms and driver"} <= shares.keys()
    assert found["engine_share"] == pytest.approx(
        1 - sum(shares.get(name, 0) for name in ("network", "text", "decoder", "verifiers"))
    )


@pytest.mark.slow
def test_a_large_job_of_few_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    found = importlib.import_module("scale").one(300)
    assert found["prompts"] == 300 and found["peak_mib"] > 0
    assert 400 < found["journal_bytes_per_candidate"] < found["disk_bytes_per_prompt"]
