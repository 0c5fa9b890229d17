"""What a pipeline draws of its generators, seen and, where it is the start, replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor
from torch.overrides import TorchFunctionMode

# (row, number of its draw, what was drawn) → what the pipeline is given in its place
Replace = Callable[[int, int, Tensor], Tensor]


class Draws(TorchFunctionMode):
    """While this is entered, the normals of ``generators``, one a row, go through ``replace``.

    diffusers draws them in one place, ``randn_tensor``, and of a list of generators row by row, so
    a row and a number name a draw. A draw that is replaced has been made all the same: whatever
    the generator gives after it stays as it was. ``seen`` holds what the pipeline got.
    """

    def __init__(self, generators: Sequence[Generator], replace: Replace | None) -> None:
        super().__init__()
        self.seen: list[Tensor] = []
        self._replace = replace
        self._rows = {id(generator): row for row, generator in enumerate(generators)}
        self._counts = [0] * len(generators)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        drawn = func(*args, **kwargs)
        row = self._rows.get(id(kwargs.get("generator")))
        if func is not torch.randn or row is None:
            return drawn
        number = self._counts[row]
        self._counts[row] += 1
        if self._replace is not None:
            drawn = self._replace(row, number, drawn)
        self.seen.append(drawn)
        return drawn


def without(recorded: Sequence[Tensor], index: int) -> Replace:
    """The draws of an earlier run in order, one of them left out: as where that one is given to
    the pipeline in another way."""
    rest = [*recorded[:index], *recorded[index + 1 :]]

    def replace(row: int, number: int, drawn: Tensor) -> Tensor:
        fits = number < len(rest) and rest[number].shape == drawn.shape
        return rest[number] if fits else drawn

    return replace


def instead(noises: Tensor, index: int, recorded: Sequence[Tensor] = ()) -> Replace:
    """Each row's noise in the place of that draw, and those of an earlier run for the others."""

    def replace(row: int, number: int, drawn: Tensor) -> Tensor:
        if number == index:
            return noises[row : row + 1].to(drawn)
        return recorded[number] if number < len(recorded) else drawn

    return replace


def same_numbers(one: Tensor, other: Tensor) -> bool:
    """True where two tensors hold the same numbers in any order, as where one is packed."""
    if one.numel() != other.numel():
        return False
    return torch.equal(*(x.detach().cpu().float().flatten().sort().values for x in (one, other)))
