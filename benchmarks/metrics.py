"""Metrics of feature sets: their time over that of the bare products, and what memory they take.

    python benchmarks/metrics.py [--quick] [--whole] [--json] [--record DIR]

Features [n, 2048] and logits [n, 1008] are random; n is 50,000, and 6,000 with ``--quick``.

* ``manifold_over_products`` (goal: at most 1.5): precision, recall, density and coverage over the
  three bare products of features that their distances are made of, in float64 and the same tiles;
  of the first 6,000 rows, or with ``--whole`` of all, which takes the better part of an hour.
  ``manifold_over_products_processor`` is of the processors' seconds, which count no others' work.
* ``oracle_speedup`` (goal: at least 15): the Fréchet distance of a set with one candidate batch
  more, as the oracle search has it, against a matrix root of the covariances' product at 2,048
  dimensions; ``oracle_difference`` is relative, between the two.
* ``scores_seconds``: FID, Inception Score and kernel distance of all features (goal: 180 at 50,000
  on two cores), and the processors' seconds; ``peak_gib`` of the process, all features in memory,
  after them and after all (goal: at most 4).

With ``--record`` the figures are written as they come, the dearest last: what is there when it is
stopped is kept, and it says ``finished`` when it has all.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import sqrtm

from noisesearch.evaluation.moments import Accumulator
from noisesearch.evaluation.neighbours import Neighbourhoods, Points
from noisesearch.evaluation.scores import inception_score, kernel_distance
from noisesearch.objectives.sets import Frechet, Moments, frechet_distance
from noisesearch.setup.hardware import threads
from recording import record

WIDTH, CLASSES = 2048, 1008
IMAGES, FEW = 50_000, 6_000
BATCH, CANDIDATES = 64, 4  # images that are chosen together; distances that a time is the mean of
CUT = 1000  # images of a batch


@dataclass(frozen=True)
class Timed:
    """What work gave, and what it took: seconds, and those of the processors."""

    found: Any
    seconds: float
    processor: float

    @classmethod
    def of(cls, work: Callable[[], Any]) -> Timed:
        started, spent = time.perf_counter(), time.process_time()
        found = work()
        return cls(found, time.perf_counter() - started, time.process_time() - spent)


def features(count: int, seed: int) -> Any:
    """Rows [count, 2048] of half as many dimensions and noise, clipped at 0 as pooled ones are."""
    draw = np.random.default_rng(seed)
    mix = draw.standard_normal((WIDTH // 2, WIDTH), np.float32) / WIDTH**0.5
    rows = np.empty((count, WIDTH), np.float32)
    for start in range(0, count, CUT):
        some = rows[start : start + CUT]
        some[:] = draw.standard_normal((len(some), WIDTH // 2), np.float32) @ mix
        some += 0.3 * draw.standard_normal(some.shape, np.float32) + 0.1 * seed
    return rows.clip(0, out=rows)


def moments(rows: Any) -> Moments:
    found = Accumulator()
    for start in range(0, len(rows), CUT):
        found.add(rows[start : start + CUT])
    return found.moments


def scores(one: Any, other: Any, logits: Any) -> dict[str, float]:
    real = moments(other)
    return {
        "fid": frechet_distance(moments(one), real.mean, real.covariance),
        "is": inception_score(logits).mean,
        "kid": kernel_distance(one, other).mean,
    }


def products(one: Points, other: Points) -> float:
    """The sum of all products, so that none is left out."""
    total = 0.0
    for rows, columns in ((other, other), (one, one), (one, other)):
        for at in rows.tiles():
            mine = rows.tile(at)
            for to in columns.tiles():
                total += float((mine @ columns.tile(to).T)[0, 0])
    return total


def oracle(one: Any, reference: Moments) -> dict[str, float]:
    """One candidate batch after another, against the root of a product."""
    distance = Frechet("", reference.mean, reference.covariance)
    rows = one[: 2 * WIDTH].astype(np.float64)
    state = distance.joined(None, rows[:-BATCH])  # with the reference's root

    def candidates() -> list[float]:
        return [-distance.value(distance.joined(state, rows[-BATCH:])) for _ in range(CANDIDATES)]

    def naive() -> float:
        mean, covariance = rows.mean(0), np.cov(rows.T)
        both = sqrtm(covariance @ reference.covariance).real
        apart = mean - reference.mean
        return float(apart @ apart + np.trace(covariance + reference.covariance - 2 * both))

    ours, theirs = Timed.of(candidates), Timed.of(naive)
    each = ours.seconds / CANDIDATES
    return {
        "oracle_speedup": theirs.seconds / each,
        "oracle_seconds": each,
        "oracle_difference": abs(ours.found[0] / theirs.found - 1),
    }


def peak() -> float:
    """GiB that this process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(count: int, near: int) -> Iterator[dict[str, Any]]:
    """Figures as they come. ``near``: of how many images the neighbours are looked for."""
    one, other = features(count, 1), features(count, 2)
    logits = np.random.default_rng(3).standard_normal((count, CLASSES), np.float32)
    yield {"images": count, "manifold_images": near, "threads": threads()}
    made = Timed.of(lambda: scores(one, other, logits))
    yield {
        "scores_seconds": made.seconds,
        "scores_processor_seconds": made.processor,
        "peak_gib_scores": peak(),
        **made.found,
    }
    yield oracle(one, moments(other))
    real = Points.of(other[:near])
    generated = Points.of(one[:near], like=real)
    whole = Timed.of(lambda: Neighbourhoods.of(generated, real))
    yield {"manifold_seconds": whole.seconds, "peak_gib": peak(), **vars(whole.found)}
    bare = Timed.of(lambda: products(generated, real))
    yield {
        "manifold_over_products": whole.seconds / bare.seconds,
        "manifold_over_products_processor": whole.processor / bare.processor,
        "finished": True,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{FEW:,} images")
    parser.add_argument("--images", type=int, default=IMAGES, help=f"default: {IMAGES:,}")
    parser.add_argument("--whole", action="store_true", help="neighbours of all images")
    parser.add_argument("--json", action="store_true", help="one object on stdout, nothing else")
    parser.add_argument("--record", type=Path, metavar="DIR", help="keep the figures there")
    given = parser.parse_args()
    count = FEW if given.quick else given.images
    near = count if given.whole else min(count, FEW)
    figures: dict[str, Any] = {"finished": False}
    for some in measure(count, near):
        figures |= some
        print(f"{time.strftime('%H:%M:%S')}: {', '.join(some)}", file=sys.stderr, flush=True)
        if given.record:
            record(given.record, "metrics", figures)
    if given.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
