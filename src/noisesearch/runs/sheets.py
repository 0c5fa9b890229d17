"""What a run draws of its results: best.png and grid.png."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..files import pictures
from ..files.writing import replace
from .results import Results


def draw(results: Results, folder: Path) -> None:
    """best.png (the picture itself, or a sheet of several) and grid.png beside the baseline."""
    if results.population is not None:
        _draw_sets(results.population, folder)
        return
    rows: list[pictures.Row] = []
    shown: list[Path] = []
    for r in results:
        if r.winner.path is None or r.baseline.path is None:
            continue
        if not (r.winner.path.exists() and r.baseline.path.exists()):
            continue
        base, winner = (np.asarray(c.image) for c in (r.baseline, r.winner))
        gain = r.winner.score - r.baseline.score
        # Samples of a set have no score of their own.
        about = (f" {r.baseline.score:.2f}", f" {r.winner.score:.2f} ({gain:+.2f})")
        of, to = about if math.isfinite(gain) else ("", "")
        shown.append(r.winner.path)
        rows.append((str(r.condition), base, f"baseline{of}", winner, f"winner{to}"))
    if rows:
        sheet = pictures.sheet(rows)
        replace(folder / "grid.png", sheet)
        if len(rows) == 1:
            pictures.save_seen(folder / "best.png", rows[0][3], **pictures.texts(shown[0]))
        else:
            replace(folder / "best.png", sheet)


def _draw_sets(found: Mapping[str, Any], folder: Path) -> None:
    """grid.png with the set without search beside that with it; best.png is the latter."""
    sets = []
    for name in ("without_search", "with_search"):
        paths = [folder / "samples" / f"{key}.png" for key in found[name][: pictures.SHOWN]]
        sets.append([pictures.still(pictures.read(path)) for path in paths if path.exists()])
    if all(sets):
        titles = (f"without search {found['baseline']:.4g}", f"with search {found['winner']:.4g}")
        replace(folder / "grid.png", pictures.sets(sets[0], titles[0], sets[1], titles[1]))
        replace(folder / "best.png", pictures.sets(sets[1], titles[1]))
