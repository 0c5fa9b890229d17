"""Population Search."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.linalg import sqrtm

import noisesearch as ns
from noisesearch.algorithms.population import Population
from noisesearch.candidates.condition import Condition
from noisesearch.driver.journalled_choices import Choices
from noisesearch.files import pictures
from noisesearch.objectives import sets_text
from noisesearch.objectives.sets import Frechet, Spread
from noisesearch.sampling.images import from_pictures
from noisesearch.setup.plan_table import planned
from noisesearch.setup.request import Request
from noisesearch.setup.searches import Searches
from noisesearch.setup.selection import verifier_of
from noisesearch.store.run_store import RunStore
from noisesearch.testing import AlgorithmContract, MixtureModel
from noisesearch.testing.bench import Bench, Clock, Ticking
from noisesearch.verifiers.protocol import Views

MODEL = "noisesearch.testing.mixture_model:MixtureModel"


class TestPopulationOfScores(AlgorithmContract):
    """Six places for two prompts; without an objective of sets the mean value counts."""

    smallest = "3candidates"

    @pytest.fixture
    def algorithm(self) -> Any:
        return Population(size=6, batch=2)


class TestPopulationOfFeatures(AlgorithmContract):
    settings: ClassVar = {"objective": "frechet(brightness)"}
    smallest = "4candidates"  # seven places, which is three and a half for each prompt

    @pytest.fixture
    def algorithm(self) -> Any:
        return Population(size=7, batch=2, initial=3)


class TestPopulationAncestral(AlgorithmContract):
    settings: ClassVar = {"objective": "frechet(evenness)", "solver": "ddim-ancestral"}
    smallest = "2candidates"

    @pytest.fixture
    def algorithm(self) -> Any:
        return Population(size=4, batch=3, initial=1)


def population(folder: Path, prompts: Sequence[str] = ("one", "two"), **settings: Any) -> Any:
    common = {"budget": "24candidates", "rows": 4, "algorithm": Population(size=16, batch=4),
              "objective": "frechet(brightness)"}  # fmt: skip
    return ns.search(list(prompts), model=MixtureModel(), out=folder, **{**common, **settings})


def journal(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def features_of_pictures(folder: Path, model: MixtureModel) -> dict[str, Any]:
    """What brightness sees in each candidate, by trajectory; its array may be dropped."""
    verifier: Any = verifier_of("brightness", model)
    found = {}
    for line in journal(folder):
        if "reply" in line:
            picture = pictures.read(folder / "samples" / f"{line['reply']}.png")
            views = Views(from_pictures([picture]), [Condition()])
            found[line["reply"]] = verifier.features(views)[0].double().numpy()
    return found


def test_each_choice_is_the_best_of_its_batches(tmp_path: Path) -> None:
    """The whole greedy search again, from the stored pictures and numpy alone.

    Catches a batch compared by itself in place of with the set, and a set that is not updated.
    """
    results = population(tmp_path / "run", verifier="brightness")
    model = MixtureModel()
    seen = features_of_pictures(tmp_path / "run", model)
    bench = Bench(tmp_path, Population(size=16, batch=4), model, {
        "budget": "24candidates", "objective": "frechet(brightness)", "verifier": "brightness",
    })  # fmt: skip
    (live,) = Searches.of(bench.parts()).all()
    first, later = [ask.trajectory.key for ask in live.start(Population(size=16, batch=4))[:16]], 3
    reference = live.problem.run.sets
    assert isinstance(reference, Frechet) and len(first) == 16

    def distance(keys: list[str]) -> float:
        rows = np.stack([seen[k] for k in keys])
        a, b = np.cov(rows.T), reference.covariance
        apart = rows.mean(0) - reference.mean
        return float(apart @ apart + np.trace(a + b - 2 * sqrtm(a @ b).real))

    # Two of sixteen begin; 48 candidates are left for fourteen places: three batches a choice.
    places = [[key] for key in first]
    algorithm, problem = Population(size=16, batch=4), live.problem
    for i, place in enumerate(algorithm._places(problem)):
        places[i] = [place.candidate(problem, j).key for j in range(later)]
    chosen = first[:2]
    for start in range(2, 16, 4):
        batch = places[start : start + 4]
        tried = [chosen + [place[j] for place in batch] for j in range(later)]
        chosen = min(tried, key=distance)
    won = {w.trajectory for r in results for w in r.winners}
    assert won == set(chosen) and won != set(first)
    assert results.population["winner"] == pytest.approx(-distance(chosen), rel=1e-6)
    assert results.population["baseline"] == pytest.approx(-distance(first), rel=1e-6)
    assert results.population["winner"] > results.population["baseline"]


def test_every_prompt_has_its_places_and_its_share_of_the_ledger(tmp_path: Path) -> None:
    results = population(tmp_path / "run", ["a", "b", "c"], verifier="brightness")
    assert [len(r.winners) for r in results] == [6, 5, 5]
    whole = sum(r.ledger["nfe"] for r in results)
    assert whole == (2 + 14 * 5) * 6 <= 3 * 24 * 6
    assert sum(r.ledger["baseline"]["nfe"] for r in results) == 16 * 6
    for result in results:
        assert result.ledger["physical"]["nfe"] == result.ledger["nfe"]
        assert result.winner.path is not None and result.winner.path.exists()
        assert result.json()["winner"]["score"] is None, "no sample of a set has a score"
    assert results.json()["population"]["size"] == 16


def test_what_was_chosen_is_not_chosen_again(tmp_path: Path, monkeypatch: Any) -> None:
    """Catches a resume that depends on the last bits of an eigenvalue."""
    results = population(tmp_path / "run", verifier="brightness")
    made = [line for line in journal(tmp_path / "run") if line.get("event") == "choice"]
    assert len(made) == 4

    def never(self: Any, state: Any) -> float:
        raise AssertionError("a journalled choice was made again")

    with monkeypatch.context() as patch:
        patch.setattr(Choices, "value", lambda self, replies: 0.0)
        patch.setattr(Frechet, "value", never)
        again = ns.resume(tmp_path / "run", model=MixtureModel(),
                          algorithm=Population(size=16, batch=4))  # fmt: skip
    assert [[w.trajectory for w in r.winners] for r in again] == [
        [w.trajectory for w in r.winners] for r in results
    ]


def arrays(folder: Path) -> set[str]:
    return {path.stem for path in (folder / "blobs").iterdir()}


def test_features_of_batches_that_were_not_chosen_are_dropped(tmp_path: Path) -> None:
    """Those of the set and of the set without search stay, and what is resumed finds its own.

    Catches an array dropped that another reply still needs, and one that stays.
    """
    folder = tmp_path / "run"
    results = population(folder, verifier="brightness")
    sets = {key for name in ("with_search", "without_search") for key in results.population[name]}
    blobs = {r["reply"]: set(r["blobs"].values()) for r in journal(folder) if "reply" in r}
    assert arrays(folder) == set().union(*(blobs[key] for key in sets))
    assert len(sets) < len(blobs)

    def again(**more: Any) -> Any:
        return ns.resume(folder, model=MixtureModel(), algorithm=Population(size=16, batch=4),
                         **more)  # fmt: skip

    assert again().json()["population"] == results.json()["population"]
    larger = again(budget="38candidates", yes=True)
    fresh = population(tmp_path / "fresh", verifier="brightness", budget="38candidates")
    assert larger.population["with_search"] == fresh.population["with_search"]
    assert larger.population["winner"] == pytest.approx(fresh.population["winner"], rel=1e-9)
    assert [r.ledger["nfe"] for r in larger] == [r.ledger["nfe"] for r in fresh]
    assert [r.ledger["physical"]["nfe"] for r in larger] == [
        r.ledger["physical"]["nfe"] for r in fresh
    ], "a picture that is there is looked at again, not made again"


class Killed(Exception):
    """Stands for the process's end."""


@pytest.mark.parametrize("where", ["drop", "_drop", "choice"])
def test_killed_at_a_choice_a_population_is_the_same(
    where: str, tmp_path: Path, monkeypatch: Any
) -> None:
    """Before the choice is journalled, before the drop is, and before its files are deleted.

    Catches a choice that is made again after its rivals' features have gone.
    """
    whole = population(tmp_path / "run", verifier="brightness")
    calls = []
    # In the method itself, or in the journal just before it is told of a choice.
    name = "event" if where == "choice" else where
    original = getattr(RunStore, name)

    def dies(self: Any, *given: Any, **more: Any) -> Any:
        calls.append(given)
        mine = [call for call in calls if where != "choice" or call[0] == "choice"]
        if len(mine) == 3 and (where != "choice" or given[0] == "choice"):
            raise Killed
        return original(self, *given, **more)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(RunStore, name, dies)
        population(tmp_path / "killed", verifier="brightness")
    again = ns.resume(tmp_path / "killed", model=MixtureModel(),
                      algorithm=Population(size=16, batch=4))  # fmt: skip
    assert again.population == whole.population
    assert arrays(tmp_path / "killed") >= arrays(tmp_path / "run")


@pytest.mark.parametrize("more", [{}, {"steps": 4, "final_steps": 12, "budget": "300"}])
def test_the_plan_is_of_the_whole_run(more: dict[str, Any], tmp_path: Path) -> None:
    """Catches a joint search that is multiplied by the number of prompts."""
    settings = {"budget": "24candidates", "algorithm": Population(size=16, batch=4), "rows": 4,
                "objective": "frechet(brightness)", "verifier": "brightness", **more}  # fmt: skip
    request = Request(["one", "two"], model=MixtureModel(), **settings)
    forecast = planned(request.resolve().searches)
    results = population(tmp_path / "run", verifier="brightness", **more)
    assert forecast["exact"]
    assert forecast["ledger"]["nfe"] == sum(r.ledger["nfe"] for r in results)
    assert forecast["ledger"]["decodes"] == sum(r.ledger["decodes"] for r in results)
    assert forecast["baseline"]["nfe"] == sum(r.ledger["baseline"]["nfe"] for r in results)


def test_a_set_is_finished_at_the_final_steps(tmp_path: Path) -> None:
    results = population(tmp_path / "run", verifier="brightness", steps=4, final_steps=12,
                         budget="300")  # fmt: skip
    for result in results:
        assert len(result.winners) == 8 and result.ledger["baseline"]["nfe"] == 8 * 12
        assert result.ledger["nfe"] <= 300
    finished = sum(r.ledger["nfe"] for r in results) - 16 * 12
    assert finished % 4 == 0 and finished > 16 * 4


def spread(features: Any) -> float:
    return float(np.linalg.norm(features - features.mean(0), axis=1).mean())


def test_any_function_of_the_features_of_a_set(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\ndef spread(features):\n"
        "    return np.linalg.norm(features - features.mean(0), axis=1).mean()\n"
    )
    results = population(tmp_path / "run", verifier="brightness",
                         objective=f"{tmp_path}/mine.py:spread(brightness)")  # fmt: skip
    assert results.population["winner"] > results.population["baseline"]
    assert isinstance(Spread("x", spread).value(()), float)


def test_stopped_by_the_clock_every_place_has_a_sample(tmp_path: Path) -> None:
    """What was chosen stays; the places behind it keep the sample that they had without search."""
    algorithm = Population(size=24, batch=4)
    bench = Bench(tmp_path, algorithm, settings={"budget": "100s", "objective": "",
                                                 "verifier": "brightness"})  # fmt: skip
    clock = Clock()
    outcome = bench.run("cut", wrap=lambda e: Ticking(e, clock), clock=clock)
    (live,) = outcome.searches
    assert live.cut and live.stage == "done"
    assert [len(o.winners) for o in live.record.outcomes()] == [12, 12]
    first = [ask.trajectory.key for ask in live.record.baselines]
    assert live.record.winners is not None
    kept = [a == b.key for a, b in zip(first, live.record.winners, strict=True)]
    assert not all(kept) and all(kept[-4:]), "some places were searched and the last were not"
    again = bench.run("cut", wrap=lambda e: Ticking(e, clock), clock=clock)
    assert again.winners == outcome.winners


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "size of nothing": ({"parameters": {"size": 0}}, "size.*greater than or equal to 1, got 0"),
    "batch of nothing": ({"parameters": {"batch": 0}}, "batch.*got 0"),
    "nothing to choose": ({"parameters": {"size": 4, "initial": 4}}, "nothing is left to choose"),
    "too few places": ({"parameters": {"size": 1}}, "size is 1, but there are 2 prompts"),
    "too little": ({"parameters": {"size": 64}}, "a population of 64 needs at least"),
    "watched": ({"watch": "evenness"}, "leave out --watch"),
    "guarded": ({"guard": "evenness"}, "leave out --guard"),
    "top": ({"top": 2}, "leave out --top"),
    "other algorithm": (
        {"algorithm": "random", "objective": "frechet(brightness)"}, "choose --algorithm pop",
    ),
    "verifier not there": ({"objective": "frechet(evenness)"}, "unknown verifier of the obj"),
    "two verifiers": ({"objective": "frechet(brightness, evenness)"}, "one verifier"),
    "no such file": ({"objective": "frechet(brightness, reference=no.npz)"}, "no.npz is no file"),
    "no such function": ({"objective": "no.py:f(brightness)"}, "cannot be imported"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_says_what_is_wrong(name: str, tmp_path: Path) -> None:
    settings, words = WRONG[name]
    common = {"model": MODEL, "verifier": "brightness", "algorithm": "population",
              "budget": "4candidates", "out": tmp_path / "run"}  # fmt: skip
    with pytest.raises(ns.ConfigError, match=words):
        ns.search(["one", "two"], **{**common, **settings})
    assert not (tmp_path / "run").exists()


def test_a_verifier_without_features_is_refused(tmp_path: Path) -> None:
    def plain(images: Any, conditions: Any) -> Any:
        return images.mean((1, 2, 3))

    with pytest.raises(ns.ConfigError, match="'plain' gives no features"):
        population(tmp_path / "run", verifier=[plain], objective="frechet(plain)")


def test_reference_statistics_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "real.npz"
    np.savez(path, mu=np.full(4, 0.5), sigma=np.eye(4) * 0.01)
    objective = f"frechet(brightness, reference={path})"
    results = population(tmp_path / "run", verifier="brightness", objective=objective)
    spec = json.loads((tmp_path / "run" / "spec.json").read_text())
    assert any(str(path) in name for name in spec["fingerprints"])
    assert results.population["winner"] > results.population["baseline"]
    np.savez(path, mu=np.full(3, 0.5), sigma=np.eye(4))
    with pytest.raises(ns.ConfigError, match=r"mu \[3\] and sigma \[4, 4\]"):
        population(tmp_path / "other", verifier="brightness", objective=objective)


def test_a_set_is_not_ranked_again(tmp_path: Path) -> None:
    from noisesearch.runs.rerank import rerank
    from noisesearch.setup.python_objects import PythonObjects

    population(tmp_path / "run", verifier="brightness")
    with pytest.raises(ns.ConfigError, match="chose as a whole"):
        rerank(tmp_path / "run", given=PythonObjects(MixtureModel(), Population(size=16, batch=4)))


def test_features_that_fail_end_the_run_with_a_sentence(tmp_path: Path) -> None:
    class Broken:
        name, parts, scale = "broken", ("broken",), {"broken": 1.0}
        differentiable, rows, fingerprint = False, None, "1"

        def __call__(self, views: Any) -> Any:
            return {"broken": views.images.mean((1, 2, 3))}

        def features(self, views: Any) -> Any:
            if views.keys:  # not for the reference
                raise RuntimeError("out of paint")
            return views.images.mean((2, 3))

    with pytest.raises(ns.NoisesearchError, match=r"features of verifier 'broken' failed.*paint"):
        population(tmp_path / "run", verifier=[Broken()], objective="frechet(broken)")


def test_forms() -> None:
    assert sets_text.parse("mean-rank(a, b)") is None and sets_text.parse("") is None
    form = sets_text.parse(" frechet( clipscore ) ")
    assert form is not None and str(form) == "frechet(clipscore)"
