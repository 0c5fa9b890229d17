"""What a run would cost, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..candidates.budget import Budget
from ..candidates.trajectory import FULL
from ..driver.plan import predicted
from .residence import needed

if TYPE_CHECKING:
    from .loaded import Loaded
    from .request import Request


def planned(request: Request, parts: Loaded, count: int | None = None) -> dict[str, Any]:
    """What a run would cost, in every unit of the ledger; ``count``: of conditions, where they are
    more than are loaded."""
    found = request.plan(parts, Budget.parse(request.budget))
    conditions = count or len(parts.conditions)
    searches = 1 if parts.joint else conditions
    first = {
        "conditions": conditions,
        "flops_per_forward": parts.denoiser.flops,
        "memory": needed(parts),
    }
    baseline = {"nfe": found.baseline * searches}
    draft = _draft(parts)
    if found.open_ended:
        sure = "only the clock ends this search: the price of one candidate is given"
        return {**first, "exact": False, "note": sure, **draft,
                "candidate": {"nfe": parts.candidate,
                              "forwards": parts.candidate * parts.denoiser.forwards},
                "baseline": baseline}  # fmt: skip
    plan = {**first, "exact": found.exact, **draft, **predicted(found, searches)}
    if found.adaptive:
        plan["note"] = ("what this search costs follows from its scores: least and most are of "
                        "four made-up searches; none exceeds the budget")  # fmt: skip
    if parts.spec.target or parts.spec.patience is not None:
        plan["exact"] = False
        plan["note"] = ("a search that reaches its target, or finds nothing better for so long, "
                        "ends before this")  # fmt: skip
    nfe = found.most.counted * searches  # a backward pass takes about two forward ones
    return {**plan, "baseline": baseline, "rows": parts.spec.rows,
            "seconds_estimated": round(nfe * parts.seconds_per_nfe(), 1)}  # fmt: skip


def _draft(parts: Loaded) -> dict[str, Any]:
    """What candidates are searched at, where that is a draft."""
    spec = parts.spec
    if spec.draft == FULL:
        return {}
    weight = parts.rates().weight(spec.draft)
    cached = parts.drafts[spec.draft].draft.cache is not None
    note = {"note": "what a cache leaves out depends on the samples; it is counted as if nothing "
                    "were left out, and the run says what was"}  # fmt: skip
    return {"draft": {"name": spec.draft, "steps": spec.steps, "nfe_per_evaluation": weight,
                      "candidate": parts.candidate, "final_steps": spec.final_steps,
                      **(note if cached else {})}}  # fmt: skip
