"""`run` and `reproduce`: experiments of one's own and those of the paper; files of prompts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError
from ..executors.choice import LOCAL, ExecutorChoice
from . import prompt_files
from .application import (
    Address,
    Devices,
    Executor,
    Json,
    app,
    fresh_folder,
    interruptible,
    loading,
    parameters_of,
    say,
    tell,
    write,
)

if TYPE_CHECKING:
    from ..experiments.spec import Experiment

Assets = Annotated[
    list[str] | None,
    typer.Option("--asset", metavar="NAME=PATH-OR-ID", help="What $NAME in the spec stands for."),
]
Planned = Annotated[bool, typer.Option("--plan", help="Only say what it would cost.")]
Trial = Annotated[
    bool, typer.Option("--trial", help="In little, to see that everything is in place.")
]
Limit = Annotated[
    int | None, typer.Option(help="Fewer prompts (of each group): quicker, wider intervals.")
]
Seeds = Annotated[int | None, typer.Option(help="Fewer or more images of each prompt.")]


# What else is given is an option of `generate`, where the file holds prompts.
@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@loading
@interruptible
def run(
    ctx: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="EXPERIMENT.toml|PROMPTS",
            help="Or a folder's experiment.json; prompts: .txt, .csv, .jsonl, .parquet.",
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Its folder.")] = None,
    asset: Assets = None,
    limit: Limit = None,
    seeds: Seeds = None,
    shard: Annotated[
        int | None, typer.Option(help="Of prompts: how many make a run; 256.", show_default=False)
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="Of prompts: which it is; prompt.", show_default=False)
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="Of their results: parquet, csv or jsonl.")
    ] = None,
    plan: Planned = False,
    trial: Trial = False,
    executor: Executor = LOCAL,
    address: Address = None,
    devices: Devices = "",
    json_: Json = False,
) -> None:
    """Run an experiment (prompts × arms), or search a file of prompts shard by shard, with the
    options of `generate`; the same command goes on after an interrupt."""
    from ..experiments.reproduction import smaller
    from ..experiments.spec import STORED, experiment, read
    from ..experiments.trust import of_experiment

    where = ExecutorChoice.of(executor, address, devices)
    if prompt_files.named(file):
        prompt_files.refuse({"--asset": asset, "--seeds": seeds, "--trial": trial or None})
        given = prompt_files.PromptFileOptions(
            file, out, shard, limit, column, form, plan, json_, where
        )
        prompt_files.run(ctx, given)
        return
    prompt_files.refuse_of_experiment(
        file, ctx.args, {"--shard": shard, "--column": column, "--format": form}
    )
    content = {**read(file), **_sizes(limit, seeds)}
    found = experiment(smaller(content) if trial else content, _assets(asset))
    if file.suffix == STORED:  # a folder of results, which may be from elsewhere
        of_experiment(file.parent, found).check()
    _do(found, out, plan, json_, where)


@app.command()
@loading
@interruptible
def reproduce(
    name: Annotated[str, typer.Argument(metavar="[ID]", help="See `list experiments`.")] = "",
    scale: Annotated[str, typer.Option(help="embedded (worlds that ship inside) or paper.")] = (
        "embedded"
    ),
    out: Annotated[
        Path | None, typer.Option(help="Its folder; default: reproduction/SCALE/ID.")
    ] = None,
    asset: Assets = None,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write this page from all that is in --out's folder."),
    ] = None,
    limit: Limit = None,
    seeds: Seeds = None,
    plan: Planned = False,
    trial: Trial = False,
    executor: Executor = LOCAL,
    address: Address = None,
    devices: Devices = "",
    json_: Json = False,
) -> None:
    """Make an experiment of the paper again, or (--page) the page on all that are done."""
    from ..experiments import reproduced_table as pages
    from ..experiments.arms import slug
    from ..experiments.reproduction import reproduction

    if page is not None:
        folder = out or Path("reproduction") / scale
        say(f"{pages.write(folder, page)} experiments of {folder} written to {page}")
        return
    if not name:
        raise ConfigError("no experiment was named; choose one of `noisesearch list experiments`")
    found = reproduction(name, scale, _assets(asset), trial, _sizes(limit, seeds))
    ours = (
        Path("reproduction")
        / (f"{scale}-trial" if trial else scale)
        / slug(name.rpartition(":")[2])
    )
    _do(found, out or ours, plan, json_, ExecutorChoice.of(executor, address, devices))


def _assets(pairs: list[str] | None) -> dict[str, str]:
    given = parameters_of(pairs or [], "asset", "flux=/data/FLUX.1-dev")
    return {name: str(value) for name, value in given.items()}


def _sizes(limit: int | None, seeds: int | None) -> dict[str, int]:
    given = {"limit": limit, "seeds": seeds}
    return {name: value for name, value in given.items() if value is not None}


def _do(
    experiment: Experiment, out: Path | None, plan: bool, json_: bool, where: ExecutorChoice
) -> None:
    from ..experiments.campaign import Campaign

    campaign = Campaign(experiment)
    if plan:
        planned = campaign.plan()
        tell(json.dumps(planned, indent=1) if json_ else _planned(planned))
        return
    campaign.check()
    folder = out or fresh_folder()
    say(f"{len(campaign.units)} runs in {folder}; after an interrupt, the same command with "
        f"--out {folder} goes on")  # fmt: skip
    from ..experiments import outcome
    from ..runs.progress import Progress

    campaign.run(folder, say, Progress, where)
    found = outcome.outcome(campaign, folder)
    outcome.write(found, folder)
    content = found.json()
    if json_:
        write({"folder": str(folder), **content}, True)
        return
    tell(_said(content))
    tell(f"\nfigures: {folder / 'table.csv'}; as a page: noisesearch report {folder}")


def _planned(content: dict[str, Any]) -> str:
    from ..names.columns import aligned

    rows = [("arm", "NFE an image", "run")]
    rows += [(arm["arm"], f"{arm['nfe']:.0f}", arm["run"]) for arm in content["arms"]]
    return "\n".join([
        aligned(rows), "",
        f"images an arm: {content['images']} (prompts: {content['prompts']}, seeds: "
        f"{content['seeds']})",
        f"in all: {content['nfe']:.0f} NFE in {content['runs']} runs, about "
        f"{content['seconds_estimated']:.0f} seconds here without what verifiers take",
    ])  # fmt: skip


def _said(content: dict[str, Any]) -> str:
    from ..experiments.reproduced_table import cell
    from ..names.columns import aligned

    columns = content["columns"]
    rows = [("arm", "NFE", *columns)]
    rows += [(a["arm"], f"{a['nfe']:.0f}", *(cell(a[c]) for c in columns))
             for a in content["arms"]]  # fmt: skip
    claims = [f"{claim['verdict']}: {claim['says']}" for claim in content["claims"]]
    whole = [] if content["verdict"] is None else [f"in all: {content['verdict']}"]
    return "\n".join([aligned(rows), "", *claims, *whole]).rstrip()
