"""Networks in ONNX files, run on the processor."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch

from ...errors import ConfigError


def session(verifier: str, path: Path, install: str) -> Any:
    """An onnxruntime session of a file; ConfigError where it cannot be had."""
    try:
        onnxruntime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ConfigError(f"verifier {verifier!r} needs onnxruntime; run: {install}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # those of the run, which it records
    try:
        return onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    except Exception as error:  # whatever a file that is something else makes of the reader
        raise ConfigError(
            f"{path} cannot be read as a network of verifier {verifier!r}; leave weights out and "
            f"run: {install}"
        ) from error
