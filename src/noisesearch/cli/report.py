"""`report`: a page about a run or an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .application import Json, app, interruptible, say, tell, write


@app.command()
@interruptible
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Default: DIR/report.html.")
    ] = None,
    pictures: Annotated[
        str,
        typer.Option(help="embed: all in the page; link: those of candidates in DIR; auto."),
    ] = "auto",
    json_: Json = False,
) -> None:
    """Write one page about a run or an experiment: what came out, at what cost, can I trust it."""
    from ..experiments.pages.report import report as reported

    found = reported(folder, out, pictures)
    for remark in found.remarks:
        say(remark)
    if json_:
        write(found.json(), True)
        return
    where = f"; the candidates' pictures stay in {folder}" if found.linked else ""
    tell(f"report: {found.path} ({found.size / 1e6:.1f} MB{where})")
