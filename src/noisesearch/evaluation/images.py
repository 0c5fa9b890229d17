"""Sets of images to be measured: a folder of anybody's files, and what a run has come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..candidates.condition import Condition
from ..errors import ConfigError, first_of
from ..files import pictures
from ..files.pictures import Picture
from ..store.run_store import RunStore
from ..store.winners import stored_results
from .captions import captions
from .check_verifier import condition_of

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class ImageFiles:
    """Files of pictures, all of one size, and what each should show; None: it is not known."""

    name: str
    paths: Sequence[Path]
    conditions: Sequence[Condition | None]

    @property
    def prompts(self) -> list[str | None]:
        return [None if c is None else c.text for c in self.conditions]

    def __len__(self) -> int:
        return len(self.paths)

    def picture(self, index: int) -> Picture:
        """uint8 [H, W, 3]; of a video the frame in the middle. ConfigError for a broken file."""
        path = self.paths[index]
        try:
            return pictures.still(pictures.read(path))
        except ConfigError as error:
            raise ConfigError(
                f"{path} is broken: {error}; restore it or take it out of the folder"
            ) from error

    def check(self) -> ImageFiles:
        """Itself; ConfigError where files are missing, are no pictures or differ in size."""
        sizes: dict[tuple[int, int], Path] = {}
        broken = []
        for path in self.paths:
            try:
                with pictures.opened(path) as image:
                    sizes.setdefault(image.size, path)
            except ConfigError:
                broken.append(path.name)
        if broken:
            raise ConfigError(
                f"{len(broken)} of {len(self)} images cannot be read ({first_of(broken)}); "
                "restore them or take them out of the folder"
            )
        if len(sizes) > 1:
            (one, first), (other, second) = list(sizes.items())[:2]
            raise ConfigError(
                f"{first.name} is {one[0]}x{one[1]} and {second.name} is {other[0]}x{other[1]}, "
                "but the images of a set must be of one size; resize them, or measure each size "
                "by itself"
            )
        return self


def of_folder(folder: Path, prompts: Sequence[str | None] | None = None) -> ImageFiles:
    """All pictures of a folder and those below it, in the order of their names.

    ``prompts``: given to the files in turn, as many files to each; without them a prompt is what
    stands beside or in the file (:mod:`evaluation.captions`).
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ConfigError(f"{folder} {what}; give a run or a folder of PNG, JPEG or WebP files")
    # Files of the system and of editors begin with a dot.
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS
                   and not path.name.startswith("."))  # fmt: skip
    if not paths:
        raise ConfigError(f"{folder} holds no images; give a run or a folder of PNG, JPEG or WebP "
                          "files")  # fmt: skip
    found: Sequence[Condition | None]
    if prompts is None:
        found = captions(folder, paths)
    elif len(paths) % len(prompts):
        raise ConfigError(
            f"{folder} holds {len(paths)} images and --prompts has {len(prompts)} prompts, but "
            "each prompt must have as many images, in the order of their names"
        )
    else:
        found = [condition_of(p) for p in prompts for _ in range(len(paths) // len(prompts))]
    return ImageFiles("images", paths, found).check()


def of_run(folder: Path) -> list[ImageFiles]:
    """The images of a run without search and with it, in this order; each checked."""
    content = stored_results(folder)
    store = RunStore(folder, write=False)
    try:
        graph = store.graph()
    finally:
        store.close()
    sets = []
    for name, keys in _compared(content).items():
        paths = [folder / "samples" / f"{key}.png" for key in keys]
        gone = [path.name for path in paths if not path.is_file()]
        if gone:
            raise ConfigError(
                f"{len(gone)} of {len(paths)} images are not in {folder / 'samples'} "
                f"({first_of(gone)}); restore them from a copy, or make the run again"
            )
        if not keys:
            raise ConfigError(f"{folder} has no winners yet; go on with: noisesearch resume "
                              f"{folder}")  # fmt: skip
        conditions = [graph.trajectory(key).condition for key in keys]
        sets.append(ImageFiles(name, paths, conditions).check())
    return sets


def _compared(content: Mapping[str, Any]) -> dict[str, list[str]]:
    """The trajectories of both sets: of a population the whole, else each search's first."""
    population = content.get("population")
    if population is not None:
        return {"baseline": population["without_search"], "winner": population["with_search"]}
    return {name: [search[name]["trajectory"] for search in content["searches"]]
            for name in ("baseline", "winner")}  # fmt: skip
