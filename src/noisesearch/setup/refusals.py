"""What a run cannot be: an algorithm and the parts that it does not go with, said in a sentence
before there is a folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..candidates.ask import Ask, Gradient
from ..candidates.budget import GAIN, Budget
from ..errors import ConfigError

if TYPE_CHECKING:
    from .loaded import Loaded
    from .prices import Prices

MOST = 1_000_000  # candidates' worth of a search: a plan rehearses them, a run remembers them


def check_together(loaded: Loaded) -> None:
    """Of a search for a whole set."""
    if not loaded.joint:
        return
    spec = loaded.spec
    single = {"watch": spec.watch, "guard": spec.guard, "top": spec.top > 1,
              "target": spec.target, "patience": spec.patience}  # fmt: skip
    for name, given in single.items():
        if given:
            raise ConfigError(
                f"{name} looks at single candidates, but algorithm {loaded.algorithm.name!r} "
                f"chooses a whole set and returns it; leave out --{name}"
            )


def check_verifiers(loaded: Loaded) -> None:
    """Of verifiers that cannot score the conditions; of those that look back on a sample, and a
    black box, which shows no way there."""
    from ..verifiers.capabilities import check, previews_of

    check((*loaded.verifiers, *loaded.watch), loaded.conditions)
    back = [v.name for v in (*loaded.verifiers, *loaded.watch) if previews_of(v)]
    if back and loaded.space.black_box:
        raise ConfigError(
            f"verifier {back[0]!r} compares a sample with what it was predicted to be on the way, "
            f"and {loaded.spec.model} is a black box that shows nothing on the way; choose "
            "another verifier"
        )


def check_limit(
    loaded: Loaded, prices: Prices, budget: Budget, limit: float, reserve: float
) -> None:
    """Of a count that is no image, or more than a search can be planned with and held."""
    spec, candidate, conditions = loaded.spec, prices.candidate, len(loaded.conditions)
    if limit < candidate:
        smallest = (candidate + reserve) / prices.units[budget.unit]
        smallest *= prices.count if budget.per == "run" else prices.count / conditions
        raise ConfigError(
            f"budget {budget.amount:g}{budget.unit} is too small for one image: the smallest is "
            f"{smallest:g}{budget.unit}{'/run' if budget.per == 'run' else ''} "
            f"({spec.steps} steps, {candidate:g} NFE"
            + (f", and {spec.final_steps} for the final one)" if reserve else ")")
        )
    # A search for a whole set has all of its conditions.
    each = limit / candidate * prices.count / conditions
    if each > MOST:
        raise ConfigError(
            f"budget {budget} is {each:.7g} candidates for a prompt, and {MOST:,} can be held at "
            "most; give less, or a time such as 24h, which ends the search wherever it is"
        )


def check_budget(loaded: Loaded, budget: Budget) -> None:
    """Of money that nothing costs."""
    from ..verifiers.capabilities import paid

    if budget.unit == "usd" and not any(map(paid, loaded.verifiers)):
        raise ConfigError(
            "a budget in usd needs a verifier that costs money, and none of these does; give the "
            "budget in nfe, candidates or seconds"
        )


def check_allocation(loaded: Loaded, budget: Budget) -> None:
    """Of a budget that is given out while the run goes."""
    if loaded.spec.allocate != GAIN:
        return
    name = loaded.algorithm.name
    if not (budget.counted and budget.per == "run"):
        raise ConfigError(
            f"budget {budget} is no count for the whole run, so there is nothing to allocate; "
            "write for example 6400nfe/run, or leave out --allocate"
        )
    if loaded.joint or not loaded.algorithm.extendable:
        raise ConfigError(
            f"algorithm {name!r} asks differently under another budget, so it cannot be given "
            "more as it goes; choose random or zero-order, or leave out --allocate"
        )
    if loaded.spec.drafted:
        raise ConfigError(
            "allocate gives out a budget by the scores of finished samples, and this run finishes "
            "its winners otherwise than it searches; leave out --draft and --final-steps, or "
            "--allocate"
        )


def check_asks(loaded: Loaded, asks: Sequence[Ask]) -> None:
    """Of what an algorithm asks at its first yield."""
    from ..verifiers.capabilities import previews_of, whole_only

    name = loaded.algorithm.name
    pulls = any(isinstance(ask.want, Gradient) for ask in asks)
    if pulls and loaded.spec.memory == "lean":
        raise ConfigError(
            f"algorithm {name!r} needs network, decoder and verifiers at once; leave out --memory "
            "lean, or choose another algorithm"
        )
    back = [v.name for v in loaded.verifiers if previews_of(v)]
    if pulls and back:
        raise ConfigError(
            f"algorithm {name!r} follows gradients, and verifier {back[0]!r} looks back on a "
            "sample's way, which has none; leave the verifier out, or choose another algorithm"
        )
    partial = [v.name for v in loaded.verifiers if whole_only(v)]
    if partial and any(not ask.trajectory.finished for ask in asks):
        raise ConfigError(
            f"algorithm {name!r} looks at unfinished samples, which mean nothing to verifier "
            f"{partial[0]!r}; leave the verifier out, or choose another algorithm"
        )
