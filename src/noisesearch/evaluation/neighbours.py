"""What follows from distances between features: precision, recall, density, coverage, diversity.

All pairs of images are compared, a tile of them at a time, in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from .moments import Features

TILE = 2048  # rows that are compared with as many others
NEAREST = 3  # neighbours of precision and recall (arXiv 1904.06991)
NEAREST_OF_DENSITY = 5  # of density and coverage (arXiv 2002.09797)
# Squared distances below this share of the rows' squared lengths are rounding, and are none.
ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)
class Points:
    """Features [n, d] of a set, in any precision; compared on ``device``.

    Distances are taken from ``centre`` [d], which two sets that are compared have to share:
    it changes nothing but how well the numbers are rounded.
    """

    rows: Tensor
    centre: Tensor
    device: str = "cpu"

    @classmethod
    def of(cls, features: Features, device: str = "cpu", like: Points | None = None) -> Points:
        rows = torch.as_tensor(features)
        centre = like.centre if like else rows.mean(0, dtype=torch.float64).to(device)
        return cls(rows, centre, device)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def lengths(self) -> Tensor:
        """Squared, [n]."""
        return torch.cat([self.tile(at).square().sum(1) for at in self.tiles()])

    def tiles(self) -> Iterator[slice]:
        for start in range(0, len(self), TILE):
            yield slice(start, min(start + TILE, len(self)))

    def tile(self, at: slice) -> Tensor:
        return self.rows[at].to(self.device, torch.float64) - self.centre

    def squared(self, mine: Tensor, at: slice, other: Points, to: slice) -> Tensor:
        """Squared distances of the rows ``at``, which are ``mine``, to those of the other."""
        here, there = self.lengths[at], other.lengths[to]
        found = torch.addmm(there[None], mine, other.tile(to).T, alpha=-2).add_(here[:, None])
        rounding = float(here.max() + there.max()) * ROUNDING
        return F.threshold(found, rounding, 0.0, inplace=True)

    def within(self) -> Iterator[tuple[slice, slice, Tensor]]:
        """Squared distances among the rows: each pair of tiles once."""
        for at in self.tiles():
            mine = self.tile(at)
            for to in self.tiles():
                if to.start >= at.start:
                    yield at, to, self.squared(mine, at, self, to)

    def radii(self, count: int) -> Tensor:
        """Squared distances [n, count] to the nearest others, the nearest first."""
        if len(self) <= count:
            raise ValueError(f"{len(self)} rows have no {count} neighbours each")
        # The nearest of all is a row itself.
        nearest = self.lengths.new_full((len(self), count + 1), torch.inf)

        def enter(at: slice, found: Tensor) -> None:
            few = found.topk(min(count + 1, found.shape[1]), largest=False).values
            both = torch.cat([nearest[at], few], 1)
            nearest[at] = both.topk(count + 1, largest=False).values

        for at, to, found in self.within():
            enter(at, found)
            if at != to:
                enter(to, found.T.contiguous())
        return nearest[:, 1:]


@dataclass(frozen=True)
class Neighbourhoods:
    """How two sets lie among each other, each a share between 0 and 1 but for density.

    ``precision``: generated images that are within a real one's ball, which reaches to its k-th
    neighbour; ``recall``: real ones within a generated one's. ``density``: in how many real balls
    a generated image is, over k; ``coverage``: real balls in which there is a generated one.
    """

    precision: float
    recall: float
    density: float
    coverage: float

    @classmethod
    def of(
        cls,
        generated: Points,
        real: Points,
        nearest: int = NEAREST,
        nearest_of_density: int = NEAREST_OF_DENSITY,
    ) -> Neighbourhoods:
        """The two published pairs; the first counts the edge of a ball in, the second does not."""
        radii = real.radii(max(nearest, nearest_of_density))
        around, narrow = radii[:, nearest - 1], radii[:, nearest_of_density - 1]
        reach = generated.radii(nearest)[:, -1]
        inside = torch.zeros_like(reach, dtype=torch.bool)
        found = torch.zeros_like(around, dtype=torch.bool)
        covered, balls = torch.zeros_like(found), torch.zeros_like(reach, dtype=torch.int64)
        for at in generated.tiles():
            mine = generated.tile(at)
            for to in real.tiles():
                apart = generated.squared(mine, at, real, to)
                inside[at] |= (apart <= around[to]).any(1)
                found[to] |= (apart <= reach[at, None]).any(0)
                among = apart < narrow[to]
                # Bytes are summed ten times as fast as truths.
                balls[at] += among.view(torch.uint8).sum(1, dtype=torch.int32)
                covered[to] |= among.any(0)
        density = balls.double().mean() / nearest_of_density
        shares = (share.double().mean() for share in (inside, found))
        return cls(*map(float, (*shares, density, covered.double().mean())))


@dataclass(frozen=True, eq=False)
class Lying:
    """Which points are in whose ball, to its edge, so that this is known for any of the balls.

    ``bits`` [points, balls / 8]: of 50,000 by as many they are 300 MB.
    """

    bits: npt.NDArray[np.uint8]
    balls: int

    @classmethod
    def of(cls, points: Points, centres: Points, nearest: int = NEAREST) -> Lying:
        """Balls reach to the k-th neighbour of their centre, or the last where there are fewer."""
        count = min(nearest, len(centres) - 1)
        reach = centres.radii(count)[:, -1] if count else torch.zeros_like(centres.lengths)
        bits = np.empty((len(points), -(-len(centres) // 8)), np.uint8)
        for at in points.tiles():
            mine = points.tile(at)
            for to in centres.tiles():
                inside = points.squared(mine, at, centres, to) <= reach[to]
                # Tiles are whole bytes wide, so that no two of them share one.
                bits[at, to.start // 8 : -(-to.stop // 8)] = np.packbits(inside.cpu().numpy(), 1)
        return cls(bits, len(centres))

    def any(self, balls: npt.NDArray[np.intp] | slice = slice(None)) -> npt.NDArray[np.bool_]:
        """[points]: which are in one of these."""
        wanted = np.zeros(self.balls, bool)
        wanted[balls] = True
        return np.asarray((self.bits & np.packbits(wanted)).any(1))


def mean_distance(points: Points) -> float:
    """The mean distance of two of the rows: how unlike each other the images of a set are."""
    total = 0.0
    for at, to, found in points.within():
        # A pair within one tile is there twice.
        total += float(found.sqrt().sum()) * (1 if at == to else 2)
    return total / (len(points) * (len(points) - 1))
