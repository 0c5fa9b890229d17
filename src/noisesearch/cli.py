"""The command line. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import functools
import json
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import typer

from .errors import ConfigError, NoisesearchError

if TYPE_CHECKING:
    from .build import Parts
    from .results import Results
    from .run import Run

P = ParamSpec("P")
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


def interruptible(command: Callable[P, None]) -> Callable[P, None]:
    """Ctrl-C before or after the search itself: said here, since typer would end silently."""

    @functools.wraps(command)
    def run(*args: P.args, **settings: P.kwargs) -> None:
        try:
            command(*args, **settings)
        except KeyboardInterrupt:
            say("noisesearch: interrupted")
            sys.exit(130)

    return run


@app.command()
@interruptible
def generate(
    prompts: Annotated[list[str] | None, typer.Argument(metavar="PROMPT...")] = None,
    file: Annotated[
        Path | None, typer.Option("--prompts", help="A file, a prompt a line; # begins a comment.")
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
    batch: Annotated[int | None, typer.Option(help="Rows of every batch, by fours.")] = None,
    top: Annotated[int, typer.Option(help="How many winners.")] = 1,
    keep: Annotated[str, typer.Option(help="all or winners: which pictures stay.")] = "all",
    seconds: Seconds = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what it would cost.")] = False,
    json_: Json = False,
) -> None:
    """Search for the best image of each PROMPT within the budget."""
    from .api import Request

    _check_seconds(seconds)
    request = Request(
        _prompts(prompts or [], file, unconditional), model, verifier, watch, guard,
        algorithm, _parameters(set_ or []), budget, seed, objective, steps, final_steps, guidance,
        solver, negative, size, device, dtype, batch, top, keep,
    )  # fmt: skip
    parts, _ = request.resolve()
    if plan:
        from .tables import planned

        _print(planned(request, parts), json_)
        return
    run = _created(out, parts)
    _execute(run, seconds, json_)


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
    from .run import Run

    _check_seconds(seconds)
    run = Run.open(folder, budget=budget, yes=yes, repair=repair, retry_failed=retry_failed)
    if run.store.journal.torn:
        say(f"the last line of the journal was torn ({run.store.journal.torn} bytes): cut off")
    if run.store.journal.left_out:
        say(f"{run.store.journal.left_out} corrupted lines of the journal were left out, what "
            "they held is computed again; the old file is "
            f"{run.folder / 'journal.jsonl.damaged'}")  # fmt: skip
    say(f"{len(run.store)} answered candidates are kept")
    _execute(run, seconds, json_)


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
    from .rerank import rerank as ranked

    found = ranked(folder, objective, verifier, finish)
    for draft in found.drafts:
        say(draft)
    _out(found.results, json_)


@app.command()
@interruptible
def compare(
    algorithms: Annotated[list[str], typer.Argument(metavar="ALGORITHM...")],
    model: Annotated[str, typer.Option(help="See `list models`.")] = "shapes",
    verifier: Annotated[str, typer.Option(help="Names separated by commas.")] = "ensemble",
    budgets: Annotated[str, typer.Option(help="In candidates, or 640nfe.")] = "8,32",
    prompts: Annotated[
        str, typer.Option(help="How many of the model's own, or a file of prompts.")
    ] = "32",
    seed: Annotated[int, typer.Option(help="The same seed gives the same images.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Where the runs go.")] = None,
    json_: Json = False,
) -> None:
    """Compare algorithms on the same prompts and first noises, with intervals."""
    from . import build
    from . import compare as comparing
    from .tables import compared

    named = comparing.located(algorithms)
    each = comparing.budgets_of(budgets)
    known = build.model_of(model)
    if prompts.isdigit():
        texts = known.examples(int(prompts)) if int(prompts) else []
        if not texts:
            raise ConfigError(
                f"model {model!r} has no {prompts} prompts of its own; give a file with --prompts"
            )
    else:
        texts = [p for p in _prompts([], Path(prompts), False) if p is not None]
    folder = out or _fresh_folder()
    found = comparing.compare(named, texts, each, folder, model, verifier, seed, say)
    if json_:
        typer.echo(json.dumps(found.json(), indent=1))
        return
    typer.echo(compared(found))
    typer.echo(f"\nruns: {folder}")


@app.command("list")
@interruptible
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
            lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
            raise ConfigError(
                f"prompts file {file} cannot be read ({reason.lower()}); give a text file in "
                "UTF-8 with one prompt a line"
            ) from error
        found = [line for line in lines if line and not line.startswith("#")]
        if not found:
            raise ConfigError(f"prompts file {file} has no prompt; write one a line")
        prompts += found
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


def _check_seconds(seconds: float | None) -> None:
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise ConfigError(f"seconds is {seconds:g}, but must be above 0")


def _created(out: Path | None, parts: Parts) -> Run:
    """A new run in ``out`` or in a fresh folder, which goes again if nothing comes of it."""
    from .run import Run

    if out is not None:
        return Run.create(out, parts)
    folder = _fresh_folder()
    try:
        return Run.create(folder, parts)
    except NoisesearchError:
        if not (folder / "spec.json").exists():
            shutil.rmtree(folder)
        raise


def _fresh_folder() -> Path:
    """runs/1, runs/2, …: the first that is not there; made, so that no other process takes it."""
    from .journal import disk_error

    number = 1
    while True:
        folder = Path("runs") / str(number)
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1
        except OSError as error:
            raise disk_error(error, folder) from error


def _execute(run: Run, seconds: float | None, json_: bool) -> None:
    from .progress import Progress
    from .tables import warnings

    try:
        _say_what(run)
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
    _say_failures(run)
    for sentence in warnings(results):
        say(sentence)
    _out(results, json_)
    if not json_:
        typer.echo(f"\npictures: {run.folder / 'grid.png'}")


def _say_what(run: Run) -> None:
    spec, count = run.parts.spec, len(run.parts.conditions)
    say(f"searching: {count} prompt{'s' * (count > 1)}, model {spec.model}, algorithm "
        f"{spec.algorithm}, verifiers {', '.join(spec.verifiers)}, budget {spec.budget}; "
        f"run folder {run.folder}")  # fmt: skip


def _say_failures(run: Run) -> None:
    """How many scores are missing, and why the first is."""
    failed = run.driver.failed if run.driver else {}
    for part, reasons in failed.items():
        say(f"{len(reasons)} of {len(run.store)} candidates have no score {part!r} (the first "
            f"reason: {reasons[0]}); without most of its scores a candidate ranks last. Ask again "
            f"with: noisesearch resume {run.folder} --retry-failed")  # fmt: skip


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
