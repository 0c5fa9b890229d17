"""Per-step search: the injected noise of every step is searched, by what previews show."""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import Field

from ..candidates.ask import Ask, Reply, score
from ..candidates.keys import uniform_of
from ..candidates.trajectory import Denoise, Trajectory
from ..errors import ConfigError
from ..objectives.single import best, ranking
from .problem import Problem, Search
from .settings import Settings

UNDER_A_CLOCK = 8  # ways on where only a clock ends the search
Replies = Generator[list[Ask], list[Reply], list[Reply]]
States = list[Reply]  # of one level, the best first


def _ways_differ(problem: Problem, trajectory: Trajectory, level: int) -> bool:
    """Return False where seeds make no difference to the way onward to a level: over the one step
    to clean data, in which no solver injects anything."""
    grid = trajectory.grid
    if (trajectory.level, level) != (grid.steps - 1, grid.steps):
        return True
    end = problem.space.times(grid)[-1]
    return (end if isinstance(end, float | int) else end[0]) > 0


@dataclass
class Descent:
    """One way down from fresh noises: the states kept at each stop, and the best there were.

    ``stops``: the levels at which is looked, from 0 to the end. ``width``: ways on for each state.
    ``path``: the states kept at each stop so far. ``buffer``: the best kept at each stop.
    ``record``: the path to the best sample. ``begun``: states whose own way on was proposed.
    ``drawn``: noises that were looked at until now, those of earlier descents with them.
    """

    number: int
    width: int
    stops: list[int]
    drawn: int
    path: list[States] = field(default_factory=list)
    buffer: dict[int, States] = field(default_factory=dict)
    record: list[States] = field(default_factory=list)
    begun: set[str] = field(default_factory=set)
    proposed: int = 0

    @property
    def end(self) -> int:
        return len(self.stops) - 1


class StepSearch(Settings):
    """Per-step search: at every stop the best of several ways on, as their previews show them.

    1. ``starts`` noises are looked at, and the ``keep`` best are the states. 2. Each state is
    given ``candidates`` ways on to the next stop; the first is ``first`` of all steps below the
    noise, and the others ``every`` steps one below the other. ``propose``: ``fresh``,
    each with noise of its own; ``epsilon-greedy``, ``together`` at a time, each fresh with
    probability ``epsilon`` and else at ``cosine`` to the noise of the best so far, which stays
    among those compared. 3. The ``keep`` best are the next states. ``advance``: ``always`` when
    all are seen; ``on-improvement`` as soon as one of the ways, seen ``together`` at a time, is
    better than the states that they come from, and those not needed are left to the next step.
    4. ``backtrack``: ``never``; ``below``, where the best is below ``threshold`` the search takes
    other ways from ``back`` stops above, as long as what is left leads to the end from there, and
    then goes on from the best state that it had at this stop. Without a threshold that is what the
    path to the best sample so far showed at the same stop, and every sample is below it.

    Descents follow one another from new noises as long as the budget has room for one. The first
    way on of every state is the one it was on, so with one candidate and one state a descent is
    the sample of its noise. It is the only one over the last step to clean data, which injects
    nothing.
    """

    needs: ClassVar[str] = "previews; a solver that injects noise"
    candidates: int | None = Field(
        default=None, ge=1, description="ways on for each state; default: the budget"
    )
    keep: int = Field(default=1, ge=1, description="states that go on")
    starts: int | None = Field(
        default=None, ge=1, description="noises that are looked at first; default: those kept"
    )
    first: float = Field(
        default=0.0, ge=0, lt=1, description="share of the steps before the first stop"
    )
    every: int = Field(default=1, ge=1, description="steps from one look to the next")
    propose: Literal["fresh", "epsilon-greedy"] = Field(
        default="fresh", description="noise of their own, or mostly near the best so far"
    )
    epsilon: float = Field(default=0.4, ge=0, le=1, description="share of fresh ones among these")
    cosine: float = Field(default=0.99, gt=0, lt=1, description="λ, of the near ones to the best")
    together: int = Field(
        default=4, ge=1, description="ways seen at once where the next depend on them"
    )
    advance: Literal["always", "on-improvement"] = Field(
        default="always", description="when all ways are seen, or when one is better"
    )
    backtrack: Literal["never", "below"] = Field(
        default="never", description="whether states below a threshold are given up"
    )
    threshold: float | None = Field(
        default=None, description="in the objective's value; default: the best path's own"
    )
    back: int = Field(default=4, ge=2, description="stops that it then goes back")

    @property
    def stochastic(self) -> bool:
        return True

    @property
    def extendable(self) -> bool:
        """With its own number of ways it asks the same under any budget, unless how far back it
        goes depends on what is left."""
        return self.candidates is not None and self.backtrack == "never"

    @property
    def adaptive(self) -> bool:
        return self.advance == "on-improvement" or self.backtrack == "below"

    def __call__(self, problem: Problem) -> Search:
        found, drawn = list[Reply](), 0
        for number in itertools.count():
            width = self._width(problem)
            if width < 1 and number == 0:
                self._refuse(problem)
            if width < 1 or self._reached(problem, found):
                break
            descent = Descent(number, width, self._stops(problem.steps), drawn)
            found += yield from self._descend(problem, descent)
            drawn = descent.drawn
        return [found[i].trajectory for i in ranking(problem.objective, found)]

    def _descend(self, problem: Problem, descent: Descent) -> Replies:
        """All samples of one descent."""
        found: list[Reply] = []
        descent.path = [(yield from self._started(problem, descent))]
        at, left = 0, 0
        while at < descent.end:
            states = descent.path[at]
            allowed = descent.width * len(states) + left
            if not _ways_differ(problem, states[0].trajectory, descent.stops[at + 1]):
                allowed = len(states)  # more ways would be the same pictures again
            seen = yield from self._proposed(problem, descent, at, allowed)
            left = allowed - len(seen)
            kept = [seen[i] for i in ranking(problem.objective, seen)[: self.keep]]
            at += 1
            descent.path = [*descent.path[:at], kept]
            if at == descent.end:
                found += seen
            if self.backtrack == "below":
                above = yield from self._turned_back(problem, descent, at)
                at, left = (at, left) if above is None else (above, 0)
        return found

    def _started(self, problem: Problem, descent: Descent) -> Replies:
        """The best of fresh noises, by their previews."""
        indices = range(descent.drawn, descent.drawn + self._starts)
        descent.drawn = indices.stop
        replies = yield [score(problem.begin(problem.noise(i)), role="start", index=i)
                         for i in indices]  # fmt: skip
        return [replies[i] for i in ranking(problem.objective, replies)[: self.keep]]

    def _proposed(self, problem: Problem, descent: Descent, at: int, allowed: int) -> Replies:
        """Ways on from the states at a stop: as many as allowed, or until one is better."""
        value = problem.objective.value
        states, seen = descent.path[at], list[Reply]()
        bar = max(map(value, states))
        in_turns = self.propose == "epsilon-greedy" or self.advance == "on-improvement"
        size = self.together * len(states) if in_turns else allowed
        while len(seen) < allowed:
            seen += yield [
                score(self._way(problem, descent, at, seen, number), role="way", round=at)
                for number in range(len(seen), min(len(seen) + size, allowed))
            ]
            if self.advance == "on-improvement" and max(map(value, seen)) > bar:
                break
        return seen

    def _way(
        self, problem: Problem, descent: Descent, at: int, seen: Sequence[Reply], number: int
    ) -> Trajectory:
        """The next way on; states take turns, so that ``number`` says whose it is."""
        states, level = descent.path[at], descent.stops[at + 1]
        state = states[number % len(states)].trajectory
        siblings = seen[number % len(states) :: len(states)]
        index = (descent.number, descent.proposed)
        descent.proposed += 1
        if state.key not in descent.begun:
            descent.begun.add(state.key)
            return problem.onward(state, level)
        near = self.propose == "epsilon-greedy" and siblings
        if near and uniform_of(problem.seed("explore", *index)) >= self.epsilon:
            pivot = siblings[best(problem.objective, siblings)].trajectory.move
            assert isinstance(pivot, Denoise)
            turn = (problem.seed("turn", *index), self.cosine)
            return state.denoise(level, pivot.seed, (*pivot.turns, turn))
        return problem.onward(state, level, problem.seed("way", *index))

    def _turned_back(
        self, problem: Problem, descent: Descent, at: int
    ) -> Generator[list[Ask], list[Reply], int | None]:
        """The stop that it goes back to, whose states ``path`` then ends with; None to go on."""
        value = problem.objective.value
        now, end = value(descent.path[at][0]), at == descent.end
        if at not in descent.buffer or now > value(descent.buffer[at][0]):
            descent.buffer[at] = descent.path[at]
            if end:
                descent.record = descent.path
        if self.threshold is not None:
            below = now < self.threshold
        else:
            below = end or (bool(descent.record) and now < value(descent.record[at][0]))
        if not below:
            return None
        above, anew = max(0, at - self.back), at < self.back
        if self._price(problem, descent.width, above, anew) > problem.budget:
            descent.path[at] = descent.buffer[at]
            return None
        if anew:
            descent.path = [(yield from self._started(problem, descent))]
        elif end:
            descent.path = descent.record
        return above

    def _reached(self, problem: Problem, found: Sequence[Reply]) -> bool:
        """True where a sample is as good as was asked for."""
        if self.backtrack == "never" or self.threshold is None:
            return False
        return any(problem.objective.value(reply) >= self.threshold for reply in found)

    @property
    def _starts(self) -> int:
        return max(self.starts or self.keep, self.keep)

    def _stops(self, steps: int) -> list[int]:
        return sorted({0, *range(round(self.first * steps), steps, self.every), steps})

    def _price(self, problem: Problem, width: int, at: int = 0, anew: bool = True) -> float:
        """NFE from a stop to the end: each way its steps, since the look at its end is the first
        evaluation of the next step; the last ways end in samples, which need no look. Less with a
        solver of several NFE a step, whose last step only the first ways take."""
        steps = (problem.steps - self._stops(problem.steps)[at]) * problem.run.stages
        ways = self.keep * width * (steps - 1)
        return (ways + (self._starts if anew else 0)) * problem.run.weight

    def _width(self, problem: Problem) -> int:
        """Ways on for each state: as given, or as many as fit; 0 where none does."""
        if math.isinf(problem.budget):
            return self.candidates or UNDER_A_CLOCK
        if self._price(problem, self.candidates or 1) > problem.budget:
            return 0
        if self.candidates:
            return self.candidates
        each = self._price(problem, 1, anew=False) or problem.run.weight
        fit = int((problem.budget - self._price(problem, 0)) // each)
        # What is not spent at once is what going back is paid from.
        return max(1, fit if self.backtrack == "never" else min(fit, self.together))

    def _refuse(self, problem: Problem) -> None:
        width = self.candidates or 1
        raise ConfigError(
            f"budget leaves {problem.budget:g} NFE for the search, but {self.name} with "
            f"keep={self.keep} and candidates={width} needs at least "
            f"{self._price(problem, width):g}; give a larger budget, or fewer of these"
        )


class EpsilonGreedy(StepSearch):
    """Epsilon-greedy search of the noise of every step (arXiv 2506.03164, Algorithm 1).

    At each step the injected noise is searched in rounds of ``together`` proposals: with
    probability ``epsilon`` a fresh one, else a neighbour of the best so far, which is the pivot
    and stays among those compared. Neighbours are at exactly ``cosine`` and keep the pivot's norm,
    so what is injected stays Gaussian; the paper adds a step of random length, with which the
    variance grows. A preset of per-step search, whose other parameters it has too.

    Price: one NFE for every proposal and step but the last, with a solver of one NFE a step.
    """

    name: ClassVar[str] = "epsilon-greedy"
    price: ClassVar[str] = "descents·(1 + candidates·(C − 1))"

    propose: Literal["fresh", "epsilon-greedy"] = Field(
        default="epsilon-greedy", description="noise of their own, or mostly near the best so far"
    )


class Beam(StepSearch):
    """Beam search: of the ways on from a few states the best of all go on (arXiv 2505.23614).

    At each step every one of ``keep`` states is given ``candidates`` ways on, and the ``keep``
    best of all are the next states, whichever they come from. With ``keep`` 1 it is the greedy
    search of SVDD's limit of no temperature (arXiv 2408.08252). A preset of per-step search,
    whose other parameters it has too.

    Price: one NFE for every way and step but the last, with a solver of one NFE a step.
    """

    name: ClassVar[str] = "beam"
    price: ClassVar[str] = "descents·(starts + keep·candidates·(C − 1))"

    keep: int = Field(default=4, ge=1, description="states that go on")


class Rollover(StepSearch):
    """Rollover budget forcing: a step ends when a way is better than before (arXiv 2503.19385).

    The best of ``starts`` noises goes down. Each step has the same allowance of ways; as soon as
    one is better than the state that it comes from, the search goes on from there and the next
    step has what is left of the allowance besides; where none is, the best of them goes on. The
    winner is the best of all samples. Ways are seen ``together`` at a time; 1 is the paper's. A
    preset of per-step search, whose other parameters it has too.

    Price: at most one NFE for every way and step but the last, with a solver of one NFE a step;
    what is not spent begins a descent from other noises.
    """

    name: ClassVar[str] = "rollover"
    price: ClassVar[str] = "descents·(starts + keep·candidates·(C − 1)) at most"

    starts: int | None = Field(
        default=4, ge=1, description="noises that are looked at first; at least those kept"
    )
    advance: Literal["always", "on-improvement"] = Field(
        default="on-improvement", description="when all ways are seen, or when one is better"
    )


class Backtracking(StepSearch):
    """Depth-first search: what looks bad is given up, and the search goes back (arXiv 2505.23614).

    A trajectory goes down, the best of ``candidates`` ways at every step. Where it shows less than
    ``threshold``, the search goes ``back`` stops and takes other ways from there, as long as the
    budget leads to the end; then it goes on from the best that it had at this step. With a
    threshold it ends at the first sample that reaches it. Without, it goes back from every sample,
    along the path to the best of them, and gives up what shows less than that path did. Early
    previews say little, so it looks from half-way on (``first``). The published one adds noise to
    the state to go back; here the state that was there is gone back to. A preset of per-step
    search, whose other parameters it has too.

    Price: one NFE for every way and step, with a solver of one NFE a step, up to the budget.
    """

    name: ClassVar[str] = "backtracking"
    price: ClassVar[str] = "starts + ways·every, up to the budget"

    first: float = Field(
        default=0.5, ge=0, lt=1, description="share of the steps before the first stop"
    )
    backtrack: Literal["never", "below"] = Field(
        default="below", description="whether states below a threshold are given up"
    )
