"""Who is better than whom, as numbers: Bradley and Terry's model, and a knock-out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Game = tuple[int, int, float]  # i, j, and the share of the points that i had
PRIOR = 2.0  # standard deviation of ratings before any game, in logits
ROUNDS = 100  # of Newton's method; it needs about ten


def bradley_terry(games: Sequence[Game], count: int) -> npt.NDArray[np.float64]:
    """Ratings [count] in logits: i beats j with probability 1 / (1 + exp(r_j - r_i)).

    The likeliest ratings under a normal prior around 0, without which who wins all games would be
    infinitely good. (Bradley and Terry 1952, doi 10.2307/2334029.)
    """
    ratings = np.zeros(count)
    for _ in range(ROUNDS):
        slope = -ratings / PRIOR**2
        bend = np.eye(count) / PRIOR**2
        for i, j, share in games:
            chance = 1 / (1 + np.exp(ratings[j] - ratings[i]))
            slope[i] += share - chance
            slope[j] -= share - chance
            weight = chance * (1 - chance)
            bend[[i, j], [i, j]] += weight
            bend[[i, j], [j, i]] -= weight
        step = np.linalg.solve(bend, slope)
        longest = np.abs(step).max(initial=0.0)
        # At most one logit at a time: Newton's own steps may overshoot where the sum is flat.
        ratings += step / max(1.0, longest)
        if longest < 1e-12:
            break
    return ratings


Match = Callable[[Sequence[tuple[int, int]]], Sequence[float | None]]


def knock_out(players: Sequence[int], match: Match) -> tuple[int | None, dict[int, int]]:
    """(champion, how many matches each of the others was short of it when it fell).

    ``match`` gives the share of the points that the first of each pair had, None where the match
    could not be held: both are out then, and in neither result. In a draw the first goes on.
    """
    alive, fallen = list(players), list[list[int]]()
    while len(alive) > 1:
        pairs = list(zip(alive[::2], alive[1::2], strict=False))
        resting = alive[len(pairs) * 2 :]
        held = [(i, j, share) for (i, j), share in zip(pairs, match(pairs), strict=True)
                if share is not None]  # fmt: skip
        alive = [*(i if share >= 0.5 else j for i, j, share in held), *resting]
        fallen.append([j if share >= 0.5 else i for i, j, share in held])
    short = {i: len(fallen) - stage for stage, some in enumerate(fallen) for i in some}
    return (alive[0] if alive else None), short
