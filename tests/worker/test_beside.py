"""Looking beside further work gives what looking here and now gives."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from noisesearch.candidates.ask import Reply, score
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import Materialiser, gaussian
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.sampling.solvers import solver
from noisesearch.testing import MixtureModel
from noisesearch.verifiers.protocol import FunctionVerifier, Views
from noisesearch.worker.background import BackgroundTask
from noisesearch.worker.engine import Worker

ROWS, COUNT, STEPS = 4, 19, 5


@dataclass
class Watched:
    """A verifier that knows in whose thread it looks, and may fail."""

    threads: set[str] = field(default_factory=set)
    fails: list[int] = field(default_factory=list)
    looks: int = 0
    name: str = "mean"
    parts: tuple[str, ...] = ("mean",)
    fingerprint: str = ""
    differentiable: bool = False
    rows: int | None = None

    @property
    def scale(self) -> Mapping[str, float]:
        return {"mean": 1.0}

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        self.threads.add(threading.current_thread().name)
        self.looks += 1
        if self.looks in self.fails:
            raise torch.OutOfMemoryError("there is no room")
        return {"mean": views.images.mean((1, 2, 3))}


def worker(verifier: Any, beside: bool) -> Worker:
    model = MixtureModel()
    space = model.space()
    return Worker(model.build(1.0, "cpu", "float32"), solver("euler"), [verifier],
                  Materialiser(space.shape), space.times, rows=ROWS, beside=beside)  # fmt: skip


def answers(of: Worker) -> dict[str, Reply]:
    asked: Sequence[Trajectory] = [
        # Of different lengths, so that some are ready while others are under way.
        Trajectory.begin(Condition(text=None), gaussian(i), STEPS + i % 3).denoise()
        for i in range(COUNT)
    ]
    for trajectory in asked:
        of.submit(score(trajectory))
    found = {}
    while more := of.wait():
        for ask, reply in more:
            assert ask.key not in found, "answered once"
            found[ask.key] = reply
    of.close()
    return found


def test_the_answers_are_the_same_and_made_in_another_thread() -> None:
    here, there = Watched(), Watched()
    plain, overlapped = worker(here, False), worker(there, True)
    assert answers(plain) == answers(overlapped)
    assert plain.usage == overlapped.usage
    assert here.threads == {threading.main_thread().name}
    assert any(name.startswith("noisesearch-look") for name in there.threads)


def test_the_network_works_while_a_verifier_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a start that waits for its end."""
    evaluated, begun, waited = threading.Condition(), [], []
    count = 0
    start = BackgroundTask.start

    def noted(self: Any, work: Any) -> None:
        begun.append(count)
        start(self, work)

    def patient(images: Tensor, conditions: Any) -> Tensor:
        if not waited and threading.current_thread() is not threading.main_thread():
            with evaluated:
                waited.append(evaluated.wait_for(lambda: count > begun[0], timeout=30))
        return images.mean((1, 2, 3))

    monkeypatch.setattr(BackgroundTask, "start", noted)
    of = worker(FunctionVerifier(patient, "patient"), True)
    counted = of.counted
    original = counted.denoiser

    class Ringing:
        def __getattr__(self, name: str) -> Any:
            return getattr(original, name)

        def __call__(self, *arguments: Any) -> Any:
            nonlocal count
            with evaluated:
                count += 1
                evaluated.notify_all()
            return original(*arguments)

    counted.denoiser = Ringing()
    assert len(answers(of)) == COUNT
    assert waited == [True]


@pytest.mark.parametrize("beside", [False, True])
def test_a_look_that_runs_out_of_memory_is_done_again_by_halves(beside: bool) -> None:
    verifier = Watched(fails=[2])
    of = worker(verifier, beside)
    found = answers(of)
    assert of.rows == ROWS // 2 and len(found) == COUNT
    assert all(reply.parts and not reply.missing for reply in found.values())
    assert of.usage[Condition(text=None).key]["decodes"] == COUNT, "what failed counts for nothing"


def test_what_the_work_raises_is_raised_where_it_is_fetched() -> None:
    of: BackgroundTask[int] = BackgroundTask(torch.device("cpu"))
    of.start(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        of.fetch()
    of.start(lambda: 3)
    assert of.busy and of.fetch() == 3 and not of.busy and not of.done
    of.close()


def test_what_runs_out_of_memory_loses_nothing_of_the_batch_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its outcome is fetched no sooner than the next batch is there."""
    monkeypatch.setattr(BackgroundTask, "done", property(lambda _: False))
    of = worker(Watched(fails=[2]), True)
    assert len(answers(of)) == COUNT
