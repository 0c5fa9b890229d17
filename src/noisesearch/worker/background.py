"""Decoding and scoring beside the next evaluation, where there is an accelerator."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch

Outcome = TypeVar("Outcome")


class BackgroundTask(Generic[Outcome]):
    """One piece of work at a time, in a thread and, on CUDA, on a stream of its own.

    The stream begins where the caller's stands, so what the work reads is there; the work is over
    when its stream is, so what it gives may be read anywhere.
    """

    def __init__(self, device: torch.device) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="noisesearch-look")
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._future: Future[Outcome] | None = None

    @property
    def busy(self) -> bool:
        """True while there is an outcome to come or to fetch."""
        return self._future is not None

    @property
    def done(self) -> bool:
        """True where the outcome can be fetched without waiting."""
        return self._future is not None and self._future.done()

    def start(self, work: Callable[[], Outcome]) -> None:
        """Begin; not while there is an outcome to fetch."""
        assert self._future is None
        ready = None if self._stream is None else torch.cuda.current_stream().record_event()
        self._future = self._pool.submit(self._run, work, ready)

    def _run(self, work: Callable[[], Outcome], ready: torch.cuda.Event | None) -> Outcome:
        with torch.inference_mode():  # which is a thread's own
            if self._stream is None or ready is None:
                return work()
            with torch.cuda.device(self._device), torch.cuda.stream(self._stream):
                self._stream.wait_event(ready)
                try:
                    return work()
                finally:
                    self._stream.synchronize()

    def fetch(self) -> Outcome:
        """The outcome, waited for; what the work raised is raised here."""
        assert self._future is not None
        future, self._future = self._future, None
        return future.result()

    def close(self) -> None:
        """Wait for what is under way and forget it."""
        self._pool.shutdown(cancel_futures=True)
        self._future = None
