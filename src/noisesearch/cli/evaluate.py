"""`evaluate`: how good the images of a run or of any folder are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from .application import Json, app, interruptible, loading, prompts_of, say, tell, write


@app.command()
@loading
@interruptible
def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="RUN|FOLDER")],
    metrics: Annotated[
        str, typer.Option(help="fid,is,kid,pr,dc,diversity and names of verifiers, by commas.")
    ],
    features: Annotated[
        str, typer.Option(metavar="NAME", help="The verifier whose features sets are compared by.")
    ] = "",
    reference: Annotated[
        str | None,
        typer.Option(metavar="FILE.npz|FOLDER", help="Real images, or mu and sigma of theirs."),
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="A file, a prompt a line, in the order of the images.")
    ] = None,
    model: Annotated[str, typer.Option(help="Whose roles the names may mean; a run's own.")] = "",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "auto",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the figures there, as JSON.")
    ] = None,
    json_: Json = False,
) -> None:
    """Measure the images of a run, without search and with it, or of any folder."""
    from ..evaluation.evaluate import Evaluation
    from ..files.writing import replace
    from ..setup import hardware

    given = None if prompts is None else prompts_of([], prompts, False)
    place = hardware.place(device)
    report = Evaluation(folder, metrics, features, reference, given, model, place).report()
    content = report.json()
    for note in report.notes:
        say(note)
    if out is not None:
        replace(out, json.dumps(content, indent=1).encode())
    if json_:
        write(content, True)
    else:
        tell(_table(content))


def _table(content: Mapping[str, Any]) -> str:
    """A line a figure: each set's, and what search gained."""
    from ..names.columns import aligned

    sets: Sequence[Mapping[str, Any]] = content["sets"]
    head = ("", *(f"{s['name']} ({s['images']})" for s in sets))
    rows = [(*head, "gain") if content["gains"] else head]
    for name in sets[0]["figures"]:
        row = [name, *(_figure(s["figures"].get(name)) for s in sets)]
        if content["gains"]:
            row.append(_gain(content["gains"].get(name)))
        rows.append(tuple(row))
    about = f"features: {content['features']}"
    if content["reference"] is not None:
        about += f"; reference: {content['reference']}"
    return f"{aligned(rows)}\n\n{about}"


def _figure(value: Any) -> str:
    if not isinstance(value, Mapping):
        return "-" if value is None else f"{value:.5g}"
    if value["mean"] is None:
        return "-"
    missing = f", {value['missing']} missing" if value["missing"] else ""
    return f"{value['mean']:.4g} [{value['interval'][0]:.4g}, {value['interval'][1]:.4g}]{missing}"


def _gain(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return ""
    return f"{value['mean']:+.4g} [{value['interval'][0]:.4g}, {value['interval'][1]:.4g}]"
