"""Where candidates are made changes nothing: every algorithm, with workers that come and go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from crews import Here
from searching import ALGORITHMS, same, searched

from noisesearch.names import registry
from noisesearch.verifiers.slow_verifier import CandidatePicture, SlowReply, SlowVerifier

# Noises alone, renoised prefixes, blobs of gradients, previews that go on.
FAST = ("zero-order", "paths", "first-order", "halving")


def test_every_algorithm_is_among_them() -> None:
    assert set(ALGORITHMS) == set(registry.TABLES["algorithm"])


@pytest.mark.parametrize(
    "algorithm",
    [pytest.param(a, marks=() if a in FAST else pytest.mark.slow) for a in ALGORITHMS],
)
def test_workers_that_die_give_what_one_gives_that_lives(algorithm: str, tmp_path: Path) -> None:
    alone = searched(tmp_path / "alone", algorithm)
    several = searched(tmp_path / "several", algorithm, Here(count=3, deaths=4))
    same(alone, several)


class Bright(SlowVerifier):
    """Takes its time at the driver's side; keeps whom it was asked about."""

    name, parts = "bright", ("bright",)

    def __init__(self) -> None:
        self.asked: list[str] = []

    def look(self, looks: Sequence[CandidatePicture]) -> list[SlowReply]:
        self.asked += [look.key for look in looks]
        return [SlowReply({"bright": float(look.picture.mean()) / 255}) for look in looks]


def test_verifiers_that_take_their_time_are_asked_at_this_side(tmp_path: Path) -> None:
    one, other = Bright(), Bright()
    alone = searched(tmp_path / "alone", "zero-order", verifier=[one, "evenness"])
    there = Here(count=2, deaths=6)
    several = searched(tmp_path / "several", "zero-order", there, verifier=[other, "evenness"])
    same(alone, several)
    assert sorted(one.asked) == sorted(other.asked), "nobody is asked twice"
