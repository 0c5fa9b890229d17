"""Transformers with some of their blocks left out, or looked at from outside, weights shared.

A network is copied without its weights: a *twin* has the very modules of the original but for the
lists of blocks. What comes before the blocks and after them is then the network's own code, and
the original stays as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from torch import nn

from ...errors import ConfigError

Wrap = Callable[[Sequence[nn.Module]], nn.Module]

# The lists of blocks that a class calls one after the other, by its name.
LISTS: dict[str, tuple[str, ...]] = {
    "ShapesTransformer": ("blocks",),
    "SiT": ("blocks",),
    "FluxTransformer2DModel": ("transformer_blocks", "single_transformer_blocks"),
    "SD3Transformer2DModel": ("transformer_blocks",),
    "PixArtTransformer2DModel": ("transformer_blocks",),
    "SanaTransformer2DModel": ("transformer_blocks",),
}


def lists_of(network: nn.Module) -> tuple[str, ...]:
    """The names of a network's lists of blocks; ConfigError for one that has none we know."""
    kind = type(network)
    found = next((LISTS[c.__name__] for c in kind.__mro__ if c.__name__ in LISTS), None)
    if found is None:
        raise ConfigError(
            f"drafts that skip layers or cache them need a transformer, and a {kind.__name__} is "
            f"none that is known; known are {', '.join(LISTS)}; use a draft of fewer steps"
        )
    if "forward" in vars(network):
        raise ConfigError(
            f"drafts that skip layers or cache them cannot look into a {kind.__name__} that is "
            "moved between devices while it runs (offloading); turn that off, or use a draft of "
            "fewer steps"
        )
    return found


def twin(network: nn.Module, skip: Sequence[int] = (), wrap: Wrap | None = None) -> nn.Module:
    """The network without the blocks ``skip``, counted from 0 over all of its lists; with
    ``wrap(blocks)`` in place of the blocks that are left, where it is given."""
    names = lists_of(network)
    blocks = [block for name in names for block in getattr(network, name)]
    wrong = [number for number in skip if number >= len(blocks)]
    if wrong:
        raise ConfigError(
            f"skip is {','.join(map(str, skip))}, but a {type(network).__name__} of this size has "
            f"layers 0 to {len(blocks) - 1}"
        )
    if len(set(skip)) == len(blocks):
        raise ConfigError(f"skip leaves out all {len(blocks)} layers; keep one at least")
    left = [i for i in range(len(blocks)) if i not in skip]
    made = copy.copy(network)
    made._modules = dict(network._modules)
    first = 0
    for name in names:
        count = len(getattr(network, name))
        kept = [blocks[i] for i in left if first <= i < first + count]
        made._modules[name] = nn.ModuleList([] if wrap else kept)
        first += count
    if wrap:
        made._modules[names[0]] = nn.ModuleList([wrap([blocks[i] for i in left])])
    return made
