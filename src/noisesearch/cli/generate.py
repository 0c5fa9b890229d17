"""`generate`: search for better images of prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..candidates.budget import EVEN, MAX_MISSING
from ..executors.choice import LOCAL, ExecutorChoice
from .application import (
    Address,
    Devices,
    Executor,
    Json,
    Seconds,
    app,
    check_seconds,
    created,
    execute,
    interruptible,
    loading,
    parameters_of,
    prompts_of,
    say,
    write,
)


@app.command()
@loading
@interruptible
def generate(
    ctx: typer.Context,
    prompts: Annotated[list[str] | None, typer.Argument(metavar="PROMPT...")] = None,
    file: Annotated[
        Path | None,
        typer.Option("--prompts", help="A file, a prompt a line; or drawbench:FILE, vbench, …"),
    ] = None,
    unconditional: Annotated[bool, typer.Option(help="No prompt at all.")] = False,
    model: Annotated[
        str, typer.Option(help="See `list models`; or a folder, file or hub id with weights.")
    ] = "shapes",
    verifier: Annotated[str, typer.Option(help="Names separated by commas.")] = "ensemble",
    watch: Annotated[
        str, typer.Option(help="Held-out verifiers, on each new best; no objective sees them.")
    ] = "",
    guard: Annotated[
        str, typer.Option(help="Verifiers whose scores must not fall below the baseline's.")
    ] = "",
    objective: Annotated[str, typer.Option(help="Default: mean rank of all parts.")] = "",
    algorithm: Annotated[str, typer.Option(help="See `list algorithms`.")] = "auto",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the algorithm."),
    ] = None,
    budget: Annotated[
        str, typer.Option(help="640 (NFE per condition), 20candidates, 640nfe/run, 30s, 5m.")
    ] = "640",
    allocate: Annotated[
        str,
        typer.Option(help="Of a budget a run: even, or gain: where a candidate gains most."),
    ] = EVEN,
    target: Annotated[
        str, typer.Option(metavar="SCORE|PART=X", help="End a search that reaches it.")
    ] = "",
    patience: Annotated[
        int | None, typer.Option(help="End it after so many candidates' worth without a better.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same images.")] = 0,
    start_seed: Annotated[
        str | None, typer.Option(help="Begin at the noise that the pipeline draws of this seed.")
    ] = None,
    start_latents: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Begin at these latents (.safetensors, .npy)."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of a candidate.")] = None,
    final_steps: Annotated[int | None, typer.Option(help="Steps of the winner.")] = None,
    draft: Annotated[
        str | None, typer.Option(help="Search cheaper samples, finish winners in full: steps:8.")
    ] = None,
    guidance: Annotated[float | None, typer.Option(help="Scale; 1 is none.")] = None,
    solver: Annotated[
        str | None, typer.Option(help="euler, heun, ddim, …; pipeline: its own loop.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT.")] = None,
    negative: Annotated[str | None, typer.Option(help="What not to show.")] = None,
    image: Annotated[str | None, typer.Option(help="Of a black box: what to begin from.")] = None,
    mask: Annotated[str | None, typer.Option(help="Of a black box: white is painted.")] = None,
    strength: Annotated[
        float | None, typer.Option(help="Of a black box: how much of the image is given up.")
    ] = None,
    call: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="An argument of a black box: num_frames=9."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    memory: Annotated[
        str,
        typer.Option(help="auto, full, or lean: one phase's networks at a time."),
    ] = "auto",
    compile_: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
    tiling: Annotated[bool, typer.Option("--tiling", help="Decode in tiles.")] = False,
    rows: Annotated[int | None, typer.Option(help="Rows of every batch, by fours.")] = None,
    top: Annotated[int, typer.Option(help="How many winners.")] = 1,
    keep: Annotated[str, typer.Option(help="all or winners: which pictures stay.")] = "all",
    max_missing: Annotated[
        float, typer.Option(help="Share of candidates without a score that ends the run.")
    ] = MAX_MISSING,
    seconds: Seconds = None,
    executor: Executor = LOCAL,
    address: Address = None,
    devices: Devices = "",
    plan: Annotated[bool, typer.Option("--plan", help="Only say what it would cost.")] = False,
    json_: Json = False,
) -> None:
    """Search for the best image of each PROMPT within the budget."""
    from ..setup.request import Request

    check_seconds(seconds)
    where = ExecutorChoice.of(executor, address, devices)
    request = Request(
        prompts_of(prompts or [], file, unconditional),
        model=model,
        verifier=verifier,
        watch=watch,
        guard=guard,
        algorithm=algorithm,
        parameters=parameters_of(set_ or [], "set", "cosine=0.95"),
        budget=budget,
        allocate=allocate,
        target=target,
        patience=patience,
        seed=seed,
        start_seed=start_seed,
        start_latents=start_latents,
        objective=objective,
        steps=steps,
        final_steps=final_steps,
        draft=draft,
        guidance=guidance,
        solver=solver,
        negative=negative,
        size=size,
        image=image,
        mask=mask,
        strength=strength,
        call=parameters_of(call or [], "call", "num_frames=9"),
        device=where.device(device),
        dtype=dtype,
        rows=rows,
        memory=memory,
        compile=compile_,
        tiling=tiling,
        top=top,
        keep=keep,
        max_missing=max_missing,
    )
    if ctx.obj is not None:  # the options of a file of prompts: see `run`
        ctx.obj(request, seconds)
        return
    resolved = request.resolve()
    start = resolved.loaded.start
    if start is not None and start.remark:
        say(start.remark)
    if plan:
        from ..setup.notices import notice
        from ..setup.plan_table import planned

        if said := notice(resolved.loaded):
            say(said)
        write(planned(resolved.searches), json_)
        return
    run = created(out, resolved.searches)
    execute(run, seconds, json_, where)
