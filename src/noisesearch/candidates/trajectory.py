"""Trajectories: a condition, a start noise and the moves made since; recipes, never tensors.

A trajectory is a node of a graph like the noises are: its key is a hash of its last move and its
parent's key, so a thousand descendants of one prefix share it and a journal writes it once.

Words: a *grid* is a list of times that a leg integrates over, a *level* an index on it (0 = its
start). Time runs from 1 (noise) to 0 (clean). A full grid (1 → 0) is the model's own schedule,
another is uniform in the time of the linear interpolant.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import ConfigError
from .condition import Condition
from .keys import digest
from .noise import Noise

FULL = "full"  # the draft of a trajectory at full quality


@dataclass(frozen=True, slots=True)
class Grid:
    """``steps`` intervals from time ``start`` down to time ``end``."""

    steps: int
    start: float = 1.0
    end: float = 0.0

    @property
    def full(self) -> bool:
        return self.start == 1.0 and self.end == 0.0

    def uniform(self) -> list[float]:
        """The times of its levels, evenly spaced."""
        span = self.end - self.start
        return [self.start + span * k / self.steps for k in range(self.steps + 1)]


Turns = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Denoise:
    """Integrate on the current grid down to level ``to``.

    ``seed`` names the noise that a stochastic solver injects (keyed by step, so 3→9 is 3→6→9);
    None for an ODE. ``turns``, (seed, cosine) one after the other, make it a neighbour of what the
    seed names, as :func:`~noisesearch.candidates.noise.neighbour` does of a start noise.
    """

    to: int
    seed: int | None = None
    turns: Turns = ()


@dataclass(frozen=True, slots=True)
class Renoise:
    """Diffuse up to ``grid.start`` with the fresh noise of ``seed``; then ``grid`` is current."""

    grid: Grid
    seed: int


Move = Denoise | Renoise


@dataclass(frozen=True, eq=False, slots=True)
class Trajectory:
    """Where a sample comes from; begin with :meth:`begin`, go on with the two moves."""

    condition: Condition
    noise: Noise
    draft: str
    steps: int  # from 1 to 0, were the first leg to go that far
    grid: Grid
    level: int
    parent: Trajectory | None = None
    move: Move | None = None
    key: str = field(init=False, repr=False)
    edge: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        match self.move, self.parent:
            case None, _:
                start = (self.condition.key, self.noise.key, self.draft, self.steps)
                # A full grid's key has no end in it: those are the keys of runs there are.
                key = edge = digest("trajectory", *start, *(() if self.grid.full else
                                                            (self.grid.end,)))  # fmt: skip
            case Renoise(grid, seed), Trajectory(key=of):
                key = edge = digest("renoise", of, grid.steps, grid.start, grid.end, seed)
            case Denoise(to, seed, turns), Trajectory(key=of):
                added = (seed, turns) if turns else (seed,)
                key, edge = digest("denoise", of, to, *added), digest("edge", of, *added)
            case _:
                raise AssertionError("a move has a parent")
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "edge", edge)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trajectory) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"Trajectory({str(self.condition)!r}, {self.moves}, key={self.key[:8]})"

    @classmethod
    def begin(
        cls,
        condition: Condition,
        noise: Noise,
        steps: int,
        draft: str = FULL,
        end: float = 0.0,
    ) -> Trajectory:
        """The start of a trajectory over the model's own grid of ``steps`` intervals.

        With an ``end`` above 0 the first leg stops there after its part of the steps, rounded
        up, and a renoising goes on from it.
        """
        if steps < 1:
            raise ConfigError(f"got {steps} steps, but a trajectory needs at least one")
        if not 0.0 <= end < 1.0:
            raise ConfigError(f"a first leg cannot end at {end}: times run from 1 down to 0")
        # Rounded first, since (1 − 0.2)·10 is a little more than 8 in floating point.
        grid = Grid(math.ceil(round((1.0 - end) * steps, 9)), 1.0, end)
        return cls(condition, noise, draft, steps, grid, 0)

    def denoise(
        self, to: int | None = None, seed: int | None = None, turns: Turns = ()
    ) -> Trajectory:
        """Go down to level ``to`` (default: the end of the grid).

        Neighbouring moves with the same injected noise merge, so 3→6→9 *is* 3→9.
        """
        to = self.grid.steps if to is None else to
        if not self.level < to <= self.grid.steps:
            raise ConfigError(
                f"cannot denoise from level {self.level} to {to}: levels go up to "
                f"{self.grid.steps}, and the next must be larger than the last"
            )
        parent, move = self, Denoise(to, seed, turns)
        if self.parent is not None and self.move == replace(move, to=self.level):
            parent = self.parent
        return self._next(parent, move, self.grid, to)

    def renoise(self, time: float, seed: int, end: float, steps: int) -> Trajectory:
        """Go up to ``time`` with fresh noise, opening a grid of ``steps`` down to ``end``."""
        now = self.grid.end if self.level == self.grid.steps else None
        if not 0.0 <= end < time <= 1.0 or steps < 1 or (now is not None and time <= now):
            raise ConfigError(
                f"cannot renoise to {time} and go down to {end} in {steps} steps: the time must "
                "rise above the present one, then fall, in at least one step"
            )
        grid = Grid(steps, time, end)
        return self._next(self, Renoise(grid, seed), grid, 0)

    def _next(self, parent: Trajectory, move: Move, grid: Grid, level: int) -> Trajectory:
        return Trajectory(
            self.condition, self.noise, self.draft, self.steps, grid, level, parent, move
        )

    @property
    def finished(self) -> bool:
        """True where the sample is clean; an unfinished trajectory is scored by its preview."""
        return self.level == self.grid.steps and self.grid.end == 0.0

    def lineage(self) -> list[Trajectory]:
        """From the start to this node."""
        nodes: list[Trajectory] = []
        node: Trajectory | None = self
        while node is not None:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]

    @property
    def moves(self) -> tuple[Move, ...]:
        return tuple(n.move for n in self.lineage() if n.move is not None)

    @property
    def prefix(self) -> Trajectory:
        """This trajectory without its last move."""
        return self if self.parent is None else self.parent

    def at(self, steps: int) -> Trajectory:
        """The same start noise, moves and seeds, no draft, with ``steps`` from 1 to 0.

        Every leg's steps are scaled by the same ratio and rounded up; a move that is then shorter
        than a step is left out.
        """
        first, *rest = self.lineage()
        if steps == self.steps and self.draft == FULL:
            return self

        def scaled(n: int) -> int:
            return -(-n * steps // self.steps)

        result = Trajectory.begin(self.condition, self.noise, steps, FULL, first.grid.end)
        for node in rest:
            if isinstance(node.move, Renoise):
                grid = node.move.grid
                result = result.renoise(grid.start, node.move.seed, grid.end, scaled(grid.steps))
            elif isinstance(node.move, Denoise):
                # To the end stays to the end, where the rounding of a part could overshoot it.
                end = node.move.to == node.grid.steps
                to = result.grid.steps if end else min(scaled(node.move.to), result.grid.steps)
                if to > result.level:
                    result = result.denoise(to, node.move.seed, node.move.turns)
        return result

    def line(self) -> dict[str, Any]:
        """This node alone as JSON; parent and noise by key."""
        match self.move:
            case Denoise(to, seed, turns):
                turned = {"turns": [list(turn) for turn in turns]} if turns else {}
                return {"op": "denoise", "of": self.prefix.key, "to": to, "seed": seed, **turned}
            case Renoise(grid, seed):
                numbers = {"time": grid.start, "end": grid.end, "steps": grid.steps, "seed": seed}
                return {"op": "renoise", "of": self.prefix.key, **numbers}
        start = {"noise": self.noise.key, "steps": self.steps, "draft": self.draft}
        end = {} if self.grid.full else {"end": self.grid.end}
        return {"op": "begin", "condition": self.condition.json(), **start, **end}


def nodes(trajectory: Trajectory, known: Mapping[str, Any] | set[str]) -> Iterator[Node]:
    """Every noise and trajectory node under this one not in ``known``, children first."""
    stack: list[Node] = [trajectory]
    seen: set[str] = set()
    while stack:
        node = stack[-1]
        children: tuple[Node, ...]
        if isinstance(node, Noise):
            children = node.children
        else:
            children = (node.parent,) if node.parent is not None else (node.noise,)
        missing = [c for c in children if c.key not in known and c.key not in seen]
        if node.key in known or node.key in seen:
            stack.pop()
        elif missing:
            stack.extend(missing)
        else:
            seen.add(node.key)
            yield node
            stack.pop()


Node = Noise | Trajectory


class Graph:
    """Nodes by key, rebuilt from their lines; an exported recipe is such a list in order."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}

    def __contains__(self, key: str) -> bool:
        return key in self.nodes

    def trajectory(self, key: str) -> Trajectory:
        """The trajectory of ``key``; ConfigError where there is none."""
        node = self.nodes.get(key)
        if not isinstance(node, Trajectory):
            raise ConfigError(f"no trajectory with key {key} in this recipe")
        return node

    def add(self, key: str, line: Mapping[str, Any]) -> None:
        """Append one node whose children are here already; its key must fit its content."""
        try:
            node = self._node(line)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ConfigError(f"recipe node {key} is not complete ({error!r})") from error
        if node.key != key:
            raise ConfigError(f"recipe node {key} does not match its content ({node.key})")
        self.nodes[key] = node

    def _node(self, line: Mapping[str, Any]) -> Node:
        of = line.get("of")
        match line["op"]:
            case "begin":
                noise = self.nodes[line["noise"]]
                if not isinstance(noise, Noise):
                    raise TypeError(f"{line['noise']} is not a noise")
                condition = Condition(**line["condition"])
                end = line.get("end", 0.0)
                return Trajectory.begin(condition, noise, line["steps"], line["draft"], end)
            case "denoise":
                turns = tuple((seed, cosine) for seed, cosine in line.get("turns", ()))
                return self.trajectory(str(of)).denoise(line["to"], line["seed"], turns)
            case "renoise":
                return self.trajectory(str(of)).renoise(
                    line["time"], line["seed"], line["end"], line["steps"]
                )
            case op:
                noises = tuple(n for k in line["of"] if isinstance(n := self.nodes[k], Noise))
                return Noise(op, tuple(line["numbers"]), noises)


def evaluations(trajectory: Trajectory, stages: int) -> dict[str, int]:
    """The distinct denoiser evaluations that a trajectory needs, as {owner: bit mask}.

    Bit ``level·stages + stage`` of an owner is one evaluation of one sample. Stage 0 of a level
    belongs to the state it looks at, so a preview and the step that goes on from it are one
    evaluation, and siblings that branch there share it. Unfinished trajectories pay a preview.
    """
    masks: dict[str, int] = {}

    def add(owner: str, first: int, count: int) -> None:
        masks[owner] = masks.get(owner, 0) | (((1 << count) - 1) << first)

    if not trajectory.finished:
        add(trajectory.edge, trajectory.level * stages, 1)
    node = trajectory
    while node.parent is not None:
        parent = node.parent
        if isinstance(node.move, Denoise):
            first, count = parent.level * stages, (node.level - parent.level) * stages
            add(parent.edge, first, 1)
            if count > 1:
                add(node.edge, first + 1, count - 1)
        node = parent
    return masks
