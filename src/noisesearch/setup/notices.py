"""What a user is told about model, solver and verifiers before they run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from ..algorithms.capabilities import stochastic
from ..candidates.trajectory import Grid
from ..models.capabilities import why
from .loaded import Loaded


def notice(loaded: Loaded) -> str:
    """Return what is unexpected about a run, a clause each; empty where nothing is."""
    said = why(loaded.model)
    return "; ".join(filter(None, [said, _other_solver(loaded), *_previews(loaded)]))


def _other_solver(loaded: Loaded) -> str:
    """Return that an algorithm took another solver than the model's own."""
    if not stochastic(loaded.algorithm) or loaded.spec.solver == loaded.model.solver:
        return ""
    return (
        f"algorithm {loaded.algorithm.name!r} looks for the noise that a solver injects, so "
        f"all is sampled by {loaded.spec.solver} in place of {loaded.model.solver}, the "
        "baseline too"
    )


def _previews(loaded: Loaded) -> Iterator[str]:
    """Yield for each verifier that compares samples with previews at which time it does."""
    from ..verifiers.capabilities import previews_of

    for verifier in loaded.every_verifier:
        for wanted in previews_of(verifier):
            import torch

            from ..sampling.denoiser import Denoiser
            from ..worker.jobs import Levels
            from ..worker.previews import nearest

            grid = Grid(loaded.spec.steps, 1.0, 0.0)
            levels = Levels.of(torch.tensor(loaded.space.times(grid), dtype=torch.float64))
            used = nearest(cast(Denoiser, loaded.denoiser).process, levels, wanted)[1]
            yield (
                f"verifier {verifier.name!r} looks back at time {used:.3g}, the level "
                f"nearest to {wanted:g} of {loaded.spec.steps} steps"
            )
