"""Learned screening: a regression from noise to score says which noises are worth a sample."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from pydantic import Field, PrivateAttr, field_validator

from ..candidates.ask import Ask, Reply, score
from ..candidates.keys import digest
from ..candidates.noise import Materialiser, Noise
from ..candidates.space import Known
from ..errors import ConfigError
from ..objectives.single import ranking
from .noise_features import FOLDS, Examples, features, fit, unseen
from .problem import Problem, Search
from .settings import Settings

UNDER_A_CLOCK = 32  # candidates before the first fit, and half as many a round, under a clock


class Screening(Settings):
    """Learned screening: many noises are ranked without a sample, the best of them are sampled.

    1. A ``share`` of the candidates are i.i.d. noises; from their low frequencies (below ``band``
    of the highest) to their values a ridge regression is fitted. 2. Of ``pool`` fresh noises those
    that it puts first are sampled; fitted again, so in each of ``rounds``. Whether it knows
    anything is told by its rank correlation on noises that it was not fitted on (five folds):
    where that is below ``least`` the round's noises are i.i.d. too, and it says so. ``run``: a
    folder of a finished run on the same model, whose candidates it is fitted on beside the
    search's own; then it screens from the first. Price: one candidate for every noise that is
    sampled; a noise that is only ranked costs nothing but its drawing.
    """

    name: ClassVar[str] = "screening"
    price: ClassVar[str] = "candidates·C"

    pool: int = Field(default=1024, ge=2, description="fresh noises ranked a round")
    share: float = Field(default=0.5, gt=0, lt=1, description="of the candidates, to be fitted on")
    rounds: int = Field(default=2, ge=1, description="of screening")
    band: float = Field(default=0.25, gt=0, le=1, description="share of the frequencies seen")
    least: float = Field(default=0.1, ge=-1, le=1, description="rank correlation to go by it")
    run: str = Field(default="", description="folder of a run that it is fitted on beside")

    _known: Examples | None = PrivateAttr(default=None)

    @field_validator("run")
    @classmethod
    def _whole_path(cls, given: str) -> str:
        return str(Path(given).expanduser().resolve()) if given else ""

    @property
    def extendable(self) -> bool:
        return False

    @property
    def fingerprints(self) -> Mapping[str, str]:
        """Of what it was fitted on, by name."""
        known = self._known
        return {} if known is None else {f"screening run {self.run}": digest(list(known.values))}

    def with_run_facts(self, known: Known) -> Self:
        """Return the algorithm fitted on its ``run``; ConfigError for one of another model."""
        if not self.run or self._known is not None:
            return self
        past = known.past_run(Path(self.run))
        if past.fingerprint != known.fingerprint:
            raise ConfigError(
                f"screening run {self.run} was made by {past.model!r} with other weights "
                f"than those of {known.model!r}, and what a noise is worth is learned for one "
                "model alone; give a run of this model"
            )
        eyes = Materialiser(known.shape)
        seen = [(t, value) for t, value in past.candidates
                if value is not None and _drawn(t.noise)]  # fmt: skip
        if len(seen) < 2 * FOLDS:
            raise ConfigError(
                f"screening run {self.run} has {len(seen)} candidates to be fitted on, and needs "
                f"at least {2 * FOLDS}; give a longer run"
            )
        found = self.model_copy()
        found._known = Examples(
            np.stack([features(eyes(t.noise), self.band) for t, _ in seen]),
            np.array([value for _, value in seen], float),
            [t.condition.key for t, _ in seen],
        ).usable
        return found

    def __call__(self, problem: Problem) -> Search:
        eyes, seen, drawn = Materialiser(problem.space.shape), list[Reply](), 0
        room = problem.room(problem.sample(problem.noise(0)))
        clock = math.isinf(room)
        count = UNDER_A_CLOCK if clock else int(room)
        begin = 0 if self._known is not None else math.ceil(self.share * count)
        if begin:
            seen += yield from self._sampled(problem, range(begin), "sample")
            drawn = begin
        turn = 0
        while (left := math.inf if clock else count - len(seen)) > 0:
            few = UNDER_A_CLOCK // 2 if clock else -(-int(left) // max(1, self.rounds - turn))
            wanted = self._chosen(problem, eyes, seen, drawn, few)
            drawn += self.pool
            seen += yield from self._sampled(problem, wanted, "screened", round=turn)
            turn += 1
        return [seen[i].trajectory for i in ranking(problem.objective, seen)]

    def _sampled(
        self, problem: Problem, numbers: Sequence[int], role: str, **tag: int
    ) -> Generator[list[Ask], list[Reply], list[Reply]]:
        return (
            yield [
                score(problem.sample(problem.noise(i)), role=role, index=i, **tag) for i in numbers
            ]
        )

    def _chosen(
        self, problem: Problem, eyes: Materialiser, seen: Sequence[Reply], drawn: int, few: int
    ) -> Sequence[int]:
        """Numbers of the noises that come next: those put first, or i.i.d. ones."""
        examples = self._examples(problem, eyes, seen)
        known = unseen(examples) if examples is not None else math.nan
        said = "too few candidates to tell" if math.isnan(known) else f"{known:+.2f}"
        trusted = examples is not None and known >= self.least
        problem.note(
            f"screening: rank correlation on unseen noises {said}; "
            + (f"the best {few} of {self.pool} are sampled" if trusted else "not gone by")
        )
        numbers = range(drawn, drawn + max(self.pool, few))
        if examples is None or not trusted:
            return numbers[:few]
        weights = fit(examples)
        values = [features(eyes(problem.noise(i)), self.band) @ weights for i in numbers]
        return [numbers[i] for i in np.argsort(-np.array(values), kind="stable")[:few]]

    def _examples(
        self, problem: Problem, eyes: Materialiser, seen: Sequence[Reply]
    ) -> Examples | None:
        mine = [r for r in seen if _drawn(r.trajectory.noise)]
        if not mine:
            return self._known
        own = Examples(
            np.stack([features(eyes(r.trajectory.noise), self.band) for r in mine]),
            np.array([problem.objective.value(r) for r in mine]),
            [problem.condition.key] * len(mine),
        ).usable
        return own if self._known is None else self._known.joined(own)


def _drawn(noise: Noise) -> bool:
    """True for what follows from a seed alone: no numbers of a user's have to be read."""
    return noise.op == "gaussian"
