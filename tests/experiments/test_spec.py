"""Experiments as TOML says them: what is swept, what is shared, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from noisesearch.errors import ConfigError
from noisesearch.experiments.arms import groups, settings
from noisesearch.experiments.campaign import Campaign
from noisesearch.experiments.prompts import GroupedPrompt, prompts
from noisesearch.experiments.spec import experiment, read

MODEL = "noisesearch.testing.mixture_model:MixtureModel"
ARM = {"name": "random {candidates}", "candidates": [1, 4]}


def content(**changes: Any) -> dict[str, Any]:
    return {
        "summary": "a try",
        "prompts": ["one", "two"],
        "defaults": {"model": MODEL, "verifier": "brightness"},
        "arms": [ARM],
        **changes,
    }


def test_lists_are_swept_and_named() -> None:
    arm = {
        "name": "zo {neighbours} {cosine} × {candidates}",
        "algorithm": "zero-order",
        "parameters": {"neighbours": [2, 4], "cosine": 0.9},
        "candidates": [4, 8],
    }
    found = settings(experiment(content(arms=[arm])))
    assert [a.name for a in found] == ["zo 2 0.9 × 4", "zo 4 0.9 × 4", "zo 2 0.9 × 8",
                                       "zo 4 0.9 × 8"]  # fmt: skip
    assert {a.line for a in found} == {"zo 2 0.9", "zo 4 0.9"}  # what is joined in a plot
    assert found[0].parameters == {"neighbours": 2, "cosine": 0.9}


def test_what_shares_a_run() -> None:
    arms = [
        {**ARM, "candidates": [4, 16]},
        {"name": "other verifier", "verifier": "contrast", "candidates": 8},
        {"name": "other steps", "steps": 3, "candidates": 4},
        {"name": "zo {verifier} {candidates}", "algorithm": "zero-order", "candidates": [4, 8],
         "verifier": ["brightness", "contrast"]},
    ]  # fmt: skip
    found = [{a.name for a in g.arms} for g in groups(settings(experiment(content(arms=arms))))]
    assert found == [
        {"random 4", "random 16", "other verifier"},
        {"other steps"},
        {"zo brightness 4", "zo brightness 8"},  # its candidates depend on what judges them
        {"zo contrast 4", "zo contrast 8"},
    ]


def test_the_largest_search_is_the_run() -> None:
    arms = [{**ARM, "candidates": [4, 16]},
            {"name": "other", "verifier": "contrast", "candidates": 8}]  # fmt: skip
    [group] = groups(settings(experiment(content(arms=arms))))
    request = group.request(["one"], 5)
    assert (request.budget, request.verifier) == ("16candidates", "brightness,contrast")
    assert group.name == "random-16"


def test_one_candidate_is_no_search() -> None:
    arms = [{"name": "none", "candidates": 1, "steps": 4, "final_steps": 9}]
    [arm] = settings(experiment(content(arms=arms)))
    assert (arm.steps, arm.final_steps) == (9, None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"promts": 3}, "unknown experiment key 'promts': did you mean 'prompts'"),
        ({"measure": {"colums": []}}, "unknown experiment key 'colums': did you mean 'columns'"),
        ({"arms": []}, "the experiment has no arm"),
        ({"arms": [{**ARM, "algoritm": "x"}]}, "unknown arm setting 'algoritm'"),
        ({"arms": [{**ARM, "name": "random"}]}, "two arms are named 'random'"),
        ({"arms": [{**ARM, "name": "{size}"}]}, "unknown setting in an arm's name 'size'"),
        ({"arms": [{"name": "x"}]}, "arm 'x' needs how much to search"),
        ({"arms": [{"name": "x", "budget": "30s"}]}, "arm 'x' has a budget on the clock"),
        ({"arms": [{**ARM, "name": "x 1", "candidates": 4, "steps": 2},
                   {**ARM, "name": "x, 1", "candidates": 4}]},
         "two arms would both run in the folder 'x-1'"),
        ({"seeds": 0}, "seeds: input should be greater than or equal to 1, got 0"),
        ({"seeds": 2**31}, "seeds: input should be less than or equal to 100000, got 2147483648"),
        ({"prompts": ["one", "one"]}, "prompt 'one' is there twice"),
        ({"prompts": "nowhere.txt"}, "prompts file nowhere.txt cannot be read"),
        ({"claims": [{"says": "s"}]}, "claim 's' needs exactly one of contrast"),
        ({"claims": [{"says": "s", "column": "c", "contrast": {"random 1": 1}}]},
         "claim 's' needs more_than or less_than"),
        ({"claims": [{"says": "s", "column": "c", "contrast": {"random 2": 1}, "more_than": 0}]},
         "unknown arm 'random 2': did you mean 'random"),
        ({"measure": {"sets": ["fid"]}}, "unknown figure of sets 'fid'"),
        ({"measure": {"sets": ["recall"]}}, "recall needs measure.eye"),
    ],
)  # fmt: skip
def test_what_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        assert Campaign(experiment(content(**changes))).prompts
    assert said in str(refusal.value)


def test_what_only_the_user_can_give_is_asked_for() -> None:
    assets = {"weights": "", "other": "hub/id", "unused": ""}
    about = {"weights": "the checkpoint"}
    arm = {"name": "x", "candidates": 1, "model": "$weights", "verifier": "v(weights=$other)"}
    wanted = content(assets=assets, about=about, arms=[arm])
    with pytest.raises(ConfigError, match=r"only you can give: weights: the checkpoint; add --as"):
        experiment(wanted)
    with pytest.raises(ConfigError, match="unknown asset 'weight': did you mean 'weights'"):
        experiment(wanted, {"weight": "x"})
    [found] = settings(experiment(wanted, {"weights": "/data/w"}))
    assert (found.model, found.verifier) == ("/data/w", "v(weights=hub/id)")


def test_prompts_in_groups(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("# a comment\nthree\n\nfour\nfive\n")
    found = prompts(experiment(content(prompts={"a": ["one", "two"], "b": str(file)}, limit=2)),
                    MODEL)  # fmt: skip
    assert found == [GroupedPrompt("one", "a"), GroupedPrompt("two", "a"),
                     GroupedPrompt("three", "b"),
                     GroupedPrompt("four", "b")]  # fmt: skip


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text("summary = a b\n")
    with pytest.raises(ConfigError, match=r"is not TOML: .*line 1"):
        read(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path / "nowhere.toml")
