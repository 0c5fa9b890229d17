"""Where the time of a search goes: what its parts take, and what is left for engine and driver."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bare import begun
from noisesearch.setup.loaded import Loaded

WORK = ("network", "text", "decoder", "verifiers")  # what would run without any search


class Timed:
    """A thing some of whose calls are clocked; all else is its own."""

    def __init__(self, inner: Any, clock: Callable[..., Any], **names: str) -> None:
        self._inner, self._clock, self._names = inner, clock, names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._clock(self._names[name], found) if name in self._names else found

    def __call__(self, *given: Any) -> Any:
        return self._clock(self._names["call"], self._inner)(*given)


class Clock:
    """Seconds by name; of calls inside each other the inner ones are left out of the outer."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._inside: list[float] = []
        self._main = threading.get_ident()

    def __call__(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def clocked(*given: Any, **named: Any) -> Any:
            if threading.get_ident() != self._main:
                return work(*given, **named)  # beside: what is waited for counts
            self._inside.append(0.0)
            started = time.perf_counter()
            try:
                return work(*given, **named)
            finally:
                took, inner = time.perf_counter() - started, self._inside.pop()
                self.seconds[name] += took - inner
                if self._inside:
                    self._inside[-1] += took

        return clocked


def clocked(loaded: Loaded, clock: Clock) -> Loaded:
    """The same parts with their networks' calls clocked."""

    def network(of: Any) -> Any:
        return Timed(of, clock, call="network", recall="network", decode="decoder", encode="text")

    drafts = {name: replace(of, denoiser=network(of.denoiser))
              for name, of in loaded.drafts.items()}  # fmt: skip
    verifiers: Any = [Timed(v, clock, call="verifiers") for v in loaded.verifiers]
    return replace(loaded, denoiser=network(loaded.denoiser), drafts=drafts, verifiers=verifiers)


def table(loaded: Loaded) -> dict[str, Any]:
    """Seconds and shares by what they are spent on, over one search."""
    clock = Clock()
    run = begun(clocked(loaded, clock))
    executor = run.executor()
    for scorer in executor.scorers:  # type: ignore[attr-defined]
        scorer._saved = clock("pictures, waited for", scorer._saved)
    run.executor = lambda _: Timed(executor, clock, wait="slots and batches")  # type: ignore[assignment,method-assign,return-value]
    run.store.journal.append = clock("journal", run.store.journal.append)  # type: ignore[method-assign]
    run.write = clock("winners and sheets", run.write)  # type: ignore[method-assign]
    whole = clock("algorithms and driver", run.execute)
    try:
        results = whole()
    finally:
        run.close()
    seconds = dict(clock.seconds.most_common())
    total, answers = sum(seconds.values()), len(run.store)
    bare = sum(seconds.get(name, 0.0) for name in WORK)
    return {
        "seconds": total, "answers": answers, "nfe": sum(r.ledger["nfe"] for r in results),
        "ms_per_answer": 1e3 * total / answers, "engine_share": 1 - bare / total,
        "parts": {name: {"ms_per_answer": 1e3 * s / answers, "share": s / total}
                  for name, s in seconds.items()},
    }  # fmt: skip
