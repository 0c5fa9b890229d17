"""`resume`, `show`, `rerank` and `export`: what can be done with a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError
from .common import (
    Json,
    Seconds,
    app,
    check_seconds,
    execute,
    interruptible,
    put,
    say,
    write,
)


@app.command()
@interruptible
def resume(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    budget: Annotated[str | None, typer.Option(help="A larger budget: extend.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Extend although asks will differ.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Leave out corrupted lines.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again where a score is missing.")
    ] = False,
    seconds: Seconds = None,
    json_: Json = False,
) -> None:
    """Go on with a run that was stopped, or extend a finished one."""
    from ..run import Run

    check_seconds(seconds)
    run = Run.open(folder, budget=budget, yes=yes, repair=repair, retry_failed=retry_failed)
    if run.store.journal.torn:
        say(f"the last line of the journal was torn ({run.store.journal.torn} bytes): cut off")
    if run.store.journal.left_out:
        say(f"{run.store.journal.left_out} corrupted lines of the journal were left out, what "
            "they held is computed again; the old file is "
            f"{run.folder / 'journal.jsonl.damaged'}")  # fmt: skip
    say(f"{len(run.store)} answered candidates are kept")
    execute(run, seconds, json_)


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


@app.command()
@interruptible
def rerank(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    objective: Annotated[
        str, typer.Option(help="Such as 'part(x)'; default: mean rank of all parts.")
    ] = "",
    verifier: Annotated[str, typer.Option(help="Verifiers to add, by name.")] = "",
    finish: Annotated[bool, typer.Option("--finish", help="Finish winners that are drafts.")] = (
        False
    ),
    json_: Json = False,
) -> None:
    """Rank the candidates of a run by another objective; nothing is generated."""
    from ..rerank import rerank as ranked

    found = ranked(folder, objective, verifier, finish)
    for draft in found.drafts:
        say(draft)
    put(found.results, json_)


@app.command()
@interruptible
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    latents: Annotated[
        bool, typer.Option("--latents", help="The start noises of the winners.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Default: DIR/latents.safetensors.")
    ] = None,
    comfyui: Annotated[
        bool, typer.Option("--comfyui", help="Also as a .latent file of ComfyUI.")
    ] = False,
    json_: Json = False,
) -> None:
    """Write the winners' start noises for other programs; prints the Python that uses them."""
    from ..exports import export as exported

    if not latents:
        raise ConfigError(
            f"say what to export: --latents writes the start noises of the winners; their "
            f"pictures are in {folder / 'samples'}"
        )
    found = exported(folder, out, comfyui=comfyui)
    for remark in found.remarks:
        say(remark)
    files = [str(path) for path in (found.file, found.comfyui) if path is not None]
    say(f"written: {' and '.join(files)}")
    if json_:
        write(found.json(), True)
    elif found.lines:
        typer.echo(found.lines)
