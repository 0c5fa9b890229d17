"""Memory: kept between batches, run out of, and which networks are on the device."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from typing import TypeVar

import torch
from torch import nn

from ..errors import BackendError
from ..sampling.denoiser import DENOISE, LOOK, PHASES

Answers = TypeVar("Answers")

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
KEPT = 2**30


def keep_buffers() -> bool:
    """Have glibc's malloc keep freed buffers up to 1 GiB; False where there is no glibc.

    By default a buffer above 128 KiB goes back to the system when it is freed, and every layer of
    every batch then pays for fresh zeroed pages: half of the time of a batch on a processor
    (`benchmarks/engine.py`).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        libc = ctypes.CDLL("libc.so.6")
        return all(libc.mallopt(what, KEPT) == 1 for what in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD))
    except (OSError, AttributeError):  # musl and others have no such knob
        return False


def out_of_memory(error: BaseException) -> bool:
    """True of an allocation that failed, on an accelerator or on the host."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def let_go() -> None:
    """Give back what nobody holds any more, after a failed allocation or a swap."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def nothing_spare() -> bool:
    return False


def within_memory(
    work: Callable[[], Answers],
    rows: Callable[[], int],
    narrow: Callable[[int], None],
    spare: Callable[[], bool] = nothing_spare,
) -> Answers:
    """What ``work()`` gives; where memory runs out in it, ``narrow`` is told half of the ``rows``
    and the work is done again. BackendError where one row is too much.

    Where it is the host's memory, ``spare`` is called first: it gives up what can be made again,
    and says False where that is nothing, or has not helped.
    """
    while True:
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            reason = str(error).strip().partition("\n")[0] or "the system gave none"
            host = not isinstance(error, torch.OutOfMemoryError)
        # Out here nothing holds the tensors of the batch that failed.
        let_go()
        if host and spare():
            continue
        if rows() == 1:
            raise BackendError(
                f"there is not enough memory for one sample ({reason}); use --memory lean, "
                "--tiling, --dtype bfloat16 or a smaller --size"
            )
        narrow(rows() // 2)


def free_memory(device: str) -> int | None:
    """Bytes that are free on an accelerator; None for the host, which can swap."""
    if not device.startswith("cuda"):
        return None
    return int(torch.cuda.mem_get_info(device)[0])


class Residence:
    """Which networks are on the device.

    ``networks``: by phase; ``alone``: the phases whose networks are there in that phase only, and
    on the host otherwise. ``swaps`` counts how often one phase's networks made room for those of
    another, beginning when all prompts have been read.
    """

    def __init__(
        self,
        networks: Mapping[str, Sequence[nn.Module]] | None = None,
        device: str = "cpu",
        alone: Collection[str] = (),
    ) -> None:
        self.phase = ""
        self.swaps = 0
        self._networks = dict(networks or {})
        self._device = torch.device(device)
        self._alone = frozenset(alone)
        # The user's own objects go back to where they were.
        self._before = {
            network: _place(network) for network in chain.from_iterable(self._networks.values())
        }
        # Kept here, since to ask a large network where it is takes a walk through its modules.
        self._at = dict(self._before)

    @property
    def lean(self) -> bool:
        """True where the network makes room for decoder and verifiers, and the other way round."""
        return {DENOISE, LOOK} <= self._alone

    def leaves(self, phase: str) -> bool:
        """True where the networks of a phase are there in it only."""
        return phase in self._alone

    def present(self, phase: str) -> list[nn.Module]:
        """The networks that are on the device in a phase."""
        there = [self._networks.get(p, ()) for p in PHASES if p == phase or p not in self._alone]
        return list(dict.fromkeys(chain.from_iterable(there)))

    def enter(self, phase: str) -> None:
        """Have the networks of a phase on the device."""
        if phase == self.phase:
            return
        moved, staying = False, self.present(phase)
        for network in chain.from_iterable(self._networks.values()):
            if network not in staying:
                moved |= self._move(network, torch.device("cpu"))
        if moved:
            let_go()
        for network in self._networks.get(phase, ()):
            self._move(network, self._device)
        # Reading prompts comes before the first yield, and is not counted.
        self.swaps += self.lean and {self.phase, phase} == {DENOISE, LOOK}
        self.phase = phase

    def close(self) -> None:
        """Everything where it was."""
        for network, device in self._before.items():
            if device is not None:
                self._move(network, device)
        self.phase = ""

    def _move(self, network: nn.Module, device: torch.device) -> bool:
        """True where it was elsewhere."""
        at = self._at[network]
        if at is None or (at.type == device.type and (at.index or 0) == (device.index or 0)):
            return False
        network.to(device)
        self._at[network] = device
        return True


def _place(network: nn.Module) -> torch.device | None:
    """Where a network is; None where it has no weights, where accelerate moves it by itself, where
    it is spread by a device map, and where bitsandbytes has bound it to its device."""
    bound = getattr(network, "is_loaded_in_8bit", False)
    spread = getattr(network, "hf_device_map", None) is not None
    if bound or spread or any(hasattr(module, "_hf_hook") for module in network.modules()):
        return None
    first = next(chain(network.parameters(), network.buffers()), None)
    return None if first is None else first.device
