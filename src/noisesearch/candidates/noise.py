"""Noise as a recipe: a graph over seeded unit normals, and the one place where it becomes numbers.

A :class:`Noise` is a node (operation, numbers, children) with a content key; equal recipes are
equal nodes. :func:`materialise` turns it into float32, the same on every machine: the normals
come from raw Philox words by our own Box-Muller in float64, rounded once, so no library's normal
sampler is involved.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from .keys import digest
from .spectrum import redrawn

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class Noise:
    """A node of the noise graph; build it with the functions below, compare it by ``key``."""

    op: str
    numbers: tuple[int | float | str, ...] = ()
    children: tuple[Noise, ...] = ()
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        key = digest("noise", self.op, self.numbers, [c.key for c in self.children])
        object.__setattr__(self, "key", key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Noise) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"Noise({self.op}, {self.numbers}, key={self.key[:8]})"

    def line(self) -> dict[str, Any]:
        """This node alone as JSON; children by key."""
        return {"op": self.op, "numbers": list(self.numbers), "of": [c.key for c in self.children]}


def gaussian(seed: int) -> Noise:
    """i.i.d. unit normals of one 64-bit seed."""
    return Noise("gaussian", (int(seed),))


def neighbour(pivot: Noise, seed: int, cosine: float) -> Noise:
    """A noise of the pivot's norm at exactly ``cosine`` to it (arXiv 2501.09732, Section 2.2).

    With n the pivot, u = n/‖n‖, e ~ N(0, I) of ``seed`` and w the unit part of e orthogonal to u:
    y = ‖n‖(λu + √(1-λ²)w).
    """
    if not -1.0 <= cosine <= 1.0:
        raise ConfigError(f"cosine is {cosine}, but must lie between -1 and 1; try 0.95")
    return Noise("neighbour", (int(seed), float(cosine)), (pivot,))


def mix(children: Sequence[Noise], weights: Sequence[float]) -> Noise:
    """Σ wᵢ nᵢ / √(Σ wᵢ²): unit variance again where the children are independent."""
    if len(children) != len(weights) or not children or not any(weights):
        raise ConfigError(
            f"mix got {len(children)} noises and {len(weights)} weights; "
            "it needs one weight for each noise, not all zero"
        )
    return Noise("mix", tuple(map(float, weights)), tuple(children))


def band(base: Noise, elites: Sequence[Noise], seed: int, low: float, high: float) -> Noise:
    """The base with one band of its frequencies drawn anew around the mean of the elites' there.

    Of i.i.d. unit normals' power whatever the elites are, and without any from chance alone
    (:func:`~noisesearch.candidates.spectrum.redrawn`). ``low`` to below ``high``: shares of the
    highest frequency.
    """
    if not 0.0 <= low < high <= 1.0:
        raise ConfigError(f"a band from {low} to {high} is none; it rises, from 0 or more to 1")
    return Noise("band", (int(seed), float(low), float(high)), (base, *elites))


def cross(first: Noise, second: Noise, axis: int) -> Noise:
    """The first half of one noise along an axis (-1: width, -2: height), the other's second half.

    i.i.d. unit normals stay that whatever the two have in common; sums of relatives would not.
    """
    if axis not in (-1, -2):
        raise ConfigError(f"axis is {axis}, but noises are put together along -1 or -2")
    return Noise("cross", (axis,), (first, second))


def ascend(noise: Noise, gradient: str, step: float) -> Noise:
    """The noise moved along a gradient, at its own norm (arXiv 2501.09732, Appendix C).

    n′ = (n + step·∇V)·‖n‖/‖n + step·∇V‖, with ∇V the array stored under the blob key
    ``gradient``; since the first noise is a Gaussian sample, so are the norms of all that follow.
    """
    if not math.isfinite(step):
        raise ConfigError(f"step is {step}, but must be a finite number; try 0.01")
    return Noise("ascend", (float(step),), (noise, blob(gradient)))


def climb(noise: Noise, gradient: str, cosine: float) -> Noise:
    """The noise turned towards a gradient, at its own norm and at exactly ``cosine`` to before.

    As :func:`neighbour`, with the gradient under the blob key ``gradient`` in place of chance.
    """
    return turn(noise, blob(gradient), cosine)


def turn(noise: Noise, towards: Noise, cosine: float) -> Noise:
    """The noise turned towards another, at its own norm and at exactly ``cosine`` to before."""
    if not -1.0 <= cosine <= 1.0:
        raise ConfigError(f"cosine is {cosine}, but must lie between -1 and 1; try 0.995")
    return Noise("climb", (float(cosine),), (noise, towards))


def blob(key: str) -> Noise:
    """An array stored in the run under ``key`` (gradient methods and other makers of data)."""
    return Noise("blob", (key,))


def packed(array: Array) -> tuple[str, bytes]:
    """The blob key of an array, a hash of its content, and the file that a run keeps of it."""
    data = io.BytesIO()
    np.save(data, np.ascontiguousarray(array), allow_pickle=False)
    return hashlib.blake2b(data.getvalue(), digest_size=16).hexdigest(), data.getvalue()


def normals(seed: int, shape: Sequence[int], purpose: int = 0) -> Array:
    """Unit normals [shape] of (seed, purpose), float32, the same on every machine.

    Raw Philox-4x64 words keyed by (seed, purpose); the upper 53 bits of each make a uniform in
    (0, 1]; pairs go through Box-Muller in float64; one rounding to float32 at the end.
    """
    count = math.prod(shape)
    pairs = (count + 1) // 2
    key = np.array([seed & 0xFFFFFFFFFFFFFFFF, purpose], dtype=np.uint64)
    words = np.random.Philox(key=key).random_raw(2 * pairs)
    uniform = ((words >> np.uint64(11)).astype(np.float64) + 1.0) * 2.0**-53
    radius = np.sqrt(-2.0 * np.log(uniform[:pairs]))
    angle = (2.0 * np.pi) * uniform[pairs:]
    both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return both[:count].reshape(tuple(shape)).astype(np.float32)


def turned(pivot: Array, towards: Array, cosine: float) -> Array:
    """The pivot turned towards a direction; as it is where that has no part of its own."""
    n, e = (a.astype(np.float64).ravel() for a in (pivot, towards))
    norm = math.sqrt(float(n @ n))
    if n.size < 2 or norm == 0.0:
        raise ConfigError("a neighbour needs a non-zero noise of at least two numbers")
    u = n / norm
    # Twice, because one projection leaves a rest of the order of rounding times ‖e‖/‖w‖.
    w = e - (e @ u) * u
    w = w - (w @ u) * u
    length = math.sqrt(float(w @ w))
    if length == 0.0:
        return pivot
    w /= length
    y = norm * (cosine * u + math.sqrt(1.0 - cosine * cosine) * w)
    return y.reshape(pivot.shape).astype(np.float32)


def _ascend(noise: Array, gradient: Array, step: float) -> Array:
    n = noise.astype(np.float64)
    moved = n + step * gradient.astype(np.float64)
    length = float(np.linalg.norm(moved))
    if length == 0.0:
        return noise
    return (moved * (float(np.linalg.norm(n)) / length)).astype(np.float32)


def folded(noise: Array, whole: int) -> Array:
    """A noise [C, H, W] of a smaller size: sums over ``whole``·``whole`` places, over ``whole``.

    Sums of k² unit normals have the deviation k, so these are unit normals again; they are the
    noise's low frequencies.
    """
    channels, height, width = noise.shape
    blocks = noise.reshape(channels, height // whole, whole, width // whole, whole)
    sums: Array = blocks.sum(axis=(2, 4)) / np.float32(whole)
    return sums


class Materialiser:
    """Noise nodes to arrays of one shape, remembering the last ``capacity`` of them.

    Contract: the result for a node depends on the node and the shape alone; it is read-only.
    ``fetch`` answers blob keys. ``fold``: give the noises of a size so many times smaller.
    """

    def __init__(
        self,
        shape: Sequence[int],
        fetch: Callable[[str], Array] | None = None,
        capacity: int = 128,
        fold: int = 1,
    ) -> None:
        self.shape = tuple(shape)
        self._fetch = fetch
        self._capacity = capacity
        self._fold = fold
        self._memory: OrderedDict[str, Array] = OrderedDict()

    def __call__(self, noise: Noise) -> Array:
        """float32 [shape]; no recursion, since a thousand rounds are a chain as long."""
        done: dict[str, Array] = {}
        stack = [noise]
        while stack:
            node = stack[-1]
            known = self._memory.get(node.key)
            if known is not None:
                done[node.key] = known
            if node.key in done:
                stack.pop()
                continue
            missing = [c for c in node.children if c.key not in done]
            if missing:
                stack.extend(missing)
                continue
            done[node.key] = self._apply(node, [done[c.key] for c in node.children])
            self._remember(node.key, done[node.key])
            stack.pop()
        self._memory.move_to_end(noise.key) if noise.key in self._memory else None
        found = done[noise.key]
        return found if self._fold == 1 else folded(found, self._fold)

    def _apply(self, node: Noise, of: list[Array]) -> Array:
        match node.op, node.numbers:
            case "gaussian", (int(seed),):
                result = normals(seed, self.shape)
            case "neighbour", (int(seed), float(cosine)):
                result = turned(of[0], normals(seed, of[0].shape, purpose=1), cosine)
            case "mix", weights:
                w = np.array(weights, dtype=np.float64)
                total = sum(wi * a.astype(np.float64) for wi, a in zip(w, of, strict=True))
                result = (total / math.sqrt(float(w @ w))).astype(np.float32)
            case "band", (int(seed), float(low), float(high)):
                fresh = normals(seed, self.shape, purpose=2)
                result = redrawn(of[0], of[1:], fresh, low, high)
            case "cross", (int(axis),):
                half = self.shape[axis] // 2
                ends = np.split(of[0], [half], axis)[0], np.split(of[1], [half], axis)[1]
                result = np.concatenate(ends, axis)
            case "climb", (float(cosine),):
                result = turned(of[0], of[1], cosine)
            case "ascend", (float(step),):
                result = _ascend(of[0], of[1], step)
            case "blob", (str(key),) if self._fetch is not None:
                result = self._fetch(key)
            case _:
                raise ConfigError(
                    f"cannot make numbers of {node!r}: unknown operation or no blobs"
                )
        if result.shape != self.shape:
            raise ConfigError(f"{node!r} has shape {result.shape}, but {self.shape} is needed")
        result.setflags(write=False)
        return result

    def _remember(self, key: str, array: Array) -> None:
        self._memory[key] = array
        while len(self._memory) > self._capacity:
            self._memory.popitem(last=False)
