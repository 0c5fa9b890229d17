"""Judging a picture of the shapes world against a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy.typing as npt

from .parser import DetectedThing, read
from .prompts import parse
from .scene import AND, Spec, ThingGroup

__all__ = ["CheckerVerdict", "DetectedThing", "check", "judge", "read"]

RELATION_MARGIN = 0.04  # between centres, as a fraction of the image's side
_MOST_ASSIGNED = 6  # things tried in every group, the largest first


@dataclass(frozen=True)
class CheckerVerdict:
    """How a picture answers a prompt, with each thing given to the group it agrees with most.

    colour, shape: every thing has its group's, and no group is without things.
    number: every group has exactly the things asked for, so there are none to spare.
    relation: it holds between all members of the two groups; True if none was asked for.
    score: the mean over the aspects of the fraction that is right; 1 only if all are.
    """

    colour: bool
    shape: bool
    number: bool
    relation: bool
    score: float

    @property
    def full(self) -> bool:
        """True if every aspect is right at once."""
        return self.colour and self.shape and self.number and self.relation


def check(image: npt.NDArray[Any], prompt: str | Spec) -> CheckerVerdict:
    """The verdict on an image [H, W, 3], uint8 or float in [0, 1]."""
    return judge(read(image), parse(prompt) if isinstance(prompt, str) else prompt)


def judge(seen: list[DetectedThing], spec: Spec) -> CheckerVerdict:
    """The verdict on the things seen, under the best one of all assignments to groups.

    Most colours and shapes right comes first, then the score: things belong to a group by
    what they are, so that a wrong place reads as a wrong relation.
    """
    near = seen[:_MOST_ASSIGNED]
    ways = product(range(len(spec.groups)), repeat=len(near))
    judged = (_verdict(near, way, spec, len(seen)) for way in ways)
    return max(judged, key=lambda pair: (pair[0], pair[1].score))[1]


def _verdict(
    seen: list[DetectedThing], way: tuple[int, ...], spec: Spec, found: int
) -> tuple[int, CheckerVerdict]:
    """How many colours and shapes are right under one assignment, and its verdict."""
    teams = [
        [thing for thing, side in zip(seen, way, strict=True) if side == index]
        for index in range(len(spec.groups))
    ]
    pairs = list(zip(teams, spec.groups, strict=True))
    colours = sum(_has_colour(thing, group) for team, group in pairs for thing in team)
    shapes = sum(thing.shape == group.shape for team, group in pairs for thing in team)
    wrong = sum(abs(len(team) - group.count) for team, group in pairs) + found - len(seen)
    holds = _relation_share(teams, spec)
    # With too few things the missing ones count against colour and shape in the score.
    most = max(found, spec.total)
    shares = [colours / most, shapes / most, max(0.0, 1 - wrong / spec.total)]
    if spec.relation not in (None, AND):
        shares.append(holds)
    everyone = found > 0 and all(teams)
    verdict = CheckerVerdict(
        colour=everyone and colours == found,
        shape=everyone and shapes == found,
        number=wrong == 0,
        relation=holds == 1,
        score=sum(shares) / len(shares),
    )
    return colours + shapes, verdict


def _has_colour(thing: DetectedThing, group: ThingGroup) -> bool:
    return group.colour is None or thing.colour == group.colour


def _relation_share(teams: list[list[DetectedThing]], spec: Spec) -> float:
    """The share of pairs across the groups between which the relation holds."""
    if spec.relation in (None, AND):
        return 1.0
    sideways = spec.relation == "left of"
    gaps = [b.x - a.x if sideways else b.y - a.y for a in teams[0] for b in teams[1]]
    return sum(gap >= RELATION_MARGIN for gap in gaps) / max(1, len(gaps))
