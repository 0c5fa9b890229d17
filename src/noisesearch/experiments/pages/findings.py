"""The first lines of an experiment's page: what was asked, what came out, and how sure it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...pages.answers import Remark, clock, counted
from ...pages.citations import WORLDS
from ..verdicts import FEWEST
from .contents import Examined


@dataclass(frozen=True)
class Findings:
    """``paper`` is "" where the experiment is none of the paper's."""

    asked: str
    paper: str
    found: str
    cost: str
    trust: tuple[Remark, ...]


def findings(of: Examined) -> Findings:
    about = of.content
    return Findings(
        about["question"] or about["summary"], about["finding"], _found(of), _cost(of),
        tuple(_trust(of)),
    )  # fmt: skip


def _found(of: Examined) -> str:
    total = len(of.content["claims"])
    if not of.complete:
        undecided = (
            " No claim is decided before all is done." if of.campaign.experiment.claims else ""
        )
        return (
            f"Not finished: {len(of.runs) - len(of.missing)} of {counted(len(of.runs), 'run')} "
            f"done, so there are figures of {len(of.arms)} of "
            f"{counted(len(of.campaign.arms), 'arm')}.{undecided}"
        )
    if not total:
        return "Nothing was claimed beforehand, so nothing is decided; the figures are below."
    verdicts = [claim["verdict"] for claim in of.content["claims"]]
    if len(set(verdicts)) == 1:
        which = "The one claim" if total == 1 else f"All {total} claims"
        return f"{which} {_plural(verdicts[0], total)}."
    each = ", ".join(f"{verdicts.count(v)} {_plural(v, verdicts.count(v))}"
                     for v in dict.fromkeys(verdicts))  # fmt: skip
    return f"Of {counted(total, 'claim')} {each}."


def _plural(verdict: str, count: int) -> str:
    many = {"holds": "hold", "does not hold": "do not hold"}
    return verdict if count == 1 else many.get(verdict, verdict)


def _cost(of: Examined) -> str:
    nfe, seconds = (sum(getattr(run, unit) for run in of.runs) for unit in ("nfe", "seconds"))
    alone = sum(bill.nfe * bill.images for bill in of.bills)
    shared = (
        f" Arms share runs: each by itself would have needed {alone:,.0f} together."
        if of.complete and alone > nfe
        else ""
    )
    return (
        f"{counted(nfe, 'evaluation')} of the denoiser in {counted(len(of.specs), 'run')}, "
        f"{clock(seconds)}.{shared}"
    )


def _trust(of: Examined) -> Iterator[Remark]:
    if not of.complete:
        missing = "; ".join(of.lacking)
        yield Remark(
            f"The experiment is not finished, and has no figures yet of: {missing}."
            if missing
            else "The experiment is not finished: there are fewer images than it is to have.",
            False,
        )
    images = min(row["images"] for row in of.arms)
    if images < FEWEST:
        yield Remark(
            f"Each arm has {counted(images, 'image')}; of fewer than {FEWEST} nothing is decided, "
            "and the intervals are too narrow.",
            False,
        )
    else:
        yield Remark(
            f"Each arm has {counted(images, 'image')}, of the same prompts and seeds, so "
            "differences between arms are paired.",
            True,
        )
    searched = {part for spec in of.specs for part in spec.scales}
    # Figures of sets are left out: a search for a set may be by one of them.
    single = [c for c in of.content["columns"] if c not in of.campaign.experiment.measure.sets]
    measured = dict.fromkeys(column.partition(" [")[0] for column in single)
    if held := [column for column in measured if column not in searched]:
        yield Remark(
            f"No arm searched by {', '.join(held)}, so what only a searched verifier likes does "
            "not show there.",
            True,
        )
    elif measured:
        yield Remark(
            "Every verifier that measures is one that some arm searched by, so nothing here tells "
            "a better picture from one that only its own verifier likes.",
            None,
        )
    if not of.content["columns"]:
        yield Remark("The arms have no figure in common; give the spec a [measure].", False)
    if len(of.content["claims"]) > 1:
        yield Remark("No correction for many claims is made.", None)
    worlds = {spec.model for spec in of.specs if spec.model.partition("-")[0] in WORLDS}
    if worlds:
        yield Remark(
            f"The model is a small one that ships inside ({', '.join(sorted(worlds))}); what "
            "holds there need not hold for large models, nor the other way round.",
            None,
        )
