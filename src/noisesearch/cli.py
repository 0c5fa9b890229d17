"""The command line. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import ConfigError

if TYPE_CHECKING:
    from .results import Results
    from .run import Run

app = typer.Typer(
    help="Better images from diffusion and flow models, by searching over noise.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, nothing else.")]
Seconds = Annotated[
    float | None, typer.Option(help="Stop after so many seconds with the best so far.")
]


def say(text: str) -> None:
    typer.echo(text, err=True)


@app.command()
def generate(
    prompts: Annotated[list[str] | None, typer.Argument(metavar="PROMPT...")] = None,
    file: Annotated[
        Path | None, typer.Option("--prompts", help="A file with one prompt a line.")
    ] = None,
    unconditional: Annotated[bool, typer.Option(help="No prompt at all.")] = False,
    model: Annotated[str, typer.Option(help="See `list models`.")] = "shapes",
    verifier: Annotated[str, typer.Option(help="Names separated by commas.")] = "ensemble",
    objective: Annotated[str, typer.Option(help="Default: mean rank of all parts.")] = "",
    algorithm: Annotated[str, typer.Option(help="See `list algorithms`.")] = "zero-order",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the algorithm."),
    ] = None,
    budget: Annotated[
        str, typer.Option(help="640 (NFE per condition), 20candidates, 640nfe/run, 30s, 5m.")
    ] = "640",
    seed: Annotated[int, typer.Option(help="The same seed gives the same images.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The run folder.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of a candidate.")] = None,
    final_steps: Annotated[int | None, typer.Option(help="Steps of the winner.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Scale; 1 is none.")] = None,
    solver: Annotated[str | None, typer.Option(help="euler, heun or ddim.")] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT.")] = None,
    negative: Annotated[str | None, typer.Option(help="What not to show.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    batch: Annotated[int | None, typer.Option(help="Rows of every batch.")] = None,
    top: Annotated[int, typer.Option(help="How many winners.")] = 1,
    keep: Annotated[str, typer.Option(help="all or winners: which pictures stay.")] = "all",
    seconds: Seconds = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what it would cost.")] = False,
    json_: Json = False,
) -> None:
    """Search for the best image of each PROMPT within the budget."""
    from .api import Request
    from .run import Run

    request = Request(
        _prompts(prompts or [], file, unconditional), model, verifier, algorithm,
        _parameters(set_ or []), budget, seed, objective, steps, final_steps, guidance, solver,
        negative, size, device, dtype, batch, top, keep,
    )  # fmt: skip
    parts, _ = request.resolve()
    if plan:
        from .tables import planned

        _print(planned(request, parts), json_)
        return
    run = Run.create(out or _fresh_folder(), parts)
    _execute(run, seconds, json_)


@app.command()
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
    from .run import Run

    run = Run.open(folder, budget=budget, yes=yes, repair=repair, retry_failed=retry_failed)
    if run.store.journal.torn:
        say(f"the last line of the journal was torn ({run.store.journal.torn} bytes): cut off")
    say(f"{len(run.store)} answered candidates are kept")
    _execute(run, seconds, json_)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Re-create every winner from its recipe.")
    ] = False,
    json_: Json = False,
) -> None:
    """Show the winners of a run."""
    from .run import stored_results
    from .run import verify as verified
    from .tables import winners

    content = stored_results(folder)
    if verify:
        content["verify"] = found = verified(folder)
    if json_:
        _print(content, True)
        return
    typer.echo(winners(content))
    if verify:
        typer.echo(
            f"{found['winners']} winners re-created from their recipes: largest difference "
            f"{found['pixels']:g} of 255 in a pixel, {found['parts']:g} in a score"
        )


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(metavar="models|verifiers|algorithms|solvers|words")],
    model: Annotated[str, typer.Option(help="Whose words and roles.")] = "shapes",
    json_: Json = False,
) -> None:
    """List what there is."""
    from .tables import listed

    rows = listed(what, model)
    if json_:
        _print(rows, True)
    else:
        width = max(len(r["name"]) for r in rows)
        for row in rows:
            typer.echo(f"{row['name']:{width}}  {row['summary']}".rstrip())


def _prompts(given: list[str], file: Path | None, unconditional: bool) -> list[str | None]:
    prompts: list[str | None] = list(given)
    if file is not None:
        try:
            lines = file.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not a text"
            raise ConfigError(
                f"prompts file {file} cannot be read ({reason}); give a text file with one prompt "
                "a line"
            ) from error
        prompts += [line.strip() for line in lines if line.strip()]
    if unconditional:
        prompts.append(None)
    return prompts


def _parameters(pairs: list[str]) -> dict[str, Any]:
    """Values as JSON where they are (numbers, true, null), else as text."""
    parameters: dict[str, Any] = {}
    for pair in pairs:
        key, mark, value = pair.partition("=")
        if not mark or not key:
            raise ConfigError(f"--set {pair!r} cannot be read; write it as --set cosine=0.95")
        try:
            parameters[key.strip()] = json.loads(value)
        except ValueError:
            parameters[key.strip()] = value
    return parameters


def _fresh_folder() -> Path:
    """runs/1, runs/2, …: the first that is not there."""
    number = 1
    while (folder := Path("runs") / str(number)).exists():
        number += 1
    return folder


def _execute(run: Run, seconds: float | None, json_: bool) -> None:
    from .progress import Progress

    try:
        with Progress(run) as progress:
            results = run.execute(progress, seconds)
    except KeyboardInterrupt:
        results = run.results()
        saved = "the best so far is saved in" if len(results) else "nothing was finished yet in"
        say(f"noisesearch: interrupted; {saved} {run.folder}; "
            f"go on with: noisesearch resume {run.folder}")  # fmt: skip
        _out(results, json_)
        sys.exit(130)
    finally:
        run.close()
    for result in results:
        if result.baseline_kept:
            say(f"{result.condition}: no candidate beat the baseline, which is kept")
    _out(results, json_)
    if not json_:
        typer.echo(f"\npictures: {run.folder / 'grid.png'}")


def _out(results: Results, json_: bool) -> None:
    from .tables import winners

    content = results.json()
    if json_:
        _print(content, True)
    elif len(results):
        typer.echo(winners(content))


def _print(content: Any, json_: bool) -> None:
    typer.echo(json.dumps(content, indent=1) if json_ else _lines(content))


def _lines(content: Any, indent: str = "") -> str:
    rows = []
    for name, value in content.items():
        if isinstance(value, dict):
            rows += [f"{indent}{name}:", _lines(value, indent + "  ")]
        else:
            rows.append(f"{indent}{name}: {value}")
    return "\n".join(rows)
