"""The driver: failures, budgets, finishing, the baseline, interrupts, a full disk."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from noisesearch import ConfigError, RandomSearch, StoreError, ZeroOrder, score
from noisesearch.algorithms.paths import SearchOverPaths
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.files.journal import unseal
from noisesearch.models.protocol import Model
from noisesearch.setup.searches import Searches
from noisesearch.testing import Bench, MixtureModel
from noisesearch.testing.bench import MadeUp, Released

Number = Callable[[Trajectory, int], Mapping[str, float | str]]


def bench(
    folder: Path, algorithm: Any = None, model: Model | None = None, **settings: Any
) -> Bench:
    return Bench(folder, algorithm or RandomSearch(), model or MixtureModel(), settings)


def made_up(of: Bench, number: Number, name: str = "run", **settings: Any) -> Any:
    """A run in which everything is free."""
    executor = MadeUp(number)
    return of.run(name, of.parts(**settings), wrap=lambda _: executor), executor


def even(images: Any, conditions: Any) -> Any:
    return images.mean((1, 2, 3))


def picky(images: Any, conditions: Any) -> Any:
    """Raises where one of its rows is a picture that it does not like."""
    sums = (images.double() * 255).round().sum((1, 2, 3)).long()
    if (sums % 11 == 0).any():
        raise RuntimeError("what an ugly picture")
    return images.mean((1, 2, 3))


def test_a_row_that_raises_takes_no_other_along(tmp_path: Path) -> None:
    whole = bench(tmp_path, verifier=[even], budget="40candidates").run("even")
    some = bench(tmp_path, verifier=[picky], budget="40candidates").run("picky")
    for good, bad in zip(whole.searches, some.searches, strict=True):
        failed = [r for r in bad.record.replies if r.missing]
        assert 0 < len(failed) <= 0.2 * len(bad.record.replies), "the test needs a few failures"
        assert {r.missing["picky"] for r in failed} == {
            "verifier 'picky' failed: RuntimeError: what an ugly picture"
        }
        scores = {r.trajectory: r.parts["even"] for r in good.record.replies}
        for reply in bad.record.replies:
            assert reply.missing or reply.parts["picky"] == scores[reply.trajectory]
        assert bad.ledger.nfe == good.ledger.nfe, "a failed candidate is paid for"
        worst = [t for t in bad.record.winners or ()][-1:]
        complete = {r.trajectory for r in bad.record.replies if not r.missing}
        assert bad.record.winners and worst[0] in complete


WRONG = {
    "short": (
        lambda i, c: i.mean((1, 2, 3))[1:],
        r"must return 4 numbers for 4 images, got \(3,\)",
    ),
    "one": (lambda i, c: 0.5, r"must return 4 numbers for 4 images, got \(\)"),
    "wide": (lambda i, c: i.mean((2, 3)), r"got \(4, 3\)"),
    "text": (lambda i, c: "lovely", "got the string 'lovely'"),
    "texts": (lambda i, c: ["lovely"] * 4, "got values of type <U6"),
    "nothing": (lambda i, c: None, "got values of type object"),
    "nan": (lambda i, c: torch.full((4,), float("nan")), "the verifier gave nan"),
    "infinite": (lambda i, c: [float("inf")] * 4, "the verifier gave inf"),
    "raises": (lambda i, c: 1 / 0, "ZeroDivisionError: division by zero"),
    "keys": (lambda i, c: {}[1], "KeyError: 1"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_a_verifier_can_do_wrong(what: str, tmp_path: Path) -> None:
    """It ends the run with the first reason, as a request that was wrong; the folder stays."""
    function, reason = WRONG[what]
    function.__name__ = what
    of = bench(tmp_path, verifier=[even, function])
    with pytest.raises(
        ConfigError, match=f"part '{what}' is missing in .*{reason}.*--retry-failed"
    ):
        of.run("wrong")
    with pytest.raises(ConfigError, match=reason):
        of.run("wrong")  # and a resume says it again instead of going on


@pytest.mark.parametrize("kind", [list, tuple, torch.Tensor.numpy, torch.Tensor.half])
def test_what_a_verifier_may_return(kind: Any, tmp_path: Path) -> None:
    def free(images: Any, conditions: Any) -> Any:
        values = images.mean((1, 2, 3))
        return kind(values.tolist() if kind in (list, tuple) else values)

    replies = bench(tmp_path, verifier=[free]).run("free").searches[0].record.replies
    assert all(0 < r.parts["free"] < 1 for r in replies)


@pytest.mark.parametrize(("count", "ends"), [(4, False), (5, True)])
def test_more_than_a_fifth_ends_the_run(count: int, ends: bool, tmp_path: Path) -> None:
    """20 replies of two verifiers: four failures are survived, five are not."""

    def number(_: Trajectory, i: int) -> dict[str, float | str]:
        return {"brightness": 0.5, "evenness": f"reason {i}" if i >= 20 - count else 0.1}

    of = bench(tmp_path, budget="20candidates")
    of.prompts = ["one"]
    if ends:
        with pytest.raises(ConfigError, match=r"missing in 5 of 20 .*first reason: reason 15"):
            made_up(of, number)
    else:
        outcome, _ = made_up(of, number)
        assert len(outcome.searches[0].record.replies) == 20


def test_few_replies_end_no_run_before_its_end(tmp_path: Path) -> None:
    """One failure among the first replies says nothing yet."""

    def number(_: Trajectory, i: int) -> dict[str, float | str]:
        return {"brightness": 0.5, "evenness": "once" if i == 0 else 0.1}

    of = bench(tmp_path, ZeroOrder(), budget="13candidates")
    of.prompts = ["one"]
    outcome, _ = made_up(of, number)
    assert len(outcome.searches[0].record.replies) == 13


def test_failed_ones_are_asked_again_on_request(tmp_path: Path) -> None:
    import noisesearch as ns
    from noisesearch.runs.run import Run
    from noisesearch.setup.python_objects import PythonObjects
    from noisesearch.setup.selection import as_verifier

    settings = {"model": MixtureModel(), "algorithm": "random", "rows": 4}
    mended = {"ok": False}

    def moody(images: Any, conditions: Any) -> Any:
        if not mended["ok"]:
            raise OSError("the service is down")
        return images.mean((1, 2, 3))

    with pytest.raises(ConfigError, match="the service is down"):
        ns.search("x", verifier=[moody], budget="8candidates", out=tmp_path / "run", **settings)
    mended["ok"] = True
    given = PythonObjects(MixtureModel(), None, {"moody": as_verifier(moody, "moody")})
    for retry in (True, False):
        run = Run.open(tmp_path / "run", given, retry_failed=retry)
        results = run.execute()
        run.close()
        assert len(results[0].candidates) == 8, "and a later resume finds them whole"
        assert not any(c.missing for c in results[0].candidates)


def test_budgets_of_a_run_are_shared(tmp_path: Path) -> None:
    whole = bench(tmp_path, budget="12candidates").run("condition")
    shared = bench(tmp_path, budget="24candidates/run").run("run")
    odd = bench(tmp_path, budget="150nfe/run").run("odd")
    assert shared.logical == whole.logical and shared.winners == whole.winners
    assert [live.ledger.nfe for live in whole.searches] == [72, 72]
    assert [live.ledger.nfe for live in odd.searches] == [72, 72], "75 each holds 12 of 6"


def test_forwards_are_what_guidance_makes_of_nfe(tmp_path: Path) -> None:
    outcome = bench(tmp_path, model=MixtureModel(forwards=2), budget="144forwards").run("run")
    assert [(live.ledger.nfe, live.ledger.json()["forwards"]) for live in outcome.searches] == [
        (72, 144), (72, 144)]  # fmt: skip


@pytest.mark.parametrize(
    ("budget", "smallest"),
    [("5", "6nfe"), ("11nfe/run", "12nfe/run"), ("0.5candidates", "1candidates")],
)
def test_a_budget_below_one_candidate(budget: str, smallest: str, tmp_path: Path) -> None:
    of = bench(tmp_path)
    with pytest.raises(ConfigError, match=f"smallest is {smallest}"):
        of.run("small", of.parts(budget=budget))
    assert not (tmp_path / "small").exists(), "no folder for a wrong request"
    assert all(of.run("enough", of.parts(budget=smallest)).winners)


@pytest.mark.parametrize("top", [1, 3])
@pytest.mark.parametrize("algorithm", [RandomSearch(), ZeroOrder()])
def test_winners_are_finished_at_other_steps(algorithm: Any, top: int, tmp_path: Path) -> None:
    of = bench(tmp_path, algorithm, steps=4, final_steps=12, budget=str(40 + 12 * top), top=top)
    loaded = of.parts()
    outcome = of.run("run", loaded)
    forecast = Searches.of(of.parts(top=top)).plan()
    for live in outcome.searches:
        assert live.ledger.nfe == 40 + 12 * top == forecast.most.nfe, "the reserve is kept"
        assert len(live.record.replies) == 10, "searched at search steps alone"
        (known,) = live.record.outcomes()
        finals = known.winners[known.baseline_kept :]
        assert len(finals) == top - known.baseline_kept
        order = live.problem.objective.order([final for final, _ in finals])
        assert list(order) == sorted(order, reverse=True), "best first, by the finished samples"
        assert {search.trajectory for _, search in finals} <= set(live.record.winners or ())
        for final, search in finals:
            assert search.trajectory.steps == 4 and final.trajectory == search.trajectory.at(12)
            assert final.parts != search.parts, "scored again"
        assert live.record.baseline.grid.steps == 12 and live.record.baseline_ledger.nfe == 12


@pytest.mark.parametrize("steps", [2, 4, 6])
def test_a_reserve_does_not_count_on_what_winners_share(steps: int, tmp_path: Path) -> None:
    """Paths part late or early as the scores have it, and their common legs are paid for once."""
    of = bench(tmp_path, SearchOverPaths(), steps=steps, final_steps=12, budget=240)
    for seed in range(4):
        for live in of.run(f"run-{seed}", of.parts(seed=seed)).searches:
            assert live.ledger.counted <= 240


def greedy(problem: Any) -> Any:
    """Asks for more than there is, in two yields that need all their replies."""
    for first in (0, 5):
        asks = [score(problem.sample(problem.noise(first + i))) for i in range(5)]
        replies = yield asks
        assert len(replies) == 5, "cut short"
    return [replies[4].trajectory]


def test_a_search_that_asks_too_much_is_cut(tmp_path: Path) -> None:
    """The replies that fit count; the generator is closed, not resumed with a part of them."""
    of = bench(tmp_path, greedy, budget="7candidates")
    loaded = of.parts()
    outcome = of.run("run", loaded)
    forecast = Searches.of(of.parts()).plan()
    for live in outcome.searches:
        assert live.ledger.nfe == 42 == forecast.least.nfe == forecast.most.nfe
        assert live.record.winners and live.record.winners[0] == live.record.leaders()[0]
    again = of.run("run")
    assert (again.winners, again.logical, again.asked) == (outcome.winners, outcome.logical, [])


def test_a_better_baseline_becomes_the_winner(tmp_path: Path) -> None:
    """The first noise finished at the final steps is best, although the search saw it lose."""

    def number(trajectory: Trajectory, i: int) -> dict[str, float | str]:
        return {"brightness": 9.0 if i == 0 else i / 100, "evenness": 0.0}

    of = bench(tmp_path, steps=4, final_steps=12, budget="76", top=2)
    of.prompts = ["one"]
    outcome, executor = made_up(of, number)
    (live,) = outcome.searches
    (found,) = live.record.outcomes()
    assert len(found.winners) == 2, "top counts the baseline too"
    assert executor.asked[0] == live.record.baseline.key
    assert found.baseline_kept and found.winners[0][0].trajectory == live.record.baseline
    assert found.winners[1][1] is not None, "the search's own stays in the list"
    worse, _ = made_up(of, lambda t, i: {"brightness": float(i), "evenness": 0.0}, "other")
    assert not worse.searches[0].record.outcomes()[0].baseline_kept


def test_conditions_wait_in_a_window(tmp_path: Path) -> None:
    of = bench(tmp_path)
    of.prompts = [f"prompt {i}" for i in range(7)]
    wide, narrow = of.run("wide"), of.run("narrow", window=2)
    assert wide.winners == narrow.winners and wide.logical == narrow.logical
    assert len({tuple(w) for w in wide.winners}) == 7
    again = of.run("narrow", window=2)
    assert again.asked == [] and again.winners == wide.winners, "the last ones too"


class FullDisk(io.FileIO):
    """A file on a disk that becomes full in the middle of a write."""

    left = 0

    def write(self, data: Any) -> int:
        if len(data) > FullDisk.left:
            super().write(bytes(data)[: max(0, FullDisk.left)])
            raise OSError(errno.ENOSPC, "No space left on device")
        FullDisk.left -= len(data)
        return super().write(data)


@pytest.mark.parametrize("room", [0, 1, 700, 1500, 4000])
def test_a_full_disk(room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = bench(tmp_path)
    whole = of.run("whole")
    plain = Path.open

    def opened(path: Path, mode: str = "r", *args: Any, **keywords: Any) -> Any:
        if path.name == "journal.jsonl" and mode == "ab":
            return FullDisk(str(path), "ab")
        return plain(path, mode, *args, **keywords)

    FullDisk.left = room
    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(StoreError, match=r"disk is full.*resume .*run"):
        of.run("run")
    journal = tmp_path / "run" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert all(unseal(line) is not None and line.endswith(b"\n") for line in lines)
    with pytest.raises(StoreError, match="disk is full"):
        of.run("run")  # still full
    monkeypatch.undo()
    again = of.run("run")
    assert again.winners == whole.winners and again.logical == whole.logical


def test_two_failed_writes_leave_whole_lines(tmp_path: Path) -> None:
    from noisesearch.files.journal import Journal

    journal = Journal(tmp_path / "journal.jsonl")
    journal.append({"n": 1})
    assert journal._file is not None
    journal._file.close()
    journal._file = FullDisk(str(tmp_path / "journal.jsonl"), "ab")
    for room in (7, 3):
        FullDisk.left = room
        with pytest.raises(StoreError):
            journal.append({"n": 2})
    FullDisk.left = 1000
    journal.append({"n": 3})
    journal.close()
    assert [r["n"] for r in Journal(tmp_path / "journal.jsonl").read()] == [1, 3]


def test_a_picture_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import noisesearch as ns

    settings = {"model": MixtureModel(), "algorithm": "random", "budget": "8candidates", "rows": 4}
    whole = ns.search("x", out=tmp_path / "whole", **settings)
    plain = Path.write_bytes
    count = iter(range(100))

    def full(path: Path, data: bytes) -> int:
        if path.parent.name == "samples" and next(count) >= 3:
            plain(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match="disk is full"):
        ns.search("x", out=tmp_path / "run", **settings)
    assert len(list((tmp_path / "run" / "samples").iterdir())) == 3, "no half picture"
    monkeypatch.undo()
    (again,) = ns.resume(tmp_path / "run", model=MixtureModel())
    assert again.winner.trajectory == whole.winner.trajectory
    assert all(c.path is not None and c.path.exists() for c in again.candidates)


def test_interrupted_inside_a_verifier(tmp_path: Path) -> None:
    import json

    import noisesearch as ns

    settings = {"model": MixtureModel(), "algorithm": ZeroOrder(), "budget": "21candidates"}
    calls = iter(range(1000))

    def slow(images: Any, conditions: Any) -> Any:
        if next(calls) == 4:
            raise KeyboardInterrupt
        return images.mean((1, 2, 3))

    with pytest.raises(KeyboardInterrupt):
        ns.search("x", verifier=[slow], out=tmp_path / "run", rows=4, **settings)
    kept = json.loads((tmp_path / "run" / "winners.json").read_text())
    assert not kept["complete"] and Path(kept["searches"][0]["winner"]["image"]).exists()
    (again,) = ns.resume(tmp_path / "run", model=MixtureModel(), algorithm=ZeroOrder(),
                         verifier=[slow])  # fmt: skip
    whole = ns.search("x", verifier=[slow], out=tmp_path / "whole", rows=4, **settings)
    assert again.winner.trajectory == whole.winner.trajectory
    assert again.winner.parts == whole.winner.parts
    assert again.ledger["nfe"] == whole.ledger["nfe"]


def test_a_finished_run_computes_nothing_again(tmp_path: Path) -> None:
    of = bench(tmp_path, ZeroOrder())
    first = of.run("run")
    again = of.run("run", wrap=lambda e: Released(e, deaths=0))
    assert again.asked == [] and again.counted == 0
    assert again.winners == first.winners and again.logical == first.logical
