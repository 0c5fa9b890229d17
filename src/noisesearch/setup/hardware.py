"""Devices, precisions and threads of this machine."""

from __future__ import annotations

import os

from ..errors import ConfigError


def precision(dtype: str, device: str) -> str:
    """bfloat16 where the hardware multiplies it, else float32; written to the spec."""
    if dtype != "auto":
        return dtype
    import torch

    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    flags = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    fast = any(getattr(torch.cpu, flag, bool)() for flag in flags)
    return "bfloat16" if fast else "float32"


def place(device: str) -> str:
    """A device that is there: ConfigError before anything is loaded onto another."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"device {device!r} cannot be used here ({str(error).splitlines()[0].rstrip('.')}); "
            "choose auto, cpu or a cuda device of this machine"
        ) from error
    return device


def threads() -> int:
    """Cores this process may use; recorded, since another count gives other last bits."""
    import torch

    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return min(torch.get_num_threads(), available or os.cpu_count() or 1)
