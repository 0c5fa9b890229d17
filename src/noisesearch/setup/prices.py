"""What the samples, candidates and final samples of a run cost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from ..algorithms import capabilities
from ..candidates.condition import Condition
from ..candidates.ledger import Cost, Rates
from ..candidates.trajectory import FULL
from .loaded import Loaded
from .residence import residence

TIMED = 2  # evaluations that a plan's seconds come from


@dataclass(frozen=True)
class Prices:
    """Prices in NFE of what a run makes; all follow from its spec and its loaded networks."""

    loaded: Loaded

    @cached_property
    def rates(self) -> Rates:
        """Return what one evaluation is made of, for every ledger of the run."""
        from ..verifiers.capabilities import previews_of

        loaded, of, sampler = self.loaded, self.loaded.denoiser, self.loaded.sampler
        searched, watched = ({v.name: tuple(v.parts) for v in of_these}
                             for of_these in (loaded.verifiers, loaded.watch))  # fmt: skip
        stages, whole = (1, sampler.price) if sampler else (loaded.solver.price(), None)
        costs = {q: Cost(d.denoiser.forwards, d.denoiser.flops) for q, d in loaded.drafts.items()}
        back = {v.name: previews_of(v) for v in loaded.every_verifier}
        return Rates(stages, of.forwards, of.flops, searched, watched, drafts=costs,
                     previews=back, whole=whole)  # fmt: skip

    def sample(self, steps: int, draft: str = FULL) -> float:
        """Return the NFE that one sample counts."""
        return self.rates.sample(steps) * self.rates.weight(draft)

    def draft(self, text: str) -> float:
        """Return the NFE that one candidate of a draft counts."""
        return self.sample(self.loaded.drafts[text].steps, text)

    @property
    def candidate(self) -> float:
        """Return the NFE of one candidate as the search sees it."""
        return self.sample(self.loaded.spec.steps, self.loaded.spec.draft)

    @property
    def units(self) -> Mapping[str, float]:
        """Return the NFE of one of each unit that budgets are counted in."""
        forwards = 1 / self.loaded.denoiser.forwards
        return {"nfe": 1.0, "forwards": forwards, "candidates": self.candidate}

    @property
    def groups(self) -> list[tuple[Condition, ...]]:
        """Return the conditions of each search; a joint search has every condition once."""
        conditions = self.loaded.conditions
        if self.loaded.joint:
            return [tuple(dict.fromkeys(conditions))]
        return [(condition,) for condition in conditions]

    @property
    def count(self) -> int:
        """Return the number of searches."""
        return 1 if self.loaded.joint else len(self.loaded.conditions)

    @property
    def finalists(self) -> int:
        """Return how many winners are finished at the final steps."""
        loaded = self.loaded
        if loaded.joint:
            return capabilities.set_size(loaded.algorithm) or len(self.groups[0])
        if not loaded.spec.drafted:
            return loaded.spec.top
        return max(loaded.spec.top, capabilities.finalists(loaded.algorithm))

    def seconds_per_nfe(self) -> float:
        """Return seconds measured on batches of the run's rows, for plans."""
        import torch

        from ..sampling.denoiser import DENOISE, READ, Denoiser

        loaded = self.loaded
        if loaded.sampler is not None:
            return loaded.sampler.seconds_per_nfe
        denoiser = cast(Denoiser, loaded.denoiser)
        rows, shape = loaded.spec.rows, denoiser.shape
        x = torch.zeros(rows, *shape, device=loaded.spec.device)
        t = torch.ones(rows, dtype=torch.float64, device=loaded.spec.device)
        of = residence(loaded)
        with torch.inference_mode():
            of.enter(READ)
            encoded = denoiser.encode([loaded.conditions[0]] * rows)
            of.enter(DENOISE)
            denoiser(x, t, encoded)  # the first call also sets things up
            started = time.perf_counter()
            for _ in range(TIMED):
                x0, _ = denoiser(x, t, encoded)
            x0.sum().item()  # waits for the device
            seconds = time.perf_counter() - started
        of.close()
        return seconds / (rows * TIMED)
