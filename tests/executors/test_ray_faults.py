"""Schedules of faults on a real Ray cluster, as the benchmark runs a hundred of them."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray")
FOLDER = Path(__file__).parents[2] / "benchmarks"


def test_every_schedule_has_every_fault_and_is_the_same_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    of = importlib.import_module("ray_faults")
    for seed in range(5):
        faults = of.schedule(seed)
        assert {fault.kind for fault in faults} == {*of.WORKER_FAULTS, *of.OTHER_FAULTS}
        assert faults == of.schedule(seed) != of.schedule(seed + 1)


@pytest.mark.slow
def test_five_schedules_change_nothing() -> None:
    command = [sys.executable, FOLDER / "ray_faults.py", "--schedules", "5", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(done.stdout)
    assert figures["same"] == figures["schedules"] == 5
    assert all(row["driver_killed"] and not row["faults_left"] for row in figures["rows"])
