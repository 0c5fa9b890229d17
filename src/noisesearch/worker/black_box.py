"""The executor of black boxes: start noises in, whole samples out; no slots, no previews."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..candidates.ask import Ask, Gradient, Reply
from ..candidates.condition import Condition
from ..candidates.keys import seed_of
from ..candidates.ledger import UNITS
from ..candidates.noise import Materialiser
from ..candidates.trajectory import Trajectory
from ..files.pictures import Picture
from ..sampling.denoiser import LOOK
from ..sampling.images import from_pictures
from ..sampling.sampler import Sampler
from ..verifiers.protocol import Verifier
from .engine import Usage
from .residence import Residence, within_memory
from .scoring import DecodedSamples, Scorer, Sink, Source


class BlackBoxWorker:
    """Answers asks about whole trajectories by a sampler; an executor by itself.

    A call has exactly ``rows`` rows where they may share one, empty places being copies of the
    first, and one row otherwise. Whatever else a row draws is named after its start noise.
    """

    def __init__(
        self,
        sampler: Sampler,
        verifiers: Sequence[Verifier],
        noises: Materialiser,
        *,
        rows: int = 4,
        watch: Sequence[Verifier] = (),
        sink: Sink | None = None,
        source: Source | None = None,
        device: str = "cpu",
        residence: Residence | None = None,
        narrowed: Callable[[int], None] | None = None,
    ) -> None:
        self.rows = rows
        self.scorer = Scorer(None, verifiers, rows, sink, watch, source)
        self.device = torch.device(device)
        self.usage: Usage = {}
        self._sampler, self._noises = sampler, noises
        self._narrowed, self._residence = narrowed, residence or Residence()
        self._asked: dict[str, dict[str, Ask]] = {}  # by trajectory, then by the ask's own key

    @property
    def scorers(self) -> tuple[Scorer, ...]:
        """What scores here."""
        return (self.scorer,)

    def submit(self, ask: Ask) -> None:
        """Take an ask; the same again while it is in flight is one."""
        of = ask.trajectory
        whole = of.finished and len(of.moves) == 1 and not isinstance(ask.want, Gradient)
        assert whole, "a black box is never asked for what it cannot make"
        self._asked.setdefault(of.key, {}).setdefault(ask.key, ask)

    def cancel(self, ask: Ask) -> None:
        """Forget an ask; what it alone needed is not computed."""
        about = self._asked.get(ask.trajectory.key, {})
        if about.pop(ask.key, None) is not None and not about:
            del self._asked[ask.trajectory.key]

    def wait(self) -> list[tuple[Ask, Reply]]:
        """Work until something is answered; empty when nothing is asked."""
        return within_memory(self._work, lambda: self.rows, self._narrow)

    def _narrow(self, rows: int) -> None:
        """Go on with fewer rows."""
        self.rows = self.scorer.rows = rows
        if self._narrowed is not None:
            self._narrowed(rows)

    def _work(self) -> list[tuple[Ask, Reply]]:
        waiting = [next(iter(about.values())).trajectory for about in self._asked.values()]
        if not waiting:
            return []
        self._residence.enter(LOOK)  # verifiers look where the pictures are
        with torch.no_grad():
            looked = self._stored(waiting)
            of, images = looked if looked is not None else self._made(waiting)
            asks = [self._asked[t.key].values() for t in of]
            answers = self.scorer.answers(DecodedSamples(of, images), asks)
        for trajectory in of:
            del self._asked[trajectory.key]
        return answers

    @property
    def _width(self) -> int:
        """Rows of a call of the pipeline."""
        return self.rows if self._sampler.together else 1

    def _stored(self, waiting: list[Trajectory]) -> tuple[list[Trajectory], Tensor] | None:
        """Samples whose pictures are there: nothing is made again."""
        found: list[tuple[Trajectory, Picture]] = []
        for trajectory in waiting:
            if len(found) < self.rows and (picture := self.scorer.stored(trajectory)) is not None:
                found.append((trajectory, picture))
        if not found:
            return None
        images = from_pictures([picture for _, picture in found]).to(self.device)
        return [t for t, _ in found], images

    def _made(self, waiting: list[Trajectory]) -> tuple[list[Trajectory], Tensor]:
        """One call's samples: of those that may share one, in the order of asking."""
        first = waiting[0]
        batch = [t for t in waiting
                 if t.steps == first.steps and self._alike(t, first)][: self._width]  # fmt: skip
        filled = [*batch, *[first] * (self._width - len(batch))]
        noises = torch.from_numpy(np.stack([self._noises(t.noise) for t in filled]))
        # As problem.sample names what a stochastic solver injects: one noise is one sample.
        seeds = [seed_of("injected", t.noise.key) for t in filled]
        conditions = [t.condition for t in filled]
        images, nfe = self._sampler.sample(noises, seeds, conditions, first.steps)
        for trajectory in batch:
            self._count(trajectory.condition, nfe)
        images = images[: len(batch)].to(self.device)
        return batch, self.scorer.images([(t, images[i : i + 1]) for i, t in enumerate(batch)])

    def _alike(self, one: Trajectory, other: Trajectory) -> bool:
        return self._sampler.alike(one.condition, other.condition)

    def _count(self, condition: Condition, nfe: int) -> None:
        of = self.usage.setdefault(condition.key, dict.fromkeys(UNITS, 0))
        of["nfe"] += nfe
        of["forwards"] += nfe * self._sampler.forwards
        of["decodes"] += 1

    def close(self) -> None:
        """Drop what is in flight."""
        self._asked.clear()
        self._residence.close()
        self.scorer.close()
