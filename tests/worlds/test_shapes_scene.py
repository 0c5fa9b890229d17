"""Specs and Scenes: what is drawn is what was asked, and never what training must not see."""

from __future__ import annotations

import numpy as np
import pytest

from noisesearch.errors import ConfigError
from noisesearch.worlds.shapes.scene import (
    COLOURS,
    GAP,
    HELD_OUT,
    PALETTE,
    RELATION_MARGIN,
    SHAPES,
    Scene,
    Spec,
    ThingGroup,
    is_reserved,
    sample_scene,
    sample_spec,
    spec_from_json,
    spec_to_json,
)

RED_CIRCLE = ThingGroup(1, "red", "circle")
BLUE_SQUARES = ThingGroup(2, "blue", "square")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def test_specs_that_mean_the_same_are_equal() -> None:
    left = Spec((RED_CIRCLE, BLUE_SQUARES), "left of")
    assert left == Spec((BLUE_SQUARES, RED_CIRCLE), "right of")
    assert left != Spec((BLUE_SQUARES, RED_CIRCLE), "left of")
    assert Spec((RED_CIRCLE, BLUE_SQUARES), "above") == Spec((BLUE_SQUARES, RED_CIRCLE), "below")
    both = Spec((RED_CIRCLE, BLUE_SQUARES), "and")
    assert hash(both) == hash(Spec((BLUE_SQUARES, RED_CIRCLE), "and"))
    assert spec_from_json(spec_to_json(left)) == left


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: ThingGroup(4, "red", "circle"), "4 things"),
        (lambda: ThingGroup(1, "pink", "circle"), "'pink'"),
        (lambda: ThingGroup(1, "red", "star"), "'star'"),
        (lambda: Spec((ThingGroup(3, None, "ring"), BLUE_SQUARES), "and"), "5 things"),
        (lambda: Spec((RED_CIRCLE,), "above"), "needs two groups"),
        (lambda: Spec((RED_CIRCLE, BLUE_SQUARES), "near"), "'near'"),
        (lambda: Spec((RED_CIRCLE, BLUE_SQUARES)), "None"),
    ],
)
def test_what_the_world_does_not_hold_is_refused(build: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build()  # type: ignore[operator]


def test_training_never_sees_held_out_or_reserved(rng: np.random.Generator) -> None:
    drawn = [sample_spec(rng, "train") for _ in range(3000)]
    assert not any(spec.held_out or is_reserved(spec) for spec in drawn)
    # Every other combination is still learned, alone or in company.
    shown = {(g.colour, g.shape) for spec in drawn for g in spec.groups if g.colour}
    assert shown == {(c, s) for c in COLOURS for s in SHAPES} - HELD_OUT
    assert {len(spec.groups) for spec in drawn} == {1, 2}
    assert {spec.relation for spec in drawn} == {None, "and", "left of", "above"}


def test_held_out_specs_hold_a_held_out_combination(rng: np.random.Generator) -> None:
    drawn = [sample_spec(rng, "heldout") for _ in range(500)]
    assert all(spec.held_out for spec in drawn)
    assert {(g.colour, g.shape) for spec in drawn for g in spec.groups} >= HELD_OUT


def test_every_colour_and_shape_keeps_partners_in_training() -> None:
    for colour in COLOURS:
        assert sum((colour, shape) in HELD_OUT for shape in SHAPES) <= 1
    for shape in SHAPES:
        assert sum((colour, shape) in HELD_OUT for colour in COLOURS) <= 2


def test_scenes_fulfil_their_spec(rng: np.random.Generator) -> None:
    for _ in range(400):
        spec = sample_spec(rng, "any")
        scene = sample_scene(rng, spec)
        assert len(scene.things) == spec.total
        _assert_groups(scene, spec)
        _assert_apart(scene)


def _assert_groups(scene: Scene, spec: Spec) -> None:
    first = scene.things[: spec.groups[0].count]
    second = scene.things[spec.groups[0].count :]
    for group, team in zip(spec.groups, (first, second), strict=False):
        assert {thing.shape for thing in team} == {group.shape}
        assert all(thing.colour == group.colour for thing in team) or group.colour is None
        if group.colour is None:
            assert all((thing.colour, thing.shape) not in HELD_OUT for thing in team)
    if spec.relation == "left of":
        assert max(t.x for t in first) + RELATION_MARGIN <= min(t.x for t in second)
    if spec.relation == "above":
        assert max(t.y for t in first) + RELATION_MARGIN <= min(t.y for t in second)


def _assert_apart(scene: Scene) -> None:
    for index, a in enumerate(scene.things):
        assert 0.35 * a.size < a.x < 1 - 0.35 * a.size
        assert 0.35 * a.size < a.y < 1 - 0.35 * a.size
        for b in scene.things[:index]:
            # The inner radius of every shape is a lower bound on how far apart they must be.
            assert np.hypot(a.x - b.x, a.y - b.y) > 0.35 * (a.size + b.size) + GAP


def test_backgrounds_are_lighter_than_grey(rng: np.random.Generator) -> None:
    scene = sample_scene(rng, Spec((ThingGroup(1, "grey", "square"),)))
    assert min(scene.background) > max(PALETTE["grey"]) + 80


def test_same_generator_same_scene() -> None:
    spec = Spec((RED_CIRCLE, BLUE_SQUARES), "above")
    scenes = [sample_scene(np.random.default_rng(3), spec) for _ in range(2)]
    assert scenes[0] == scenes[1]
