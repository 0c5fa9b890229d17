"""A sample that was made is looked at again from its picture."""

from __future__ import annotations

import pytest

from noisesearch.candidates.ask import Ask, Features, Reply, Score, score
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import Materialiser, gaussian
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.files.pictures import Picture
from noisesearch.sampling.solvers import solver
from noisesearch.testing import MixtureModel
from noisesearch.testing.mixture_model import brightness, evenness
from noisesearch.worker.engine import Worker

WHOLE = [Trajectory.begin(Condition(), gaussian(i), 6).denoise() for i in range(9)]


def worker(pictures: dict[str, Picture]) -> Worker:
    model = MixtureModel()
    space = model.space()
    return Worker(
        model.build(1.0, "cpu", "float32"), solver("euler"), [brightness()],
        Materialiser(space.shape), space.times, rows=4, watch=[evenness()],
        sink=lambda t, picture: pictures.update({t.key: picture}),
        source=lambda t: pictures.get(t.key),
    )  # fmt: skip


def drained(of: Worker, asks: list[Ask]) -> dict[str, Reply]:
    for ask in asks:
        of.submit(ask)
    found = {}
    while answers := of.wait():
        found.update({ask.key: reply for ask, reply in answers})
    return found


def test_it_costs_no_evaluation_and_gives_the_same_bits() -> None:
    """Catches a score from the file that differs in the last bit from the one in the run."""
    kept: dict[str, Picture] = {}
    both = [Ask(t, Score(("brightness", "evenness"))) for t in WHOLE]
    first = drained(worker(kept), [*both, *(Ask(t, Features("evenness")) for t in WHOLE)])
    second = worker(kept)
    again = drained(second, [*both, *(Ask(t, Features("evenness")) for t in WHOLE)])
    assert second.counted.nfe == 0 and second.usage == {}
    for key, reply in first.items():
        assert again[key].parts == reply.parts
        for name, array in reply.arrays.items():
            assert (again[key].arrays[name] == array).all()


def test_a_held_out_verifier_looks_only_where_it_is_asked() -> None:
    of = worker({})
    replies = drained(of, [score(t) for t in WHOLE])
    assert all(set(r.parts) == {"brightness"} for r in replies.values())
    assert of.scorer.samples == {"brightness": 9, "evenness": 0}
    asked = drained(of, [Ask(t, Score(("evenness",))) for t in WHOLE[:2]])
    assert all(set(r.parts) == {"evenness"} for r in asked.values())
    assert of.scorer.samples == {"brightness": 9, "evenness": 2} and of.counted.nfe == 54


@pytest.mark.parametrize("level", [0, 3])
def test_a_preview_has_no_picture(level: int) -> None:
    """It is made again from the cached state, at no evaluation."""
    kept: dict[str, Picture] = {}
    start = Trajectory.begin(Condition(), gaussian(1), 6)
    preview = start.denoise(level) if level else start
    of = worker(kept)
    (one,) = drained(of, [score(preview)]).values()
    before = of.counted.nfe
    (other,) = drained(of, [Ask(preview, Score(("evenness",)))]).values()
    assert not kept and of.counted.nfe == before
    assert set(one.parts) == {"brightness"} and set(other.parts) == {"evenness"}
