"""The executor of black boxes against the contract of executors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from moved import Part
from torch import Tensor

from noisesearch.candidates.ask import Gradient, score
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import Materialiser, gaussian
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.sampling.denoiser import LOOK
from noisesearch.testing import ExecutorContract
from noisesearch.testing.executor import STEPS
from noisesearch.testing.mixture_model import brightness
from noisesearch.worker.black_box import BlackBoxWorker
from noisesearch.worker.residence import Residence

SHAPE = (3, 4, 4)


class Squashed:
    """A sampler whose pictures are its noises, squashed; it notes its calls."""

    shape, forwards, flops, rows, seconds_per_nfe = SHAPE, 1, 1, 4, 0.0

    def __init__(self, together: bool = True) -> None:
        self.together = together
        self.calls: list[tuple[list[int], list[str | None], int]] = []

    def price(self, steps: int) -> int:
        return steps

    def alike(self, one: Condition, other: Condition) -> bool:
        return (one.negative is None) == (other.negative is None)

    def sample(
        self, noises: Tensor, seeds: Sequence[int], conditions: Sequence[Condition], steps: int
    ) -> tuple[Tensor, int]:
        self.calls.append((list(seeds), [c.text for c in conditions], steps))
        return torch.sigmoid(noises), steps


def sampling(sampler: Squashed, verifiers: Any = None) -> BlackBoxWorker:
    return BlackBoxWorker(sampler, verifiers or [brightness()], Materialiser(SHAPE), rows=4)


class TestSampling(ExecutorContract):
    @pytest.fixture(params=[True, False], ids=["together", "alone"])
    def executor(self, request: Any, loaded: Any) -> Any:
        return sampling(Squashed(request.param), loaded.verifiers)

    def test_prefixes_are_shared(self, executor: Any, loaded: Any) -> None:
        """It has none: what is unfinished, or wants a gradient, never reaches it."""
        start = Trajectory.begin(Condition(text="any"), gaussian(1), STEPS)
        whole = score(start.denoise())
        for ask in (score(start.denoise(3)), type(whole)(whole.trajectory, Gradient(()))):
            with pytest.raises(AssertionError, match="never asked"):
                executor.submit(ask)
        assert executor.wait() == []


def whole(index: int, steps: int = STEPS, **condition: Any) -> Trajectory:
    return Trajectory.begin(Condition(**condition), gaussian(index), steps).denoise()


def test_calls_are_filled_and_of_one_kind() -> None:
    """Rows of other steps, or with a negative prompt, do not share a call."""
    sampler = Squashed()
    executor = sampling(sampler)
    asked = [whole(0, text="a"), whole(1, 3, text="b"), whole(2, text="c"),
             whole(3, text="d", negative="e")]  # fmt: skip
    for trajectory in asked:
        executor.submit(score(trajectory))
    while executor.wait():
        pass
    assert [(texts, steps) for _, texts, steps in sampler.calls] == [
        (["a", "c", "a", "a"], STEPS), (["b"] * 4, 3), (["d"] * 4, STEPS)
    ]  # fmt: skip
    assert sum(of["nfe"] for of in executor.usage.values()) == 3 * STEPS + 3


def test_whatever_else_is_drawn_is_named_after_the_noise() -> None:
    """The same at other steps and under another condition, another for another noise."""
    sampler = Squashed(together=False)
    executor = sampling(sampler)
    for trajectory in (whole(0, text="a"), whole(0, 9, text="b"), whole(1, text="a")):
        executor.submit(score(trajectory))
    while executor.wait():
        pass
    (one,), (same,), (other,) = (seeds for seeds, _, _ in sampler.calls)
    assert one == same != other


def test_out_of_memory_halves_the_call_and_goes_on() -> None:
    class Tight(Squashed):
        def sample(self, noises: Tensor, *others: Any) -> tuple[Tensor, int]:
            if len(noises) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().sample(noises, *others)

    sampler, told = Tight(), list[int]()
    executor = BlackBoxWorker(sampler, [brightness()], Materialiser(SHAPE), rows=8,
                        narrowed=told.append)  # fmt: skip
    for index in range(5):
        executor.submit(score(whole(index)))
    found = {}
    while answers := executor.wait():
        found |= {ask.key: reply.parts["brightness"] for ask, reply in answers}
    assert told == [4, 2] and len(found) == 5 and len(sampler.calls) == 3
    assert executor.usage[Condition().key]["nfe"] == 5 * STEPS


def test_verifiers_are_moved_to_the_pictures() -> None:
    """Catches a network that waits on the host while the pipeline's pictures are on a device."""
    log: list[tuple[str, str]] = []
    judge = Part("judge", log)
    residence = Residence({LOOK: [judge]}, "cuda")
    executor = BlackBoxWorker(Squashed(), [brightness()], Materialiser(SHAPE), residence=residence)
    executor.submit(score(whole(0)))
    executor.wait()
    executor.close()
    assert log == [("judge", "cuda"), ("judge", "cpu")]
