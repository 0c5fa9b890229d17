"""A diffusers pipeline in memory: the user's own object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...candidates.keys import digest
from ...errors import ConfigError

SAMPLED = 64  # numbers of each weight that the fingerprint of an object in memory looks at


@dataclass(frozen=True)
class InMemory:
    """The user's own pipeline object: used as it is and where it is, and left so."""

    object: Any

    @property
    def name(self) -> str:
        return self.kind

    @property
    def kind(self) -> str:
        return type(self.object).__name__

    @property
    def pipeline_class(self) -> type:
        return type(self.object)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Of its attribute ``noisesearch``, where somebody gave it one."""
        found = getattr(self.object, "noisesearch", None)
        return found if isinstance(found, Mapping) else {}

    @property
    def device(self) -> str:
        return str(self.object._execution_device)

    def config(self, part: str) -> Mapping[str, Any]:
        return _plain(self._part(part).config)

    def _part(self, part: str) -> Any:
        found = getattr(self.object, part, None)
        if found is None:
            raise ConfigError(
                f"the {self.kind} has no {part}; load the pipeline with all of its components"
            )
        return found

    def scheduler(self) -> Any:
        import copy

        return copy.deepcopy(self._part("scheduler"))

    def tokenizer(self, part: str) -> Any | None:
        return getattr(self.object, part, None)

    @property
    def fingerprint(self) -> str:
        """Of every weight's name, shape and some of its numbers, and of all configurations.

        Not kept: weights in memory can change between two searches.
        """
        import torch

        found = []
        for part, module in sorted(self.object.components.items()):
            found.append([part, _settled(getattr(module, "config", None))])
            if isinstance(module, torch.nn.Module):
                found += [[part, name, *_looked_at(weight)]
                          for name, weight in module.state_dict().items()
                          if isinstance(weight, torch.Tensor)]  # fmt: skip
        return digest(self.kind, found)[:16]

    def pipeline(self, device: str, dtype: str) -> Any:
        import torch

        here = torch.device(self.device)
        wanted = torch.device(device)
        if here.type != wanted.type or (wanted.index or 0) != (here.index or 0):
            raise ConfigError(
                f"the {self.kind} is on {here} and the run is asked for on {wanted}; leave the "
                f"device out, or move the pipeline first: pipe.to({device!r})"
            )
        return self.object

    def precision(self, part: str, dtype: str) -> Any | None:
        return getattr(getattr(self.object, part, None), "dtype", None)

    def opened(self, device: str, dtype: str) -> list[str]:
        return [f"# pipe is the {self.kind} that the run was made with"]


def _plain(config: Any) -> Mapping[str, Any]:
    """diffusers' configurations are mappings, those of transformers become one."""
    found: Mapping[str, Any] = config if isinstance(config, Mapping) else config.to_dict()
    return found


def _settled(config: Any) -> str:
    """A configuration as text, without the folder and the versions that it came from."""
    if config is None:
        return ""
    own = {k: v for k, v in _plain(config).items() if k[0] != "_" and not k.endswith("_version")}
    return repr(sorted(own.items()))


def _looked_at(weight: Any) -> list[Any]:
    """Shape, type and some numbers of a weight, spread over all of it."""
    try:
        flat = weight.detach().reshape(-1)
        some = flat[:: max(1, flat.numel() // SAMPLED)][:SAMPLED].cpu()
        numbers = some.double().tolist() if some.is_floating_point() else some.tolist()
    except (NotImplementedError, RuntimeError, TypeError):  # a quantised weight of another kind
        numbers = []
    # As text: a weight may be infinite, which canonical JSON has no word for.
    return [list(weight.shape), str(weight.dtype), repr(numbers)]
