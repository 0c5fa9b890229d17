"""`run PROMPTS`: a file of prompts, with the options of `generate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import ConfigError
from ..executors.choice import ExecutorChoice
from .application import app, fresh_folder, say, tell, write

if TYPE_CHECKING:
    from ..setup.request import Request


@dataclass(frozen=True)
class PromptFileOptions:
    """What `run` was told of a file of prompts; None takes what is usual."""

    file: Path
    out: Path | None
    shard: int | None
    limit: int | None
    column: str | None
    form: str | None
    plan: bool
    json: bool
    where: ExecutorChoice


def named(file: Path) -> bool:
    """True where the file's name says that it holds prompts."""
    from ..shards.prompt_files import ENDINGS

    return file.suffix in ENDINGS


def refuse(options: Mapping[str, Any]) -> None:
    """ConfigError for options that only experiments have."""
    for name, value in options.items():
        if value is not None:
            raise ConfigError(f"{name} belongs to an experiment, and this is a file of prompts; "
                              "leave it out")  # fmt: skip


def refuse_of_experiment(file: Path, others: Sequence[str], options: Mapping[str, Any]) -> None:
    """ConfigError for options that only prompts have."""
    if str(file).startswith("-"):
        raise ConfigError(f"{file} stands where the file must be; write: noisesearch run FILE "
                          "[OPTIONS]")  # fmt: skip
    wrong = [*others, *(name for name, value in options.items() if value is not None)]
    if wrong:
        raise ConfigError(
            f"{wrong[0]} belongs to a file of prompts (.txt, .csv, .jsonl, .parquet), and {file} "
            "is an experiment, which has its settings inside; leave it out"
        )


def run(ctx: typer.Context, given: PromptFileOptions) -> None:
    """Read the further options as `generate` does, and search."""

    def search(request: Request, seconds: float | None) -> None:
        if seconds is not None:
            raise ConfigError(
                "seconds would cut the searches of one shard short; stop with Ctrl-C and go on "
                "with the same command, or give a time for each prompt: --budget 30s/condition"
            )
        _search(request, given)

    generate: Any = typer.main.get_command(app).commands["generate"]  # type: ignore[attr-defined]
    # The pictures of all candidates of a large job fill disks; who wants them says so.
    options = ["--keep", "winners", *ctx.args]
    with generate.make_context("run PROMPTS", options, obj=search) as inner:
        generate.invoke(inner)


def _search(request: Request, given: PromptFileOptions) -> None:
    from ..runs.progress import Progress
    from ..setup.notices import notice
    from ..shards.prompt_files import PROMPT, PromptFile
    from ..shards.sharded import SIZE, Sharded

    file = PromptFile(given.file, given.column or PROMPT)
    request.device = given.where.device(request.device)
    size = SIZE if given.shard is None else given.shard
    whole = Sharded(file, request, size, given.limit, given.form or "")
    if given.plan:
        write(whole.plan(), given.json)
        return
    said = notice(whole.loaded)  # all that can be refused is, before there is a folder
    folder = given.out or fresh_folder()
    for sentence in filter(None, (said, f"searching: {whole.count} prompts in {whole.shards} "
                                  f"shards, folder {folder}; after an interrupt, the same command "
                                  f"with --out {folder} goes on")):  # fmt: skip
        say(sentence)
    try:
        found = whole.run(folder, say, Progress, given.where)
    except KeyboardInterrupt:
        found = whole.summary(folder)
        say(f"noisesearch: interrupted; {found['shards']} of {whole.shards} shards are done; go "
            f"on with the same command and --out {folder}")  # fmt: skip
        _put(found, given.json)
        sys.exit(130)
    _put(found, given.json)


def _put(found: Mapping[str, Any], json_: bool) -> None:
    if json_:
        tell(json.dumps(found, indent=1))
    elif found["prompts"]:
        tell(f"{found['prompts']} of {found['of']} prompts: mean score "
                   f"{found['baseline']:.3f} without search, {found['score']:.3f} with it, "
                   f"{found['nfe']} NFE; results: {found['results']}")  # fmt: skip
