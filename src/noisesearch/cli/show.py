"""`show`: a run, or one picture of it, without a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError
from .application import Json, app, interruptible, loading, tell, write


@app.command()
@loading
@interruptible
def show(
    what: Annotated[Path, typer.Argument(metavar="DIR|PNG")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Of a run: re-create every winner from its recipe.")
    ] = False,
    remake: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Of a picture: make it again from its recipe."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="With --remake: in place of the recorded model.")
    ] = None,
    json_: Json = False,
) -> None:
    """Show the winners of a run, or what a picture is and how it was made."""
    if model is not None and remake is None:
        raise ConfigError("--model belongs to --remake; give both, or leave it out")
    if what.is_file():
        if verify:
            raise ConfigError(
                f"--verify belongs to a run, but {what} is a file; try --remake FILE"
            )
        _picture(what, remake, model, json_)
        return
    if remake is not None:
        raise ConfigError(f"--remake belongs to a picture, but {what} is none; try --verify")
    _run(what, verify, json_)


def _run(folder: Path, verify: bool, json_: bool) -> None:
    from ..runs.verify import verify as verified
    from ..store.winners import stored_results
    from .summary import summary

    content = stored_results(folder)
    if verify:
        content["verify"] = found = verified(folder)
    if json_:
        write(content, True)
        return
    tell(summary(content))
    if verify:
        tell(
            f"{found['winners']} winners re-created from their recipes: largest difference "
            f"{found['pixels']:g} of 255 in a pixel, {found['parts']:g} in a score"
        )


def _picture(path: Path, out: Path | None, model: str | None, json_: bool) -> None:
    from ..runs.remake import remake
    from ..store.picture_recipe import Pictured

    if out is None:
        known = Pictured.read(path)
        if json_:
            write(known.json(), True)
        else:
            again = f"noisesearch show {path} --remake again.png"
            write({**known.about(), "make it again": again}, False)
        return
    made = remake(path, out, model)
    if json_:
        write({"file": str(made.file), "pixels": made.pixels}, True)
        return
    same = ("the file has another size since" if made.pixels is None
            else f"largest difference {made.pixels:g} of 255 in a pixel")  # fmt: skip
    tell(f"made again from its recipe: {made.file}; {same}")
