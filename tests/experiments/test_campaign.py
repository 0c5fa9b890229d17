"""An experiment in its folder: shared runs that equal lone ones, gone on with, and refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import noisesearch as ns
from noisesearch.errors import BackendError, ConfigError, StoreError
from noisesearch.experiments import outcome
from noisesearch.experiments.campaign import Campaign
from noisesearch.experiments.spec import experiment
from noisesearch.runs.run import Run
from support.grader_server import GraderServer

MODEL = "noisesearch.testing.mixture_model:MixtureModel"
PROMPTS = [f"prompt {i}" for i in range(3)]


@pytest.fixture
def verifiers(tmp_path: Path) -> Path:
    """A file with two verifiers that want opposite things."""
    file = tmp_path / "two.py"
    file.write_text(
        "def light(images, conditions):\n    return images.mean((1, 2, 3))\n"
        "def dark(images, conditions):\n    return -images.mean((1, 2, 3))\n"
    )
    return file


@pytest.fixture
def campaign(verifiers: Path) -> Callable[..., Campaign]:
    def made(**changes: Any) -> Campaign:
        content: dict[str, Any] = {
            "summary": "a try",
            "prompts": PROMPTS,
            "seeds": 2,
            "defaults": {"model": MODEL, "verifier": f"{verifiers}:light", "steps": 3},
            "arms": [
                {"name": "random {candidates}", "candidates": [1, 2, 8]},
                {"name": "dark", "verifier": f"{verifiers}:dark", "candidates": 4},
                {"name": "zo {candidates}", "algorithm": "zero-order", "candidates": [4, 8],
                 "parameters": {"neighbours": 2, "pivot": "move"}},
            ],
            "measure": {"columns": [f"{verifiers}:light"]},
        }  # fmt: skip
        return Campaign(experiment({**content, **changes}))

    return made


def arms(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Every arm's rows, run by run."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("runs/*/arms.json")):
        for name, rows in json.loads(path.read_text())["arms"].items():
            found.setdefault(name, []).extend(rows)
    return found


def test_an_arm_equals_a_run_of_its_own(
    campaign: Callable[..., Campaign], verifiers: Path, tmp_path: Path
) -> None:
    whole = campaign(seeds=1)
    whole.run(tmp_path / "out")
    found = arms(tmp_path / "out")
    alone = [("random 2", "random", "light", 2, {}), ("dark", "random", "dark", 4, {}),
             ("zo 4", "zero-order", "light", 4, {"neighbours": 2, "pivot": "move"})]  # fmt: skip
    for name, algorithm, verifier, candidates, parameters in alone:
        results = ns.search(
            PROMPTS, model=MODEL, verifier=f"{verifiers}:{verifier}", algorithm=algorithm,
            parameters=parameters, budget=f"{candidates}candidates", steps=3,
        )  # fmt: skip
        for result, row in zip(results, found[name], strict=True):
            if not result.baseline_kept:
                assert row["key"] == result.winner.trajectory
                assert row["parts"] == {verifier: result.winner.parts[verifier]}
            assert row["nfe"] == result.ledger["counted"]
    # The four arms of Random Search made eight candidates a prompt, and none twice.
    journal = (tmp_path / "out/runs/random-8-seed0/journal.jsonl").read_text().splitlines()
    replies = [json.loads(line) for line in journal if '"reply"' in line]
    assert len(replies) == len({r["reply"] for r in replies}) == 8 * len(PROMPTS)


def test_what_the_algorithm_returns_is_what_is_measured(
    campaign: Callable[..., Campaign], tmp_path: Path
) -> None:
    """A baseline that is better does not take the winner's place, unlike in a user's run."""
    arm = {"name": "zo", "algorithm": "zero-order", "candidates": 1,
           "parameters": {"neighbours": 1, "pivot": "move", "cosine": 0.1}}  # fmt: skip
    campaign(arms=[arm], prompts=[f"prompt {i}" for i in range(8)]).run(tmp_path / "out")
    kept = 0
    for folder in sorted((tmp_path / "out/runs").iterdir()):
        searches = json.loads((folder / "winners.json").read_text())["searches"]
        rows = json.loads((folder / "arms.json").read_text())["arms"]["zo"]
        for search, row in zip(searches, rows, strict=True):
            kept += search["baseline_kept"]
            assert row["key"] != search["baseline"]["trajectory"]
    assert kept, "no search here shows the difference"


def test_the_final_generation_comes_on_top(
    campaign: Callable[..., Campaign], tmp_path: Path
) -> None:
    arms_ = [{"name": "random {candidates}", "candidates": [1, 2, 4], "final_steps": 5}]
    campaign(arms=arms_).run(tmp_path / "out")
    nfe = {name: {row["nfe"] for row in rows} for name, rows in arms(tmp_path / "out").items()}
    # Euler: a step is one NFE; one candidate is no search and nothing but its final generation.
    assert nfe == {"random 1": {5.0}, "random 2": {2 * 3 + 5.0}, "random 4": {4 * 3 + 5.0}}


class Stopped(Exception):
    pass


@contextmanager
def stopping(run: Run) -> Iterator[Any]:
    """A watcher that stops everything at the fifth reply, as a kill would."""

    class Watcher:
        count = 0

        def replied(self, *_: object) -> None:
            self.count += 1
            if self.count == 5:
                raise Stopped

        def improved(self, *_: object) -> None: ...

    yield Watcher()


def test_it_goes_on_where_it_was_stopped(
    campaign: Callable[..., Campaign], tmp_path: Path
) -> None:
    whole, halves = campaign(), campaign()
    whole.run(tmp_path / "whole")
    with pytest.raises(Stopped):
        halves.run(tmp_path / "halves", watching=stopping)
    with pytest.raises(StoreError, match="is not finished: random-8-seed0"):
        outcome.outcome(halves, tmp_path / "halves")
    halves.run(tmp_path / "halves")
    assert arms(tmp_path / "halves") == arms(tmp_path / "whole")
    found = outcome.outcome(halves, tmp_path / "halves")
    assert found.json() == outcome.outcome(whole, tmp_path / "whole").json()
    said: list[str] = []
    halves.run(tmp_path / "halves", said.append)
    assert said == []  # all is done, and nothing is done again


def test_the_rows_of_the_table_are_the_images(
    campaign: Callable[..., Campaign], tmp_path: Path
) -> None:
    whole = campaign(prompts={"first": PROMPTS[:1], "others": PROMPTS[1:]})
    whole.run(tmp_path / "out")
    found = outcome.outcome(whole, tmp_path / "out")
    outcome.write(found, tmp_path / "out")
    scores = {name: {row["condition"]: [] for row in rows}
              for name, rows in arms(tmp_path / "out").items()}  # type: dict[str, dict[int, list[float]]]  # fmt: skip
    for name, rows in arms(tmp_path / "out").items():
        for row in rows:
            scores[name][row["condition"]].append(row["parts"].get("light", np.nan))
    for arm in found.board.arms:
        if arm.name != "dark":  # condition by condition, seed by seed
            assert list(arm.columns["light"]) == [
                s for of in scores[arm.name].values() for s in of
            ]
    table = json.loads((tmp_path / "out/table.json").read_text())
    row = next(r for r in table["arms"] if r["arm"] == "random 8")
    assert row["images"] == 6
    assert row["light [first]"]["value"] == pytest.approx(np.mean(scores["random 8"][0]))
    lines = (tmp_path / "out/table.csv").read_text().splitlines()
    assert len(lines) == 1 + 6 and "light [others] over first low" in lines[0]


def test_each_group_of_prompts_has_a_metric_of_its_own(
    campaign: Callable[..., Campaign], verifiers: Path, tmp_path: Path
) -> None:
    """One column, as the tables of benchmarks have it. Catches figures at other images' places."""
    kinds = {"first": f"{verifiers}:light", "others": f"{verifiers}:dark"}
    whole = campaign(
        prompts={"others": PROMPTS[1:], "first": PROMPTS[:1]},
        measure={"columns": [f"{verifiers}:light"], "by_group": {"kind": kinds}},
        claims=[{"says": "s", "column": "kind [first]", "contrast": {"dark": 1}, "more_than": 0}],
    )
    whole.check()
    whole.run(tmp_path / "out")
    found = outcome.outcome(whole, tmp_path / "out").board
    assert found.columns == ["light", "kind", "light [others]", "light [first]",
                             "kind [others]", "kind [first]"]  # fmt: skip
    for arm in found.arms:
        of = arm.columns
        signs = np.where(np.isnan(of["light [others]"]), 1, -1)
        assert of["kind"] == pytest.approx(signs * of["light"])
        assert found.estimate(arm.name, "kind [first]").value == pytest.approx(
            found.estimate(arm.name, "light [first]").value
        )


def test_an_image_that_costs_money_is_looked_at_once(
    campaign: Callable[..., Campaign], tmp_path: Path
) -> None:
    """Batches of what is asked elsewhere are not filled up. A service that is out is no result."""
    with GraderServer() as server:
        grader = f"llm-grader(model=stub, endpoint={server.endpoint}, cache=off)"
        whole = campaign(seeds=1, measure={"columns": [grader]})
        whole.run(tmp_path / "out")
        seen = json.loads((tmp_path / "out/runs/random-8-seed0/arms.json").read_text())["keys"]
        zero = json.loads((tmp_path / "out/runs/zo-8-seed0/arms.json").read_text())["keys"]
        assert server.calls == len(seen) + len(zero)
        capped = grader.replace("cache=off", "cache=off, max_calls=0")
        with pytest.raises(BackendError, match="'llm-grader' gave no number for any of"):
            campaign(seeds=1, measure={"columns": [capped]}).run(tmp_path / "capped")
    assert not list(tmp_path.glob("capped/runs/*/arms.json"))  # so that it is gone on with


def test_a_folder_of_before_a_setting_is_gone_on_with(
    campaign: Callable[..., Campaign], tmp_path: Path
) -> None:
    """It had the default that the setting has."""
    folder = tmp_path / "out"
    campaign().begin(folder)
    path = folder / "experiment.json"
    content = json.loads(path.read_text())
    del content["experiment"]["measure"]["by_group"]
    path.write_text(json.dumps(content))
    campaign().begin(folder)
    with pytest.raises(ConfigError, match="differs in measure"):
        campaign(measure={"columns": ["contrast"]}).begin(folder)


def test_another_experiment_is_not_mixed_in(
    campaign: Callable[..., Campaign], tmp_path: Path
) -> None:
    campaign(seeds=1).begin(tmp_path / "out")
    with pytest.raises(ConfigError, match="holds another experiment, which differs in seeds"):
        campaign(seeds=2).begin(tmp_path / "out")
    campaign(seeds=1, summary="in other words").begin(tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("")
    with pytest.raises(ConfigError, match="is not empty"):
        campaign().begin(tmp_path / "mine")


def test_the_plan_is_what_is_spent(campaign: Callable[..., Campaign], tmp_path: Path) -> None:
    whole = campaign()
    plan = whole.plan()
    whole.run(tmp_path / "out")
    spent = {name: rows[0]["nfe"] for name, rows in arms(tmp_path / "out").items()}
    assert {arm["arm"]: arm["nfe"] for arm in plan["arms"]} == spent
    # Random Search's pool of 8 serves four arms, Zero-Order's largest search serves both.
    assert plan["nfe"] == (8 * 3 + 8 * 3) * len(PROMPTS) * 2


def test_a_plan_counts_gradients_as_budgets_do(
    campaign: Callable[..., Campaign], tmp_path: Path
) -> None:
    """Three times their evaluations; most_nfe holds against that."""
    arm = {"name": "climb", "algorithm": "first-order", "candidates": 7, "verifier": "brightness"}
    whole = campaign(arms=[arm], seeds=1)
    whole.run(tmp_path / "out")
    [planned] = whole.plan()["arms"]
    assert {row["nfe"] for row in arms(tmp_path / "out")["climb"]} == {planned["nfe"]} == {18.0}
    with pytest.raises(ConfigError, match="needs about 54 NFE, but most_nfe allows 53"):
        campaign(arms=[arm], seeds=1, most_nfe=53).check()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"most_nfe": 100}, "needs about 288 NFE, but most_nfe allows 100"),
        ({"arms": [{"name": "p", "algorithm": "paths", "candidates": 1}]}, "arm 'p': budget"),
        ({"plot": {"y": ["lihgt"]}}, "unknown column 'lihgt': did you mean 'light'"),
        ({"measure": {"by_group": {"c": {"red": "brightness"}}}},
         "unknown group of prompts 'red': known are none"),
        ({"prompts": {"red": ["a"]}, "measure": {"by_group": {"c": {"red": "fid"}}}},
         "metric 'fid' is of whole sets"),
        ({"prompts": {"red": ["a"]},
          "measure": {"by_group": {"c": {"red": "compbench-numeracy"}}}},
         "reads lists that lie among T2I-CompBench's prompts"),
    ],
)  # fmt: skip
def test_what_is_found_before_anything_runs(
    campaign: Callable[..., Campaign], changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        campaign(**changes).check()
    assert said in str(refusal.value)


def test_arms_that_choose_sets_share_what_the_others_left(tmp_path: Path) -> None:
    """Catches features being dropped that the choice of another budget is made from."""
    content: dict[str, Any] = {
        "summary": "sets", "prompts": ["sneaker", "bag"], "seeds": 2,
        "defaults": {"model": "fashion-small", "verifier": "oracle-fid", "steps": 2,
                     "algorithm": "population", "objective": "frechet(oracle-fid)"},
        "arms": [{"name": "sets {candidates}", "candidates": [1, 2, 4],
                  "parameters": {"batch": 2}}],
        "measure": {"sets": ["frechet"], "eye": "oracle-fid"},
    }  # fmt: skip
    said: list[str] = []
    Campaign(experiment(content)).run(tmp_path / "out", said.append)
    with np.load(tmp_path / "out" / "reference.npz") as reference:
        enough = len(reference["mean"]) + 1
    assert said[0].startswith("a Fréchet distance of 4 images") and f"; {enough} " in said[0]
    found = arms(tmp_path / "out")
    assert sorted(found) == ["sets 1", "sets 2", "sets 4"]
    assert all(len(rows) == 4 for rows in found.values())
