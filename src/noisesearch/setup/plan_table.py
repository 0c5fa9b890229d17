"""What a run would cost, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..candidates.trajectory import FULL
from ..driver.plan import predicted
from .residence import needed

if TYPE_CHECKING:
    from .loaded import Loaded
    from .prices import Prices
    from .searches import Searches


def planned(searches: Searches, count: int | None = None) -> dict[str, Any]:
    """Return what a run would cost, in every unit of the ledger.

    ``count``: of conditions, where they are more than are loaded.
    """
    loaded, prices, found = searches.loaded, searches.prices, searches.plan()
    conditions = count or len(loaded.conditions)
    several = 1 if loaded.joint else conditions
    first = {
        "conditions": conditions,
        "flops_per_forward": loaded.denoiser.flops,
        "memory": needed(loaded),
    }
    baseline = {"nfe": found.baseline * several}
    draft = _draft(loaded, prices)
    if found.open_ended:
        sure = "only the clock ends this search: the price of one candidate is given"
        return {**first, "exact": False, "note": sure, **draft,
                "candidate": {"nfe": prices.candidate,
                              "forwards": prices.candidate * loaded.denoiser.forwards},
                "baseline": baseline}  # fmt: skip
    plan = {**first, "exact": found.exact, **draft, **predicted(found, several)}
    if found.adaptive:
        plan["note"] = ("what this search costs follows from its scores: least and most are of "
                        "four made-up searches; none exceeds the budget")  # fmt: skip
    if loaded.spec.target or loaded.spec.patience is not None:
        plan["exact"] = False
        plan["note"] = ("a search that reaches its target, or finds nothing better for so long, "
                        "ends before this")  # fmt: skip
    nfe = found.most.counted * several  # a backward pass takes about two forward ones
    return {**plan, "baseline": baseline, "rows": loaded.spec.rows,
            "seconds_estimated": round(nfe * prices.seconds_per_nfe(), 1)}  # fmt: skip


def _draft(loaded: Loaded, prices: Prices) -> dict[str, Any]:
    """What candidates are searched at, where that is a draft."""
    spec = loaded.spec
    if spec.draft == FULL:
        return {}
    weight = prices.rates.weight(spec.draft)
    cached = loaded.drafts[spec.draft].draft.cache is not None
    note = {"note": "what a cache leaves out depends on the samples; it is counted as if nothing "
                    "were left out, and the run says what was"}  # fmt: skip
    return {"draft": {"name": spec.draft, "steps": spec.steps, "nfe_per_evaluation": weight,
                      "candidate": prices.candidate, "final_steps": spec.final_steps,
                      **(note if cached else {})}}  # fmt: skip
