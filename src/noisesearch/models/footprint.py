"""What a network needs beside its weights: counted on shapes alone, nothing is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing import reductions
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# It has no types.
WeakRef: Any = reductions.StorageWeakRef
Attention = torch.nn.functional.scaled_dot_product_attention


def weight_bytes(networks: Iterable[nn.Module]) -> int:
    """Of parameters and buffers, quantised ones as they are stored."""
    tensors = {id(t): t for n in networks for t in (*n.parameters(), *n.buffers())}
    return sum(map(_stored, tensors.values()))


def _stored(tensor: Tensor) -> int:
    """Bytes; a tensor that is made of others, as torchao's are, says so."""
    flatten = getattr(tensor, "__tensor_flatten__", None)
    if flatten is None:
        return tensor.numel() * tensor.element_size()
    return sum(_stored(getattr(tensor, name)) for name in flatten()[0])


def peak_bytes(call: Callable[[], Any]) -> int:
    """The most that is alive at once of what a call on the device ``meta`` makes."""
    peak = Peak()
    with torch.no_grad(), peak, Fused():
        call()
    return peak.most


def on_meta(inputs: Mapping[str, Any], dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    """Shapes without numbers, those of floating point in ``dtype``."""

    def moved(value: Any) -> Any:
        if isinstance(value, Mapping):
            return on_meta(value, dtype)
        if not isinstance(value, Tensor):
            return value
        return value.to("meta", dtype if value.is_floating_point() else value.dtype)

    return {name: moved(value) for name, value in inputs.items()}


class Peak(TorchDispatchMode):
    """Follows the storages that operations make until they are gone."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = 0
        self._alive: dict[int, tuple[Any, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        # A view, of a weight too, holds nothing of its own.
        given = {tensor.untyped_storage()._cdata for tensor in _tensors((args, kwargs))}
        self._alive = {at: (ref, size) for at, (ref, size) in self._alive.items()
                       if not ref.expired()}  # fmt: skip
        for tensor in _tensors(found):
            storage = tensor.untyped_storage()
            if storage._cdata not in given:
                self._alive[storage._cdata] = WeakRef(storage), storage.nbytes()
        self.most = max(self.most, sum(size for _, size in self._alive.values()))
        return found


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


class Fused(TorchFunctionMode):
    """Attention as the kernels of accelerators have it: no matrix of all pairs is kept."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Attention:
            query, _, value = args[:3] if len(args) > 2 else _named(args, kwargs)
            return query.new_empty(*query.shape[:-1], value.shape[-1])
        return func(*args, **(kwargs or {}))


def _named(args: Any, kwargs: Any) -> tuple[Tensor, Tensor, Tensor]:
    given = dict(zip(("query", "key", "value"), args, strict=False)) | (kwargs or {})
    return given["query"], given["key"], given["value"]
