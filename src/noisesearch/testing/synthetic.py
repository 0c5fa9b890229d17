"""Run folders of any size without a model's work: the real engine, with numbers of chance."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..candidates.ask import Ask, Reply
from ..runs.run import Run, Workers
from ..setup.request import Request


class Chance:
    """An executor whose numbers are drawn by trajectory and part; no sample is made."""

    def __init__(self, parts: Sequence[str]) -> None:
        self._parts = tuple(parts)
        self._asked: dict[str, Ask] = {}

    @property
    def usage(self) -> Mapping[str, Mapping[str, int]]:
        return {}

    def submit(self, ask: Ask) -> None:
        self._asked[ask.key] = ask

    def wait(self) -> list[tuple[Ask, Reply]]:
        asks, self._asked = list(self._asked.values()), {}
        return [(ask, self._reply(ask)) for ask in asks]

    def cancel(self, ask: Ask) -> None:
        self._asked.pop(ask.key, None)

    def close(self) -> None:
        pass

    def _reply(self, ask: Ask) -> Reply:
        key = ask.trajectory.key
        numbers = {part: random.Random(f"{key} {part}").gauss(0, 1)
                   for part in ask.parts(self._parts)}  # fmt: skip
        return Reply(ask.trajectory, numbers, cost=dict.fromkeys(numbers, 0.001))


class _MadeUp(Run):
    def executor(self, where: Workers | None = None) -> Chance:
        return Chance(self.loaded.part_names)


def made_up_run(folder: Path, prompts: int | Sequence[str], budget: str, **settings: Any) -> None:
    """A run of the model *shapes* in a new folder, as :func:`noisesearch.search` would leave it
    but for the pictures; ``prompts``: how many of the model's own, or which."""
    from ..models.choice import model_of

    texts = model_of("shapes").examples(prompts) if isinstance(prompts, int) else prompts
    resolved = Request(texts, model="shapes", budget=budget, **settings).resolve()
    run = _MadeUp.create(folder, resolved.searches)
    try:
        run.execute()
    finally:
        run.close()
