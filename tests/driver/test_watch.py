"""Held-out verifiers along a search."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import noisesearch as ns
from noisesearch.cli.tables import warnings
from noisesearch.files.pictures import read
from noisesearch.testing import MixtureModel
from noisesearch.testing.bench import Bench, Released
from noisesearch.verifiers.protocol import FunctionVerifier


def bright(images: Any, conditions: Any) -> Any:
    return images.mean((1, 2, 3))


def dark(images: Any, conditions: Any) -> Any:
    """The opposite of what is searched: it must fall."""
    return 1 - images.mean((1, 2, 3))


def ran(folder: Path, watch: Any, **settings: Any) -> Any:
    common = {"budget": "12candidates", "rows": 4, "algorithm": "random"}
    return ns.search(["one", "two"], model=MixtureModel(), verifier=[bright], watch=watch,
                     out=folder, **{**common, **settings})  # fmt: skip


def test_is_scored_on_the_bests_alone_and_is_seen_by_no_objective(tmp_path: Path) -> None:
    plain, seen = ran(tmp_path / "plain", ()), ran(tmp_path / "seen", [dark])
    for without, result in zip(plain, seen, strict=True):
        assert without.winner.trajectory == result.winner.trajectory
        assert set(result.winner.parts) == {"bright"} and without.watched is None
        watched = result.watched
        assert watched.trajectories[0] == result.baseline.trajectory
        assert watched.trajectories[-1] == result.winner.trajectory
        assert list(watched.values) == sorted(set(watched.values))
        assert len(watched.trajectories) <= len(result.candidates)
        for key, value in zip(watched.trajectories, watched.parts["dark"], strict=True):
            picture = read(tmp_path / "seen" / "samples" / f"{key}.png")
            assert value == pytest.approx(1 - picture.astype(np.float64).mean() / 255, abs=1e-6)


def test_a_fall_is_said(tmp_path: Path) -> None:
    results = ran(tmp_path / "run", [dark])
    rose = [r for r in results if r.winner.score > r.baseline.score]
    assert rose and all(set(r.watched.fell) == {"dark"} for r in rose)
    (sentence,) = warnings(results.json())
    assert f"held-out dark fell in {len(rose)} of 2 searches" in sentence
    assert results.json()["searches"][0]["watch"]["parts"].keys() == {"dark"}


def test_what_rises_with_the_objective_is_not_warned_of(tmp_path: Path) -> None:
    def also(images: Any, conditions: Any) -> Any:
        return 2 * images.mean((1, 2, 3))

    assert warnings(ran(tmp_path / "run", [also]).json()) == []


def test_works_with_kept_winners_and_other_final_steps(tmp_path: Path) -> None:
    results = ran(tmp_path / "run", [dark], keep="winners", steps=4, final_steps=9, budget="60")
    for result in results:
        assert result.watched.trajectories[-1] == result.winner.trajectory
    again = ns.resume(tmp_path / "run", model=MixtureModel(), verifier=[bright, dark])
    assert [r.winner.trajectory for r in again] == [r.winner.trajectory for r in results]


def test_what_is_searched_is_not_held_out(tmp_path: Path) -> None:
    with pytest.raises(ns.ConfigError, match="is searched, so it is not held out"):
        ns.search("one", model=MixtureModel(), verifier="brightness", watch="brightness",
                  out=tmp_path / "run")  # fmt: skip


def corner(images: Any, conditions: Any) -> Any:
    """One pixel: what raises it may well spoil the rest."""
    return images[:, 0, 0, 0]


def guarded(folder: Path, **settings: Any) -> Any:
    return ns.search([f"p{i}" for i in range(8)], model=MixtureModel(), verifier=[corner],
                     rows=4, out=folder, budget="16candidates",
                     **{"algorithm": "random", **settings})  # fmt: skip


@pytest.mark.parametrize("algorithm", ["random", "zero-order"])
def test_a_guard_keeps_the_winner_at_or_above_the_baseline(algorithm: str, tmp_path: Path) -> None:
    """Without it some winner falls below, so the test can fail."""
    free = guarded(tmp_path / "free", algorithm=algorithm, watch="evenness")
    assert any(r.watched.fell for r in free)
    kept = guarded(tmp_path / "kept", algorithm=algorithm, guard="evenness")
    for result in kept:
        assert result.winner.parts["evenness"] >= result.baseline.parts["evenness"]
        assert not result.unmet
        allowed = [c for c in result.candidates
                   if c.parts["evenness"] >= result.baseline.parts["evenness"]]  # fmt: skip
        assert result.winner.score == max(c.parts["corner"] for c in allowed)
    again = ns.resume(tmp_path / "kept", model=MixtureModel(), verifier=[corner])
    assert [r.winner.trajectory for r in again] == [r.winner.trajectory for r in kept]


def test_a_guard_is_reported_as_searched(tmp_path: Path) -> None:
    results = guarded(tmp_path / "run", guard="evenness")
    assert set(results[0].ledger["verifiers"]) == {"corner", "evenness"}
    with pytest.raises(ns.ConfigError, match="is searched, so it is not held out"):
        guarded(tmp_path / "other", guard="evenness", watch="evenness")


def test_what_the_watch_looked_at_is_in_the_ledger_and_made_once(tmp_path: Path) -> None:
    """Catches a held-out verifier that is called on every candidate."""
    for result in ran(tmp_path / "run", [dark], algorithm="zero-order"):
        looked = len(result.watched.trajectories)
        verifiers = result.ledger["verifiers"]
        assert verifiers["dark"]["samples"] == looked < verifiers["bright"]["samples"] == 12
        assert result.ledger["physical"]["nfe"] == result.ledger["nfe"]
        assert result.ledger["physical"]["decodes"] == 12, "it looks at the stored picture"


@pytest.mark.parametrize("finish", [{"final_steps": 6}, {"draft": "steps:2"}])
def test_looking_at_the_baseline_takes_nothing_from_the_budget(
    finish: dict[str, Any], tmp_path: Path
) -> None:
    """It is made outside of the budget, and elsewhere than the search's own candidates."""
    settings = {"budget": "40nfe", "steps": 4, "algorithm": "zero-order", **finish}
    found = [ran(tmp_path / str(i), watch, **settings) for i, watch in enumerate(((), [dark]))]
    for without, result in zip(*found, strict=True):
        assert len(result.candidates) == len(without.candidates)
        assert result.ledger["nfe"] == without.ledger["nfe"]
        assert result.ledger["decodes"] == without.ledger["decodes"]
        looked = len(result.watched.trajectories)
        assert result.ledger["verifiers"]["dark"]["samples"] == looked


@pytest.mark.parametrize("deaths", range(0, 28, 3))
def test_killed_and_resumed_it_has_watched_the_same(deaths: int, tmp_path: Path) -> None:
    """The bests are those in the order of asking, whenever the answers came."""
    settings = {"verifier": [bright], "watch": [dark], "budget": "12candidates"}
    bench = Bench(tmp_path, ns.ZeroOrder(), settings=settings, prompts=["one"])
    whole = bench.run("whole")
    try:
        bench.killed("killed", deaths)
    except AssertionError:
        assert deaths > 12, "there was nothing left to kill"
    order = random.Random(deaths)
    other = bench.run("killed", wrap=lambda e: Released(e, order))
    mine, straight = (
        live.watch.watched(live.problem.objective)
        for live in (other.searches[0], whole.searches[0])
    )
    assert mine == straight and len(straight.parts["dark"]) > 2
    assert other.logical == whole.logical


def test_previews_mean_nothing_to_some(tmp_path: Path) -> None:
    """It says so before anything runs, and only where unfinished samples are looked at."""
    whole = FunctionVerifier(bright, "bright", whole_only=True)
    settings = {"model": MixtureModel(), "verifier": [whole], "budget": 200, "rows": 4}
    with pytest.raises(ns.ConfigError, match=r"'paths' looks at unfinished.*verifier 'bright'"):
        ns.search("one", algorithm="paths", out=tmp_path / "paths", **settings)
    assert not (tmp_path / "paths").exists()
    assert ns.search("one", algorithm="random", out=tmp_path / "run", **settings).winner.parts
