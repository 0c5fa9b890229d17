"""Figures kept in a folder, with the day and the command that measured them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from noisesearch.files.writing import replace


def record(folder: Path, name: str, figures: Mapping[str, Any]) -> None:
    """Write ``name``.json, there as a whole or not at all."""
    now = datetime.now(UTC)
    content = {"date": f"{now:%Y-%m-%d}", "command": " ".join(["python", *sys.argv]), **figures}
    folder.mkdir(parents=True, exist_ok=True)
    replace(folder / f"{name}.json", (json.dumps(content, indent=1) + "\n").encode())
