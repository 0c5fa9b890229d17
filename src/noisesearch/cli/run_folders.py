"""`resume`, `rerank` and `export`: what can be done with a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError
from ..executors.choice import LOCAL, ExecutorChoice
from .application import (
    Address,
    Devices,
    Executor,
    Json,
    Seconds,
    app,
    check_seconds,
    execute,
    interruptible,
    loading,
    put,
    say,
    tell,
    write,
)


@app.command()
@loading
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
    executor: Executor = LOCAL,
    address: Address = None,
    devices: Devices = "",
    json_: Json = False,
) -> None:
    """Go on with a run that was stopped, or extend a finished one."""
    from ..runs.run import Run

    check_seconds(seconds)
    where = ExecutorChoice.of(executor, address, devices)
    run = Run.open(folder, budget=budget, yes=yes, repair=repair, retry_failed=retry_failed)
    if run.store.journal.torn:
        say(f"the last line of the journal was torn ({run.store.journal.torn} bytes): cut off")
    if run.store.journal.left_out:
        say(f"{run.store.journal.left_out} corrupted lines of the journal were left out, what "
            "they held is computed again; the old file is "
            f"{run.folder / 'journal.jsonl.damaged'}")  # fmt: skip
    for name, count in run.store.spending.lost.items():
        say(f"verifier {name!r} was asked {count} times without its answer being kept: what that "
            "cost is in no ledger, and what is still wanted is asked again")  # fmt: skip
    say(f"{len(run.store)} answered candidates are kept")
    execute(run, seconds, json_, where)


@app.command()
@interruptible
def trust(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    json_: Json = False,
) -> None:
    """Agree that what a run or an experiment from elsewhere names may run on this machine."""
    from ..experiments.trust import trust as trusted

    names = trusted(folder)
    if json_:
        write(names, True)
        return
    tell("\n".join([f"these may run here now, as {folder} names them:", *names])
               if names else f"{folder} names nothing that would run here")  # fmt: skip


@app.command()
@loading
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
    from ..runs.rerank import rerank as ranked

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
    form: Annotated[
        str | None,
        typer.Option("--format", help="All candidates: parquet, csv, jsonl; pairs: preferences."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Default: a file in DIR.")
    ] = None,
    comfyui: Annotated[
        bool, typer.Option("--comfyui", help="Latents also as a .latent file of ComfyUI.")
    ] = False,
    images: Annotated[
        str | None, typer.Option(help="Of --format: embed, or their path.", show_default=False)
    ] = None,
    margin: Annotated[
        float | None, typer.Option(help="Of preferences: the least difference in score.")
    ] = None,
    per_prompt: Annotated[
        int | None, typer.Option(help="Of preferences: the most pairs for a prompt; 1.")
    ] = None,
    objective: Annotated[
        str, typer.Option(help="Of --format: scores by another objective, such as 'part(x)'.")
    ] = "",
    json_: Json = False,
) -> None:
    """Write what a run found for other programs: its winners' start noises (and the Python that
    uses them), all its candidates as a table, or pairs of preferences."""
    if latents == (form is not None):
        raise ConfigError(
            "say what to export: --latents (the start noises of the winners), --format parquet, "
            "csv or jsonl (all candidates), or --format preferences (pairs); the pictures are in "
            f"{folder / 'samples'}"
        )
    if form is not None:
        if comfyui:
            raise ConfigError("--comfyui writes latents; give --latents in place of --format")
        _export_data(folder, form, out, images, margin, per_prompt, objective, json_)
        return
    if (images, margin, per_prompt, objective) != (None, None, None, ""):
        raise ConfigError(
            "--images, --margin, --per-prompt and --objective belong to --format; leave them out "
            "with --latents"
        )
    _export_latents(folder, out, comfyui, json_)


def _export_latents(folder: Path, out: Path | None, comfyui: bool, json_: bool) -> None:
    from ..runs.export_noises import export as exported

    found = exported(folder, out, comfyui=comfyui)
    for remark in found.remarks:
        say(remark)
    files = [str(path) for path in (found.file, found.comfyui) if path is not None]
    say(f"written: {' and '.join(files)}")
    if json_:
        write(found.json(), True)
    elif found.lines:
        tell(found.lines)


def _export_data(
    folder: Path,
    form: str,
    out: Path | None,
    images: str | None,
    margin: float | None,
    per_prompt: int | None,
    objective: str,
    json_: bool,
) -> None:
    from ..runs.export_data import PREFERENCES, export_data

    found = export_data(folder, form, out, images=images, margin=margin, per_prompt=per_prompt,
                        objective=objective)  # fmt: skip
    for sentence in found.skipped:
        say(sentence)
    what = "pairs" if form == PREFERENCES else "candidates"
    if json_:
        write(found.json(), True)
    else:
        tell(f"{found.rows} {what}: {found.file}")
