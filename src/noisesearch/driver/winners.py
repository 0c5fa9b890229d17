"""Which complete candidates are winners: the best, or good ones that are unlike each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ..candidates.ask import Reply
from ..candidates.trajectory import Trajectory
from ..objectives.single import Objective, ranking

Look = Callable[[Trajectory], npt.NDArray[np.uint8] | None]
Select = Callable[[list[Trajectory], int], list[Trajectory]]
GOOD = 0.25  # the share of all candidates from which unlike ones are taken
SIDE = 8  # of the thumbnails that are compared


def leaders(objective: Objective, replies: Sequence[Reply]) -> list[Trajectory]:
    """The candidates of these replies, best first by the objective's order."""
    return [replies[i].trajectory for i in ranking(objective, replies)] if replies else []


def unlike(ranked: Sequence[Trajectory], count: int, look: Look) -> list[int]:
    """Indices, best first, of ``count`` candidates of the best quarter: the best, and then each
    time the one farthest from those taken, by thumbnails.

    ``look`` gives a candidate's picture, uint8 [H, W, 3]. The quarter is at least twice what is
    taken. Where a picture is gone, the best are taken as they come.
    """
    pool = ranked[: max(2 * count, math.ceil(GOOD * len(ranked)))]
    seen = [look(t) for t in pool]
    shown = [picture for picture in seen if picture is not None]
    if len(shown) < len(pool) or len(pool) <= count:
        return list(range(min(count, len(pool))))
    small = np.stack([thumbnail(picture) for picture in shown])
    taken = [0]
    away = np.full(len(pool), np.inf)
    while len(taken) < count:
        away = np.minimum(away, np.linalg.norm(small - small[taken[-1]], axis=1))
        away[taken] = -1.0
        taken.append(int(np.argmax(away)))
    return sorted(taken)


def thumbnail(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Mean colours [3·8·8] of an 8 by 8 grid of cells; of fewer where the picture is smaller."""
    cells = picture.astype(np.float64)
    for axis in (0, 1):
        edges = np.linspace(0, cells.shape[axis], min(SIDE, cells.shape[axis]) + 1).astype(int)
        shape = [1, 1, 1]
        shape[axis] = -1
        sums = np.add.reduceat(cells, edges[:-1], axis=axis)
        cells = sums / np.diff(edges).reshape(shape)
    return np.asarray(cells.ravel(), np.float64)
