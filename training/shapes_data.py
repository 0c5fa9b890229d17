"""Data for the networks of the shapes world: a rendered pool, false captions, flawed images.

    python training/shapes_data.py --count 240000

The pool holds images, several captions of each and the specs behind them, memory-mapped under
training/runs/pool, so that training spends the processor on the network alone.
"""

from __future__ import annotations

import argparse
import itertools
import pickle
import time
from dataclasses import dataclass, replace
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from noisesearch.worlds.shapes.network import ShapesTransformer
from noisesearch.worlds.shapes.prompts import describe, tokenize, unconditional
from noisesearch.worlds.shapes.render import render
from noisesearch.worlds.shapes.scene import (
    COLOURS,
    MAX_COUNT,
    MAX_THINGS,
    RELATIONS,
    SHAPES,
    Scene,
    Spec,
    Thing,
    sample_scene,
    sample_spec,
)

RUNS = Path(__file__).parent / "runs"
POOL = RUNS / "pool"
CAPTIONS = 4
CHUNK = 2000
SEED = 11


@dataclass
class ShapesPool:
    """Training pairs: images [N, 32, 32, 3], tokens [N, CAPTIONS, 16], kinds [N, 64], specs."""

    images: npt.NDArray[np.uint8]
    tokens: npt.NDArray[np.uint8]
    kinds: npt.NDArray[np.uint8]
    specs: list[Spec]

    def batch(
        self, rows: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Images [B, 3, 32, 32] in [-1, 1] and one drawn caption [B, 16] of each row."""
        caption = rng.integers(self.tokens.shape[1], size=len(rows))
        images = torch.from_numpy(self.images[rows]).permute(0, 3, 1, 2).float()
        tokens = torch.from_numpy(self.tokens[rows, caption].astype(np.int64))
        return images / 127.5 - 1.0, tokens


def patch_kinds(scene: Scene) -> npt.NDArray[np.uint8]:
    """Which kind of thing each patch of 4x4 pixels shows: [64], 0 where none."""
    axis = (np.arange(8) + 0.5) / 8
    kinds = np.zeros((8, 8), dtype=np.uint8)
    for thing in scene.things:
        near = np.hypot(axis - thing.x, axis[:, None] - thing.y) < 0.5 * thing.size
        kind = 1 + SHAPES.index(thing.shape) * len(COLOURS) + COLOURS.index(thing.colour)
        kinds[near] = kind
    return kinds.reshape(64)


Chunk = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.uint8], list[Spec]]


def render_chunk(index: int) -> Chunk:
    """One chunk of the pool; its number fixes its content."""
    rng = np.random.default_rng([SEED, index])
    images = np.empty((CHUNK, 32, 32, 3), dtype=np.uint8)
    tokens = np.empty((CHUNK, CAPTIONS, 16), dtype=np.uint8)
    kinds = np.empty((CHUNK, 64), dtype=np.uint8)
    specs = []
    for row in range(CHUNK):
        spec = sample_spec(rng, split="train")
        scene = sample_scene(rng, spec)
        images[row], kinds[row] = render(scene), patch_kinds(scene)
        tokens[row] = [tokenize(describe(spec, rng)) for _ in range(CAPTIONS)]
        specs.append(spec)
    return images, tokens, kinds, specs


def make(count: int, folder: Path, workers: int) -> None:
    """Render `count` pairs into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    chunks, started = count // CHUNK, time.time()
    stored = [
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.uint8, (chunks * CHUNK, *shape))
        for name, shape in (("images", (32, 32, 3)), ("tokens", (CAPTIONS, 16)), ("kinds", (64,)))
    ]
    specs: list[Spec] = []
    with Pool(workers) as pool:
        for index, part in enumerate(pool.imap(render_chunk, range(chunks))):
            for array, values in zip(stored, part[:3], strict=True):
                array[index * CHUNK : (index + 1) * CHUNK] = values
            specs.extend(part[3])
    for array in stored:
        array.flush()
    (folder / "specs.pickle").write_bytes(pickle.dumps(specs))
    print(f"{len(specs)} pairs in {time.time() - started:.0f} s")


def open_pool(folder: Path = POOL) -> ShapesPool:
    """The pool that `make` rendered."""
    images = np.load(folder / "images.npy", mmap_mode="r")
    tokens, kinds = np.load(folder / "tokens.npy"), np.load(folder / "kinds.npy")
    return ShapesPool(images, tokens, kinds, pickle.loads((folder / "specs.pickle").read_bytes()))


def caption(spec: Spec, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Token numbers [16] of one way to say the Spec."""
    return tokenize(describe(spec, rng))


def images_of(stored: npt.NDArray[np.uint8]) -> Tensor:
    """Stored images [B, 32, 32, 3] as floats [B, 3, 32, 32] in [0, 1]."""
    return torch.from_numpy(stored).permute(0, 3, 1, 2).float() / 255


# ---- false captions ---------------------------------------------------------------------

ATTRIBUTES = ("colour", "shape", "count", "relation", "binding")


def _other(options: tuple[str, ...] | range, current: object, rng: np.random.Generator) -> object:
    rest = [option for option in options if option != current]
    return rest[int(rng.integers(len(rest)))]


def _change_group(spec: Spec, attribute: str, rng: np.random.Generator) -> Spec | None:
    """The Spec with one group's colour, shape or count changed, if it can be."""
    at = int(rng.integers(len(spec.groups)))
    group = spec.groups[at]
    if attribute == "colour" and group.colour is None:
        return None
    field = {"colour": COLOURS, "shape": SHAPES, "count": range(1, MAX_COUNT + 1)}[attribute]
    changed = replace(group, **{attribute: _other(field, getattr(group, attribute), rng)})
    groups = (*spec.groups[:at], changed, *spec.groups[at + 1 :])
    if sum(each.count for each in groups) > MAX_THINGS:
        return None
    return Spec(groups, spec.relation)


def _bind_wrongly(spec: Spec, rng: np.random.Generator) -> Spec:
    """The Spec with the colours or the counts of its two groups exchanged."""
    first, second = spec.groups
    field = "colour" if first.colour != second.colour and rng.random() < 0.7 else "count"
    ours, theirs = getattr(first, field), getattr(second, field)
    groups = (replace(first, **{field: theirs}), replace(second, **{field: ours}))
    return Spec(groups, spec.relation)


def falsify(spec: Spec, attribute: str, rng: np.random.Generator) -> Spec | None:
    """The Spec with one attribute made false of its pictures, or None if that cannot be.

    Held-out combinations are never the answer: seen only as false they would count as wrong.
    """
    if attribute in ("relation", "binding") and len(spec.groups) == 1:
        return None
    if attribute == "relation":
        turned = spec.relation in RELATIONS
        changed = Spec(spec.groups[::-1], spec.relation) if turned else None
    elif attribute == "binding":
        changed = _bind_wrongly(spec, rng)
    else:
        changed = _change_group(spec, attribute, rng)
    usable = changed is not None and changed != spec and not changed.held_out
    return changed if usable else None


def falsify_somehow(spec: Spec, rng: np.random.Generator) -> Spec:
    """The Spec with one attribute, drawn at random, made false."""
    while True:
        attribute = ATTRIBUTES[int(rng.integers(len(ATTRIBUTES)))]
        changed = falsify(spec, attribute, rng)
        if changed is not None:
            return changed


# ---- pictures of no prompt, flawed images -------------------------------------------------


def loose_scene(rng: np.random.Generator) -> Scene:
    """One to six things of any size anywhere, fulfilling no prompt in particular."""
    count = int(rng.choice(6, p=(0.24, 0.22, 0.2, 0.16, 0.1, 0.08))) + 1
    largest = 0.6 if count == 1 else 0.48 if count < 4 else 0.34
    things = []
    for _ in range(count):
        size = float(rng.uniform(0.2, largest))
        x, y = rng.uniform(0.4 * size, 1 - 0.4 * size, size=2).tolist()
        shape, colour = rng.choice(SHAPES), rng.choice(COLOURS)
        things.append(Thing(str(shape), str(colour), x, y, size))
    red, green, blue = rng.integers(205, 254, size=3).tolist()
    return Scene(tuple(things), (red, green, blue))


def _bend(images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Images [B, 3, 32, 32] pulled about by a smooth random field of the given strength [B]."""
    coarse = torch.randn(len(images), 2, 5, 5, generator=generator) * 0.22
    field = F.interpolate(coarse, size=32, mode="bicubic", align_corners=True)
    field = field.permute(0, 2, 3, 1) * strength[:, None, None, None]
    plain = F.affine_grid(
        torch.eye(2, 3).expand(len(images), 2, 3), list(images.shape), align_corners=False
    )
    return F.grid_sample(images, plain + field, padding_mode="border", align_corners=False)


def spoil(images: Tensor, severity: Tensor, generator: torch.Generator) -> Tensor:
    """Images [B, 3, 32, 32] in [0, 1] made worse by a severity [B] in [0, 1].

    Each is bent, ghosted by another, blurred or made grainy, or all of these a little.
    """
    kinds = torch.rand(len(images), 4, generator=generator).pow(3)
    amount = kinds / kinds.amax(dim=1, keepdim=True) * severity[:, None]
    bend, ghost, blur, grain = amount.unbind(1)
    images = _bend(images, bend, generator)
    other = images[torch.randperm(len(images), generator=generator)]
    images = torch.lerp(images, other, 0.45 * ghost[:, None, None, None])
    soft = F.avg_pool2d(F.pad(images, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    images = torch.lerp(images, soft, blur[:, None, None, None])
    noise = torch.randn(images.shape, generator=generator)
    return (images + 0.2 * grain[:, None, None, None] * noise).clamp(0, 1)


# ---- the generator's own images ---------------------------------------------------------


@torch.no_grad()
def sample(
    network: ShapesTransformer, prompts: list[str], steps: int, guidance: float, seed: int
) -> Tensor:
    """Images [B, 3, 32, 32] in [0, 1] by Euler steps with classifier-free guidance."""
    tokens = torch.from_numpy(np.stack([tokenize(prompt) for prompt in prompts]))
    empty = torch.from_numpy(unconditional())[None].expand(len(prompts), -1)
    x = torch.randn(len(prompts), 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    x = integrate(network, x, tokens, steps, guidance, empty)
    return (x * 0.5 + 0.5).clamp(0, 1)


def integrate(
    network: ShapesTransformer,
    x: Tensor,
    context: Tensor,
    steps: int,
    guidance: float = 1.0,
    empty: Tensor | None = None,
) -> Tensor:
    """Samples [B, 3, 32, 32] in [-1, 1] of noises alike; ``empty`` is the context that guidance
    moves away from."""
    times = torch.linspace(1.0, 0.0, steps + 1)
    with torch.autocast("cpu", torch.bfloat16):
        for now, after in itertools.pairwise(times):
            clean = network(x, now.expand(len(x)), context)
            if guidance != 1 and empty is not None:
                without = network(x, now.expand(len(x)), empty)
                clean = without + guidance * (clean - without)
            x = clean + (after / now) * (x - clean)
    return x


def write_grid(images: Tensor, columns: int, path: Path) -> None:
    """Write images [B, 3, 32, 32] in [0, 1] as one picture, three times enlarged."""
    rows = len(images) // columns
    grid = images.view(rows, columns, 3, 32, 32).permute(0, 3, 1, 4, 2)
    pixels: npt.NDArray[np.uint8] = (grid * 255).round().to(torch.uint8).numpy()
    picture = Image.fromarray(pixels.reshape(rows * 32, columns * 32, 3))
    picture.resize((columns * 96, rows * 96), Image.Resampling.NEAREST).save(path)


# ---- command line -----------------------------------------------------------------------


def main() -> None:
    """Render the pool."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--count", type=int, default=240_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=POOL)
    arguments = parser.parse_args()
    make(arguments.count, arguments.folder, arguments.workers)


if __name__ == "__main__":
    main()
