"""Scores pictures for a search that runs in another process and another environment.

This file needs Python 3.10 and its standard library, and of noisesearch nothing: copy it beside a
script of yours, or import it where noisesearch is installed.

    from serve import serve

    def sharpness(images, conditions):  # pictures of Pillow; conditions[i].text is the prompt
        return [measured(image) for image in images]

    serve(sharpness)

The search then takes ``--verifier 'process:/path/of/that/environment/bin/python score.py'``.
What goes over stdin and stdout is told in docs/verifiers/process.md.
"""

from __future__ import annotations

import base64
import io
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

PROTOCOL = 1


class ServedCondition:
    """What a picture should show: ``text`` or a class ``label``, and what it should not
    (``negative``); None where it is not said."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.text: str | None = row.get("text")
        self.label: int | None = row.get("label")
        self.negative: str | None = row.get("negative")


def _pil(data: bytes) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(data)).convert("RGB")


def _numpy(data: bytes) -> Any:
    import numpy as np

    return np.asarray(_pil(data))


FORMS: dict[str, Callable[[bytes], Any]] = {"pil": _pil, "numpy": _numpy, "png": bytes}


def serve(
    function: Callable[[list[Any], list[ServedCondition]], Any],
    name: str = "",
    parts: Sequence[str] | Mapping[str, float] = (),
    fingerprint: str = "",
    batch: int = 8,
    images: str = "pil",
) -> None:
    """Answer until the search closes stdin.

    ``function(images, conditions)`` gets up to ``batch`` of each and returns a number for each
    picture, or of several ``parts`` a dictionary of such lists; larger is better, and None or a
    text in place of a number says that, or why, there is none. ``parts`` may give a part's scale,
    its typical standard deviation among pictures of one prompt (else 1). ``images``: pil, numpy
    (uint8 [H, W, 3]) or png (bytes, which needs neither package). ``fingerprint``: the version
    of the weights; a search is not resumed with another one.
    """
    name = name or function.__name__
    if name == "<lambda>":
        raise ValueError("a lambda has no name; give one: serve(…, name='…')")
    answers = _own_stdout()
    scales = dict(parts) if isinstance(parts, Mapping) else dict.fromkeys(parts or [name], 1.0)
    opened = FORMS[images]
    hello = {"name": name, "parts": scales, "fingerprint": fingerprint, "batch": batch}
    try:
        _write(answers, {"noisesearch": PROTOCOL, **hello})
        for line in sys.stdin.buffer:
            request = json.loads(line)
            rows = request["looks"]
            found = _answers(function, rows, opened, list(scales))
            told = [{"id": row["id"], **one} for row, one in zip(rows, found, strict=True)]
            _write(answers, {"id": request["id"], "answers": told})
    except BrokenPipeError:  # the search is over
        pass


def _own_stdout() -> IO[bytes]:
    """What the search reads; whatever prints from here on, C libraries too, writes to stderr."""
    kept = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return kept


def _write(answers: IO[bytes], message: Mapping[str, Any]) -> None:
    answers.write(json.dumps(message).encode() + b"\n")
    answers.flush()


def _answers(
    function: Callable[..., Any],
    rows: Sequence[Mapping[str, Any]],
    opened: Callable[[bytes], Any],
    parts: Sequence[str],
) -> list[dict[str, Any]]:
    """One for each row; where the function raises, each row is tried alone."""
    try:
        given = [opened(base64.b64decode(row["image"])) for row in rows]
        columns = _columns(
            function(given, [ServedCondition(row) for row in rows]), parts, len(rows)
        )
        return [{"parts": {p: columns[p][i] for p in parts}} for i in range(len(rows))]
    except Exception as error:  # an author's code: anything may come out of it
        if len(rows) == 1:
            return [{"error": f"{type(error).__name__}: {error}"}]
        return [one for row in rows for one in _answers(function, [row], opened, parts)]


def _columns(found: Any, parts: Sequence[str], size: int) -> dict[str, list[Any]]:
    """A number or a reason for each row, by part."""
    if not isinstance(found, Mapping):
        if len(parts) != 1:
            raise TypeError(f"return a dictionary with {', '.join(parts)}")
        found = {parts[0]: found}
    columns = {part: [_value(v) for v in found[part]] for part in parts}
    for part, column in columns.items():
        if len(column) != size:
            raise ValueError(f"{part!r} has {len(column)} numbers for {size} images")
    return columns


def _value(value: Any) -> float | str:
    if value is None or isinstance(value, str):
        return value or "there is no number for this picture"
    return float(value) if math.isfinite(value) else f"the function returned {float(value)}"
