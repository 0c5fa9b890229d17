"""Write the pages that follow from the code: python docs/generate.py"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from noisesearch import registry
from noisesearch.tables import listed, summary

FOLDER = Path(__file__).parent
WRITTEN = "Written by `docs/generate.py` from the code; change it there."
ALGORITHMS = f"""# Algorithms

{WRITTEN} C is the NFE of one candidate: the
search's steps times the NFE of a solver step. Parameters are given as `--set name=value` on the
command line and as keyword arguments in Python.

"""
NAMES = f"""# Models, verifiers, solvers

{WRITTEN} `noisesearch list` prints the same.

"""
OTHERS = """Folders, hub ids and objects of [diffusers](diffusers.md), [any pipeline](black-box.md)
and checkpoints of [SiT](sit.md) are models too."""
COMMANDS = f"""# Commands

{WRITTEN} Results go to stdout, everything
else to stderr. Exit status: 0 done, 1 the run failed, 2 the request was wrong, 130 interrupted
with a result saved.
"""
ROLES = ("shapes", "fashion")  # the worlds whose networks play published verifiers


def algorithms() -> str:
    """The page on all algorithms of the package."""
    found = {name: registry.load("algorithm", name) for name in registry.TABLES["algorithm"]}
    rows = [(f"`{name}`", f"`{kind.__name__}`", summary(kind), kind.needs, kind.price)
            for name, kind in found.items()]  # fmt: skip
    page = ALGORITHMS
    page += table(("name", "in Python", "what it does", "needs", "price in NFE"), rows)
    for name, kind in found.items():
        page += f"\n## {name}\n\n{inspect.getdoc(kind)}\n\n"
        fields = [(f"`{parameter}`", f"`{field.default}`", field.description)
                  for parameter, field in kind.model_fields.items()]  # fmt: skip
        page += table(("parameter", "default", "what it is"), fields)
    return page


def names() -> str:
    """The page on everything that is chosen by name and is no algorithm."""
    models = [(f"`{m['name']}`", m["summary"], m["size"], m["steps"], m["solver"], m["guidance"])
              for m in listed("models", "shapes")
              if m["name"] in registry.TABLES["model"]]  # fmt: skip
    page = NAMES + "## Models\n\n"
    page += table(("name", "what it is", "size", "steps", "solver", "guidance"), models)
    page += f"\n{OTHERS}\n\n## Verifiers\n\n"
    own = sorted(registry.TABLES["verifier"])
    loaded = [(f"`{n}`", summary(registry.load("verifier", n))) for n in own]
    page += table(("name", "what it says"), loaded)
    for world in ROLES:
        roles = registry.load("model", world)().verifiers
        page += f"\n## Verifiers on the world *{world}*\n\nThere these names are small networks"
        page += " that ship inside.\n\n"
        page += table(("name", "what it says"),
                      [(f"`{n}`", summary(registry.load("verifier", n, roles)))
                       for n in sorted(roles)])  # fmt: skip
    page += "\n## Solvers\n\n"
    rows = [(f"`{s['name']}`", s["summary"]) for s in listed("solvers", "shapes")]
    return page + table(("name", "what it is"), rows)


def commands() -> str:
    """The page on all commands and their options, as their help has them."""
    import typer.main

    from noisesearch.cli import app

    page = COMMANDS
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
        usage = " ".join([name, *(str(a.metavar or (a.name or "").upper()) for a in arguments)])
        page += f"\n## {name}\n\n```text\nnoisesearch {usage} [OPTIONS]\n```\n\n"
        page += f"{' '.join((command.help or '').split())}\n\n"
        said = [(f"`{', '.join(o.opts)}`", default(o), o.help or "") for o in options]
        page += table(("option", "default", "what it is"), said)
    return page


def default(option: Any) -> str:
    """Of flags and of what a model decides there is none to write."""
    value = option.default
    return "" if value is None or value is False or callable(value) or value in ("", []) else (
        f"`{value}`"
    )  # fmt: skip


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """In Markdown; a bar inside a cell does not end it."""
    lines = [head, ["---"] * len(head), *rows]
    cells = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


PAGES: dict[str, Callable[[], str]] = {
    "algorithms.md": algorithms,
    "names.md": names,
    "commands.md": commands,
}

if __name__ == "__main__":
    for page, written in PAGES.items():
        (FOLDER / page).write_text(written(), encoding="utf-8")
        print(f"wrote {page}")
