"""A run's budget given out where the next candidates are expected to gain most."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import noisesearch as ns
from noisesearch import ConfigError, Results
from noisesearch.driver.allocation import gain
from noisesearch.testing import MixtureModel

PROMPTS = ["flat", "wild", "level", "rough"]  # half of them have nothing to hope for


def hopeful(images: Any, conditions: Any) -> Any:
    """All candidates of some prompts are alike."""
    bright = images.mean((1, 2, 3))
    still = [condition.text in ("flat", "level") for condition in conditions]
    return bright.masked_fill(bright.new_tensor(still, dtype=bool), 0.5)


def ran(folder: Path, **settings: Any) -> Results:
    common: dict[str, Any] = {"model": MixtureModel(), "verifier": [hopeful], "rows": 4,
                              "algorithm": "random", "budget": "80candidates/run",
                              "allocate": "gain"}  # fmt: skip
    return ns.search(PROMPTS, out=folder, **{**common, **settings})


@pytest.mark.parametrize("seed", range(3))
def test_the_expected_gain_is_that_of_draws(seed: int) -> None:
    """It would catch a gain of the mean in place of the best, or of one draw in place of many."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(12)
    width = 0.9 * 1.3 * 12**-0.2
    draws = rng.choice(values, (40_000, 5)) + width * rng.standard_normal((40_000, 5))
    rise = np.maximum(draws.max(1) - values.max(), 0)
    error = rise.std() / 200
    assert gain(values, 5, 1.3) == pytest.approx(rise.mean(), abs=4 * error + 0.01 * rise.mean())


def test_more_draws_gain_more_and_each_less() -> None:
    values = np.random.default_rng(0).standard_normal(8)
    found = [gain(values, more, 1.0) for more in range(6)]
    steps = np.diff(found)
    assert found[0] == 0 and (steps > 0).all() and (np.diff(steps) < 0).all()
    assert gain(values, 3, 0.0) == 0, "of equals there is nothing to expect"


def test_prompts_without_hope_get_little(tmp_path: Path) -> None:
    found = ran(tmp_path / "run")
    counts = {str(r.condition): len(r.candidates) for r in found}
    assert sum(counts.values()) == 80, "all of it, and no more"
    assert counts["flat"] == counts["level"] <= 12 < min(counts["wild"], counts["rough"])
    even = ran(tmp_path / "even", allocate="even")
    assert [len(r.candidates) for r in even] == [20] * 4
    for one, other in zip(even, found, strict=True):  # the same noises in the same order
        keys = [[c.trajectory for c in result.candidates] for result in (one, other)]
        shared = min(map(len, keys))
        assert keys[0][:shared] == keys[1][:shared]


def test_a_killed_run_gives_out_the_same(tmp_path: Path) -> None:
    straight = ran(tmp_path / "straight")
    with contextlib.suppress(KeyboardInterrupt):
        ran(tmp_path / "killed", watcher=Impatient(33))
    killed = ns.resume(tmp_path / "killed", model=MixtureModel(), verifier=[hopeful])
    for a, b in zip(straight, killed, strict=True):
        assert a.winner.trajectory == b.winner.trajectory
        assert [c.trajectory for c in a.candidates] == [c.trajectory for c in b.candidates]
        assert a.ledger["nfe"] == b.ledger["nfe"]


class Impatient:
    """Interrupts after so many answers."""

    def __init__(self, after: int) -> None:
        self.after = after

    def replied(self, driver: Any, live: Any, reply: Any) -> None:
        self.after -= 1
        if self.after < 0:
            raise KeyboardInterrupt

    def improved(self, driver: Any, live: Any, reply: Any) -> None: ...


def test_zero_order_and_a_target_too(tmp_path: Path) -> None:
    """A search that has reached its target leaves its share to the others."""
    found = ran(tmp_path / "run", algorithm="zero-order", target=0.5)
    counts = {str(r.condition): len(r.candidates) for r in found}
    assert counts["flat"] == counts["level"] == 0 and sum(counts.values()) <= 80
    assert counts["wild"] > 20 and all(r.stopped == "target" for r in found)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"budget": "20candidates"}, "is no count for the whole run"),
        ({"budget": "30s"}, "is no count for the whole run"),
        ({"algorithm": "auto"}, "'auto' asks differently under another budget"),
        ({"final_steps": 3}, "leave out --draft and --final-steps"),
        ({"allocate": "most"}, "allocate is 'most', but must be even or gain"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    settings: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        ran(tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()
