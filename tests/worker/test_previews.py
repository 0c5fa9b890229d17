"""Verifiers that look back on a sample: what they are shown, and that it costs nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import noisesearch as ns
from noisesearch.errors import ConfigError
from noisesearch.runs.rerank import rerank
from noisesearch.sampling.process import Linear, Trigonometric
from noisesearch.setup.python_objects import PythonObjects
from noisesearch.verifiers.protocol import FunctionVerifier, Views
from noisesearch.worker.jobs import Levels
from noisesearch.worker.previews import before, linear_times

TIME = 0.4
PATHS = {"paths": 1, "width": 2, "start": 0.6, "backward": 0.4, "forward": 0.2, "length": 4}


def seen(images: Tensor) -> Tensor:
    """A number of a picture that a small change of it changes."""
    weights = torch.linspace(0.5, 1.5, images[0].numel(), dtype=torch.float64)
    return (images.flatten(1).double() * weights).mean(1)


@dataclass
class Back:
    """What it sees at the end, and what it saw on the way."""

    times: tuple[float, ...] = (TIME,)
    name: str = "back"
    fingerprint: str = ""
    differentiable: bool = False
    whole_only: bool = True
    rows: int | None = None
    scale: Mapping[str, float] = field(default_factory=lambda: {"end": 1.0, "way": 1.0})

    @property
    def parts(self) -> tuple[str, ...]:
        return ("end", "way")

    @property
    def previews(self) -> tuple[float, ...]:
        return self.times

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        assert set(views.previews) == set(self.times)
        way = torch.stack([seen(p) for p in views.previews.values()]).sum(0)
        return {"end": seen(views.images), "way": way}


def preview(images: Tensor, conditions: Any) -> Tensor:
    return seen(images)


class Looked:
    """An algorithm that asks for previews of the noises that Random Search asks whole."""

    name, extendable = "looked", True

    def __init__(self, level: int) -> None:
        self.level = level

    def __call__(self, problem: Any) -> Any:
        whole = [problem.sample(problem.noise(i)) for i in range(4)]
        yield [ns.score(before(t, self.level)) for t in whole]
        return whole[:1]


def test_it_is_the_prediction_at_the_nearest_level(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"budget": "4candidates", "steps": 10, "rows": 4}
    back = ns.search("a red circle", verifier=Back(), algorithm="random",
                     out=tmp_path / "a", **settings)  # fmt: skip
    # Ten even steps of the linear interpolant: level 6 is at 0.4.
    way = ns.search("a red circle", verifier=preview, algorithm=Looked(6),
                    out=tmp_path / "b", **settings)  # fmt: skip
    noises = {c.trajectory: c.parts["way"] for c in back.candidates}
    from noisesearch.store.run_store import RunStore

    store = RunStore(tmp_path / "b", write=False)
    shown = sorted(r.parts["preview"] for k, r in store._replies.items()
                   if not store.graph().trajectory(k).finished)  # fmt: skip
    assert sorted(noises.values()) == shown and len(shown) == 4
    assert way.ledger["nfe"] > 0


@pytest.mark.parametrize(
    ("algorithm", "parameters", "budget"),
    [("random", {}, 64), ("zero-order", {"neighbours": 3}, 64),
     ("paths", PATHS, 200)],
)  # fmt: skip
def test_it_costs_pictures_and_no_evaluation(
    algorithm: str, parameters: dict[str, Any], budget: int, tmp_path: Path
) -> None:
    def ledger(verifier: Any, name: str) -> Any:
        result = ns.search("a red circle", verifier=verifier, algorithm=algorithm, steps=8,
                           parameters=parameters, budget=budget, out=tmp_path / name)  # fmt: skip
        return result.ledger

    if algorithm == "paths":
        with pytest.raises(ConfigError, match="looks at unfinished samples"):
            ledger(Back(), "refused")
        back = ns.search("a red circle", verifier=preview, watch=Back(), algorithm=algorithm,
                         steps=8, parameters=parameters, budget=budget,
                         out=tmp_path / "watched")  # fmt: skip
        # Renoised legs are short, and begin below the time asked for or not far above.
        assert back.watched is not None and back.ledger["decodes"] > 0
        return
    back, plain = ledger(Back((0.4, 0.8)), "back"), ledger(preview, "plain")
    assert back["nfe"] == plain["nfe"]
    assert back["physical"]["nfe"] == plain["physical"]["nfe"]
    assert back["decodes"] == 3 * plain["decodes"]
    assert back["physical"]["decodes"] == 3 * plain["physical"]["decodes"]


def test_a_resume_makes_again_what_it_cannot_look_back_on(tmp_path: Path) -> None:
    """Catches a stored picture being shown without the way that led to it."""
    ns.search("a red circle", verifier=preview, algorithm="random", steps=6,
              budget="3candidates", out=tmp_path)  # fmt: skip
    given = PythonObjects(verifiers={"preview": FunctionVerifier(preview, "preview")})
    found = rerank(tmp_path, "part(way)", Back(), given=given)
    assert all(math.isfinite(c.parts["way"]) for c in found.results[0].candidates)


def test_times_are_those_of_equal_noise_to_signal() -> None:
    levels = Levels(arrived=(1.0, 0.6, 0.0), left=(1.0, 0.6, 0.0))
    assert linear_times(Linear(), levels).tolist() == pytest.approx([1.0, 0.6])
    process = Trigonometric()
    ratio = process.sigma(torch.tensor(0.6)) / process.alpha(torch.tensor(0.6))
    assert linear_times(process, levels)[1] == pytest.approx(float(ratio / (1 + ratio)), rel=1e-5)


def test_a_trajectory_has_been_where_it_came_through() -> None:
    from noisesearch.candidates.condition import Condition
    from noisesearch.candidates.noise import gaussian
    from noisesearch.candidates.trajectory import Trajectory

    begun = Trajectory.begin(Condition(text="x"), gaussian(1), 10)
    whole = begun.denoise(10, seed=5)
    assert before(whole, 4) == begun.denoise(4, seed=5)
    assert before(whole, 0) == begun
    two = begun.denoise(3, seed=1).denoise(10, seed=2)
    assert before(two, 3) == begun.denoise(3, seed=1)
    assert before(two, 2) == begun.denoise(2, seed=1)
    assert before(two, 7) == begun.denoise(3, seed=1).denoise(7, seed=2)


def test_gradients_do_not_look_back(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="follows gradients"):
        ns.search("a red circle", verifier=["aesthetic", Back()], algorithm="first-order",
                  objective="part(aesthetic)", budget=200, out=tmp_path)  # fmt: skip


def test_the_time_that_is_used_is_said(tmp_path: Path) -> None:
    from noisesearch.setup.notices import notice
    from noisesearch.setup.request import Request

    def said(steps: int) -> str:
        request = Request(["a red circle"], verifier=Back(), budget="2candidates", steps=steps,
                          solver="euler")  # fmt: skip
        return notice(request.resolve().loaded)

    assert said(4) == "verifier 'back' looks back at time 0.5, the level nearest to 0.4 of 4 steps"
    assert "time 0.4, " in said(10)
