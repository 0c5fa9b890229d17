"""Make a picture again from the recipe in its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..candidates.ask import Ask, Score
from ..candidates.noise import Array
from ..candidates.trajectory import FULL
from ..errors import ConfigError, StoreError
from ..files import pictures
from ..files.writing import replace
from ..models.choice import as_model
from ..names import drafts
from ..setup import fingerprints, workers
from ..setup.consent import NamedCode, is_code
from ..setup.loaded import Loaded
from ..setup.python_objects import PythonObjects
from ..store.given_images import InputImages
from ..store.picture_recipe import Pictured, _made
from ..store.run_store import RunStore
from ..store.spec import RunSpec


@dataclass(frozen=True)
class Remade:
    """``pixels``: the largest difference from the file, of 255; None where the file has another
    size since."""

    file: Path
    pixels: float | None


def remake(image: str | Path, out: str | Path, model: Any = None) -> Remade:
    """Make a picture again from the recipe in its file, and compare.

    ``model``: a name or object in place of the recorded one. It has to be given where that is
    code of somebody's (``file.py:Name``), which a picture must not start, or was an object.
    Arrays of gradient methods and images that a pipeline was given are in the run folder alone,
    so there the file must lie in it. ConfigError or StoreError for what cannot be made again.
    """
    known, file = Pictured.read(Path(image)), Path(out)
    if file.suffix != ".png":
        raise ConfigError(f"out is {file}, but the picture is written as .png; name it so")
    if file.exists() and file.samefile(known.path):
        raise ConfigError(f"out is {file}, the picture itself; choose another name")
    spec = _spec(known, model)
    images = InputImages() if known.folder is None else InputImages.read(known.folder)
    images.check(known.trajectory.condition.json(), known.folder or known.path.parent)
    given = None if model is None or isinstance(model, str) else as_model(model)
    loaded = Loaded.load(spec, PythonObjects(given, images=images))
    fingerprints.check(loaded, known.path)
    made: list[pictures.Picture] = []
    worker = workers.of(loaded, lambda t, picture: made.append(picture), _arrays(known))
    worker.submit(Ask(known.trajectory, Score(())))
    while worker.wait():
        pass
    worker.close()
    (picture,) = made
    replace(file, pictures.png(picture, **pictures.texts(known.path)))
    return Remade(file, _difference(pictures.read(known.path), picture))


def _spec(known: Pictured, model: Any) -> RunSpec:
    """The settings to make it again with; refused where that would be something else."""
    spec = RunSpec.read(known.spec.model_dump(), known.path)
    _check_solver(known, spec)
    draft = known.trajectory.draft
    others = {f"draft {text}" for text in spec.drafts if text != draft}
    made = {name: of for name, of in _made(spec).items() if name not in others}
    plain = {"algorithm": "random", "parameters": {}, "fingerprints": made}
    spec = spec.model_copy(update={**plain, "drafts": [] if draft == FULL else [draft]})
    drafted = "" if draft == FULL else drafts.parse(draft).model
    if model is not None:
        if not isinstance(model, str):
            return spec
        old, new = f"model {spec.model}", f"model {model}"
        renamed = {new if n == old else n: of for n, of in spec.fingerprints.items()}
        return spec.model_copy(update={"model": model, "fingerprints": renamed})
    if spec.objects.get("model"):
        raise ConfigError(
            f"{known.path} was made with a model object ({spec.model}) that is needed again; from "
            f"Python: noisesearch.remake({str(known.path)!r}, {'again.png'!r}, model=…)"
        )
    for name in (spec.model, drafted):
        if is_code("model", name):
            raise ConfigError(
                f"{known.path} names a model that is code ({name}), and a picture must not start "
                f"any; if you know it, name it yourself: --model {name}"
            )
    return spec


def _check_solver(known: Pictured, spec: RunSpec) -> None:
    """ConfigError where the solver is code that this user has not agreed to in its folder."""
    if not is_code("solver", spec.solver):
        return
    if known.folder is None:
        raise ConfigError(
            f"{known.path} names a solver that is code ({spec.solver}), and a picture must not "
            "start any; give the file in the samples/ of a run that was made here"
        )
    NamedCode(known.folder, (("solver", spec.solver),)).check()


def _arrays(known: Pictured) -> Any:
    """What answers the keys of stored arrays."""
    if known.folder is not None:
        return RunStore(known.folder, write=False).arrays.get

    def nowhere(key: str) -> Array:
        raise StoreError(
            f"{known.path} was made with an array ({key}) that its run folder alone has; give the "
            "file in the run's samples/"
        )

    return nowhere


def _difference(file: pictures.Picture, made: pictures.Picture) -> float | None:
    factor = max(1, file.shape[-2] // made.shape[-2])  # best.png may be enlarged
    file = file[..., ::factor, ::factor, :]
    if file.shape != made.shape:
        return None
    return float(np.abs(file.astype(int) - made.astype(int)).max())
