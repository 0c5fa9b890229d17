"""Drafts: their text, their price, searches at them, and drafts side by side in one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import noisesearch as ns
from noisesearch.algorithms.initial_noise import RandomSearch
from noisesearch.algorithms.problem import Problem, Search
from noisesearch.candidates.ask import score
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.ledger import Cost, Ledger, Rates
from noisesearch.candidates.noise import Materialiser, gaussian
from noisesearch.candidates.trajectory import FULL, Trajectory
from noisesearch.errors import ConfigError
from noisesearch.names.drafts import Draft, parse
from noisesearch.runs.verify import verify
from noisesearch.testing import MixtureModel
from noisesearch.testing.bench import Bench, Released

STEPS = 6


def test_text() -> None:
    draft = parse("cache:0.10+skip:5,3,3+steps:8")
    assert draft == Draft(steps=8, skip=(3, 5), cache=0.1)
    assert str(draft) == "steps:8+skip:3,5+cache:0.1" and parse(str(draft)) == draft
    assert parse("fast", {"fast": "steps:2"}) == Draft(steps=2)
    assert parse("model:shapes-small+guidance:1") == Draft(model="shapes-small", guidance=1.0)


def test_a_plus_sign_in_a_path_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a+b").mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse("model:a+b+steps:4") == Draft(steps=4, model=str(tmp_path / "a+b"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fastt", "unknown draft 'fastt': did you mean 'fast'"),
        ("stps:4", "did you mean 'steps:8'"),
        ("steps", "unknown draft 'steps'"),
        ("steps:0", "steps is '0', but must be a number of steps of at least 1"),
        ("steps:3+steps:2", "says steps twice"),
        ("cache:-1", "cache is '-1', but must be a threshold of at least 0, such as cache:0.1"),
        ("cache:nan", "cache is 'nan'"),
        ("skip:1,x", "skip is '1,x', but must be numbers of layers"),
        ("size:16", "size is '16', but must be WIDTHxHEIGHT"),
        ("model:", "model is '', but must be"),
    ],
)
def test_wrong_text(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text, {"fast": "steps:2"})
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        ("steps:7", "costs as much as 7 evaluations of the full sample, which needs 6"),
        ("cache:0.1", "does not allow; use a draft of fewer steps"),
        ("size:2x2", "makes 4x4 only"),
        ("model:shapes-small+size:16x16", "makes 32x32 only"),
        ("model:shapes-small", "draft 'model:shapes-small' has noises of shape 3x32x32"),
        ("model:shap", "unknown model 'shap'"),
    ],
)
def test_what_cannot_be_a_draft(tmp_path: Path, draft: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        Bench(tmp_path, RandomSearch()).parts(draft=draft)
    assert said in str(error.value)


def test_smaller_noises_are_unit_normals_and_the_low_frequencies() -> None:
    whole = Materialiser((2, 64, 48))(gaussian(3)).astype(float)
    small = Materialiser((2, 64, 48), fold=2)(gaussian(3))
    assert small.shape == (2, 32, 24) and small.dtype == np.float32
    by_hand = whole[:, ::2, ::2] + whole[:, 1::2, ::2] + whole[:, ::2, 1::2] + whole[:, 1::2, 1::2]
    assert np.abs(small - by_hand / 2).max() < 1e-6
    assert abs(small.mean()) < 0.1 and abs(small.std() - 1) < 0.05


def test_the_ledger_weighs_drafts_and_counts_them() -> None:
    rates = Rates(2, forwards=2, flops=100, drafts={"a": Cost(1, 50), "b": Cost(2, 1)})
    assert (rates.weight(FULL), rates.weight("a"), rates.weight("b")) == (1, 0.25, 10 / 1024)
    ledger = Ledger(rates)

    def of(draft: str) -> Trajectory:
        return Trajectory.begin(Condition(), gaussian(0), 3, draft).denoise()

    assert ledger.price([of(FULL), of("a"), of("a")]) == 6 + 1.5
    for draft in (FULL, "a", "a"):
        ledger.charge(of(draft))
    assert (ledger.nfe, ledger.worth, ledger.counted) == (12, 7.5, 7.5)
    content = ledger.json()
    assert content["forwards"] == 6 * 2 + 6 and content["flops"] == 6 * 2 * 100 + 6 * 50
    assert content["drafts"] == {"a": 6, "b": 0}
    assert "drafts" not in Ledger(Rates()).json(), "ledgers without drafts are as they were"


def test_finishing_a_draft_gives_the_full_sample() -> None:
    noise, of = gaussian(1), Condition(text="x")
    draft = Trajectory.begin(of, noise, 3, "steps:3").denoise(2).renoise(0.9, 7, 0.0, 3).denoise()
    full = Trajectory.begin(of, noise, 6).denoise(4).renoise(0.9, 7, 0.0, 6).denoise()
    assert draft.at(6) == full and draft.at(6).draft == FULL
    same = Trajectory.begin(of, noise, 6, "cache:0.1").denoise()
    assert same.at(6) == Trajectory.begin(of, noise, 6).denoise() != same


def test_search_at_a_draft(tmp_path: Path) -> None:
    """Candidates are drafts, baseline and winner full samples, and the price is the plan's."""
    bench = Bench(tmp_path, RandomSearch())
    loaded = bench.parts(draft="steps:2", budget=30)
    assert (loaded.spec.steps, loaded.spec.final_steps, loaded.spec.draft) == (2, STEPS, "steps:2")
    found = bench.run("draft", loaded)
    for live in found.searches:
        (outcome,) = live.record.outcomes()
        assert {r.trajectory.draft for r in live.record.replies} == {"steps:2"}
        assert len(live.record.replies) == 12, "(30 − 6) / 2"
        assert outcome.baseline is not None and outcome.baseline.trajectory.draft == FULL
        final, seen = outcome.winners[0]
        assert final.trajectory.draft == FULL and final.trajectory.steps == STEPS
        if not outcome.baseline_kept:
            assert seen is not None and seen.trajectory.noise == final.trajectory.noise
        assert live.ledger.counted == 30 or live.ledger.nfe == 24, "the baseline's noise is free"
    assert found.physical == sum(of["nfe"] for of in found.usage.values()) == found.counted
    # The same steps without a name are the same samples.
    plain = bench.run("plain", bench.parts(steps=2, final_steps=STEPS, budget=30))
    assert found.parts == plain.parts and found.physical == plain.physical


def test_killed_and_resumed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, RandomSearch(), settings={"draft": "steps:2", "budget": 30})
    whole = bench.run("whole")
    bench.killed("killed", 9)
    again = bench.run("killed")
    assert (again.winners, again.parts, again.logical) == (
        whole.winners, whole.parts, whole.logical)  # fmt: skip


class Mixed(RandomSearch):
    """Each noise at every draft that there is."""

    def __call__(self, problem: Problem) -> Search:
        replies = yield [
            score(problem.sample(problem.noise(i), draft=draft), draft=draft)
            for i in range(5)
            for draft in problem.space.drafts
        ]
        return [r.trajectory for r in replies if r.trajectory.draft == FULL]


def test_qualities_side_by_side(tmp_path: Path) -> None:
    """Full samples and two drafts in one run are what they are in runs of their own."""
    bench = Bench(tmp_path, Mixed(), settings={"drafts": ["steps:3", "steps:2"], "budget": 90})
    found = bench.run("mixed", wrap=Released)
    assert found.physical == 2 * 5 * (6 + 3 + 2) == sum(s.ledger.nfe for s in found.searches)
    assert found.searches[0].ledger.json()["drafts"] == {"steps:3": 15, "steps:2": 10}
    replies = {r.trajectory.key: r.parts for s in found.searches for r in s.record.replies}
    assert len(replies) == 2 * 5 * 3
    for steps, draft in ((6, FULL), (3, "steps:3"), (2, "steps:2")):
        alone = Bench(
            tmp_path, RandomSearch(candidates=5), settings={"budget": 60, "steps": steps}
        )
        for live in alone.run(f"alone-{steps}").searches:
            for i in range(5):
                of = live.problem.sample(live.problem.noise(i))
                named = Trajectory.begin(of.condition, of.noise, steps, draft).denoise()
                assert replies[named.key] == live.record.answers[of.key].parts


def test_what_no_run_has_loaded_is_a_sentence(tmp_path: Path) -> None:
    """Qualities that an algorithm asks for, and drafts that are given as what they are not."""

    def half(problem: Problem) -> Search:
        replies = yield [score(problem.sample(problem.noise(0), draft="steps:2"))]
        return [r.trajectory for r in replies]

    def refused(**settings: Any) -> str:
        with pytest.raises(ConfigError) as error:
            ns.search("x", model=MixtureModel(), out=tmp_path / "run", **settings)
        return str(error.value)

    said = refused(algorithm=half, draft="steps:3")
    assert said.startswith("algorithm 'half' asks for samples at 'steps:2', which are not loaded")
    assert "full, steps:3" in said and "drafts=" in said
    assert refused(draft=["steps:2"]).startswith("draft is ['steps:2'], but must be text")
    assert refused(drafts="steps:2").startswith("drafts is 'steps:2', but must be a list")
    assert not (tmp_path / "run").exists()


def test_shapes_draft_of_another_network(tmp_path: Path) -> None:
    """A smaller network on the same noise; the folder says so, and re-creates its winners."""
    result = ns.search(
        "a red circle", algorithm="random", budget=8, steps=2, verifier="aesthetic",
        draft="model:shapes-small+guidance:1", out=tmp_path / "run", dtype="float32", rows=4,
    )  # fmt: skip
    drafts = result.ledger["drafts"]["model:shapes-small+guidance:1"]
    assert drafts % 2 == 0 and result.ledger["counted"] <= 8
    assert drafts > 6, "half of the layers: more than the three candidates of full price"
    spec = json.loads((tmp_path / "run" / "spec.json").read_text())
    assert spec["draft"] == "model:shapes-small+guidance:1" == spec["drafts"][0]
    assert "draft model:shapes-small+guidance:1" in spec["fingerprints"]
    found = verify(tmp_path / "run")
    assert found["winners"] == 1 and found["pixels"] == found["parts"] == 0
