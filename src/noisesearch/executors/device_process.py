"""A worker in a process of its own: lines of JSON in and out, the setup first."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import IO, Any

from ..errors import NoisesearchError

CUDA = "cuda:"
VISIBLE = "CUDA_VISIBLE_DEVICES"


def main() -> None:
    """Load what the first line says, then answer a parcel a line until stdin closes."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints, C libraries too, is not an answer
    setup = json.loads(sys.stdin.buffer.readline())
    setup["device"] = alone(setup["device"])
    from .messages import failure
    from .shipped_run import ShippedRun

    try:
        station = ShippedRun.read(setup).station()
    except NoisesearchError as error:
        _write(answers, failure(error))
        return
    _write(answers, {"rows": station.worker.rows})
    for line in sys.stdin.buffer:
        _write(answers, station.work(json.loads(line)))


def alone(device: str) -> str:
    """The device as the only one of its kind that this process sees, so that nothing is put on
    another by chance; said before torch is there."""
    if not device.startswith(CUDA):
        return device
    number = int(device.removeprefix(CUDA))
    seen = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = seen.split(",")[number].strip() if seen else str(number)
    return "cuda"


def _write(answers: IO[bytes], message: Mapping[str, Any]) -> None:
    answers.write(json.dumps(message).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    main()
