"""Keeping the process's memory between batches."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
KEPT = 2**30


def keep_buffers() -> bool:
    """Have glibc's malloc keep freed buffers up to 1 GiB; False where there is no glibc.

    By default a buffer above 128 KiB goes back to the system when it is freed, and every layer of
    every batch then pays for fresh zeroed pages: half of the time of a batch on a processor
    (`benchmarks/overhead.py`).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        libc = ctypes.CDLL("libc.so.6")
        return all(libc.mallopt(what, KEPT) == 1 for what in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD))
    except (OSError, AttributeError):  # musl and others have no such knob
        return False
