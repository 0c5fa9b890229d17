"""A network that can be moved to devices that are not there."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Part(nn.Module):
    """A network that says it is where it was moved to; nothing can be moved here."""

    def __init__(self, name: str, log: list[tuple[str, str]]) -> None:
        super().__init__()
        self.name, self.log, self.at = name, log, torch.device("cpu")

    def parameters(self, recurse: bool = True) -> Any:
        yield self

    @property
    def device(self) -> torch.device:
        return self.at

    def to(self, device: torch.device) -> Part:  # type: ignore[override]
        self.at = device
        self.log.append((self.name, device.type))
        return self
