"""`check-verifier`: whether a verifier keeps what the search relies on."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError
from .application import Json, app, interruptible, loading, tell, write

if TYPE_CHECKING:
    from ..evaluation.check_verifier import Pair, Samples
    from ..verifiers.protocol import Verifier


@app.command("check-verifier")
@loading
@interruptible
def check_verifier(
    verifier: Annotated[str, typer.Argument(help="A name, file.py:function or process:COMMAND.")],
    images: Annotated[
        Path | None, typer.Option(help="A folder of pictures to score; default painted ones.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="What all pictures should show, or class:207.")
    ] = None,
    better: Annotated[Path | None, typer.Option(help="A picture that must score more …")] = None,
    worse: Annotated[Path | None, typer.Option(help="… than this one, for the prompt.")] = None,
    injection: Annotated[
        bool, typer.Option(help="Measure what texts in a picture or prompt do to an LLM grader.")
    ] = False,
    model: Annotated[str, typer.Option(help="Whose roles its name may mean.")] = "",
    size: Annotated[
        int, typer.Option(min=8, max=4096, help="Side of the pictures in pixels.")
    ] = 256,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "auto",
    json_: Json = False,
) -> None:
    """Try on a few pictures whether VERIFIER keeps what a search relies on; exit 1 if not."""
    from ..evaluation.check_verifier import Samples, Trial, condition_of
    from ..models import choice
    from ..names import forms
    from ..setup import hardware, selection
    from ..verifiers.slow_verifier import SlowVerifier
    from .tables import checked

    if len(forms.separated(verifier)) != 1:
        raise ConfigError(f"verifiers are checked one at a time, got {verifier!r}")
    condition = condition_of(prompt)
    if images is None:
        samples = Samples.own(size, condition)
    elif condition is None:
        raise ConfigError(
            "pictures of your own need a prompt; say what they should show: --prompt"
        )
    else:
        samples = Samples.of(images, size, condition)
    pair = _pair(better, worse, prompt)
    chosen = selection.verifier_of(
        forms.with_absolute_paths(verifier), choice.model_of(model) if model else None
    )
    try:
        injected = _injection(chosen, samples) if injection else None
        report = Trial(chosen, samples, hardware.place(device), pair).report()
    finally:
        if isinstance(chosen, SlowVerifier):
            chosen.close()
    if json_:
        also = {} if injected is None else {"injection": injected.json()}
        write({**report.json(), **also}, True)
    else:
        tell(checked(report))
        if injected is not None:
            tell(f"\ninjection: {injected}")
    if not report.passed:
        sys.exit(1)


def _pair(better: Path | None, worse: Path | None, prompt: str | None) -> Pair | None:
    from ..evaluation.check_verifier import Pair, condition_of
    from ..store.given_images import picture

    if better is None and worse is None:
        return None
    condition = condition_of(prompt)
    if better is None or worse is None or condition is None:
        raise ConfigError(
            "a pair needs two pictures and what they should show: --better, --worse and --prompt"
        )
    return Pair(picture("better", better), picture("worse", worse), condition)


def _injection(verifier: Verifier, samples: Samples) -> Any:
    """What the measure of an LLM grader finds; ConfigError for any other verifier."""
    from ..verifiers.slow_verifier import SlowVerifier

    if not isinstance(verifier, SlowVerifier):
        raise ConfigError(
            "--injection measures how an LLM grader takes instructions in a picture, and "
            f"{verifier.name!r} follows none; leave it out"
        )
    measure = importlib.import_module("noisesearch.verifiers.llm.injection").measure
    return measure(verifier, samples.looks)
