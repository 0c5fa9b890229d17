"""Which networks of a run are on the device in which phase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..names.capabilities import offered
from ..sampling.capabilities import WithWorkingMemory, resident
from ..sampling.capabilities import networks as networks_of
from .memory import AWAY, _in_memory

if TYPE_CHECKING:
    from torch import nn

    from ..worker.residence import Residence
    from .loaded import Loaded


def residence(loaded: Loaded) -> Residence:
    """Which networks are on the device in which phase of the work."""
    from ..sampling.denoiser import PHASES, READ
    from ..worker.residence import Residence

    networks = _by_phase(loaded)
    if loaded.spec.memory == "lean":
        return Residence(networks, loaded.spec.device, PHASES)
    # Text encoders leave an accelerator once prompts are read, but those of a model in memory stay
    # where they are unless they are asked to move.
    stays = loaded.spec.device == "cpu" or _in_memory(loaded.model)
    return Residence(networks, loaded.spec.device, () if stays else (READ,))


def put_away(loaded: Loaded) -> None:
    """Networks to the host, since workers elsewhere have theirs. Those that are the user's own
    objects stay where they are."""
    if loaded.spec.device != "cpu" and not _in_memory(loaded.model):
        from ..sampling.denoiser import PHASES
        from ..worker.residence import Residence

        networks = _by_phase(loaded)
        Residence(networks, loaded.spec.device, PHASES).enter(AWAY)


def needed(loaded: Loaded) -> dict[str, Any]:
    """Bytes by phase: the weights that are on the device then, and what is beside them.

    Counted on shapes; of text encoders, verifiers and black boxes the weights alone are known.
    """
    from ..models.footprint import weight_bytes
    from ..sampling.denoiser import PHASES

    of = residence(loaded)
    working = offered(loaded.denoiser, WithWorkingMemory)
    beside = {} if working is None else working.work(loaded.spec.rows)
    always = resident(loaded.denoiser)
    phases = {
        phase: weight_bytes([*always, *of.present(phase)]) + beside.get(phase, 0)
        for phase in PHASES
    }
    most = max(phases, key=lambda phase: phases[phase])
    return {
        "mode": loaded.spec.memory,
        "bytes": phases,
        "peak": {"phase": most, "bytes": phases[most]},
        "swaps_per_yield": 2 if of.lean else 0,
    }


def _by_phase(loaded: Loaded) -> dict[str, list[nn.Module]]:
    """All networks of a run."""
    from ..sampling.denoiser import LOOK, PHASES
    from ..verifiers import capabilities as of_verifiers

    denoisers = [loaded.denoiser, *(draft.denoiser for draft in loaded.drafts.values())]
    networks = {
        phase: [network for of in denoisers for network in networks_of(of).get(phase, ())]
        for phase in PHASES
    }
    for verifier in (*loaded.verifiers, *loaded.watch):
        networks[LOOK] += of_verifiers.networks(verifier)
    return networks
