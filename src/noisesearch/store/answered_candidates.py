"""The answered trajectories of a run folder: when they came, what each is, and what it cost."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ..candidates.ask import Reply
from ..candidates.condition import Condition
from ..candidates.ledger import Ledger, Rates
from ..candidates.trajectory import FULL, Graph, Trajectory, nodes
from ..objectives.single import UNMET
from .formats import current_names
from .run_store import RunStore, uncollected
from .spec import RunSpec

BASELINE, SAMPLE, DRAFT, PREVIEW, FINAL = (
    "baseline",
    "sample",
    "draft",
    "preview",
    "final",
)  # kinds
WINNER, CANDIDATE = "winner", "candidate"  # roles, beside that of a baseline


@dataclass(frozen=True)
class AnsweredCandidate:
    """One answered trajectory.

    ``kind``: baseline, sample, draft, preview (not finished) or final. ``number``: its place among
    the complete candidates of its condition, from 1; None of a preview. ``parent``: the index,
    among the candidates of its condition, of the one that it was made from. ``rank``: of a winner,
    from 1; a baseline may be one. ``score``: the value of the objective; None where it has none.
    ``seconds`` and ``nfe``: what its search had cost when the answer was there, shared evaluations
    counted once; ``spent``: the NFE with those of the baseline, None where a black box does not
    tell them. ``samples``: the folder of the pictures.
    """

    reply: Reply
    kind: str
    number: int | None
    parent: int | None
    rank: int | None
    score: float | None
    seconds: float
    nfe: float
    spent: int | None
    samples: Path

    @property
    def trajectory(self) -> Trajectory:
        return self.reply.trajectory

    @property
    def condition(self) -> Condition:
        return self.reply.trajectory.condition

    @property
    def parts(self) -> Mapping[str, float]:
        return self.reply.parts

    @property
    def missing(self) -> Mapping[str, str]:
        return self.reply.missing

    @property
    def baseline(self) -> bool:
        """True of the unsearched sample, which may have won all the same."""
        return self.kind == BASELINE

    @property
    def role(self) -> str:
        """A baseline that won is a winner."""
        return WINNER if self.rank is not None else BASELINE if self.baseline else CANDIDATE

    @property
    def out(self) -> bool:
        """True where a bound is broken or a cascade let it go."""
        return self.score is not None and self.score <= -UNMET / 2

    @cached_property
    def picture(self) -> Path | None:
        """The file of its picture; None where it was not kept."""
        path = self.samples / f"{self.trajectory.key}.png"
        return path if path.exists() else None

    @property
    def recipe(self) -> list[dict[str, Any]]:
        """Its nodes in order, as the journal has them; read again by :class:`Graph`."""
        return [{"node": n.key, **n.line()} for n in nodes(self.trajectory, set())]


class Arrival(NamedTuple):
    """A reply, and the seconds at which its trajectory was first answered."""

    reply: Reply
    seconds: float


def arrivals(store: RunStore) -> list[Arrival]:
    """Return the replies of a run in the order of its journal. Their seconds are counted over all
    processes of the run."""
    graph, first = Graph(), dict[str, float]()
    before = latest = 0.0
    with uncollected():
        for record in store.journal.read():
            if "node" in record:
                graph.add(record.pop("node"), current_names(record))
            elif "reply" in record:
                latest = record["seconds"]
                first.setdefault(record["reply"], before + latest)
            elif record.get("event") == "cut":
                latest = max(latest, record["seconds"])
            elif record.get("event") == "open":
                before, latest = before + latest, 0.0
        replies = (store.seen(graph.trajectory(key), ()) for key in store.answered())
        return [Arrival(r, first[r.trajectory.key]) for r in replies if r is not None]


def is_whole(trajectory: Trajectory, draft: str) -> bool:
    """Return whether a run that searches at ``draft`` takes this for a complete candidate; a draft
    that was looked at beside is none."""
    return trajectory.finished and trajectory.draft in (FULL, draft)


def kind_of(spec: RunSpec, trajectory: Trajectory) -> str:
    """Return what a trajectory is that is not the baseline."""
    if not trajectory.finished:
        return PREVIEW
    if trajectory.draft not in (FULL, spec.draft):
        return DRAFT
    if spec.draft == FULL and spec.steps == spec.final_steps:
        return SAMPLE
    final = trajectory.draft == FULL and trajectory.steps == spec.final_steps
    return FINAL if final else DRAFT


def is_plain(trajectory: Trajectory) -> bool:
    """Return whether this is a whole sample of its noise, without renoising."""
    return trajectory.finished and len(trajectory.moves) == 1


def parents(spec: RunSpec, trajectories: Sequence[Trajectory]) -> Iterator[int | None]:
    """Yield for each trajectory of a condition the index of the nearest ancestor that was answered
    before: along its moves, or for a plain sample along its noises, its own first (as the draft of
    a finished sample)."""
    places: dict[str, int] = {}
    noises: dict[str, int] = {}
    for i, trajectory in enumerate(trajectories):
        yield _parent(trajectory, places, noises)
        places[trajectory.key] = i
        if spec.draft == trajectory.draft and spec.steps == trajectory.steps:
            noises.setdefault(trajectory.noise.key, i)


def _parent(
    trajectory: Trajectory, places: Mapping[str, int], noises: Mapping[str, int]
) -> int | None:
    for node in trajectory.lineage()[-2::-1]:
        if node.key in places:
            return places[node.key]
    queue = deque([trajectory.noise] if is_plain(trajectory) else [])
    seen: set[str] = set()
    while queue:
        noise = queue.popleft()
        if noise.key in noises:
            return noises[noise.key]
        queue.extend(child for child in noise.children if child.key not in seen)
        seen.update(child.key for child in noise.children)
    return None


@dataclass(frozen=True)
class RecipePrices:
    """What samples cost in NFE: by the ``rates`` of their evaluations, or of a black box, which
    has none, the ``whole`` of each."""

    rates: Rates | None
    whole: int = 0

    def alone(self, trajectory: Trajectory) -> int:
        """Return what a trajectory costs that shares no evaluation with another."""
        if self.rates is None:
            return self.whole
        return sum(mask.bit_count() for mask in self.rates.evaluations(trajectory).values())

    def sums(self, trajectories: Sequence[Trajectory], free: str = "") -> list[int]:
        """Return the NFE that have been spent when each of these is there. The one with the key
        ``free`` costs nothing."""
        if self.rates is None:
            count, found = 0, []
            for trajectory in trajectories:
                count += trajectory.key != free
                found.append(count * self.whole)
            return found
        ledger, found = Ledger(self.rates), []
        for trajectory in trajectories:
            if trajectory.key != free:
                ledger.charge(trajectory, ())
            found.append(ledger.nfe)
        return found
