"""Verifiers that take their time: their answers, whom they hold up, what they cost."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import noisesearch as ns
from noisesearch.verifiers.slow_verifier import CandidatePicture, SlowReply, SlowVerifier

PROMPTS = ["a red circle", "two blue squares"]


class Service(SlowVerifier):
    """Says how bright a picture is, after a while that has nothing to do with the order."""

    name, parts, lanes = "bright", ("bright",), 5

    def __init__(self) -> None:
        self.looks: list[list[CandidatePicture]] = []
        self.spent_before: dict[str, float] = {}

    def begin(self, folder: Path, spent: Any) -> None:
        self.spent_before = dict(spent)

    def look(self, looks: Sequence[CandidatePicture]) -> list[SlowReply]:
        self.looks.append(list(looks))
        time.sleep(random.Random(looks[0].key).random() / 50)
        return [SlowReply(self.numbers(look), {"calls": 1.0, "usd": 0.25}) for look in looks]

    def numbers(self, look: CandidatePicture) -> dict[str, float | str]:
        return {"bright": float(look.picture.mean()) / 255}


def bright(images: torch.Tensor, conditions: Any) -> torch.Tensor:
    return (images * 255).double().mean((1, 2, 3)) / 255


def searched(verifier: Any, out: Path, **more: Any) -> Any:
    settings = {"budget": "6candidates", "steps": 2, "out": out, **more}
    return ns.search(PROMPTS, verifier=verifier, **settings)


@pytest.mark.parametrize("algorithm", ["random", "zero-order"])
def test_answers_belong_to_their_candidates(algorithm: str, tmp_path: Path) -> None:
    slow = searched([Service(), "aesthetic"], tmp_path / "slow", algorithm=algorithm)
    here = searched([bright, "aesthetic"], tmp_path / "here", algorithm=algorithm)
    for one, other in zip(slow, here, strict=True):
        assert [c.trajectory for c in one.candidates] == [c.trajectory for c in other.candidates]
        assert one.winner.trajectory == other.winner.trajectory
        for a, b in zip(one.candidates, other.candidates, strict=True):
            assert a.parts["bright"] == pytest.approx(b.parts["bright"], abs=1e-7)
            assert a.parts["aesthetic"] == b.parts["aesthetic"]


class Group(Service):
    """Sees all candidates of a round at once."""

    group = True


def test_a_group_is_all_that_one_search_asks_in_a_round(tmp_path: Path) -> None:
    judge = Group()
    searched(judge, tmp_path, algorithm="zero-order", parameters={"neighbours": 2})
    assert all(len({look.condition for look in looks}) == 1 for looks in judge.looks)
    sizes = {prompt: [len(looks) for looks in judge.looks if looks[0].condition.text == prompt]
             for prompt in PROMPTS}  # fmt: skip
    # The first noise is the baseline's; then its neighbours, round by round, as the budget goes.
    assert list(sizes.values()) == [[1, 2, 2, 1]] * 2 or list(sizes.values()) == [[3, 2, 1]] * 2


class Patient(Service):
    """Has no answer about the first prompt before all of the second is over."""

    lanes = 32

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.others_done = threading.Event()

    def look(self, looks: Sequence[CandidatePicture]) -> list[SlowReply]:
        if looks[0].condition.text == PROMPTS[0]:
            assert self.others_done.wait(60), "the other search does not go on"
        else:
            self.seen += 1
            if self.seen == 6:
                self.others_done.set()
        return super().look(looks)


def test_who_waits_holds_up_only_its_own_search(tmp_path: Path) -> None:
    results = searched(Patient(), tmp_path, algorithm="zero-order", parameters={"neighbours": 1})
    assert all(len(r.candidates) == 6 for r in results)


class Flaky(Service):
    """Fails for some pictures in every way that it can."""

    def look(self, looks: Sequence[CandidatePicture]) -> list[SlowReply]:
        way = int(looks[0].key[:8], 16) % 12
        if way == 0:
            raise ConnectionError("no answer")
        if way == 1:
            return []
        return super().look(looks)

    def numbers(self, look: CandidatePicture) -> dict[str, float | str]:
        return {2: {"bright": float("nan")}, 3: {}, 4: {"bright": "a reason"}}.get(
            int(look.key[:8], 16) % 12, super().numbers(look)
        )


def test_a_failure_is_missing_with_its_reason(tmp_path: Path) -> None:
    budget = "40candidates"
    results = searched([Flaky(), "aesthetic"], tmp_path, budget=budget, max_missing=0.6)
    reasons = set()
    for result in results:
        assert result.missing["bright"] == sum("bright" in c.missing for c in result.candidates)
        for candidate in result.candidates:
            way = int(candidate.trajectory[:8], 16) % 12
            assert ("bright" in candidate.missing) == (way < 5)
            assert ("bright" in candidate.parts) == (way >= 5)
            reasons |= {reason.partition(": ")[2] for reason in candidate.missing.values()}
    assert {"ConnectionError: no answer", "it gave 0 verdicts of 1 candidates"} <= reasons


def test_what_it_costs_is_in_the_ledger_once(tmp_path: Path) -> None:
    service = Service()
    results = searched(service, tmp_path)
    for result in results:
        ledger = result.ledger
        assert ledger["verifiers"]["bright"]["calls"] == ledger["calls"] == 6
        assert ledger["usd"] == 1.5
    assert service.spent_before == {"unanswered": 0}
    again = Service()
    resumed = ns.resume(tmp_path, verifier=again)
    assert resumed[0].ledger["usd"] == 1.5 and not again.looks, "answers are not asked for again"
    assert again.spent_before == {"unanswered": 0, "calls": 12, "usd": 3.0}


class Cut(Service):
    """The first call hangs until the program is gone; it is paid for."""

    paid = True

    def look(self, looks: Sequence[CandidatePicture]) -> list[SlowReply]:
        if not self.looks:
            self.looks.append(list(looks))
            threading.Event().wait(30)
        return super().look(looks)


def test_paid_looks_that_were_lost_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    # As a kill would: the reply is there and never written.
    monkeypatch.setattr("noisesearch.store.run_store.RunStore.record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        searched(Cut(), tmp_path)
    monkeypatch.undo()
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    asked = [line for line in lines if line.get("event") == "asking"]
    assert asked and all(line["verifier"] == "bright" for line in asked)
    service = Cut()
    service.looks = [[]]
    ns.resume(tmp_path, verifier=service)
    assert service.spent_before["unanswered"] == len({key for line in asked for key in line["of"]})


def test_it_may_be_held_out(tmp_path: Path) -> None:
    results = searched("aesthetic", tmp_path, watch=Service())
    watched = results[0].watched
    assert watched is not None and len(json.dumps(watched.json())) > 10
    assert all("bright" not in c.parts for c in results[0].candidates)


def test_verifying_a_run_does_not_ask_it_again(tmp_path: Path) -> None:
    searched([Service(), "aesthetic"], tmp_path)
    from noisesearch.runs.verify import verify
    from noisesearch.setup.python_objects import PythonObjects

    service = Service()
    found = verify(tmp_path, PythonObjects(verifiers={"bright": service}))
    assert found["winners"] == 2 and found["parts"] == 0.0 and not service.looks


class Dear(Service):
    """Costs a quarter a look."""

    paid = True


def test_a_budget_of_money_stops_the_search_and_a_resume(tmp_path: Path) -> None:
    results = searched(Dear(), tmp_path, budget="3usd", algorithm="zero-order")
    ledgers = [result.ledger for result in results]
    spent = sum(ledger["usd"] for ledger in ledgers)
    # What is in flight when it is reached comes on top: a round of each search.
    assert 3 <= spent <= 3 + 2 * 5 * 0.25
    assert all(result.winner.score >= result.baseline.score for result in results)
    again = Dear()
    resumed = ns.resume(tmp_path, verifier=again)
    assert not again.looks and [r.ledger["usd"] for r in resumed] == [x["usd"] for x in ledgers]
    assert [r.winner.trajectory for r in resumed] == [r.winner.trajectory for r in results]


def test_a_budget_of_money_for_each_condition(tmp_path: Path) -> None:
    results = searched(Dear(), tmp_path, budget="1usd/condition", algorithm="random")
    assert all(result.ledger["usd"] >= 1 for result in results)
