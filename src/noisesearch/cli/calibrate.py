"""`calibrate`: what drafts are worth on a model."""

from __future__ import annotations

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


@app.command()
@loading
@interruptible
def calibrate(
    model: Annotated[str, typer.Argument(help="A name, folder, file or hub id.")],
    drafts: Annotated[
        list[str] | None,
        typer.Option("--draft", metavar="FORM", help="Such as steps:8; may be given repeatedly."),
    ] = None,
    prompts: Annotated[
        str, typer.Option(help="How many of the model's own, or a file of prompts.")
    ] = "32",
    candidates: Annotated[int, typer.Option(help="Noises a prompt.")] = 16,
    verifier: Annotated[str, typer.Option(help="Names separated by commas.")] = "ensemble",
    objective: Annotated[str, typer.Option(help="Default: mean rank of all parts.")] = "",
    seed: Annotated[int, typer.Option(help="The same seed gives the same images.")] = 0,
    steps: Annotated[int | None, typer.Option(help="Steps of the full sample.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Scale; 1 is none.")] = None,
    solver: Annotated[str | None, typer.Option(help="See `list solvers`.")] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    rows: Annotated[int | None, typer.Option(help="Rows of every batch, by fours.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder.")] = None,
    json_: Json = False,
) -> None:
    """Measure how drafts of MODEL rank the noises that its full samples are made of."""
    from ..experiments.calibrate import calibrate as calibrated
    from ..experiments.calibrate import prepared
    from ..runs.progress import Progress
    from ..setup.request import Request
    from .tables import calibration

    request = Request(
        texts_of(prompts, model),
        model=model,
        verifier=verifier,
        objective=objective,
        drafts=drafts or (),
        seed=seed,
        steps=steps,
        guidance=guidance,
        solver=solver,
        size=size,
        device=device,
        dtype=dtype,
        rows=rows,
    )
    searches = prepared(request, candidates)
    folder = out or fresh_folder()
    say(f"calibrating in {folder}; after an interrupt, go on with --out {folder}")
    found = calibrated(searches, folder, Progress)
    if json_:
        write(found.json(), True)
        return
    tell(calibration(found))
    tell(f"\nrun: {folder}")
