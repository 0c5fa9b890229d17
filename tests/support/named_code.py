"""A file with one thing of each kind that is chosen by name, and one that lacks a member."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CODE = '''
import dataclasses
import json
from pathlib import Path

from noisesearch.algorithms.initial_noise import RandomSearch
from noisesearch.objectives.single import Weighted
from noisesearch.sampling.solvers import DDIM
from noisesearch.testing import MixtureModel


def model():
    """A mixture."""
    return MixtureModel()


class Bright:
    """How bright it is."""

    name, parts, scale, differentiable = "bright", ("bright",), {"bright": 1.0}, False
    rows, fingerprint = None, "1"

    def __call__(self, views):
        return {"bright": views.images.mean((1, 2, 3))}


class Blunt(RandomSearch):
    """Random Search under another name."""

    name = "blunt"


class Half:
    """DDIM with half of the noise, or as much as is said."""

    name = "half"

    def __init__(self, eta=0.5):
        self.inner = DDIM(eta=eta)
        self.stochastic = eta > 0

    def price(self):
        return 1

    def init(self, x):
        return self.inner.init(x)

    def step(self, *given):
        return self.inner.step(*given)


class Count:
    """How many images there are; more is more."""

    name, summary = "count", "how many there are; more is more"

    def measure(self, images):
        return {"count": len(images.paths), "count.each": [1.0] * len(images.paths)}


def least(scales):
    """The negative of the first part."""
    return Weighted({next(iter(scales)): -1.0})


tables = {"summary": "Nothing against nothing.", "prompts": 1,
          "arms": [{"name": "none", "candidates": 1}]}


class NoModel:
    name, space, build = "none", None, None


class NoVerifier:
    parts = ("a",)

    def __call__(self, views):
        return {}


class NoAlgorithm:
    extendable = True

    def __call__(self, problem):
        yield []


class NoSolver:
    name, stochastic = "none", False

    def init(self, x):
        return (x,)


class NoMetric:
    name = "none"

    def measure(self, images):
        return {}


class NoObjective:
    parts = ()

    def __init__(self, scales):
        pass

    def value(self, reply):
        return 0.0


nothing = {"arms": []}
'''

GOOD = {"model": "model", "verifier": "Bright", "algorithm": "Blunt", "solver": "Half",
        "metric": "Count", "objective": "least", "experiment": "tables"}  # fmt: skip


def written(folder: Path) -> Path:
    """Write the file."""
    path = folder / "chosen.py"
    path.write_text(CODE)
    return path


@contextmanager
def installed(folder: Path) -> Iterator[None]:
    """The file as a package whose entry points give a thing of every kind the name ``theirs``."""
    package = folder / "chosen-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: chosen\nVersion: 1\n")
    groups = (f"[noisesearch.{kind}s]\ntheirs = chosen:{name}\n" for kind, name in GOOD.items())
    (package / "entry_points.txt").write_text("".join(groups))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield
    sys.modules.pop("chosen", None)
    shutil.rmtree(package)
