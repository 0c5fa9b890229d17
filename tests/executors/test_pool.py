"""The pool over made-up workers: who is asked what, and what becomes of faults."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from crews import MadeUpCrew, number

from noisesearch.candidates.ask import Ask, Reply, Score, score
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import gaussian
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.errors import BackendError
from noisesearch.executors.messages import ReportReader
from noisesearch.executors.pool import Pool
from noisesearch.executors.worker_group import Joined, Lost

OF = Condition(text="any")


def asks(count: int, first: int = 0) -> list[Ask]:
    return [score(Trajectory.begin(OF, gaussian(first + i), 4).denoise()) for i in range(count)]


def pool_of(crew: MadeUpCrew) -> Pool:
    return Pool(crew, ReportReader(("score",)), clock=crew.clock)


def drained(pool: Pool) -> list[tuple[Ask, Reply]]:
    answers: list[tuple[Ask, Reply]] = []
    while more := pool.wait():
        answers += more
    return answers


def answered(pool: Pool, wanted: list[Ask]) -> None:
    """All of what is wanted comes once, with the numbers that anybody gives."""
    for ask in wanted:
        pool.submit(ask)
    answers = drained(pool)
    assert sorted(a.key for a, _ in answers) == sorted(a.key for a in wanted)
    assert all(reply.parts == {"score": number(ask)} for ask, reply in answers)


def test_batches_are_full_before_another_worker_is_asked() -> None:
    crew = MadeUpCrew({"a": 1.0, "b": 1.0, "c": 1.0})
    answered(pool_of(crew), asks(8))
    assert crew.given == [("a", 4), ("b", 4)]


def test_every_worker_works_where_there_is_much() -> None:
    crew = MadeUpCrew({"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0})
    answered(pool_of(crew), asks(160))
    assert crew.now == pytest.approx(10.0)
    assert {len(worker.done) for worker in crew.workers.values()} == {40}


def test_those_who_are_done_take_what_waits_for_others() -> None:
    """A worker three times slower does a third of what another does, and nobody waits for it."""
    crew = MadeUpCrew({"slow": 3.0, "a": 1.0, "b": 1.0})
    answered(pool_of(crew), asks(280))
    assert len(crew.workers["slow"].done) <= 48
    assert crew.now <= 280 / 4 / (2 + 1 / 3) + 3.0


def test_what_begins_alike_goes_to_one_worker() -> None:
    crew = MadeUpCrew({"a": 1.0, "b": 1.0})
    pool = pool_of(crew)
    starts = [Trajectory.begin(OF, gaussian(i), 4) for i in range(8)]
    where: dict[str, set[str]] = {}
    for level in (1, 2, 3, 4):
        answered(pool, [score(start.denoise(level)) for start in starts])
        for name, worker in crew.workers.items():
            for start in starts:
                if start.denoise(level).key in worker.done:
                    where.setdefault(start.key, set()).add(name)
    assert sorted(map(sorted, where.values())) == [["a"]] * 4 + [["b"]] * 4


def test_what_a_lost_worker_held_is_asked_of_others() -> None:
    crew = MadeUpCrew({"a": 1.0, "b": 1.0})
    crew.at(1.5, Lost("a", "killed"))
    pool = pool_of(crew)
    answered(pool, asks(64))
    assert pool.remarks == ["worker a was lost (killed)"]
    assert len(crew.workers["b"].done) == 64 - 4


def test_one_that_joins_is_used() -> None:
    crew = MadeUpCrew({"a": 1.0})
    crew.at(2.5, Joined("b", 4))
    answered(pool_of(crew), asks(80))
    assert len(crew.workers["b"].done) >= 32 and crew.now <= 12.0


def test_without_a_worker_it_ends_with_a_sentence() -> None:
    crew = MadeUpCrew({"a": 1.0})
    crew.at(1.5, Lost("a", "its node is down"))
    pool = pool_of(crew)
    with pytest.raises(BackendError, match=r"no worker is left .*a was lost \(its node is down\)"):
        answered(pool, asks(40))


def test_it_waits_for_one_that_is_on_its_way() -> None:
    crew = MadeUpCrew({"a": 1.0})
    crew.at(1.5, Lost("a", "killed"))
    crew.at(100.0, Joined("b", 4))
    answered(pool_of(crew), asks(40))
    assert crew.now > 100.0


def test_work_that_kills_whoever_does_it_is_given_up() -> None:
    """Workers that are replaced for ever would be a run that never ends."""
    crew = MadeUpCrew({"0": 10.0})
    for i in range(100):
        crew.at(1.0 + i, Lost(str(i), "signal SIGSEGV"))
        crew.at(1.5 + i, Joined(str(i + 1), 4))
        crew.seconds[str(i + 1)] = 10.0
    pool = pool_of(crew)
    with pytest.raises(BackendError, match="one after the other without an answer"):
        answered(pool, asks(4))
    assert crew.now < 20.0


def test_what_a_straggler_holds_is_asked_of_an_idle_one_too() -> None:
    crew = MadeUpCrew({"straggler": 1000.0, "a": 1.0, "b": 1.0})
    pool = pool_of(crew)
    answered(pool, asks(80))
    assert crew.now < 40.0 and not pool.remarks
    done = [key for worker in crew.workers.values() for key in worker.done]
    assert 80 < len(done) <= 80 + 2 * 4, "only what it held is made twice"


def test_nobody_is_asked_twice_where_all_are_as_fast() -> None:
    crew = MadeUpCrew({"a": 1.0, "b": 1.1, "c": 0.9})
    answered(pool_of(crew), asks(203))
    assert sum(len(worker.done) for worker in crew.workers.values()) == 203


def spoiled(**changes: Any) -> Any:
    """A change of the first answer of every report."""

    def spoil(report: Any) -> Any:
        first, *others = report["answers"]
        return {**report, "answers": [{**first, **changes}, *others]}

    return spoil


BROKEN = {
    "no report": (lambda report: None, "a report must be a mapping"),
    "no answers": (lambda report: {}, "answers must be a list"),
    "another trajectory": (spoiled(of="ab" * 16), "an answer about 'abab"),
    "an unknown ask": (spoiled(ask="cd" * 16), "which it was not asked"),
    "NaN": (spoiled(parts={"score": math.nan}), "'score' must be a finite number, got nan"),
    "text": (spoiled(parts={"score": "0.5"}), "'score' must be a finite number, got '0.5'"),
    "a missing part": (spoiled(parts={}), "no part 'score'"),
    "another part": (spoiled(parts={"score": 1.0, "x": 1.0}), "a part 'x' that it was not asked"),
    "there and missing": (spoiled(missing={"score": "why"}), "that is there and missing"),
    "an array": (spoiled(arrays={"x": "AAAA"}), "an array that cannot be read"),
    "negative usage": (lambda r: {**r, "usage": {"x": {"nfe": -1}}}, "'nfe' must be a count"),
    "a foreign picture": (lambda r: {**r, "pictures": {"../x": "AAAA"}}, "a picture of '../x'"),
    "no picture": (
        lambda r: {**r, "pictures": {r["answers"][0]["of"]: "AAAA"}}, "a picture that is no PNG"
    ),
    "two answers": (lambda r: {**r, "answers": r["answers"][:1] * 2}, "two answers to one ask"),
    "an endless number": (spoiled(cost={"x": 10**400}), "'cost' must be a finite number"),
    "a list for a name": (lambda r: {**r, "shown": [{"of": []}]}, "a picture of []"),
    "an error of no kind": (lambda r: {"error": "SystemExit", "message": ""}, "unknown kind"),
}  # fmt: skip


@pytest.mark.parametrize("how", BROKEN)
def test_a_worker_that_breaks_the_schema_is_put_out_of_service(how: str) -> None:
    spoil, why = BROKEN[how]
    crew = MadeUpCrew({"bad": 1.0, "good": 1.0})
    crew.spoil["bad"] = spoil
    pool = pool_of(crew)
    answered(pool, asks(24))
    assert crew.dismissed == ["bad"] and len(crew.workers["good"].done) == 24
    (remark,) = pool.remarks
    assert remark.startswith("worker bad gave ") and why in remark


def test_an_error_that_any_worker_would_meet_ends_the_run() -> None:
    crew = MadeUpCrew({"a": 1.0})
    crew.spoil["a"] = lambda report: {"error": "BackendError", "message": "no features"}
    with pytest.raises(BackendError, match="no features"):
        answered(pool_of(crew), asks(4))


def test_usage_counts_what_ran_anywhere_by_condition() -> None:
    crew = MadeUpCrew({"a": 1.0, "b": 1.0})
    crew.at(2.5, Lost("b", "killed"))
    pool = pool_of(crew)
    answered(pool, asks(48))
    done = sum(len(worker.done) for worker in crew.workers.values())
    lost = 4  # what b did last it did not live to tell
    assert pool.usage == {OF.key: {"nfe": done - lost}} and done == 52


def test_what_is_cancelled_is_not_made_and_may_be_asked_again() -> None:
    crew = MadeUpCrew({"a": 1.0, "b": 1.0})
    pool = pool_of(crew)
    wanted = asks(100)
    for ask in wanted:
        pool.submit(ask)
    first = {ask.key for ask, _ in pool.wait()}
    left = [ask for ask in wanted if ask.key not in first]
    for ask in left:
        pool.cancel(ask)
    again = left[0], left[-1]
    for ask in again:
        pool.submit(ask)
    assert sorted(a.key for a, _ in drained(pool)) == sorted(a.key for a in again)
    assert sum(len(worker.done) for worker in crew.workers.values()) <= 4 * 4 + 2


def test_parcels_and_reports_are_json_and_recipes_go_once() -> None:
    crew = MadeUpCrew({"a": 1.0})
    parcels: list[Any] = []
    give = crew.give
    crew.give = lambda worker, parcel: (parcels.append(parcel), give(worker, parcel))[1]  # type: ignore[method-assign]
    crew.spoil["a"] = lambda report: json.loads(json.dumps(report, allow_nan=False))
    pool = pool_of(crew)
    trajectory = Trajectory.begin(OF, gaussian(1), 50)
    for level in range(1, 51):
        answered(pool, [Ask(trajectory.denoise(level), Score(("score",)))])
    text = json.dumps(parcels, allow_nan=False)
    assert text.count('"gaussian"') == 1 and text.count('"begin"') == 1
    assert json.loads(text) == parcels


def test_patience_lets_the_caller_look_at_its_clock() -> None:
    crew = MadeUpCrew({"a": 100.0})
    pool = pool_of(crew)
    pool.patience = 5.0
    (ask,) = asks(1)
    pool.submit(ask)
    assert pool.wait() == [] and 5.0 <= crew.now < 7.0
    pool.patience = None
    assert [a.key for a, _ in pool.wait()] == [ask.key]


def test_memory_that_ran_out_anywhere_is_told_once() -> None:
    crew = MadeUpCrew({"a": 1.0, "b": 1.0})
    crew.spoil["a"] = lambda report: {**report, "rows": 2}
    told: list[int] = []
    pool = Pool(crew, ReportReader(("score",)), clock=crew.clock, narrowed=told.append)
    answered(pool, asks(64))
    assert told == [2] and max(n for name, n in crew.given[2:] if name == "a") <= 4
