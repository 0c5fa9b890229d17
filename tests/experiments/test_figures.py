"""Figures of sets, their intervals, and what is concluded from them."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import numpy as np
import pytest

from noisesearch.errors import ConfigError
from noisesearch.evaluation import scores
from noisesearch.evaluation.neighbours import Neighbourhoods, Points
from noisesearch.experiments import plot
from noisesearch.experiments.estimates import Estimate, Estimates, Scored
from noisesearch.experiments.set_metrics import (
    ReferenceMoments,
    Sample,
    frechet,
    inception_score,
    precision,
    recall,
)
from noisesearch.experiments.spec import Claim, Plot
from noisesearch.experiments.verdicts import Judged, decided, judged, overall
from noisesearch.objectives.sets import Moments, frechet_distance
from noisesearch.objectives.statistics import Interval, paired

RNG = np.random.default_rng(3)
SIZE = 80


def board() -> Estimates:
    """Two arms of the same images, the second better by 0.3 in the mean."""
    noise = RNG.normal(size=SIZE)
    gain = 0.3 + 0.1 * RNG.normal(size=SIZE)
    before = Scored("before", "line", SIZE, {"nfe": 10.0}, {"score": noise, "worse": noise})
    after = Scored("after", "line", SIZE, {"nfe": 100.0},
                   {"score": noise + gain, "worse": noise - gain})  # fmt: skip
    return Estimates([before, after])


def test_differences_are_paired() -> None:
    found = board()
    apart = found.contrast({"after": 1, "before": -1}, "score").interval
    before, after = (arm.columns["score"] for arm in found.arms)
    expected = paired(before, after)
    assert apart.delta == pytest.approx(expected.delta)
    # Two bootstraps of 2,000 and 10,000 resamples: their ends are a few hundredths of 0.1 apart.
    assert apart.low == pytest.approx(expected.low, abs=0.004)
    assert apart.high == pytest.approx(expected.high, abs=0.004)
    alone = found.estimate("after", "score").interval
    assert alone.high - alone.low > 5 * (apart.high - apart.low)


def test_a_column_with_gaps_is_the_mean_of_what_is_there() -> None:
    values = np.array([1.0, np.nan, 3.0, np.nan])
    found = Estimates([Scored("a", "", 4, {}, {"part [group]": values})])
    assert found.estimate("a", "part [group]").value == 2.0
    assert found.json()[0]["part [group]"]["value"] == 2.0


def test_an_interval_is_around_its_figure_although_resamples_are_biased() -> None:
    features = RNG.normal(size=(SIZE, 12))
    at = ReferenceMoments(np.zeros(12), np.eye(12), RNG.normal(size=(200, 12)))
    found = Estimates([Scored("a", "", SIZE, {}, {}, Sample(features))], ["frechet"], at)
    estimate = found.estimate("a", "frechet")
    assert estimate.draws.mean() > 1.3 * estimate.value  # the bias that is meant
    assert estimate.interval.low < estimate.value < estimate.interval.high


def test_one_pair_that_differs_decides_nothing() -> None:
    """The interval of a mean ends at the bound then, and is not moved past it."""
    same = np.ones(24)
    one_worse = np.array([0.8, *same[1:]])
    found = Estimates(
        [Scored("a", "", 24, {}, {"x": same}), Scored("b", "", 24, {}, {"x": one_worse})]
    )
    claim = Claim(says="", column="x", contrast={"b": 1, "a": -1}, more_than=0)
    [verdict] = judged([claim], found, lambda arm: {})
    assert verdict.verdict == "cannot be told"
    assert verdict.interval is not None and verdict.interval.high == 0


def test_the_frechet_distance_of_shifted_normals() -> None:
    """Of equal covariances it is the squared distance of the means."""
    one = RNG.normal(size=(500, 4))
    two = one + np.array([3.0, 0, 0, 4.0])
    covariance = np.cov(two.T)
    figure = frechet(Sample(one), ReferenceMoments(two.mean(0), covariance))
    assert figure(np.arange(500)) == pytest.approx(25.0, rel=1e-9)


def test_the_inception_score_of_sure_and_of_unsure_images() -> None:
    sure = Sample(classes=np.eye(4).repeat(5, axis=0))
    score = inception_score(sure, ReferenceMoments())
    assert score(np.arange(20)) == pytest.approx(4.0)  # sure, and all classes are there
    assert score(np.arange(5)) == pytest.approx(1.0)  # sure of one and the same class
    unsure = inception_score(Sample(classes=np.full((20, 4), 0.25)), ReferenceMoments())
    assert unsure(np.arange(20)) == pytest.approx(1.0)


def test_precision_and_recall_of_a_set_in_one_of_two_clusters() -> None:
    """Real images are in two places, the set in one of them: all precise, half recalled."""
    left, right = RNG.normal(size=(2, 60, 3)) * 0.1
    real = np.concatenate([left, right + 50])
    inside = Sample(left + 0.001)
    at = ReferenceMoments(features=real)
    every = np.arange(60)
    assert precision(inside, at)(every) == 1.0
    assert recall(inside, at)(every) == pytest.approx(0.5, abs=0.02)
    outside = Sample(left + 1000)
    assert precision(outside, at)(every) == recall(outside, at)(every) == 0.0


def test_figures_of_all_rows_are_those_of_the_evaluation() -> None:
    """One set of images has one figure, whichever command works it out."""
    features, classes = RNG.normal(size=(90, 6)), RNG.normal(size=(90, 5))
    real = RNG.normal(size=(120, 6)) * 1.2
    shares = np.exp(classes) / np.exp(classes).sum(1, keepdims=True)
    of, every = Sample(features, shares), np.arange(90)
    at = ReferenceMoments(real.mean(0), np.cov(real.T), real)
    points = Points.of(real)
    among = Neighbourhoods.of(Points.of(features, like=points), points)
    assert 0 < among.precision < 1 and 0 < among.recall < 1
    assert precision(of, at)(every) == among.precision
    assert recall(of, at)(every) == among.recall
    score = scores.inception_score(classes.astype(np.float64), splits=1).mean
    assert inception_score(of, at)(every) == pytest.approx(score, rel=1e-12)
    distance = frechet_distance(Moments.of(features), real.mean(0), np.cov(real.T))
    assert frechet(of, at)(every) == pytest.approx(distance, rel=1e-9)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.5, 0.9, "cannot be told"), (0.1, 0.5, "cannot be told"),
     (0.6, 0.9, "holds"), (0.1, 0.4, "does not hold"), (0.4, 0.6, "cannot be told"),
     (math.nan, math.nan, "cannot be told")],
)  # fmt: skip
def test_verdicts_follow_from_intervals(low: float, high: float, verdict: str) -> None:
    more = Claim(says="", column="c", contrast={"a": 1}, more_than=0.5)
    assert decided(Interval((low + high) / 2, low, high), more) == verdict
    less = Claim(says="", column="c", contrast={"a": 1}, less_than=-0.5)
    assert decided(Interval(-(low + high) / 2, -high, -low), less) == verdict


def test_claims_are_judged() -> None:
    up = Claim(says="up", column="score", contrast={"after": 1, "before": -1}, more_than=0)
    down = Claim(says="down", column="worse", contrast={"after": 1, "before": -1}, more_than=0)
    never = Claim(says="never", untestable="nothing is there")
    first = RNG.normal(size=300)
    candidates = {"a": first, "b": first + 0.1 * RNG.normal(size=300), "c": RNG.normal(size=300)}
    tied = Claim(says="tied", correlate=("a", "b"), of="after", more_than=0.5)
    loose = Claim(says="loose", correlate=("a", "c"), of="after", more_than=0.5)
    found = judged([up, down, never, tied, loose], board(), lambda arm: candidates)
    assert [each.verdict for each in found] == [
        "holds", "does not hold", "cannot be told", "holds", "does not hold"
    ]  # fmt: skip
    assert found[2].why == "nothing is there" and found[3].bound == "> 0.5"
    assert overall(found) == "does not hold"
    assert overall([found[0], found[3]]) == "holds"
    assert overall([found[0], found[2]]) == "cannot be told"
    wrong = Claim(says="", correlate=("a", "d"), of="after", more_than=0)
    with pytest.raises(ConfigError, match="unknown part of the correlation 'd'"):
        judged([wrong], board(), lambda arm: candidates)


@pytest.mark.parametrize(("images", "verdict"), [(19, "cannot be told"), (20, "holds")])
def test_of_few_images_nothing_is_told(images: int, verdict: str) -> None:
    arms = [Scored(str(i), "", images, {}, {"x": np.full(images, float(i))}) for i in (0, 1)]
    claim = Claim(says="", column="x", contrast={"1": 1, "0": -1}, more_than=0)
    assert [each.verdict for each in judged([claim], Estimates(arms), lambda arm: {})] == [verdict]


def test_judged_claims_as_json() -> None:
    assert Judged("s", "holds", Interval(1.0, 0.5, 1.5), "> 0").json() == {
        "says": "s", "verdict": "holds", "bound": "> 0", "why": "",
        "interval": {"delta": 1.0, "low": 0.5, "high": 1.5},
    }  # fmt: skip


def test_an_estimate_of_nothing_has_no_interval() -> None:
    found = Estimate(math.nan, np.full(5, math.nan)).interval
    assert math.isnan(found.low) and math.isnan(found.high)


def test_a_plot_shows_every_point() -> None:
    drawn = ElementTree.fromstring(plot.svg(board().json(), Plot(y=("score", "worse"))))
    of = [element.tag.rpartition("}")[2] for element in drawn.iter()]
    assert of.count("circle") == 4  # two arms in two panels
    assert drawn.find("{*}title").text == "score, worse over nfe"  # type: ignore[union-attr]


def test_no_two_lines_of_a_plot_look_alike() -> None:
    """Of every algorithm there is, as the efficiency benchmark draws them."""
    value = {"value": 1.0, "low": 0.5, "high": 1.5}
    rows = [{"line": f"algorithm {i}", "nfe": 10.0 + i, "score": value} for i in range(20)]
    drawn = ElementTree.fromstring(plot.svg(rows, Plot(y=("score",))))
    pens = [(path.get("stroke"), path.get("stroke-dasharray"))
            for path in drawn.iterfind("{*}path[@stroke-width='2']")]  # fmt: skip
    assert len(pens) == len(set(pens)) == 20


@pytest.mark.parametrize(
    ("values", "ticks"),
    [([0.0, 1.0], [0, 0.5, 1]), ([3.0, 3.0], [3.0]), ([1.0, 1000.0], [1, 10, 100, 1000])],
)
def test_axes(values: list[float], ticks: list[float]) -> None:
    axis = plot.Axis.over(values, 100, 0, log=True)
    assert 0 <= axis.at(values[-1]) <= axis.at(values[0]) <= 100
    found = list(axis.ticks())
    assert all(any(math.isclose(t, f) for f in found) for t in ticks), found
