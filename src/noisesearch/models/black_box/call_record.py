"""What one call of a pipeline did: steps of its schedulers, calls of its networks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class CallRecord:
    """Counts as a call runs.

    ``steps``: of schedulers; one is an evaluation of every row. ``mixed``: the first noise that a
    scheduler mixed into an image. ``forwards``: rows that went through the network before the
    first step. ``answers``: what each network that is asked before a step gave, by its rows.
    """

    steps: int = 0
    mixed: Tensor | None = None
    forwards: int = 0
    network: nn.Module | None = None
    inputs: tuple[Any, Any] = ((), {})
    answers: dict[nn.Module, dict[int, Any]] = field(default_factory=dict)
    _since: list[tuple[nn.Module, int, Any, Any, Any]] = field(default_factory=list)

    def told(self, name: str, arguments: dict[str, Any]) -> None:
        """A scheduler's method was called."""
        if name != "step":
            if self.mixed is None:
                self.mixed = arguments.get("noise")
            return
        self.steps += 1
        if not self._since:
            return
        network = self._since[-1][0]
        calls = [call for call in self._since if call[0] is network]
        if self.network is None:
            self.network, self.inputs = network, calls[0][3:]
            self.forwards = sum(rows for _, rows, *_ in calls)
        for _, rows, answer, *_ in calls:
            self.answers.setdefault(network, {})[rows] = answer
        self._since = []

    @contextmanager
    def on(self, networks: Iterable[nn.Module]) -> Iterator[None]:
        """While this is entered, calls of the networks are seen."""

        def seen(network: nn.Module, args: Any, kwargs: Any, answer: Any) -> None:
            self._since.append((network, _rows(args, kwargs), answer, args, kwargs))

        with ExitStack() as stack:
            for network in networks:
                handle = network.register_forward_hook(seen, with_kwargs=True)
                stack.callback(handle.remove)
            yield
        self._since = []

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """While this is entered, the networks give again what they gave, and nothing is computed:
        so a loop can be counted."""
        with ExitStack() as stack:
            for network, answers in self.answers.items():
                own = vars(network).get("forward")  # where weights are moved as they are needed
                vars(network)["forward"] = _again(answers)
                stack.callback(_put_back, network, own)
            yield

    def flops(self) -> int:
        """Of one forward of one sample, a multiply-add being two: the first call, made again."""
        from torch.utils.flop_counter import FlopCounterMode

        if self.network is None:
            return 0
        args, kwargs = self.inputs
        plain = getattr(self.network, "_orig_mod", self.network)  # of one that was compiled
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            plain(*args, **kwargs)
        return int(counter.get_total_flops()) // max(1, _rows(args, kwargs))


def _rows(args: Any, kwargs: Any) -> int:
    """Of the first tensor, or list of tensors, that a network is given."""
    for value in (*args, *kwargs.values()):
        if (isinstance(value, Tensor) and value.ndim > 0) or isinstance(value, list):
            return len(value)
    return 1


def _again(answers: dict[int, Any]) -> Any:
    def forward(*args: Any, **kwargs: Any) -> Any:
        rows = _rows(args, kwargs)
        return answers[rows] if rows in answers else next(iter(answers.values()))

    return forward


def _put_back(network: nn.Module, own: Any) -> None:
    if own is None:
        del vars(network)["forward"]
    else:
        vars(network)["forward"] = own
