"""Draft, then commit: many noises as cheaper drafts, the best of them again in full."""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator

from ..candidates.ask import Ask, Reply, score
from ..candidates.noise import Noise
from ..candidates.trajectory import FULL
from ..errors import ConfigError
from ..names.drafts import parse
from ..objectives.single import ranking
from .agreement import agreement
from .problem import Problem, Search
from .settings import Settings

PREFERRED = ("fast", "quarter")  # names of drafts; the first that the model has is taken
ROUNDS, SPLIT = 2, 4  # with fewer candidates' worth than the second, one round
MOST = 64  # candidates' worth of a round
ROUND = 16  # candidates' worth of a round where only a clock ends the search

Looks = Generator[list[Ask], list[Reply], None]


@dataclass
class DraftReplies:
    """The replies at each draft so far, and how many noises have been drawn."""

    replies: dict[str, list[Reply]]
    noises: int = 0

    def fresh(self, problem: Problem, count: int) -> list[Noise]:
        """New noises; not the baseline's, number 0, which is finished in any case."""
        self.noises += count
        return [problem.noise(self.noises - i) for i in reversed(range(count))]

    def waiting(self, problem: Problem, draft: str, above: str) -> list[Noise]:
        """Noises looked at in one draft and not yet in that above it, the best first."""
        done = {reply.trajectory.noise for reply in self.replies[above]}
        replies = self.replies[draft]
        ranked = ranking(problem.objective, replies) if replies else []
        noises = [replies[i].trajectory.noise for i in ranked]
        return [noise for noise in noises if noise not in done]


class Drafting(Settings):
    """Of algorithms that look at drafts, from cheap to dear."""

    draft: tuple[str, ...] = Field(
        default=(), description="drafts by text or name, from cheap to dear; default: the model's "
        "`fast`, else its `quarter`",
    )  # fmt: skip

    @field_validator("draft", mode="before")
    @classmethod
    def _listed(cls, given: Any) -> Any:
        """``a>b`` for the command line, where lists are harder to write."""
        return (
            tuple(each.strip() for each in given.split(">")) if isinstance(given, str) else given
        )

    @property
    def extendable(self) -> bool:
        return False

    @property
    def drafts(self) -> tuple[str, ...]:
        return self.draft

    def at(self, names: Iterable[str], named: Mapping[str, str]) -> Self:
        """With drafts by name or text, as their texts."""
        return self.model_copy(update={"draft": tuple(str(parse(n, named)) for n in names)})


class DraftThenCommit(Drafting):
    """Draft, then commit: candidates as cheaper drafts, and the best of them in full.

    As the drafts of speculative and cached sampling, with the noise shared by draft and sample
    ([drafts](drafts.md)). In each of ``rounds``: 1. fresh noises are looked at as drafts; 2. the
    best of all drafts so far are made in full, and some others at random (``probes``), so that 3.
    Spearman's rank correlation of draft and full scores is known. Where all of its interval is
    below ``poor``, the next round makes no more drafts: all that is left goes into the next best
    in full. Several drafts, the cheapest first (``draft=fast>half``), are a cascade: many as the
    first, the best of them as the next, the best of those in full. The figure is in the results as
    ``drafts``.

    Price: ``share`` of the budget in full samples, the rest for the drafts, ``taper`` times as
    much for each as for the one before.
    """

    name: ClassVar[str] = "draft"
    needs: ClassVar[str] = "samples, drafts"
    price: ClassVar[str] = "drafts·(C of the draft) + commit·C"

    share: float = Field(default=0.5, gt=0, lt=1, description="of the budget, for full samples")
    commit: int | None = Field(
        default=None, ge=1, description="full samples in place of the share, if drafts rank well"
    )
    probes: float = Field(
        default=0.25, ge=0, lt=1, description="share of the full samples that are others at random"
    )
    poor: float = Field(
        default=0.3, ge=-1, le=1, description="rank correlation below which drafts are not trusted"
    )
    rounds: int = Field(default=ROUNDS, ge=1, description="in which drafts may be given up")
    taper: float = Field(
        default=1.0, gt=0, description="what each further draft of a cascade gets, over the last"
    )

    def with_names(self, named: Mapping[str, str], steps: int) -> Self:
        first = [name for name in PREFERRED if name in named][:1]
        if not self.draft and not first:
            raise ConfigError(
                "algorithm 'draft' needs a draft to look at, and this model has names for none; "
                "give one, such as draft=steps:4"
            )
        return self.at(self.draft or first, named)

    def __call__(self, problem: Problem) -> Search:
        self._check(problem)
        seen = DraftReplies({draft: [] for draft in (*self.draft, FULL)})
        whole, clock = problem.budget / problem.worth(FULL), math.isinf(problem.budget)
        rounds = 1 if whole < SPLIT else min(self.rounds, self.commit or self.rounds)
        # A million NFE are not asked for in one breath; and under a clock one round comes after
        # the other, so that there is something whenever it stops.
        rounds = 1 if clock else max(rounds, math.ceil(whole / MOST))
        for number in itertools.count() if clock else range(rounds):
            yield from self._round(problem, seen, number, 1 if clock else rounds - number)
        full = seen.replies[FULL]
        return [full[i].trajectory for i in ranking(problem.objective, full)]

    def _round(self, problem: Problem, seen: DraftReplies, number: int, left: int) -> Looks:
        """Drafts, draft by draft, and then full samples: one of so many rounds left."""
        whole, clock = problem.worth(FULL), math.isinf(problem.budget)
        budget = ROUND * whole if clock else problem.budget / left
        told = agreement(problem.objective, seen.replies[self.draft[-1]], seen.replies[FULL])
        poor = told.high is not None and told.high < self.poor
        if poor:
            commit = int(budget / whole)
        elif self.commit is None:
            commit = max(1, int(self.share * budget / whole))
        else:
            commit = math.ceil((self.commit - (0 if clock else len(seen.replies[FULL]))) / left)
        spent = 0.0 if poor else max(0.0, budget - commit * whole)
        parts = [self.taper**i for i in range(len(self.draft))]
        for below, draft, part in zip(("", *self.draft), self.draft, parts, strict=False):
            count = int(spent * part / sum(parts) / problem.worth(draft))
            noises = seen.waiting(problem, below, draft)[:count] if below else seen.fresh(
                problem, count
            )  # fmt: skip
            yield from self._look(problem, seen, noises, draft, number)
        if left == 1 and self.commit is None and not clock:
            commit = int(problem.budget / whole)  # with what the drafts did not need
        # Those that came furthest first; whoever was left behind is still better than a fresh one.
        waiting = dict.fromkeys(
            noise for draft in reversed(self.draft) for noise in seen.waiting(problem, draft, FULL)
        )
        noises = self._committed(problem, list(waiting), commit, number)
        noises += seen.fresh(problem, commit - len(noises))
        yield from self._look(problem, seen, noises, FULL, number)

    def _look(
        self, problem: Problem, seen: DraftReplies, noises: list[Noise], draft: str, number: int
    ) -> Looks:
        role = "commit" if draft == FULL else "draft"
        if noises:
            seen.replies[draft] += yield [
                score(problem.sample(noise, draft=draft), role=role, round=number)
                for noise in noises
            ]

    def _committed(
        self, problem: Problem, waiting: list[Noise], count: int, number: int
    ) -> list[Noise]:
        """The best of those that wait, and of the others some at random."""
        probes = int(self.probes * count)
        best, others = waiting[: count - probes], waiting[count - probes :]
        for i in range(min(probes, len(others))):
            best.append(others.pop(problem.seed("probe", number, i) % len(others)))
        return best

    def _check(self, problem: Problem) -> None:
        if problem.run.draft != FULL:
            raise ConfigError(
                f"algorithm 'draft' looks at drafts of its own, but this run searches at the "
                f"draft {problem.run.draft!r}; leave that out, or give it as "
                f"draft={problem.run.draft}"
            )
        least = (self.commit or 1) * problem.worth(FULL)
        if least > problem.budget:
            raise ConfigError(
                f"budget leaves {problem.budget:g} NFE for the search, which with "
                f"commit={self.commit} needs at least {least:g}; give a larger budget or a "
                "smaller commit"
            )
        prices = [(draft, problem.worth(draft)) for draft in (*self.draft, FULL)]
        for (first, cheap), (second, dear) in itertools.pairwise(prices):
            if cheap > dear:
                raise ConfigError(
                    f"draft {first!r} counts {cheap:g} NFE and {second!r} after it {dear:g}, but "
                    "drafts must go from cheap to dear; turn them round"
                )
