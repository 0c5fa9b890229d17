"""Workers on several devices of one machine: processes that are real, and small."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from searching import MIXTURE, opened, same, searched
from torch import nn

import noisesearch as ns
from noisesearch.driver.driver import Driver
from noisesearch.errors import ConfigError
from noisesearch.executors.choice import ExecutorChoice
from noisesearch.executors.device_process import alone
from noisesearch.executors.pool import Pool
from noisesearch.worker.residence import Residence

TWO = ExecutorChoice.of(devices="cpu,cpu")


class KillsOne:
    """Kills the process of a worker after so many replies."""

    def __init__(self, after: int) -> None:
        self.left, self.pool = after, None

    def replied(self, driver: Driver, live: Any, reply: Any) -> None:
        self.left -= 1
        if self.left == 0:
            self.pool = driver.executor
            child = next(iter(self.pool.crew._children.values()))
            os.kill(child.pid, signal.SIGKILL)

    def improved(self, driver: Driver, live: Any, reply: Any) -> None:
        pass


def test_a_killed_process_changes_nothing(tmp_path: Path) -> None:
    settings = {"budget": "40candidates"}
    here = searched(tmp_path / "here", "zero-order", **settings)
    run, killer = opened(tmp_path / "there", "zero-order", **settings), KillsOne(9)
    try:
        there = run.execute(killer, where=TWO)
    finally:
        run.close()
    same(here, there)
    assert isinstance(killer.pool, Pool)
    (remark,) = killer.pool.remarks
    assert "signal SIGKILL" in remark


class Interrupts(KillsOne):
    """Ctrl-C after so many replies."""

    def replied(self, driver: Driver, live: Any, reply: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_a_run_goes_on_elsewhere_and_its_pictures_are_looked_at_again(tmp_path: Path) -> None:
    """What the watch looks at is a stored picture, which the worker there does not have."""
    settings: dict[str, Any] = {"verifier": "evenness", "watch": "brightness"}
    whole = searched(tmp_path / "whole", "zero-order", **settings)
    run = opened(tmp_path / "parts", "zero-order", **settings)
    try:
        with pytest.raises(KeyboardInterrupt):
            run.execute(Interrupts(5))
    finally:
        run.close()
    there = ns.resume(tmp_path / "parts", devices=["cpu"])
    same(whole, there)
    for one, other in zip(whole, there, strict=True):
        assert one.watched is not None and one.watched == other.watched


def test_what_cannot_go_to_other_processes_is_refused(tmp_path: Path) -> None:
    def vivid(images: Any, conditions: Any) -> Any:
        return images.std((1, 2, 3))

    with pytest.raises(ConfigError, match="'vivid' is a Python object of this process"):
        ns.search("one", model=MIXTURE, verifier=vivid, budget="4candidates", devices="cpu,cpu")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"executor": "rai"}, "unknown executor 'rai': did you mean 'ray'"),
        ({"address": "auto"}, "only Ray has one"),
        ({"executor": "ray", "devices": "0,1"}, "Ray takes all that its cluster has"),
        ({"devices": "cpu,cpu", "device": "cpu"}, "give one of both"),
        ({"devices": "cpu,gpu0"}, "device 'gpu0' cannot be used here"),
    ],
)
def test_wrong_places_are_refused_in_a_sentence(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        ns.search("one", model=MIXTURE, budget="4candidates", **settings)


def test_worker_that_cannot_begin_says_why(tmp_path: Path) -> None:
    """Weights that are other ones there would mix two kinds of scores."""
    run = opened(tmp_path / "run", "random")
    prints = {name: "other" for name in run.loaded.spec.fingerprints}
    run.loaded.spec = run.loaded.spec.model_copy(update={"fingerprints": prints})
    try:
        with pytest.raises(ns.errors.BackendError, match="made with other weights"):
            run.execute(where=ExecutorChoice.of(devices="cpu"))
    finally:
        run.close()


def test_a_process_sees_its_own_device_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert alone("cuda:2") == "cuda" and os.environ["CUDA_VISIBLE_DEVICES"] == "2"
    os.environ["CUDA_VISIBLE_DEVICES"] = "4, 6,7"
    assert alone("cuda:1") == "cuda" and os.environ["CUDA_VISIBLE_DEVICES"] == "6"
    assert alone("cpu") == "cpu"


def test_a_network_with_a_device_map_is_left_where_it_is() -> None:
    class Spread(nn.Linear):
        hf_device_map = {"": "cpu"}  # noqa: RUF012 - as accelerate sets it

        def to(self, *args: Any, **keywords: Any) -> Any:
            raise AssertionError("it was moved")

    of = Residence({"denoise": [Spread(1, 1)]}, "meta", ("denoise",))
    of.enter("denoise")
    of.enter("look")
    of.close()


def test_devices_are_named_as_people_write_them() -> None:
    assert ExecutorChoice.of(devices="0,1, cpu").devices == ("cuda:0", "cuda:1", "cpu")
    assert ExecutorChoice.of(devices=()).here and not TWO.here
