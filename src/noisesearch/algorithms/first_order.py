"""First-Order Search: ascent on the verifier's gradient (arXiv 2501.09732, Appendix C)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from ..candidates.ask import Reply
from ..candidates.noise import Noise, ascend, climb
from ..errors import ConfigError
from ..objectives.single import ranking
from .problem import Problem, Search
from .settings import Settings


class FirstOrder(Settings):
    """First-Order Search: gradient ascent on the noise, at constant norm (Appendix C).

    The gradient of the verifier goes back through the decoder and the whole ODE, one solver step
    in memory at a time. With ``step`` this is the paper's n' = n + η·∇V(n), rescaled to the norm
    of n; η is in noise per unit of score, so what is right depends on the score's scale (the paper
    has 0.01, for a classifier's logits, chosen to match zero-order's steps at λ = 0.995). Without
    it the noise is turned towards the gradient by exactly ``cosine``, whatever the scale. Several
    starts climb side by side, in one batch. Under the ensemble the gradient is that of its value,
    the mean of part / scale, since ranks have none.

    Price: 3 candidates a start and iteration: forward, recompute and backward (``gradient_cost``).
    """

    name: ClassVar[str] = "first-order"
    needs: ClassVar[str] = "gradients of model, decoder and verifiers"
    price: ClassVar[str] = "iterations·starts·gradient_cost·C"

    cosine: float = Field(default=0.995, gt=0, lt=1, description="λ from one noise to the next")
    step: float | None = Field(
        default=None, gt=0, description="η, the paper's learning rate, in place of the cosine"
    )
    starts: int = Field(default=1, ge=1, description="noises that climb side by side")
    iterations: int | None = Field(default=None, ge=1, description="default: the budget")

    def __call__(self, problem: Problem) -> Search:
        noises = [problem.noise(i) for i in range(self.starts)]
        seen: list[Reply] = []
        turn = 0
        while self.iterations is None or turn < self.iterations:
            asks = [
                problem.gradient(problem.sample(noise), role="climb", round=turn, index=i)
                for i, noise in enumerate(noises)
            ]
            price = sum(map(problem.run.ledger.price_of, asks))
            if price > problem.budget and turn == 0:
                raise ConfigError(
                    f"budget leaves {problem.budget:g} NFE for the search, but First-Order Search "
                    f"with starts={self.starts} needs at least {price}, which is one iteration; "
                    "give a larger budget, or fewer starts"
                )
            # Only whole turns: what is asked must not depend on where the budget ends.
            if price > problem.budget:
                break
            replies = yield asks
            seen += replies
            blobs = [r.blobs[a.key] for a, r in zip(asks, replies, strict=True)]
            noises = [self._next(n, b) for n, b in zip(noises, blobs, strict=True)]
            turn += 1
        return [seen[i].trajectory for i in ranking(problem.objective, seen)]

    def _next(self, noise: Noise, gradient: str) -> Noise:
        if self.step is None:
            return climb(noise, gradient, self.cosine)
        return ascend(noise, gradient, self.step)
