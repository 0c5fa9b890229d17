"""Low-rank adapters (LoRA, arXiv 2106.09685) beside a network's weights, the network left alone.

An adapter adds (x·Aᵀ)·Bᵀ·scale to what a linear layer or a convolution gives. It is kept beside
the layer and not merged into it, so a draft needs no second copy of the weights, and layers that
are quantised can have one too.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import ConfigError

DOWN = (".lora_A.weight", ".lora.down.weight", ".lora_down.weight")
UP = (".lora_B.weight", ".lora.up.weight", ".lora_up.weight")
ALPHA = ".alpha"
NETWORKS = ("transformer.", "unet.")  # what stands before the network's own names
HOW = "save it with save_lora_weights of diffusers"


@dataclass(frozen=True)
class Factors:
    """A [rank, …], B [out, rank, …], and what their product is multiplied with."""

    down: Tensor
    up: Tensor
    scale: float


class Adapted(nn.Module):
    """A layer and its adapter."""

    def __init__(self, layer: nn.Module, factors: Factors, like: Tensor) -> None:
        super().__init__()
        self.layer = layer
        self.down, self.up = factors.down.to(like), (factors.scale * factors.up).to(like)

    @property
    def weight(self) -> Tensor:
        """Of the layer: networks ask for its type and place."""
        found: Tensor = self.layer.weight  # type: ignore[assignment]
        return found

    def forward(self, x: Tensor) -> Tensor:
        given: Tensor = self.layer(x)
        # To where the input is: the layer may have been moved since.
        down, up = self.down.to(x), self.up.to(x)
        if isinstance(self.layer, nn.Conv2d):
            layer = self.layer
            low = F.conv2d(x, down, None, layer.stride, layer.padding, layer.dilation)
            return given + F.conv2d(low, up)
        return given + F.linear(F.linear(x, down), up)


def read(path: Path) -> dict[str, Factors]:
    """The factors of a file by the layer's name; ConfigError for a file of another kind."""
    from safetensors.torch import load_file

    if path.suffix != ".safetensors" or not path.is_file():
        what = "is no file" if not path.is_file() else "would have to be unpickled"
        raise ConfigError(f"LoRA {path} {what}; give a file of safetensors: {HOW}")
    try:
        content = load_file(str(path))
    except Exception as error:  # whatever a truncated file raises
        raise ConfigError(f"LoRA {path} cannot be read ({error}); get the file again") from error
    found, used = {}, set()
    for key, down in content.items():
        ending = next((e for e in DOWN if key.endswith(e)), None)
        if ending is None:
            continue
        name = key.removesuffix(ending)
        other = name + UP[DOWN.index(ending)]
        if other not in content:
            raise ConfigError(f"LoRA {path} has {key} without {other}; get the file again")
        alpha = content.get(name + ALPHA)
        scale = 1.0 if alpha is None else float(alpha) / len(down)
        used |= {key, other, name + ALPHA}
        found[_plain(name)] = Factors(down, content[other], scale)
    foreign = sorted(content.keys() - used)
    if foreign or not found:
        what = f"holds {foreign[0]!r}" if foreign else "holds no adapter"
        raise ConfigError(f"LoRA {path} {what}, which is none of the network's layers; {HOW}")
    return found


def _plain(name: str) -> str:
    return next((name.removeprefix(p) for p in NETWORKS if name.startswith(p)), name)


def adapted(network: nn.Module, factors: Mapping[str, Factors]) -> nn.Module:
    """The network with adapters; whatever is not adapted is the original's own."""
    like = next(weight for weight in network.parameters() if weight.is_floating_point())
    made = network
    for name, pair in factors.items():
        try:
            layer = network.get_submodule(name)
        except AttributeError as error:
            raise ConfigError(
                f"the LoRA adapts a layer {name!r} that a {type(network).__name__} does not have; "
                f"choose one that was made for this model, or {HOW}"
            ) from error
        _check(name, layer, pair)
        made = _replaced(made, name.split("."), Adapted(layer, pair, like))
    return made


def _check(name: str, layer: nn.Module, pair: Factors) -> None:
    if isinstance(layer, nn.Conv2d):
        fits = tuple(pair.down.shape[1:]) == (layer.in_channels, *layer.kernel_size)
        fits = fits and layer.groups == 1 and pair.up.shape[0] == layer.out_channels
    else:  # linear, by whatever name quantised ones have
        sizes = getattr(layer, "in_features", None), getattr(layer, "out_features", None)
        fits = (pair.down.shape[-1], pair.up.shape[0]) == sizes
    if not fits or pair.down.shape[0] != pair.up.shape[1]:
        raise ConfigError(
            f"the LoRA's factors for {name!r} are {list(pair.up.shape)} and "
            f"{list(pair.down.shape)}, which do not fit that layer; choose one that was made for "
            "this model"
        )


def _replaced(module: nn.Module, path: list[str], leaf: nn.Module) -> nn.Module:
    """A copy of the module without its weights, with another module at a path."""
    made = copy.copy(module)
    made._modules = dict(module._modules)
    first, *rest = path
    child = module._modules[first]
    assert child is not None
    made._modules[first] = _replaced(child, rest, leaf) if rest else leaf
    return made
