"""A run in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

import noisesearch as ns
from noisesearch.cli.summary import summary, table
from noisesearch.testing import MixtureModel


def ran(folder: Path, **settings: Any) -> dict[str, Any]:
    results = ns.search(["one", "two"], model=MixtureModel(), algorithm="random", rows=4,
                        budget="5candidates", out=folder, **settings)  # fmt: skip
    return results.json()


def test_what_is_missing_and_what_was_kept(tmp_path: Path) -> None:
    def blind(images: Tensor, conditions: Any) -> Tensor:
        return images.mean((1, 2, 3)) * float("nan")

    content = ran(tmp_path / "run", verifier=["brightness", blind], max_missing=1.0)
    assert [s["missing"] for s in content["searches"]] == [{"blind": 5}] * 2
    assert ["blind", "10"] in [line.split() for line in summary(content).splitlines()]
    content["searches"][0]["baseline_kept"] = True
    content["complete"] = False
    text = summary(content)
    assert "one: the candidate chosen does not beat the baseline, which is kept" in text
    assert f"not complete; go on with: noisesearch resume {tmp_path / 'run'}" in text


def test_what_was_spent(tmp_path: Path) -> None:
    content = ran(tmp_path / "run", verifier="brightness", steps=3, final_steps=6)
    rows = {line.split()[0]: line.split()[1:] for line in summary(content).splitlines() if line}
    ledgers = [s["ledger"] for s in content["searches"]]
    asked, ran_ = (sum(of["nfe"] for of in each)
                   for each in (ledgers, [of["physical"] for of in ledgers]))  # fmt: skip
    assert rows["nfe"] == [str(asked), str(ran_)]
    assert rows["brightness"][0] == str(sum(of["verifiers"]["brightness"]["samples"]
                                            for of in ledgers))  # fmt: skip


def test_of_nothing() -> None:
    assert summary({"searches": [], "run": "r", "complete": False}).startswith("not complete")


def test_prompts_are_no_markup() -> None:
    prompt = "a [bold]red[/bold] :smile: circle"
    head, row = table([("condition", "x"), (prompt, "1")]).splitlines()
    assert row == f"{prompt}  1"
    assert head.split() == ["condition", "x"] and len(head) == len(row)
