"""What every executor must do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ..algorithms.initial_noise import RandomSearch
from ..candidates.ask import Ask, Features, Reply, Score, score
from ..candidates.condition import Condition
from ..candidates.executor import Executor
from ..candidates.ledger import Ledger
from ..candidates.noise import gaussian
from ..candidates.trajectory import Trajectory
from ..setup.loaded import Loaded
from ..setup.prices import Prices
from .bench import Bench

STEPS = 6


def dark_fails(images: Tensor, conditions: Sequence[Condition]) -> Tensor:
    """The mean of the pixels; NaN for pictures darker than the middle."""
    mean = images.double().mean((1, 2, 3))
    return torch.where(mean < 0.5, torch.full_like(mean, math.nan), mean)


class ExecutorContract:
    """Inherit and give the fixture ``executor``, made of the fixture ``loaded``."""

    @pytest.fixture
    def loaded(self, tmp_path: Path) -> Loaded:
        """A mixture model, an even and a failing verifier."""
        verifiers: list[Any] = ["evenness", dark_fails]
        return Bench(tmp_path, RandomSearch(), settings={"verifier": verifiers}).parts()

    def asks(self, count: int, text: str = "any") -> list[Ask]:
        """Whole candidates of one condition."""
        of = Condition(text=text)
        return [score(Trajectory.begin(of, gaussian(i), STEPS).denoise()) for i in range(count)]

    def drain(self, executor: Executor) -> list[tuple[Ask, Reply]]:
        """All answers, until there are none."""
        answers: list[tuple[Ask, Reply]] = []
        while more := executor.wait():
            answers += more
        return answers

    def test_nothing_asked_nothing_answered(self, executor: Executor) -> None:
        assert executor.wait() == []
        executor.close()

    def test_every_ask_is_answered_once(self, executor: Executor) -> None:
        asks = self.asks(11) + self.asks(5, "other")
        for ask in asks:
            executor.submit(ask)
        answers = self.drain(executor)
        assert sorted(a.key for a, _ in answers) == sorted(a.key for a in asks)
        assert all(a.trajectory == r.trajectory for a, r in answers)
        assert executor.wait() == []
        executor.close()

    def test_submit_is_idempotent(self, executor: Executor) -> None:
        asks = self.asks(5)
        for ask in (*asks, *asks, asks[2]):
            executor.submit(ask)
        answers = self.drain(executor)
        assert sorted(a.key for a, _ in answers) == sorted(a.key for a in asks)
        assert sum(of["nfe"] for of in executor.usage.values()) == 5 * STEPS
        executor.close()

    def test_several_questions_about_one_sample(self, executor: Executor) -> None:
        """All at once, then one more, then one that nobody waits for any longer."""
        (one, other) = (ask.trajectory for ask in self.asks(2))
        even, dark = (Ask(one, Score((part,))) for part in ("evenness", "dark_fails"))
        seen, whole = Ask(one, Features("evenness")), score(one)
        for ask in (even, seen, whole, score(other)):
            executor.submit(ask)
        answers = {ask.key: reply for ask, reply in self.drain(executor)}
        assert set(answers) == {even.key, seen.key, whole.key, score(other).key}
        assert set(answers[even.key].parts) == {"evenness"} and not answers[even.key].missing
        assert answers[seen.key].arrays[seen.key].ndim == 1 and not answers[whole.key].arrays
        assert answers[whole.key].parts["evenness"] == answers[even.key].parts["evenness"]
        executor.submit(dark)
        executor.submit(even)
        executor.cancel(even)
        ((ask, reply),) = self.drain(executor)
        assert ask.key == dark.key and {*reply.parts, *reply.missing} == {"dark_fails"}
        executor.close()

    def test_asks_may_come_between_answers(self, executor: Executor) -> None:
        asks = self.asks(9)
        answers: list[tuple[Ask, Reply]] = []
        for ask in asks:
            executor.submit(ask)
            answers += executor.wait()
        answers += self.drain(executor)
        assert sorted(a.key for a, _ in answers) == sorted(a.key for a in asks)
        executor.close()

    def test_cancelled_asks_cost_nothing_more(self, executor: Executor) -> None:
        asks = self.asks(40)
        for ask in asks:
            executor.submit(ask)
        first = executor.wait()
        given = {a.key for a, _ in first}
        left = [a for a in asks if a.key not in given]
        kept, dropped = left[1::6], [a for i, a in enumerate(left) if i % 6 != 1]
        for ask in (*dropped, dropped[0], asks[0] if asks[0].key in given else dropped[1]):
            executor.cancel(ask)
        answers = self.drain(executor)
        assert sorted(a.key for a, _ in answers) == sorted(a.key for a in kept)
        used = sum(of["nfe"] for of in executor.usage.values())
        # What was in flight when it was cancelled has cost something, and no more than itself.
        assert used < (len(given) + len(kept) + 2 * 4) * STEPS < len(asks) * STEPS
        executor.submit(dropped[0])
        assert [a.key for a, _ in self.drain(executor)] == [dropped[0].key]
        executor.close()

    def test_nan_is_a_missing_part(self, executor: Executor) -> None:
        for ask in self.asks(16):
            executor.submit(ask)
        replies = [r for _, r in self.drain(executor)]
        kinds = {"dark_fails" in r.missing for r in replies}
        assert kinds == {True, False}, "the test needs dark and bright pictures"
        for reply in replies:
            assert "evenness" in reply.parts
            assert ("dark_fails" in reply.missing) != ("dark_fails" in reply.parts)
            assert all(map(math.isfinite, reply.parts.values()))
            assert all("nan" in reason for reason in reply.missing.values())
        executor.close()

    def test_usage_counts_by_condition(self, executor: Executor, loaded: Loaded) -> None:
        asks = {text: self.asks(count, text) for text, count in (("any", 7), ("other", 3))}
        for ask in (*asks["any"], *asks["other"]):
            executor.submit(ask)
        self.drain(executor)
        for text, of in asks.items():
            ledger = Ledger(Prices(loaded).rates)
            for ask in of:
                ledger.charge(ask.trajectory)
            used = executor.usage[Condition(text=text).key]
            assert (used["nfe"], used["decodes"]) == (ledger.nfe, ledger.decodes)
        executor.close()

    def test_prefixes_are_shared(self, executor: Executor, loaded: Loaded) -> None:
        """Unfinished and finished trajectories of one noise, in every order of asking."""
        start = Trajectory.begin(Condition(text="any"), gaussian(1), STEPS)
        asks = [score(t) for t in (start.denoise(3), start.denoise(), start, start.denoise(5))]
        for ask in asks:
            executor.submit(ask)
        answers = self.drain(executor)
        assert sorted(a.key for a, _ in answers) == sorted(a.key for a in asks)
        assert sum(of["nfe"] for of in executor.usage.values()) == STEPS
        executor.close()
