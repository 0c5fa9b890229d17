"""`list` and `compare`: what there is, and how algorithms do side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .application import (
    Json,
    app,
    fresh_folder,
    interruptible,
    loading,
    say,
    tell,
    texts_of,
    write,
)


@app.command("list")
@interruptible
def list_(
    what: Annotated[
        str,
        typer.Argument(
            metavar="models|verifiers|algorithms|solvers|metrics|objectives|experiments|words"
        ),
    ],
    model: Annotated[str, typer.Option(help="Whose words and roles.")] = "shapes",
    json_: Json = False,
) -> None:
    """List what there is."""
    from .tables import listed

    rows = listed(what, model)
    if json_:
        write(rows, True)
    else:
        width = max(len(r["name"]) for r in rows)
        for row in rows:
            tell(f"{row['name']:{width}}  {row['summary']}".rstrip())


@app.command()
@loading
@interruptible
def compare(
    algorithms: Annotated[list[str], typer.Argument(metavar="ALGORITHM...")],
    model: Annotated[str, typer.Option(help="See `list models`.")] = "shapes",
    verifier: Annotated[str, typer.Option(help="Names separated by commas.")] = "ensemble",
    budgets: Annotated[str, typer.Option(help="In candidates, or 640nfe.")] = "8,32",
    prompts: Annotated[
        str, typer.Option(help="How many of the model's own, or a file of prompts.")
    ] = "32",
    seed: Annotated[int, typer.Option(help="The same seed gives the same images.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Where the runs go.")] = None,
    json_: Json = False,
) -> None:
    """Compare algorithms on the same prompts and first noises, with intervals."""
    from ..experiments import compare as comparing
    from .tables import compared

    named = comparing.located(algorithms)
    each = comparing.budgets_of(budgets)
    texts = texts_of(prompts, model)
    folder = out or fresh_folder()
    found = comparing.compare(named, texts, each, folder, model, verifier, seed, say)
    if json_:
        tell(json.dumps(found.json(), indent=1))
        return
    tell(compared(found))
    tell(f"\nruns: {folder}")
