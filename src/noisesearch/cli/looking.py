"""`show`: a run, or one picture of it, without a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import Json, app, interruptible, write


@app.command()
@interruptible
def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Re-create every winner from its recipe.")
    ] = False,
    json_: Json = False,
) -> None:
    """Show the winners of a run."""
    from ..run import stored_results
    from ..run import verify as verified
    from ..tables import winners

    content = stored_results(folder)
    if verify:
        content["verify"] = found = verified(folder)
    if json_:
        write(content, True)
        return
    typer.echo(winners(content))
    if verify:
        typer.echo(
            f"{found['winners']} winners re-created from their recipes: largest difference "
            f"{found['pixels']:g} of 255 in a pixel, {found['parts']:g} in a score"
        )
