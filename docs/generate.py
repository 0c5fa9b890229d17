"""Write the pages that follow from the code: python docs/generate.py"""

from __future__ import annotations

import inspect
from pathlib import Path

from noisesearch import registry

PAGE = Path(__file__).with_name("algorithms.md")
HEAD = """# Algorithms

Written by `docs/generate.py` from the code; change it there. C is the NFE of one candidate: the
search's steps times the NFE of a solver step. Parameters are given as `--set name=value` on the
command line and as keyword arguments in Python.

| name | in Python | what it does | needs | price in NFE |
| --- | --- | --- | --- | --- |
"""


def algorithms() -> str:
    """The page on all algorithms of the package."""
    found = {name: registry.load("algorithm", name) for name in registry.TABLES["algorithm"]}
    page = HEAD
    for name, kind in found.items():
        what = (inspect.getdoc(kind) or "").split("\n")[0]
        page += f"| `{name}` | `{kind.__name__}` | {what} | {kind.needs} | {kind.price} |\n"
    for name, kind in found.items():
        page += f"\n## {name}\n\n{inspect.getdoc(kind)}\n"
        page += "\n| parameter | default | what it is |\n| --- | --- | --- |\n"
        for parameter, field in kind.model_fields.items():
            page += f"| `{parameter}` | `{field.default}` | {field.description} |\n"
    return page


if __name__ == "__main__":
    PAGE.write_text(algorithms(), encoding="utf-8")
    print(f"wrote {PAGE.name}")
