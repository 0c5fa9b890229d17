"""What a search gives back, in Python and as JSON."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ..algorithms.agreement import Agreement, agreements
from ..candidates.ask import Reply, nothing
from ..candidates.condition import Condition
from ..driver.held_out import Watched
from ..driver.live_search import LiveSearch
from ..errors import ConfigError
from ..files.json_text import finite
from ..objectives.single import unmet

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..files.pictures import Picture


@dataclass(frozen=True, slots=True)
class Candidate:
    """A complete candidate: ``score`` is the objective's value, ``parts`` the verifiers' numbers.

    ``search_score`` is what the search saw, where the image was then finished at other steps.
    ``folder``: where its picture is; None of one that has none.
    """

    trajectory: str
    score: float
    parts: Mapping[str, float]
    missing: Mapping[str, str] = field(default_factory=nothing)
    search_score: float | None = None
    folder: Path | None = None

    @property
    def path(self) -> Path | None:
        """The file of its picture, there or swept since."""
        return None if self.folder is None else self.folder / f"{self.trajectory}.png"

    @property
    def image(self) -> Image:
        """The picture as the run folder holds it; of a video the frame in the middle."""
        from PIL import Image

        from ..files.pictures import still

        return Image.fromarray(still(self.pixels))

    @property
    def pixels(self) -> Picture:
        """The picture uint8 [H, W, 3], or the whole video [F, H, W, 3]."""
        from ..files.pictures import read

        return read(self._kept())

    def _kept(self) -> Path:
        if self.path is None or not self.path.exists():
            raise FileNotFoundError(f"the picture of {self.trajectory} was not kept (--keep)")
        return self.path

    def save(self, path: str | Path) -> None:
        """Copy the PNG with the recipe in it, which ``image.save`` leaves out."""
        if Path(path).suffix != ".png":
            raise ConfigError(
                f"path is {path}, but a picture with its recipe is a .png; for another kind take "
                "image.save"
            )
        shutil.copyfile(self._kept(), path)

    def json(self) -> dict[str, Any]:
        content = {
            "score": finite(self.score),
            "parts": dict(self.parts),
            "missing": dict(self.missing),
            "trajectory": self.trajectory,
            "image": None if self.path is None else str(self.path),
        }
        if self.search_score is not None:
            content["search_score"] = finite(self.search_score)
        return content


@dataclass(frozen=True)
class Result:
    """One condition's search. ``winners`` are best first; ``winner`` is the first of them.

    ``watched``: held-out verifiers along the search's bests, where some were asked for.
    ``unmet``: the bounds of a constraint that the winner breaks, where no candidate keeps all.
    ``missing``: how many candidates have no number for a part. ``stopped``: what ended the search
    before its budget did, "target" or "plateau". ``short_of``: the target, where the winner does
    not reach it. ``drafts``: how those that the search looked at beside rank the noises that it
    had in full too, by their text. ``notes``: what the algorithm said of how it went.
    """

    condition: Condition
    winners: Sequence[Candidate]
    baseline: Candidate
    ledger: Mapping[str, Any]
    candidates: Sequence[Candidate]
    baseline_kept: bool
    run: Path
    owner: object = field(default=None, repr=False)
    unmet: tuple[str, ...] = ()
    watched: Watched | None = None
    missing: Mapping[str, int] = field(default_factory=dict)
    stopped: str = ""
    short_of: str = ""
    drafts: Mapping[str, Agreement] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def winner(self) -> Candidate:
        return self.winners[0]

    @property
    def image(self) -> Image:
        return self.winner.image

    def plot(self) -> Any:
        """A matplotlib figure: score and parts of the best so far against NFE, held-out verifiers
        dashed (:func:`noisesearch.runs.plots.figure`); it needs
        ``pip install 'noisesearch[plot]'``."""
        from .plots import figure

        return figure(self)

    def _repr_html_(self) -> str:
        from .notebook import html

        return html([self], self.run)

    def json(self) -> dict[str, Any]:
        return {
            "condition": str(self.condition),
            "baseline": self.baseline.json(),
            "winner": self.winner.json(),
            "winners": [w.json() for w in self.winners],
            "baseline_kept": self.baseline_kept,
            "unmet": list(self.unmet),
            "missing": dict(self.missing),
            "stopped": self.stopped,
            "short_of": self.short_of,
            "notes": list(self.notes),
            **({} if self.watched is None else {"watch": self.watched.json()}),
            **({"drafts": {name: of.json() for name, of in self.drafts.items()}}
               if self.drafts else {}),
            "ledger": dict(self.ledger),
        }  # fmt: skip


class Results(Sequence[Result]):
    """The results of several conditions, in the order asked for.

    ``population``: of a search for a set, the set objective's value without and with search.
    """

    def __init__(
        self,
        results: Sequence[Result],
        run: Path,
        complete: bool,
        population: Mapping[str, Any] | None = None,
    ) -> None:
        self._results, self.run, self.complete = list(results), run, complete
        self.population = population

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> list[Result]: ...
    def __getitem__(self, index: int | slice) -> Result | list[Result]:
        return self._results[index]

    def __len__(self) -> int:
        return len(self._results)

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results)

    def _repr_html_(self) -> str:
        from .notebook import html

        return html(self, self.run)

    def json(self) -> dict[str, Any]:
        return {
            "run": str(self.run),
            "complete": self.complete,
            **({} if self.population is None else {"population": dict(self.population)}),
            "searches": [r.json() for r in self._results],
        }


def results_of(
    live: LiveSearch,
    run: Path,
    seconds: float,
    physical: Callable[[Condition], Mapping[str, Any]],
    spent: Callable[[Condition], Mapping[str, Mapping[str, float]]],
    owner: object = None,
) -> list[Result]:
    """A result for each condition of a search, as far as it has come; none before its first
    complete reply. ``physical``: what ran for a condition; ``spent``: what its verifiers cost,
    by name and unit."""
    record, objective, limits = live.record, live.problem.objective, live.settings.limits
    value, samples = objective.value, run / "samples"

    def candidate(reply: Reply, search: Reply | None = None) -> Candidate:
        key = reply.trajectory.key
        seen = None if search is None else value(search)
        folder = samples if reply.trajectory.finished else None
        return Candidate(key, value(reply), reply.parts, reply.missing, seen, folder)

    results = []
    for outcome, (ledger, base) in zip(record.outcomes(), record.ledgers(), strict=True):
        if outcome.baseline is None or not outcome.winners:
            continue
        condition, first = outcome.condition, outcome.winners[0][0]
        replies = [r for r in record.replies
                   if record.is_candidate(r) and r.trajectory.condition == condition]  # fmt: skip
        results.append(Result(
            condition,
            [candidate(*winner) for winner in outcome.winners],
            candidate(outcome.baseline),
            {**ledger.json(spent(condition)), "baseline": {"nfe": base.nfe},
             "seconds": round(seconds, 3), "physical": dict(physical(condition))},
            [candidate(r) for r in replies],
            outcome.baseline_kept,
            run,
            owner,
            tuple(f"{bound} (it has {first.parts.get(bound.part, math.nan):g})"
                  for bound in unmet(objective, first)),
            live.watch.watched(objective) if live.watch.parts else None,
            Counter(part for r in replies for part in r.missing),
            "" if limits is None else limits.why,
            "" if limits is None else limits.short_of(first, value(first)),
            agreements(objective, record.replies, live.problem.space.drafts),
            tuple(live.problem.run.notes),
        ))  # fmt: skip
    return results
