"""Memory: batches are halved where it runs out, and networks make room for each other."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from moved import Part
from torch import Tensor

import noisesearch as ns
from noisesearch.candidates.ask import score
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import Materialiser, gaussian
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.errors import BackendError, ConfigError
from noisesearch.runs.run import Run
from noisesearch.sampling.denoiser import DENOISE, LOOK, PHASES, READ
from noisesearch.sampling.solvers import solver
from noisesearch.setup.prices import Prices
from noisesearch.setup.request import Request
from noisesearch.setup.searches import Searches
from noisesearch.testing import MixtureModel
from noisesearch.testing.mixture_model import brightness
from noisesearch.verifiers.protocol import FunctionVerifier
from noisesearch.worker.engine import Worker
from noisesearch.worker.residence import Residence, out_of_memory

WHOLE = [Trajectory.begin(Condition(), gaussian(i), 6).denoise() for i in range(20)]


class Narrow:
    """The mixture's denoiser on a device that has room for ``most`` rows of a phase."""

    def __init__(self, phase: str, most: int) -> None:
        self._of = MixtureModel().build(1.0, "cpu", "float32")
        self._phase, self._most = phase, most
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)

    def _room(self, phase: str, rows: int) -> None:
        if phase == self._phase and rows > self._most:
            self.refused += 1
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried {rows} rows.")

    def encode(self, conditions: Sequence[Condition]) -> Any:
        self._room(READ, len(conditions))
        return self._of.encode(conditions)

    def __call__(self, x: Tensor, t: Tensor, encoded: Any) -> Any:
        self._room(DENOISE, len(x))
        return self._of(x, t, encoded)

    def decode(self, x0: Tensor) -> Tensor:
        self._room(LOOK, len(x0))
        return self._of.decode(x0)


def run(of: Worker, whole: Sequence[Trajectory] = WHOLE) -> dict[str, float]:
    for trajectory in whole:
        of.submit(score(trajectory))
    found = {}
    while answers := of.wait():
        found.update({ask.key: reply.parts["brightness"] for ask, reply in answers})
    return found


def worker(denoiser: Any, rows: int, by: str = "heun", **settings: Any) -> Worker:
    space = MixtureModel().space()
    return Worker(denoiser, solver(by), settings.pop("verifiers", [brightness()]),
                  Materialiser(space.shape), space.times, rows=rows, **settings)  # fmt: skip


@pytest.mark.parametrize("phase", PHASES)
def test_out_of_memory_halves_the_batch_and_goes_on(phase: str) -> None:
    """Catches work that is lost, done twice or counted twice when a batch fails in its middle."""
    told: list[int] = []
    tight = Narrow(phase, 4)
    of = worker(tight, 16, narrowed=told.append)
    found = run(of)
    assert told == [8, 4] and tight.refused == 2 and of.rows == 4
    expected = run(worker(MixtureModel().build(1.0, "cpu", "float32"), 4))
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, abs=1e-4)
    # 20 samples of 6 Heun steps.
    assert of.counted.nfe == of.usage[Condition().key]["nfe"] == 240
    assert of.usage[Condition().key]["decodes"] == 20


def test_a_verifier_that_runs_out_of_memory_is_not_a_missing_score() -> None:
    def hungry(images: Tensor, conditions: Sequence[Condition]) -> Tensor:
        if len(images) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return images.mean((1, 2, 3))

    named = FunctionVerifier(hungry, "brightness")
    of = worker(MixtureModel().build(1.0, "cpu", "float32"), 16, verifiers=[named])
    assert len(run(of)) == 20 and of.rows == 4


def test_one_sample_that_does_not_fit_is_said() -> None:
    with pytest.raises(BackendError, match=r"not enough memory for one sample .*--memory lean"):
        run(worker(Narrow(DENOISE, 0), 8))


class Crowded(Narrow):
    """On a host whose memory runs out at some of the network's calls, whatever their width."""

    def __init__(self, calls: Collection[int]) -> None:
        super().__init__(DENOISE, 100)
        self._calls, self.count = calls, 0

    def __call__(self, x: Tensor, t: Tensor, encoded: Any) -> Any:
        self.count += 1
        if self.count in self._calls:
            raise MemoryError
        return super().__call__(x, t, encoded)


# Previews of all, and then on from there: what is kept is needed again.
PREFIXES = [Trajectory.begin(Condition(), gaussian(i), 6).denoise(3) for i in range(20)]


@pytest.mark.parametrize("calls", [[1], [9], [3, 8, 21]])
def test_a_host_without_memory_gives_up_what_is_kept(calls: Collection[int]) -> None:
    """The batch keeps its width, so all bits are those of a run with room."""
    roomy, crowded = worker(Crowded(()), 8), worker(Crowded(calls), 8)
    for of in (roomy, crowded):
        run(of, PREFIXES)
    assert run(crowded) == run(roomy)
    assert crowded.rows == 8 and crowded.evictions > 0
    made = crowded.usage[Condition().key]["nfe"]
    assert made == crowded.counted.nfe >= roomy.counted.nfe == 240, "and what is made again counts"


def test_a_host_without_memory_for_a_batch_halves_it() -> None:
    class Small(Narrow):
        def _room(self, phase: str, rows: int) -> None:
            if phase == DENOISE and rows > 4:
                raise MemoryError

    told: list[int] = []
    of = worker(Small(DENOISE, 4), 16, narrowed=told.append)
    assert len(run(of)) == 20 and told == [8, 4]


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("x"),
     RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 4 TB")],
)  # fmt: skip
def test_what_running_out_of_memory_looks_like(error: Exception) -> None:
    assert out_of_memory(error)
    assert not out_of_memory(RuntimeError("shapes differ")) and not out_of_memory(ValueError())


def test_a_real_allocation_that_fails_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert out_of_memory(caught.value)


def test_the_narrower_batch_is_journalled_and_kept_by_a_resume(tmp_path: Path) -> None:
    class Tight(MixtureModel):
        def build(self, guidance: float, device: str, dtype: str) -> Any:
            return Narrow(DENOISE, 4)

    settings: dict[str, Any] = {"verifier": brightness(), "model": Tight(), "algorithm": "random"}
    first = ns.search(None, budget=96, rows=16, out=tmp_path / "run", **settings)
    lines = (tmp_path / "run" / "journal.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines if '"rows"' in line]
    assert [event["rows"] for event in events] == [8, 4]
    assert first.ledger["physical"]["nfe"] == first.ledger["nfe"]
    tight = Tight()
    again = ns.resume(tmp_path / "run", budget=192, model=tight, verifier=brightness())
    more = (tmp_path / "run" / "journal.jsonl").read_text().splitlines()
    assert sum('"rows"' in line for line in more) == 2, "the old width was not tried again"
    assert again[0].ledger["nfe"] > first.ledger["nfe"]


def test_lean_networks_make_room_for_each_other_and_go_home() -> None:
    log: list[tuple[str, str]] = []
    text, net, vae, judge = (Part(name, log) for name in ("text", "net", "vae", "judge"))
    of = Residence({READ: [text], DENOISE: [net], LOOK: [vae, judge]}, "cuda", PHASES)
    of.enter(READ)
    of.enter(DENOISE)
    assert log == [("text", "cuda"), ("text", "cpu"), ("net", "cuda")] and of.swaps == 0
    of.enter(LOOK)
    assert log[3:] == [("net", "cpu"), ("vae", "cuda"), ("judge", "cuda")] and of.swaps == 1
    of.enter(DENOISE)
    of.enter(DENOISE)
    assert log[6:] == [("vae", "cpu"), ("judge", "cpu"), ("net", "cuda")] and of.swaps == 2
    of.close()
    assert {part.at.type for part in (text, net, vae, judge)} == {"cpu"}


def test_text_encoders_leave_once_prompts_are_read() -> None:
    log: list[tuple[str, str]] = []
    text, net, vae = (Part(name, log) for name in ("text", "net", "vae"))
    of = Residence({READ: [text], DENOISE: [net], LOOK: [vae]}, "cuda", (READ,))
    for phase in (READ, DENOISE, LOOK, DENOISE, LOOK):
        of.enter(phase)
    assert log == [("text", "cuda"), ("text", "cpu"), ("net", "cuda"), ("vae", "cuda")]
    assert of.swaps == 0 and of.present(LOOK) == [net, vae]


def test_a_network_of_two_phases_stays_where_one_of_them_keeps_it() -> None:
    """Catches a network that reads and denoises and is sent away with the readers."""
    log: list[tuple[str, str]] = []
    both, text = Part("both", log), Part("text", log)
    of = Residence({READ: [both, text], DENOISE: [both], LOOK: []}, "cuda", (READ,))
    for phase in (READ, DENOISE, LOOK, READ):
        of.enter(phase)
    assert [move for move in log if move[0] == "both"] == [("both", "cuda")]
    assert [at for name, at in log if name == "text"] == ["cuda", "cpu", "cuda"]


class Watched:
    """A denoiser that notes the phase in which each of its parts is called."""

    def __init__(self, residence: Residence) -> None:
        self._of = MixtureModel().build(1.0, "cpu", "float32")
        self._residence = residence
        self.calls: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)

    def encode(self, conditions: Sequence[Condition]) -> Any:
        self.calls.append(("encode", self._residence.phase))
        return self._of.encode(conditions)

    def __call__(self, x: Tensor, t: Tensor, encoded: Any) -> Any:
        self.calls.append(("denoise", self._residence.phase))
        return self._of(x, t, encoded)

    def decode(self, x0: Tensor) -> Tensor:
        self.calls.append(("decode", self._residence.phase))
        return self._of.decode(x0)


@pytest.mark.parametrize("alone", [PHASES, (READ,), ()])
def test_a_yield_costs_two_swaps_and_every_part_runs_in_its_phase(alone: Sequence[str]) -> None:
    """Catches a decoder that is fetched as soon as the first sample of a cohort is ready."""
    of = Residence({}, "cpu", alone)
    denoiser = Watched(of)
    seen: list[str] = []

    def judged(images: Tensor, conditions: Sequence[Condition]) -> Tensor:
        seen.append(of.phase)
        return images.mean((1, 2, 3))

    verifier = FunctionVerifier(judged, "brightness")
    executor = worker(denoiser, 4, residence=of, verifiers=[verifier])
    plain = run(worker(MixtureModel().build(1.0, "cpu", "float32"), 4))
    found: dict[str, float] = {}
    prompts = [Condition(text=str(i)) for i in range(3)]
    for turn in range(3):  # three yields of several searches at once
        found |= run(executor, [t for c in prompts for t in asked(c, turn)])
        assert of.swaps == (2 * turn + 1 if alone == PHASES else 0)
    assert {phase for name, phase in denoiser.calls if name == "denoise"} == {DENOISE}
    assert {phase for name, phase in denoiser.calls if name == "decode"} == {LOOK} == {*seen}
    assert {phase for name, phase in denoiser.calls if name == "encode"} == {READ}
    if alone:
        order = [name for name, _ in denoiser.calls]
        assert "encode" not in order[order.index("denoise") :], "all prompts are read first"
    assert run(worker(denoiser, 4)) == plain


def asked(condition: Condition, turn: int) -> list[Trajectory]:
    """A yield: whole samples, and a look at unfinished ones."""
    starts = [Trajectory.begin(condition, gaussian(10 * turn + i), 6) for i in range(5)]
    return [*(t.denoise() for t in starts[:3]), *(t.denoise(3) for t in starts[2:])]


def test_second_looks_wait_for_the_network_in_lean_memory(tmp_path: Path) -> None:
    """Cascade and watch ask again about pictures that are there: no swap more than two a yield."""
    from noisesearch.testing.mixture_model import evenness

    run = Request([None], model=MixtureModel(), verifier=[brightness(), evenness()],
                         objective="cascade(brightness:4, evenness)", algorithm="zero-order",
                         budget=200, rows=4)  # fmt: skip
    loaded = run.resolve().loaded
    loaded.spec = loaded.spec.model_copy(update={"memory": "lean"})
    opened = Run.create(tmp_path / "run", Searches.of(loaded))
    try:
        opened.execute()
    finally:
        opened.close()
    assert opened.driver is not None
    executor = opened.driver.executor
    assert isinstance(executor, Worker) and opened.swaps == executor.residence.swaps
    yields = executor.counted.nfe / (4 * Prices(loaded).candidate)  # of four candidates
    assert 4 < executor.residence.swaps <= 2 * yields


def test_lean_is_refused_where_it_cannot_be() -> None:
    with pytest.raises(ConfigError, match="no parts that could make room"):
        ns.search(None, model=MixtureModel(), verifier=brightness(), memory="lean", budget=64)
    with pytest.raises(ConfigError, match="memory is 'small', but must be auto, full, lean"):
        ns.search(None, model=MixtureModel(), verifier=brightness(), memory="small", budget=64)
    for option in ("compile", "tiling"):
        with pytest.raises(ConfigError, match=f"cannot be had with --{option}"):
            ns.search(None, model=MixtureModel(), verifier=brightness(), budget=64,
                      **{option: True})  # fmt: skip
