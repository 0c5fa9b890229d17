"""What is seen while a search runs: a bar on stderr, and best.png as it gets better."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..candidates.ask import Reply
    from ..driver.driver import Driver
    from ..driver.live_search import LiveSearch
    from .run import Run

BAR_SECONDS = 0.2  # between updates of the bar
LINE_SECONDS = 10.0  # between plain lines where there is no terminal
DRAW_SECONDS = 1.0  # at least, between replacements of best.png and winners.json


class Progress:
    """A watcher of the driver: a live bar in a terminal, a line now and then in a pipe.

    The bar counts NFE (seconds under a clock budget) and shows the mean over the conditions of
    the best value so far and of its gain over the baseline.
    """

    def __init__(self, run: Run, quiet: bool = False) -> None:
        self.run = run
        self.quiet = quiet
        limits = [s.problem.run.limit for s in run.searches]
        self.clock = any(limit == float("inf") for limit in limits)
        self.total = run.setup.budget.amount if self.clock else sum(limits)
        self._bar: Any = None
        self._printed = time.monotonic()
        self._draw_at = 0.0
        self._base: dict[int, float] = {}
        self._best: dict[int, float] = {}

    def __enter__(self) -> Progress:
        if sys.stderr.isatty() and not self.quiet:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("searching"),
                BarColumn(),
                TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[unit]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[news]}"),
                console=Console(stderr=True),
            )
            self._bar.start()
            unit = "s" if self.clock else "NFE"
            self._task = self._bar.add_task("", total=self.total, news="", unit=unit)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            if self.run.driver is not None:
                self._bar.update(
                    self._task, completed=self._done(self.run.driver), news=self._news()
                )
            self._bar.stop()

    def replied(self, driver: Driver, live: LiveSearch, reply: Reply) -> None:
        value = live.problem.objective.value(reply)
        if reply.trajectory.key == live.record.baseline.key:
            self._base[live.settings.index] = value
        if self._bar is not None:
            if time.monotonic() - self._printed > BAR_SECONDS:
                self._printed = time.monotonic()
                self._bar.update(self._task, completed=self._done(driver), news=self._news())
        elif not self.quiet and time.monotonic() - self._printed > LINE_SECONDS:
            self._printed = time.monotonic()
            unit = "s" if self.clock else "NFE"
            done = f"{self._done(driver):.0f}/{self.total:.0f} {unit}"
            print(f"searching: {done}, {self._news()}", file=sys.stderr, flush=True)

    def improved(self, driver: Driver, live: LiveSearch, reply: Reply) -> None:
        """Replace best.png and winners.json; drawing takes a twentieth of the time at most."""
        self._best[live.settings.index] = live.problem.objective.value(reply)
        started = time.monotonic()
        if self.run.sheets and started > self._draw_at:
            self.run.write()
            ended = time.monotonic()
            self._draw_at = ended + max(DRAW_SECONDS, 20 * (ended - started))

    def _done(self, driver: Driver) -> float:
        if self.clock:
            return min(self.total, driver.elapsed)
        return sum(s.ledger.counted * _answered_share(s) for s in driver.searches)

    def _news(self) -> str:
        both = [i for i in self._best if i in self._base]
        if not both:
            sets = any(s.problem.run.sets is not None for s in self.run.searches)
            return "sets are compared at the end" if sets else "no baseline yet"
        best = sum(self._best[i] for i in both) / len(both)
        gain = best - sum(self._base[i] for i in both) / len(both)
        return f"best {best:.3f} ({gain:+.3f} over the baseline)"


def _answered_share(live: LiveSearch) -> float:
    """Of what has been asked so far; asks are charged before they are answered."""
    return 1.0 - len(live.waiting) / max(1, len(live.record.replies) + len(live.pending))
