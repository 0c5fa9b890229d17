"""`check-verifier`: what holds, and every way in which something does not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import Tool
from PIL import Image
from torch import Tensor

from noisesearch.candidates.condition import Condition
from noisesearch.evaluation.check_verifier import Pair, Samples, Trial, VerifierReport
from noisesearch.verifiers.protocol import FunctionVerifier, Views

Function = Callable[[Tensor, Any], Any]


def bright(images: Tensor, conditions: object) -> Tensor:
    return images.mean((1, 2, 3))


def drifting() -> Function:
    """Another number at every call."""
    calls = []

    def score(images: Tensor, conditions: object) -> Tensor:
        calls.append(1)
        return bright(images, conditions) + len(calls)

    return score


def in_place(images: Tensor, conditions: object) -> Tensor:
    found = bright(images, conditions)
    images += 1e-3
    return found


def of_slot(images: Tensor, conditions: object) -> Tensor:
    return bright(images, conditions) + torch.arange(len(images))


def of_batch(images: Tensor, conditions: object) -> Tensor:
    return bright(images, conditions) - bright(images, conditions).mean()


def sometimes(images: Tensor, conditions: object) -> Tensor:
    """No number for pictures that stand second or later."""
    return bright(images, conditions).masked_fill(torch.arange(len(images)) > 0, float("nan"))


def detached(images: Tensor, conditions: object) -> Tensor:
    return (images * 0).mean((1, 2, 3)) + bright(images.detach(), conditions)


def short(images: Tensor, conditions: object) -> Tensor:
    return bright(images, conditions)[1:]


FAULTS: dict[str, tuple[Function, str]] = {
    "drifting": (drifting(), "deterministic"),
    "in place": (in_place, "images"),
    "of slot": (of_slot, "order"),
    "of batch": (of_batch, "one is many"),
    "sometimes": (sometimes, "one is many"),
    "nothing": (lambda x, _: bright(x, _) * float("nan"), "numbers"),
    "detached": (detached, "gradient"),
    "short": (short, "runs"),
}


def tried(function: Function, **settings: Any) -> VerifierReport:
    verifier = FunctionVerifier(function, "mine", differentiable=True)
    return Trial(verifier, Samples.own(32, None), **settings).report()


def test_a_good_one_passes_everything() -> None:
    report = tried(bright)
    assert report.passed and report.pictures == 8
    names = [check.name for check in report.checks]
    assert names == [
        "parts", "numbers", "deterministic", "one is many", "order", "images", "gradient"
    ]  # fmt: skip
    assert report.speed is not None and report.speed > 0


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_found(name: str) -> None:
    function, check = FAULTS[name]
    failed = [c.name for c in tried(function).checks if not c.passed]
    assert check in failed


def test_larger_must_be_better() -> None:
    light, dark = (np.full((16, 24, 3), level, np.uint8) for level in (200, 50))
    for pair, holds in ((Pair(light, dark, Condition()), True),
                        (Pair(dark, light, Condition()), False)):  # fmt: skip
        (check,) = [c for c in tried(bright, pair=pair).checks if c.name == "larger is better"]
        assert check.passed is holds


@dataclass(frozen=True)
class Fixed(FunctionVerifier):
    """Takes four rows, no other number of them."""

    rows: int | None = 4

    def __call__(self, views: Views) -> dict[str, Any]:
        assert len(views.images) == len(views.conditions) == 4
        return {self.name: self.function(views.images, views.conditions)}


def test_a_fixed_batch_is_kept() -> None:
    samples = Samples.own(16, Condition(text="a cat"))
    samples = Samples(samples.pictures[:6], samples.conditions[:6])
    assert Trial(Fixed(bright, "fixed"), samples).report().passed


MINE = """
from noisesearch.verifiers.protocol import FunctionVerifier

def vivid(images, conditions):
    assert all(c.text == "a cat" for c in conditions)
    return images.std((1, 2, 3))

def upside(images, conditions):
    return -images.mean((1, 2, 3))

class Bare(FunctionVerifier):
    parts = ("a", "a")

bare = Bare(vivid, "bare")
"""


def test_the_command(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "child.py").write_text(
        "from noisesearch.verifiers.serve import serve\n"
        "serve(lambda images, conditions: [None] * len(images), name='never')"
    )
    (tmp_path / "pictures").mkdir()
    for name, level in (("a", 250), ("b", 20)):
        Image.new("RGB", (40, 30), (level, level, 9)).save(tmp_path / "pictures" / f"{name}.png")
    cat, pair = ("--prompt", "a cat"), ("--better", "pictures/a.png", "--worse", "pictures/b.png")
    world, own, upside, bare, child, *wrong = tool.batch(
        ["check-verifier", "clipscore", "--model", "shapes", "--size", "32", "--json"],
        ["check-verifier", "mine.py:vivid", "--images", "pictures", *cat],
        ["check-verifier", "mine.py:upside", *cat, *pair, "--json"],
        ["check-verifier", "mine.py:bare", *cat],
        ["check-verifier", f"process:{sys.executable} child.py"],
        ["check-verifier", "mine.py:vivid", "--images", "pictures"],
        ["check-verifier", "mine.py:vivid", "--images", "nowhere", *cat],
        ["check-verifier", "mine.py:vivid", *pair],
        ["check-verifier", "mine.py:vivid", "--better", "mine.py", "--worse", "mine.py", *cat],
        ["check-verifier", "mine.py:vivid,mine.py:upside"],
        ["check-verifier", "mine.py:vivid", *cat, "--injection"],
        ["check-verifier", "clipscor", "--model", "shapes"],
    )
    found = world.json()
    assert found["passed"] and found["scale"] == {"clipscore": 0.21}
    assert {c["name"] for c in found["checks"]} >= {"features", "gradient"}
    assert own.status == 0 and "all holds, on 2 pictures" in own.out
    assert (upside.status, bare.status, child.status) == (1, 1, 1)
    assert '"passed": false' in upside.out and "for the worse" in upside.out
    assert "different names" in bare.out
    assert "8 of 8 have no never (there is no number for this picture)" in child.out
    said = ["--prompt", "no pictures", "--prompt", "no picture", "one at a time", "leave it out",
            "did you mean 'clipscore'"]  # fmt: skip
    for done, words in zip(wrong, said, strict=True):
        done.refused(words)
