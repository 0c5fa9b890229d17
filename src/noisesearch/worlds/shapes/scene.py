"""What a picture of the shapes world shows, and what a prompt asserts about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from ...errors import ConfigError

RGB = tuple[int, int, int]
Floats = npt.NDArray[np.float64]
Split = Literal["train", "any", "heldout"]
_T = TypeVar("_T")

SHAPES = ("circle", "square", "triangle", "ring", "cross", "diamond")
PALETTE: dict[str, RGB] = {
    "red": (220, 35, 40),
    "orange": (250, 140, 25),
    "yellow": (240, 215, 20),
    "green": (45, 165, 55),
    "teal": (25, 180, 185),
    "blue": (40, 75, 225),
    "purple": (150, 50, 185),
    "brown": (120, 70, 30),
    "grey": (130, 130, 130),
    "black": (18, 18, 18),
}
COLOURS = tuple(PALETTE)
RELATIONS = ("left of", "right of", "above", "below")
AND = "and"
MAX_COUNT = 3
MAX_THINGS = 4

# Combinations that training never shows, so that pictures of them measure generalisation.
_HELD_OUT = (
    "red diamond, orange cross, yellow triangle, green square, "
    "teal circle, blue ring, purple cross, black triangle"
)
HELD_OUT = frozenset((c, s) for c, s in (pair.split() for pair in _HELD_OUT.split(", ")))

# Per shape, as fractions of `size`: half width, reach above, reach below, reach in any direction.
REACH: dict[str, tuple[float, float, float, float]] = {
    "circle": (0.50, 0.50, 0.50, 0.50),
    "square": (0.45, 0.45, 0.45, 0.637),
    "triangle": (0.58, 0.70, 0.35, 0.70),
    "ring": (0.53, 0.53, 0.53, 0.53),
    "cross": (0.53, 0.53, 0.53, 0.56),
    "diamond": (0.58, 0.58, 0.58, 0.58),
}
SIZES = {1: (0.32, 0.45), 2: (0.28, 0.39), 3: (0.25, 0.32), 4: (0.23, 0.28)}
GAP = 2.0 / 32  # between two things, of the image's side
FRAME = 1.0 / 32  # between a thing and the image's edge
RELATION_MARGIN = 0.14  # between centres, along the relation's axis
JITTER = 9  # largest change of a colour's channel, of 255
_BATCHES = {1: 1, 2: 16, 3: 48, 4: 192}  # placements tried at once, by number of things
_FLIP = {"right of": "left of", "below": "above"}
_AXES: dict[str | None, int] = {"left of": 0, "above": 1}


@dataclass(frozen=True)
class Thing:
    """One shape in a picture: centre (x, y) and size as fractions of the side, y downwards."""

    shape: str
    colour: str
    x: float
    y: float
    size: float
    rgb: RGB | None = None  # the colour actually painted; None paints the palette's


@dataclass(frozen=True)
class Scene:
    """Everything needed to paint a picture, with nothing left to chance."""

    things: tuple[Thing, ...]
    background: RGB


@dataclass(frozen=True)
class ThingGroup:
    """`count` (1 to 3) things of one shape, of one colour unless `colour` is None."""

    count: int
    colour: str | None
    shape: str

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_COUNT:
            raise ConfigError(f"Got a group of {self.count} things; ask for 1 to {MAX_COUNT}.")
        if self.shape not in SHAPES:
            raise ConfigError(f"Got the shape {self.shape!r}; use one of {', '.join(SHAPES)}.")
        if self.colour is not None and self.colour not in PALETTE:
            raise ConfigError(f"Got the colour {self.colour!r}; use one of {', '.join(COLOURS)}.")

    @property
    def held_out(self) -> bool:
        """True if training never shows this colour on this shape."""
        return (self.colour, self.shape) in HELD_OUT


@dataclass(frozen=True)
class Spec:
    """What a prompt asserts, in a normal form: Specs that mean the same are equal.

    "right of" and "below" are turned round to "left of" and "above"; groups joined by
    "and" are sorted; a single group has no relation.
    """

    groups: tuple[ThingGroup, ...]
    relation: str | None = None

    def __post_init__(self) -> None:
        _validate(self)
        groups, relation = self.groups, self.relation
        if relation in _FLIP:
            groups, relation = groups[::-1], _FLIP[relation]
        elif relation == AND:
            groups = tuple(sorted(groups, key=_order))
        object.__setattr__(self, "groups", groups)
        object.__setattr__(self, "relation", relation)

    @property
    def total(self) -> int:
        """The number of things asked for in all."""
        return sum(group.count for group in self.groups)

    @property
    def held_out(self) -> bool:
        """True if any group shows a combination that training never does."""
        return any(group.held_out for group in self.groups)


def _order(group: ThingGroup) -> tuple[str, str, int]:
    return (group.shape, group.colour or "", group.count)


def _validate(spec: Spec) -> None:
    total = sum(group.count for group in spec.groups)
    if len(spec.groups) not in (1, 2):
        raise ConfigError(f"Got {len(spec.groups)} groups of things; ask for one or two.")
    if total > MAX_THINGS:
        raise ConfigError(f"Got {total} things in all; ask for at most {MAX_THINGS}.")
    if len(spec.groups) == 1 and spec.relation is not None:
        raise ConfigError(f"Got one group and {spec.relation!r}; a relation needs two groups.")
    if len(spec.groups) == 2 and spec.relation not in (AND, *RELATIONS):
        raise ConfigError(
            f"Got {spec.relation!r} between two groups; use one of {', '.join((AND, *RELATIONS))}."
        )


def sample_spec(rng: np.random.Generator, split: Split = "train") -> Spec:
    """Draw a Spec; "train" never holds a held-out combination nor a reserved prompt's Spec,
    "heldout" always holds a held-out combination, "any" may be anything."""
    while True:
        spec = _draw_spec(rng, split)
        if spec is None or (split == "train" and (spec.held_out or is_reserved(spec))):
            continue
        return spec


def _draw_spec(rng: np.random.Generator, split: Split) -> Spec | None:
    kind = rng.random()
    first_combo = _pick(rng, sorted(HELD_OUT)) if split == "heldout" else None
    if kind < 0.4:  # one thing, or two or three of the same
        count = 1 if kind < 0.2 else 2 + int(rng.integers(2))
        return Spec((_draw_group(rng, count, first_combo),))
    counts = _draw_counts(rng)
    first = _draw_group(rng, counts[0], first_combo)
    second = _draw_group(rng, counts[1])
    if first.shape == second.shape and (
        first.colour == second.colour or None in (first.colour, second.colour)
    ):
        return None  # two groups that cannot be told apart
    relation = AND if kind < 0.62 else _pick(rng, RELATIONS)
    return Spec((first, second), relation)


def _draw_counts(rng: np.random.Generator) -> tuple[int, int]:
    if rng.random() < 0.45:
        return (1, 1)
    return _pick(rng, ((1, 2), (2, 1), (2, 2), (1, 3), (3, 1)))


def _draw_group(
    rng: np.random.Generator, count: int, combo: tuple[str, str] | None = None
) -> ThingGroup:
    if combo is not None:
        return ThingGroup(count, *combo)
    colour = None if rng.random() < 0.1 else _pick(rng, COLOURS)
    return ThingGroup(count, colour, _pick(rng, SHAPES))


def _pick(rng: np.random.Generator, options: Sequence[_T]) -> _T:
    return options[int(rng.random() * len(options))]


@cache
def _reserved() -> frozenset[Spec]:
    entries = json.loads(Path(__file__).with_name("benchmark.json").read_text("utf-8"))
    return frozenset(spec_from_json(entry["spec"]) for entry in entries["prompts"])


def is_reserved(spec: Spec) -> bool:
    """True if the benchmark asks for exactly this Spec, so that training must not."""
    return spec in _reserved()


def spec_to_json(spec: Spec) -> dict[str, Any]:
    """The Spec as plain JSON values, read back by `spec_from_json`."""
    groups = [[group.count, group.colour, group.shape] for group in spec.groups]
    return {"groups": groups, "relation": spec.relation}


def spec_from_json(value: dict[str, Any]) -> Spec:
    """The Spec that `spec_to_json` wrote."""
    return Spec(tuple(ThingGroup(*group) for group in value["groups"]), value["relation"])


def sample_scene(rng: np.random.Generator, spec: Spec) -> Scene:
    """Draw a Scene that fulfils the Spec exactly: nothing overlaps or leaves the frame, and
    every member of the first group stands in the relation to every member of the second."""
    shapes = [group.shape for group in spec.groups for _ in range(group.count)]
    centres, sizes = _place(rng, spec, shapes)
    drawn = [(_group_colour(rng, group), group.count) for group in spec.groups]
    names = [name for name, count in drawn for _ in range(count)]
    shift = rng.integers(-JITTER, JITTER + 1, size=(len(names), 3)).tolist()
    rows = zip(shapes, names, centres.tolist(), sizes.tolist(), shift, strict=True)
    things = tuple(
        Thing(shape, name, x, y, size, _shifted(PALETTE[name], change))
        for shape, name, (x, y), size, change in rows
    )
    red, green, blue = rng.integers(222, 254, size=3).tolist()
    return Scene(things, (red, green, blue))


def _shifted(rgb: RGB, change: list[int]) -> RGB:
    red, green, blue = (min(255, max(0, c + d)) for c, d in zip(rgb, change, strict=True))
    return (red, green, blue)


def _group_colour(rng: np.random.Generator, group: ThingGroup) -> str:
    if group.colour is not None:
        return group.colour
    # A group asked for without a colour must not show what training never shows.
    free = [colour for colour in COLOURS if (colour, group.shape) not in HELD_OUT]
    return _pick(rng, free)


def _place(rng: np.random.Generator, spec: Spec, shapes: list[str]) -> tuple[Floats, Floats]:
    """Centres [n, 2] and sizes [n], of the first placement in a batch that fits."""
    reach = np.array([REACH[shape] for shape in shapes])
    (low, high), batch = SIZES[len(shapes)], _BATCHES[len(shapes)]
    while True:
        sizes = low + (high - low) * rng.random((batch, len(shapes), 1))
        spans = sizes * reach  # [batch, n, 4]
        start = FRAME + spans[..., :2]
        stop = 1 - FRAME - spans[..., [0, 2]]
        spread = rng.random((batch, len(shapes), 2))
        if spec.relation in _AXES:  # in order along the axis, as few draws would be by chance
            spread[..., _AXES[spec.relation]].sort(axis=1)
        centres = start + (stop - start) * spread
        good = _apart(centres, spans) & _related(centres, spec)
        if good.any():
            best = int(good.argmax())
            return centres[best], sizes[best, :, 0]


def _apart(centres: Floats, spans: Floats) -> npt.NDArray[np.bool_]:
    """[batch]: every two things are a gap apart, as boxes or as surrounding circles."""
    first, second = _pairs(centres.shape[1])
    dx, dy = np.moveaxis(centres[:, first] - centres[:, second], -1, 0)  # [batch, pairs] each
    a, b = np.moveaxis(spans[:, first], -1, 0), np.moveaxis(spans[:, second], -1, 0)
    beside = np.abs(dx) - a[0] - b[0]
    over = np.maximum(dy - a[1] - b[2], -dy - b[1] - a[2])
    away = np.hypot(dx, dy) - a[3] - b[3]
    return np.asarray((np.maximum(np.maximum(beside, over), away) >= GAP).all(1))


@cache
def _pairs(count: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    first, second = np.triu_indices(count, 1)
    return first, second


def _related(centres: Floats, spec: Spec) -> npt.NDArray[np.bool_]:
    """[batch]: the relation holds, with its margin, between all members of the groups."""
    if spec.relation not in _AXES:
        return np.ones(len(centres), dtype=bool)
    along = centres[..., _AXES[spec.relation]]
    count = spec.groups[0].count
    return np.asarray(along[:, :count].max(1) + RELATION_MARGIN <= along[:, count:].min(1))
