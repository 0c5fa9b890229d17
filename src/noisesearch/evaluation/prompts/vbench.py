"""VBench's prompts (arXiv 2311.17982): 946, of which 416 say for machines what must be seen.

They were written for videos and read well for pictures. The package ``vbench`` carries them; it
is looked into, never imported.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...files.json_text import parsed
from .prompt_set import Prompt
from .sources import PromptSource, one_of, text_of

NAME = "VBench_full_info.json"
SOURCE = PromptSource(
    "VBench",
    "vbench:FILE",
    f"install them (pip install --no-deps vbench) or get {NAME} from "
    "https://github.com/Vchitect/VBench",
    (f"**/{NAME}", NAME),
)


def prompts(given: str) -> tuple[Prompt, ...]:
    """Those of the file, or of the installed package where none is given."""
    path = SOURCE.place(given) if given else _packaged()
    path = one_of(path, (NAME,), SOURCE) if path.is_dir() else path
    try:
        rows = parsed(text_of(path))
        return tuple(_prompt(row) for row in rows)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{path} is no {NAME} ({type(error).__name__}: {error})"
        raise SOURCE.refusal(why) from error


def _packaged() -> Path:
    found = importlib.util.find_spec("vbench")
    places = [Path(p) for p in (found.submodule_search_locations or ())] if found else []
    for folder in places:
        if (folder / NAME).is_file():
            return folder / NAME
    raise SOURCE.refusal("VBench's prompts come with a package that is not installed here")


def _prompt(row: Mapping[str, Any]) -> Prompt:
    known: dict[str, Any] = row.get("auxiliary_info", {})
    truth = {word: value for kind, said in known.items() for word, value in _said(kind, said)}
    return Prompt(str(row["prompt_en"]).strip(), tuple(row["dimension"]), truth)


def _said(kind: str, said: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What one dimension says of a prompt, in the words of :class:`Prompt`."""
    match kind:
        case "object_class":
            return [("objects", (said["object"],))]
        case "multiple_objects":
            return [("objects", tuple(said["object"].split(" and ")))]
        case "color":
            return [("color", said["color"])]
        case "scene":
            return [("scene", said["scene"]["scene"])]
        case "spatial_relationship":
            of = said["spatial_relationship"]
            return [
                ("objects", (of["object_a"], of["object_b"])),
                ("relation", of["relationship"]),
            ]
    return []
