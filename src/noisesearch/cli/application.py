"""What the commands share: the application, reading what was given, writing what was found."""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import math
import shutil
import sys
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TextIO

import typer

from ..errors import ConfigError, NoisesearchError
from ..files.json_text import parsed
from ..files.remote_code import OPTION, trust_remote_code

if TYPE_CHECKING:
    from ..executors.choice import ExecutorChoice
    from ..runs.results import Results
    from ..runs.run import Run
    from ..setup.searches import Searches

MOST_PROMPTS = 100_000  # of a model's own; more are a file's
P = ParamSpec("P")
app = typer.Typer(
    help="Better images from diffusion and flow models, by searching over noise.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, nothing else.")]
Executor = Annotated[str, typer.Option(help="local, or ray: all devices of a cluster.")]
Address = Annotated[str | None, typer.Option(help="Of a Ray cluster; without it Ray starts here.")]
Devices = Annotated[
    str, typer.Option(metavar="0,1,…", help="A worker on each of several devices.")
]
Seconds = Annotated[
    float | None, typer.Option(help="Stop after so many seconds with the best so far.")
]


_stdout: ContextVar[TextIO | None] = ContextVar("stdout", default=None)


def say(text: str) -> None:
    typer.echo(text, err=True)


def tell(text: str) -> None:
    """A result; while a command runs, nothing else gets to stdout."""
    typer.echo(text, file=_stdout.get())


def interruptible(command: Callable[P, None]) -> Callable[P, None]:
    """Ctrl-C before or after the search itself: said here, since typer would end silently. What
    verifiers and libraries print goes to stderr: stdout is for results."""

    @functools.wraps(command)
    def run(*args: P.args, **settings: P.kwargs) -> None:
        before = _stdout.set(_stdout.get() or sys.stdout)
        try:
            with contextlib.redirect_stdout(sys.stderr):
                command(*args, **settings)
        except KeyboardInterrupt:
            say("noisesearch: interrupted")
            sys.exit(130)
        finally:
            _stdout.reset(before)

    return run


def loading(command: Callable[P, None]) -> Callable[..., None]:
    """Of a command that may load models of others: all have one more option in common."""
    name = OPTION.removeprefix("--").replace("-", "_")
    kind = Annotated[bool, typer.Option(OPTION, help="Let Python beside a model's weights run.")]

    @functools.wraps(command)
    def run(*args: P.args, **settings: P.kwargs) -> None:
        if settings.pop(name):
            trust_remote_code()
        command(*args, **settings)

    # Typer reads both.
    was = inspect.signature(command, eval_str=True)
    more = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
    changed = was.replace(parameters=[*was.parameters.values(), more])
    run.__signature__ = changed  # type: ignore[attr-defined]
    run.__annotations__ = {**command.__annotations__, name: kind}
    return run


def prompts_of(given: list[str], file: Path | None, unconditional: bool) -> list[str | None]:
    prompts: list[str | None] = list(given)
    if file is not None:
        from ..evaluation.prompt_parser import read

        prompts += read(str(file)).texts
    if unconditional:
        prompts.append(None)
    return prompts


def texts_of(prompts: str, model: str) -> list[str]:
    """So many of a model's own prompts, or those of a file."""
    from ..models import choice
    from ..names.forms import numeral

    count = numeral(prompts)
    if count is None:
        return [p for p in prompts_of([], Path(prompts), False) if p is not None]
    texts = choice.model_of(model).examples(count) if 0 < count <= MOST_PROMPTS else []
    if not texts:
        raise ConfigError(
            f"model {model!r} has no {prompts} prompts of its own; give a file with --prompts"
        )
    return texts


def parameters_of(pairs: list[str], option: str, example: str) -> dict[str, Any]:
    """Values as JSON where they are (numbers, true, null), else as text."""
    parameters: dict[str, Any] = {}
    for pair in pairs:
        key, mark, value = pair.partition("=")
        if not mark or not key:
            raise ConfigError(
                f"--{option} {pair!r} cannot be read; write it as --{option} {example}"
            )
        try:
            parameters[key.strip()] = parsed(value)
        except ValueError:
            parameters[key.strip()] = value
    return parameters


def check_seconds(seconds: float | None) -> None:
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise ConfigError(f"seconds is {seconds:g}, but must be above 0")


def created(out: Path | None, setup: Searches) -> Run:
    """A new run in ``out`` or in a fresh folder, which goes again if nothing comes of it."""
    from ..runs.run import Run
    from ..setup.notices import notice

    folder = fresh_folder() if out is None else out
    try:
        run = Run.create(folder, setup)
    except NoisesearchError:
        if out is None and not (folder / "spec.json").exists():
            shutil.rmtree(folder)
        raise
    if said := notice(setup.loaded):
        say(said)
    return run


def fresh_folder() -> Path:
    """runs/1, runs/2, …: the first that is not there; made, so that no other process takes it."""
    from ..files.writing import disk_error

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


def execute(run: Run, seconds: float | None, json_: bool, where: ExecutorChoice) -> None:
    from ..runs.progress import Progress
    from ..verifiers.capabilities import in_terminal
    from .tables import warnings

    try:
        _say_what(run)
        # A bar would be drawn over what a person is asked, and over what is typed.
        verifiers = run.loaded.every_verifier
        with Progress(run, any(map(in_terminal, verifiers))) as progress:
            results = run.execute(progress, seconds, where)
    except KeyboardInterrupt:
        results = run.results()
        saved = "the best so far is saved in" if len(results) else "nothing was finished yet in"
        say(f"noisesearch: interrupted; {saved} {run.folder}; "
            f"go on with: noisesearch resume {run.folder}")  # fmt: skip
        put(results, json_)
        sys.exit(130)
    finally:
        run.close()
    _say_failures(run)
    for sentence in warnings(results.json()):
        say(sentence)
    put(results, json_)
    if not json_:
        tell(f"\npictures: {run.folder / 'grid.png'}")


def _say_what(run: Run) -> None:
    spec, count = run.loaded.spec, len(run.loaded.conditions)
    say(f"searching: {count} prompt{'s' * (count > 1)}, model {spec.model}, algorithm "
        f"{spec.algorithm}, verifiers {', '.join(spec.verifiers)}, budget {spec.budget}; "
        f"run folder {run.folder}")  # fmt: skip


def _say_failures(run: Run) -> None:
    """How memory was lived with, and how many scores are missing, and why the first is."""
    if run.loaded.spec.memory == "lean":
        say(f"lean memory: networks made room for others {run.swaps} times")
    if run.store.rows is not None:
        say(f"memory ran out at {run.loaded.spec.rows} samples at once, so the run went on with "
            f"{run.store.rows}; start the next one with --rows {run.store.rows}")  # fmt: skip
    failed = run.driver.failed if run.driver else {}
    for part, reasons in failed.items():
        say(f"{len(reasons)} of {len(run.store)} candidates have no score {part!r} (the first "
            f"reason: {reasons[0]}); without most of its scores a candidate ranks last. Ask again "
            f"with: noisesearch resume {run.folder} --retry-failed")  # fmt: skip


def put(results: Results, json_: bool) -> None:
    from .tables import winners

    content = results.json()
    if json_:
        write(content, True)
    elif len(results):
        tell(winners(content))


def write(content: Any, json_: bool) -> None:
    tell(json.dumps(content, indent=1) if json_ else _lines(content))


def _lines(content: Any, indent: str = "") -> str:
    rows = []
    for name, value in content.items():
        if isinstance(value, dict):
            rows += [f"{indent}{name}:", _lines(value, indent + "  ")]
        else:
            rows.append(f"{indent}{name}: {value}")
    return "\n".join(rows)
