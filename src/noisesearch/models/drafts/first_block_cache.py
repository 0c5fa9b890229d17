"""A first-block cache: a step whose first block says what it said before reuses the rest.

After the first block of a transformer, what that block has added to the tokens is compared with
what it added when the rest of the blocks were last computed for this row. Where the two differ by
less than a threshold, relative to the older one's size (mean absolute values), the row takes over
what the rest added then. The rule is that of ParaAttention's first-block cache; there it is one
decision for a batch and a state in the module. Here decision and state are a row's own: the state
travels with the row (:data:`~noisesearch.sampling.denoiser.RowMemories`), and the rest of the
blocks is called on chunks of one fixed number of rows, so that a sample does not depend on its
companions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...candidates.condition import Condition
from ...errors import ConfigError
from ...sampling.denoiser import Denoiser, Encoded, RowMemories
from ...sampling.process import Process
from ...sampling.solvers import Pair
from .blocks import twin

CHUNK = 4  # rows of the rest's calls: matrix products take rows by fours
SHARED = ("image_rotary_emb",)  # arguments of a block that have no row for every sample


class Gate:
    """Decides for each row; ``live`` is set around a network call.

    Under guidance a row of the batch is ``forwards`` rows of the network, group after group; they
    are decided together.
    """

    def __init__(self, threshold: float, forwards: int) -> None:
        self.threshold, self.forwards = threshold, forwards
        self.live: RowMemories | None = None

    def missed(self, added: Tensor, live: RowMemories) -> list[int]:
        """The rows whose rest must be computed; ``added`` [forwards, B, …] by the first block."""
        known = {i: memory for i, memory in live.items() if memory is not None}
        if not known:
            return list(live)
        changes = []
        for i, (before, _) in known.items():
            # Row by row: over several at once a sum's last bits could depend on their number.
            before = before.float()
            changes.append((added[:, i].float() - before).abs().sum() / before.abs().sum())
        small = (torch.stack(changes) < self.threshold).tolist()
        reused = {i for i, is_small in zip(known, small, strict=True) if is_small}
        return [i for i in live if i not in reused]

    def __call__(self, blocks: Sequence[nn.Module], args: Any, kwargs: Any) -> Any:
        """What the blocks make of a batch, each called as the network calls its first."""
        first, *rest = blocks
        entered = tokens(args, kwargs)
        out = first(*args, **kwargs)
        came = tokens_of(out)
        args, kwargs = handed_on(args, kwargs, out)
        if self.live is None:
            return through(rest, args, kwargs, out)
        size = len(came) // self.forwards
        groups = grouped(came, self.forwards)
        added = groups - grouped(entered, self.forwards)
        left = groups.clone()
        missed = self.missed(added, self.live)
        for start in range(0, len(missed), CHUNK):
            some = missed[start : start + CHUNK]
            filled = [*some, *[some[0]] * (CHUNK - len(some))]
            rows = [group * size + i for group in range(self.forwards) for i in filled]
            at = torch.tensor(rows, device=came.device)
            gone = tokens_of(through(rest, *gathered(args, kwargs, at, len(came)), out))
            gone = grouped(gone, self.forwards)
            for place, i in enumerate(some):
                left[:, i] = gone[:, place]
                self.live[i] = added[:, i].clone(), left[:, i] - groups[:, i]
        for i in self.live.keys() - missed:
            memory = self.live[i]
            assert memory is not None
            left[:, i] += memory[1]
        whole = left.flatten(0, 1)
        # The words, where there are any, are of no use after the last block.
        return (out[0], whole) if isinstance(out, tuple) else whole


class Chain(nn.Module):
    """Blocks in place of one."""

    def __init__(self, gate: Gate, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        if len(blocks) < 2:
            raise ConfigError(
                f"a first-block cache reuses what comes after the first layer, and here is "
                f"{len(blocks)} layer; leave cache out of the draft"
            )
        self.blocks = nn.ModuleList(blocks)
        self._gate = gate

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._gate(list(self.blocks), args, kwargs)


def grouped(rows: Tensor, groups: int) -> Tensor:
    """[groups, B, …] of a network's rows [groups·B, …]."""
    return rows.reshape(groups, len(rows) // groups, *rows.shape[1:])


def tokens(args: Any, kwargs: Any) -> Tensor:
    """The picture's tokens [B, N, D] among a block's arguments."""
    found: Tensor = args[0] if args else kwargs["hidden_states"]
    return found


def tokens_of(out: Any) -> Tensor:
    """The picture's tokens that a block gives: alone, or after the words."""
    found: Tensor = out[1] if isinstance(out, tuple) else out
    return found


def handed_on(args: Any, kwargs: Any, out: Any) -> tuple[Any, Any]:
    """The next block's arguments."""
    if isinstance(out, tuple):
        return args, {**kwargs, "encoder_hidden_states": out[0], "hidden_states": out[1]}
    return ((out, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": out})


def through(blocks: Sequence[nn.Module], args: Any, kwargs: Any, out: Any) -> Any:
    """What blocks after another make of their arguments; ``out`` where there are none."""
    for block in blocks:
        out = block(*args, **kwargs)
        args, kwargs = handed_on(args, kwargs, out)
    return out


def gathered(args: Any, kwargs: Any, at: Tensor, size: int) -> tuple[Any, Any]:
    """A block's arguments for some of its ``size`` rows."""

    def some(value: Any) -> Any:
        whole = isinstance(value, Tensor) and value.dim() > 0 and len(value) == size
        return value[at] if whole else value

    return (
        tuple(some(value) for value in args),
        {name: value if name in SHARED else some(value) for name, value in kwargs.items()},
    )


class FirstBlockDenoiser:
    """A denoiser whose network has a first-block cache; used by rows that remember nothing, as by
    a plain call, it is the denoiser itself."""

    def __init__(self, denoiser: Any, threshold: float, skip: Sequence[int]) -> None:
        self._gate = Gate(threshold, denoiser.forwards)
        self._inner: Denoiser = denoiser.rewired(
            partial(twin, skip=skip, wrap=partial(Chain, self._gate))
        )

    @property
    def process(self) -> Process:
        return self._inner.process

    @property
    def shape(self) -> tuple[int, ...]:
        return self._inner.shape

    @property
    def forwards(self) -> int:
        return self._inner.forwards

    @property
    def flops(self) -> int:
        """Of one forward in which nothing is reused."""
        return self._inner.flops

    def encode(self, conditions: Sequence[Condition]) -> Encoded:
        return self._inner.encode(conditions)

    def __call__(self, x: Tensor, t: Tensor, encoded: Encoded) -> Pair:
        return self._inner(x, t, encoded)

    def recall(self, x: Tensor, t: Tensor, encoded: Encoded, live: RowMemories) -> Pair:
        """(x0, ε) of the rows in ``live``; the others are fillers and come out as they may."""
        self._gate.live = live
        try:
            return self._inner(x, t, encoded)
        finally:
            self._gate.live = None

    def decode(self, x0: Tensor) -> Tensor:
        return self._inner.decode(x0)
