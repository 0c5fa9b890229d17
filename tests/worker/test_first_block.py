"""The first-block cache: at 0 it changes nothing, else it is a row's own affair; it is counted."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
import torch

from noisesearch.candidates.ask import score
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import Materialiser, gaussian
from noisesearch.candidates.trajectory import Grid, Trajectory
from noisesearch.models.drafts.first_block_cache import FirstBlockDenoiser
from noisesearch.models.sit.config import SiTConfig
from noisesearch.models.sit.denoiser import SiTDenoiser, pixels
from noisesearch.models.sit.network import SiT
from noisesearch.sampling.solvers import solver
from noisesearch.worker.engine import Worker

STEPS, COUNT, SIDE = 6, 10, 8
ALWAYS, MIDDLE = 1e9, 0.12


def times(grid: Grid) -> list[float]:
    return [grid.start + (grid.end - grid.start) * k / grid.steps for k in range(grid.steps + 1)]


def network() -> SiT:
    """Four blocks of random weights; as initialised, every block would be the identity."""
    config = SiTConfig(
        hidden_size=32, depth=4, num_heads=2, patch_size=2, input_size=SIDE, in_channels=3,
        num_classes=5, learn_sigma=False,
    )  # fmt: skip
    made = SiT(config)
    seeded = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn(weight.shape, generator=seeded) * 0.15)
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module", params=[1.0, 2.0], ids=["plain", "guided"])
def denoiser(request: pytest.FixtureRequest) -> SiTDenoiser:
    return SiTDenoiser(network(), request.param, pixels, "cpu")


def worker(of: SiTDenoiser, threshold: float | None, rows: int = 8, **settings: int) -> Worker:
    used = of if threshold is None else FirstBlockDenoiser(of, threshold, ())
    way = solver("heun" if settings.pop("heun", 0) else "euler")
    return Worker(used, way, [], Materialiser(of.shape), times, rows=rows, **settings)


def asked(steps: int = STEPS) -> list[Trajectory]:
    return [
        Trajectory.begin(Condition(label=i % 5), gaussian(i), steps).denoise()
        for i in range(COUNT)
    ]


def states(of: Worker, trajectories: Iterable[Trajectory]) -> dict[str, bytes]:
    """What comes out, by the trajectory's key."""
    for trajectory in trajectories:
        of.submit(score(trajectory))
    found = {}
    while answers := of.wait():
        for _, reply in answers:
            t = reply.trajectory
            place = of.cache.get(t.edge, t.level)
            assert place is not None
            found[t.key] = place.state[0].numpy().tobytes()
    return found


def ran(of: Worker, unit: str) -> int:
    return sum(units.get(unit, 0) for units in of.usage.values())


@pytest.mark.parametrize("heun", [0, 1])
def test_threshold_0_is_no_cache_to_the_bit(denoiser: SiTDenoiser, heun: int) -> None:
    # At the width of the cache's own chunks, since another width has other last bits.
    plain, cached = (worker(denoiser, t, 4, heun=heun) for t in (None, 0.0))
    assert states(plain, asked()) == states(cached, asked())
    assert ran(cached, "reused") == 0


def test_hits_grow_with_the_threshold(denoiser: SiTDenoiser) -> None:
    counts = []
    for threshold in (0.0, MIDDLE, 3 * MIDDLE, ALWAYS):
        of = worker(denoiser, threshold)
        states(of, asked())
        counts.append(ran(of, "reused"))
        assert ran(of, "nfe") == of.counted.nfe == COUNT * STEPS
        assert ran(of, "forwards") == COUNT * STEPS * denoiser.forwards
    assert counts[0] == 0 and counts[-1] == COUNT * (STEPS - 1), "only the first step is computed"
    assert counts[0] < counts[1] < counts[2] <= counts[3]


def test_what_is_left_out_is_left_out(denoiser: SiTDenoiser) -> None:
    """The last block sees the chunks of the rows that are computed, and no others."""
    seen = []
    last = denoiser._network.blocks[-1]
    hook = last.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    states(worker(denoiser, ALWAYS, 8), asked()[:8])
    hook.remove()
    assert seen == [4 * denoiser.forwards] * 2, "two chunks at the first step, none after it"


@pytest.mark.parametrize("heun", [0, 1])
def test_a_row_alone_is_the_row_among_others(denoiser: SiTDenoiser, heun: int) -> None:
    together = states(worker(denoiser, MIDDLE, heun=heun), asked())
    shuffled = random.Random(0).sample(asked(), COUNT)
    assert states(worker(denoiser, MIDDLE, heun=heun), shuffled) == together
    for trajectory in asked()[::4]:
        alone = states(worker(denoiser, MIDDLE, heun=heun), [trajectory])
        assert alone == {trajectory.key: together[trajectory.key]}
    assert states(worker(denoiser, None, heun=heun), asked()) != together, "the cache was used"


def test_stopped_and_gone_on_with(denoiser: SiTDenoiser) -> None:
    """The memory is kept with the state, and is had again where that was dropped."""
    whole = asked()
    together = states(worker(denoiser, MIDDLE), whole)
    for cache_bytes in (256 * 2**20, 1):
        of = worker(denoiser, MIDDLE, cache_bytes=cache_bytes)
        for stop in (2, 4):
            for trajectory in whole:
                of.submit(score(trajectory.prefix.denoise(stop)))
            while of.wait():
                pass
        found = {}
        for trajectory in whole:
            found |= states(of, [trajectory])
        assert found == together
        if cache_bytes > 1:
            assert ran(of, "nfe") == COUNT * STEPS, "nothing ran twice"


def test_a_renoising_forgets(denoiser: SiTDenoiser) -> None:
    legs = [t.prefix.denoise(4).renoise(0.8, 5, 0.0, 3).denoise() for t in asked()]
    of = worker(denoiser, ALWAYS)
    states(of, legs)
    assert ran(of, "nfe") == COUNT * (4 + 3) and ran(of, "reused") == COUNT * (3 + 2)


def test_the_cache_of_states_weighs_memories(denoiser: SiTDenoiser) -> None:
    of = worker(denoiser, MIDDLE)
    stops = [t.prefix.denoise(3) for t in asked()]
    for trajectory in stops:
        of.submit(score(trajectory))
    while of.wait():
        pass
    places = of.cache._places.values()
    assert all(place.memory is not None for place in places)
    whole = asked()[0]
    states(of, [whole])
    last = of.cache.get(whole.edge, whole.level)
    assert last is not None and last.memory is None, "nothing is evaluated at a clean sample"
    assert of.cache._bytes == sum(place.bytes for place in places)


def test_a_plain_call_is_the_network(denoiser: SiTDenoiser) -> None:
    x, t = torch.randn(4, *denoiser.shape), torch.full((4,), 0.5)
    encoded = denoiser.encode([Condition(label=1)] * 4)
    cached = FirstBlockDenoiser(denoiser, ALWAYS, ())
    for mine, its in zip(cached(x, t, encoded), denoiser(x, t, encoded), strict=True):
        assert torch.equal(mine, its)
    assert cached.flops == denoiser.flops, "a draft's price is that of nothing left out"
