"""Load what a run folder was made with."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ..setup import fingerprints
from ..setup.consent import NamedCode
from ..setup.loaded import Loaded
from ..setup.python_objects import PythonObjects, check_objects
from ..store.given_images import InputImages
from ..store.run_store import read_spec
from ..store.spec import RunSpec


def load_run(folder: Path, given: PythonObjects | None = None) -> Loaded:
    """Return what a run folder names, loaded, and checked to be what it was made with."""
    spec = RunSpec.read(read_spec(folder), folder)
    NamedCode.of_run(folder, spec).check()
    given = dataclasses.replace(given or PythonObjects(), images=InputImages.read(folder))
    check_objects(spec, given, folder)
    given.images.check(spec.conditions[0], folder)
    loaded = Loaded.load(spec, given)
    fingerprints.check(loaded, folder)
    return loaded
