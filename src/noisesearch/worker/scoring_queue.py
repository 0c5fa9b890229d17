"""What the worker has made is decoded and scored, here and now or beside further work."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch

from ..candidates.ask import Ask, Reply
from ..candidates.condition import Condition
from ..candidates.trajectory import Trajectory
from ..files.pictures import Picture
from ..sampling.images import from_pictures
from .background import BackgroundTask
from .previews import PreviewStore, Ready
from .scoring import DecodedSamples, Scorer

Answers = list[tuple[Ask, Reply]]
Asked = dict[str, dict[str, Ask]]  # by trajectory, then by the ask's own key


@dataclass(frozen=True)
class ScoringBatch:
    """A batch, what is asked about it, and how many pictures each of it takes."""

    batch: list[Ready]
    asks: list[dict[str, Ask]]
    decodes: list[int]
    work: Callable[[], Answers]


class ScoringQueue:
    """Answers asks about samples that are ``ready``, or ``stored`` as pictures.

    ``asked``: the worker's; what is answered goes from it. ``count`` is told of pictures decoded.
    With ``beside`` a batch is looked at while the worker goes on, one at a time.
    """

    def __init__(
        self,
        scorer: Scorer,
        previews: PreviewStore,
        asked: Asked,
        count: Callable[[Condition, str, int], None],
        device: torch.device,
        beside: bool,
    ) -> None:
        self.ready: list[Ready] = []
        self.stored: list[tuple[Trajectory, Picture]] = []
        self._scorer, self._previews, self._asked = scorer, previews, asked
        self._count, self._device = count, device
        self._beside = BackgroundTask[Answers](device) if beside else None
        self._looking: ScoringBatch | None = None

    @property
    def busy(self) -> bool:
        """True while a batch is looked at beside."""
        return self._looking is not None

    @property
    def done(self) -> bool:
        """True where its answers can be had without waiting."""
        return self._beside is not None and self._beside.done

    def add(self, ready: Ready | None) -> None:
        if ready is not None:
            self.ready.append(ready)

    def submit(self, trajectory: Trajectory, ask: Ask) -> bool:
        """True where the picture is there, so that nothing is to be made."""
        picture = self._scorer.stored(trajectory)
        # Whoever looks back wants to see the way as well.
        if picture is None or self._previews.wanted([ask], self._scorer.parts):
            return False
        self.stored.append((trajectory, picture))
        return True

    def only(self, keys: Collection[str]) -> set[str]:
        """Forget all but some trajectories; returns those that need not be made."""
        self.ready = [(t, x0) for t, x0 in self.ready if t.key in keys]
        self.stored = [(t, p) for t, p in self.stored if t.key in keys]
        there = {t.key for t, _ in (*self.ready, *self.stored)}
        self._previews.forget(there)
        return there

    def answers(self, rows: int, more: bool) -> Answers:
        """Look at a batch of what is ready. Where there is ``more`` to do it is done beside that,
        and the answers, if any, are those of the batch before."""
        if self._beside is None or not more:
            look = self._take(rows)
            return self._finish(look, look.work)
        before = self.fetch() if self.busy else []  # first, since it may fail
        self._looking = self._take(rows)
        self._beside.start(self._looking.work)
        return before

    def fetch(self) -> Answers:
        """The answers about the batch that is looked at beside; waits for them."""
        assert self._beside is not None and self._looking is not None
        look, self._looking = self._looking, None
        return self._finish(look, self._beside.fetch)

    def _take(self, rows: int) -> ScoringBatch:
        batch, self.ready = self.ready[:rows], self.ready[rows:]
        asks = [self._asked.pop(t.key) for t, _ in batch]
        times = [self._previews.wanted(about.values(), self._scorer.parts) for about in asks]
        found = self._previews.of(batch)

        def work() -> Answers:
            images = self._scorer.images(batch)
            back = {t: self._scorer.decoded(found[t]) for t in sorted(set().union(*times))}
            shown = DecodedSamples([t for t, _ in batch], images, back)
            return self._scorer.answers(shown, [about.values() for about in asks])

        return ScoringBatch(batch, asks, [1 + len(wanted) for wanted in times], work)

    def _finish(self, look: ScoringBatch, answers: Callable[[], Answers]) -> Answers:
        """Its answers; where they fail, all is as if it had not been begun."""
        try:
            found = answers()
        except BaseException:
            self.ready = [*look.batch, *self.ready]
            for (trajectory, _), about in zip(look.batch, look.asks, strict=True):
                self._asked[trajectory.key] = {**about, **self._asked.get(trajectory.key, {})}
            raise
        for (trajectory, _), decodes in zip(look.batch, look.decodes, strict=True):
            self._previews.drop(trajectory)
            self._count(trajectory.condition, "decodes", decodes)
        return found

    def look_again(self, rows: int) -> Answers:
        """Answers about samples whose pictures are there: nothing is made again."""
        batch = self.stored[:rows]
        of: Sequence[Trajectory] = [t for t, _ in batch]
        images = from_pictures([picture for _, picture in batch]).to(self._device)
        asks = [self._asked[t.key].values() for t in of]
        answers = self._scorer.answers(DecodedSamples(of, images), asks)
        self.stored = self.stored[len(batch) :]
        for trajectory in of:
            del self._asked[trajectory.key]
        return answers

    def close(self) -> None:
        """Drop what is in flight."""
        self.ready, self.stored, self._looking = [], [], None
        if self._beside is not None:
            self._beside.close()
