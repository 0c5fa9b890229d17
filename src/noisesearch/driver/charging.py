"""Which of an algorithm's asks its budget allows."""

from __future__ import annotations

from collections.abc import Sequence

from ..algorithms.problem import Problem
from ..candidates.ask import Ask
from ..candidates.trajectory import Trajectory
from ..errors import ConfigError


def affordable(problem: Problem, asks: Sequence[Ask]) -> list[Ask]:
    """Charge the asks in program order; return those before the first that does not fit."""
    ledger, fit = problem.run.ledger, list[Ask]()
    for ask in asks:
        _check_whole(problem, ask.trajectory)
        if ledger.price_of(ask) > problem.budget:
            break
        ledger.charge_ask(ask)
        fit.append(ask)
    return fit


def _check_whole(problem: Problem, trajectory: Trajectory) -> None:
    """ConfigError for what a black box cannot make: a preview, or a way that is renoised."""
    whole = trajectory.finished and len(trajectory.moves) == 1
    if problem.space.black_box and not whole:
        what = "renoises samples" if trajectory.finished else "looks at unfinished samples"
        raise ConfigError(
            f"algorithm {problem.run.algorithm!r} {what}, and this model is a black box that "
            "makes whole samples of start noises; choose random, zero-order or population"
        )
