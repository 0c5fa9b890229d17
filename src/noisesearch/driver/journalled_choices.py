"""The choices of a search among batches of samples, each journalled once it is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..candidates.ask import Reply
from ..candidates.keys import digest
from ..objectives.sets import Rows

if TYPE_CHECKING:
    from ..algorithms.problem import Problem
    from ..store.run_store import RunStore


class Choices:
    """The running set of one search; called with batches, takes the best and gives its number.

    A choice in the journal is not made again, so what follows from it is the same on a machine
    whose arithmetic differs in the last bits. The features of batches that were not chosen are
    then dropped from the run folder, but for those of trajectories in ``kept``.
    """

    def __init__(self, problem: Problem, store: RunStore) -> None:
        assert problem.run.sets is not None
        self.problem, self.store, self.sets = problem, store, problem.run.sets
        self.state = self.sets.empty()
        self.kept: set[str] = set()
        self._values: dict[tuple[str, ...], float] = {}
        self._key = digest("choices", [c.key for c in problem.conditions])

    def __call__(self, batches: Sequence[Sequence[Reply]]) -> int:
        self._key = digest(self._key, [[r.trajectory.key for r in batch] for batch in batches])

        def best() -> list[int]:
            # One after the other: a state may be as large as a covariance.
            return [int(np.argmax([self._tried(batch) for batch in batches]))]

        index = 0 if len(batches) == 1 else self.store.chosen(self._key, best)[0]
        self.state = self.sets.joined(self.state, self.rows(batches[index]))
        self.kept |= {reply.trajectory.key for reply in batches[index]}
        if self.sets.features is not None:
            seen = (reply.trajectory.key for batch in batches for reply in batch)
            self.store.drop([key for key in dict.fromkeys(seen) if key not in self.kept])
        return index

    def _tried(self, batch: Sequence[Reply]) -> float:
        """The value of the set with a batch more."""
        return self.sets.value(self.sets.joined(self.state, self.rows(batch)))

    def rows(self, replies: Sequence[Reply]) -> Rows:
        """What the set objective sees [n, d]: features, or the objective's value."""
        if self.sets.features is None:
            return np.array([[self.problem.objective.value(r)] for r in replies])
        keys = [self.problem.member(r.trajectory).key for r in replies]
        return np.stack([
            self.store.arrays.get(r.blobs[key]) for r, key in zip(replies, keys, strict=True)
        ]).astype(np.float64)  # fmt: skip

    def value(self, replies: Sequence[Reply]) -> float:
        """Of a whole set, whose features are read once."""
        keys = tuple(reply.trajectory.key for reply in replies)
        if keys not in self._values:
            whole = self.sets.joined(self.sets.empty(), self.rows(replies))
            self._values[keys] = self.sets.value(whole)
        return self._values[keys]
