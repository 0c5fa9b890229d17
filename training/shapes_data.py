"""Render the training pool of the shapes world to disk, and read batches of it.

    python training/shapes_data.py --count 240000

The pool holds images, several captions of each and the specs behind them, memory-mapped under
training/runs/pool, so that training spends the processor on the network alone.
"""

from __future__ import annotations

import argparse
import pickle
import time
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from noisesearch.worlds.shapes.prompts import describe, tokenize
from noisesearch.worlds.shapes.render import render
from noisesearch.worlds.shapes.scene import Spec, sample_scene, sample_spec

RUNS = Path(__file__).parent / "runs"
POOL = RUNS / "pool"
CAPTIONS = 4
CHUNK = 2000
SEED = 11


@dataclass
class ShapesPool:
    """Training pairs: images [N, 32, 32, 3] uint8, tokens [N, CAPTIONS, 16] uint8, specs."""

    images: npt.NDArray[np.uint8]
    tokens: npt.NDArray[np.uint8]
    specs: list[Spec]

    def batch(self, rows: npt.NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Images [B, 3, 32, 32] in [-1, 1] and one drawn caption [B, 16] of each row."""
        caption = rng.integers(self.tokens.shape[1], size=len(rows))
        images = torch.from_numpy(self.images[rows]).permute(0, 3, 1, 2).float()
        tokens = torch.from_numpy(self.tokens[rows, caption].astype(np.int64))
        return images / 127.5 - 1.0, tokens


def render_chunk(index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], list[Spec]]:
    """One chunk of the pool; its number fixes its content."""
    rng = np.random.default_rng([SEED, index])
    images = np.empty((CHUNK, 32, 32, 3), dtype=np.uint8)
    tokens = np.empty((CHUNK, CAPTIONS, 16), dtype=np.uint8)
    specs = []
    for row in range(CHUNK):
        spec = sample_spec(rng, split="train")
        images[row] = render(sample_scene(rng, spec))
        tokens[row] = [tokenize(describe(spec, rng)) for _ in range(CAPTIONS)]
        specs.append(spec)
    return images, tokens, specs


def make(count: int, folder: Path, workers: int) -> None:
    """Render `count` pairs into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    chunks, started = count // CHUNK, time.time()
    images = np.lib.format.open_memmap(
        folder / "images.npy", "w+", np.uint8, (chunks * CHUNK, 32, 32, 3)
    )
    tokens = np.lib.format.open_memmap(
        folder / "tokens.npy", "w+", np.uint8, (chunks * CHUNK, CAPTIONS, 16)
    )
    specs: list[Spec] = []
    with Pool(workers) as pool:
        for index, part in enumerate(pool.imap(render_chunk, range(chunks))):
            rows = slice(index * CHUNK, (index + 1) * CHUNK)
            images[rows], tokens[rows] = part[0], part[1]
            specs.extend(part[2])
    images.flush()
    tokens.flush()
    (folder / "specs.pickle").write_bytes(pickle.dumps(specs))
    print(f"{len(specs)} pairs in {time.time() - started:.0f} s")


def open_pool(folder: Path = POOL) -> ShapesPool:
    """The pool that `make` rendered."""
    images = np.load(folder / "images.npy", mmap_mode="r")
    tokens = np.load(folder / "tokens.npy")
    return ShapesPool(images, tokens, pickle.loads((folder / "specs.pickle").read_bytes()))


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
