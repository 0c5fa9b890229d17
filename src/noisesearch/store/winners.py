"""Read the winners of a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import StoreError
from ..files.json_text import parsed
from .run_store import read_spec
from .schema import check_winners


def stored_results(folder: Path) -> dict[str, Any]:
    """winners.json of a run."""
    read_spec(folder)
    path = folder / "winners.json"
    if not path.is_file():
        raise StoreError(
            f"{folder} has no winners yet: nothing was finished; "
            f"go on with: noisesearch resume {folder}"
        )
    try:
        content: dict[str, Any] = parsed(path.read_text("utf-8"))
        check_winners(content)
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path} cannot be read ({error}); write it again with: noisesearch resume {folder}"
        ) from error
    return content
