"""How budgets are read and shared."""

from __future__ import annotations

import pytest

from noisesearch.candidates.budget import Budget
from noisesearch.errors import ConfigError
from noisesearch.setup.request import Request
from noisesearch.setup.searches import Searches
from noisesearch.testing import MixtureModel

GOOD = [
    (640, Budget(640, "nfe", "condition")),
    ("640", Budget(640, "nfe", "condition")),
    (" 640NFE ", Budget(640, "nfe", "condition")),
    ("640nfe/run", Budget(640, "nfe", "run")),
    ("1280forwards", Budget(1280, "forwards", "condition")),
    ("20 candidates", Budget(20, "candidates", "condition")),
    ("20candidates/run", Budget(20, "candidates", "run")),
    ("30s", Budget(30, "s", "run")),
    ("5m", Budget(300, "s", "run")),
    ("1.5h", Budget(5400, "s", "run")),
    ("5m/condition", Budget(300, "s", "condition")),
    ("2usd", Budget(2, "usd", "run")),
    ("0.25usd", Budget(0.25, "usd", "run")),
    ("1000000nfe/run", Budget(1_000_000, "nfe", "run")),
    ("12345678", Budget(12_345_678, "nfe", "condition")),
    ("0.00001h", Budget(0.036, "s", "run")),
    (1234567.5, Budget(1234567.5, "nfe", "condition")),
    ("0.00001s", Budget(0.00001, "s", "run")),
]


@pytest.mark.parametrize(("text", "wanted"), GOOD)
def test_good(text: str | int | float, wanted: Budget) -> None:
    budget = Budget.parse(text)
    assert (budget.unit, budget.per) == (wanted.unit, wanted.per)
    assert budget.amount == pytest.approx(wanted.amount, rel=1e-12)
    assert Budget.parse(budget) is budget
    assert Budget.parse(str(budget)) == budget, "what the spec holds is read back"


@pytest.mark.parametrize(
    "text", ["", "many", "-5", "0", "0s", "640 miles", "nfe", "640/week", "640nfe/", "1e3", "nan"]
)
def test_bad(text: str) -> None:
    with pytest.raises(ConfigError, match=r"640 \(NFE per condition\)") as caught:
        Budget.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["9" * 400, "9" * 308 + "h"])
def test_more_than_can_be_counted(text: str) -> None:
    with pytest.raises(ConfigError, match="is more than can be counted: write 640") as caught:
        Budget.parse(text)
    assert len(str(caught.value)) < 250


def test_share() -> None:
    assert Budget.parse("100").share(3) == 100
    assert Budget.parse("100nfe/run").share(3) == 33
    assert Budget.parse("100").counted and Budget.parse("2candidates").counted
    assert not Budget.parse("5m").counted and not Budget.parse("2usd").counted


@pytest.mark.parametrize("budget", ["1000001candidates", "999999999999", "2000002candidates/run"])
def test_more_than_a_search_can_hold(budget: str) -> None:
    """Said at once, by a plan too: it would rehearse, and a run remember, every one of them."""
    request = Request(["a", "b"], model=MixtureModel(), budget=budget, algorithm="random")
    with pytest.raises(ConfigError, match=r"1,000,000 can be held at most; give less, or a time"):
        request.resolve()


def test_a_set_holds_as_much_for_each_of_its_prompts() -> None:
    request = Request(["a", "b", "c"], model=MixtureModel(), budget="900000candidates",
                      algorithm="population", parameters={"candidates": 2})  # fmt: skip
    loaded = request.resolve().loaded
    assert Searches(loaded, Budget.parse("900000candidates")).limit > 0
    with pytest.raises(ConfigError, match=r"is 1e\+07 candidates for a prompt"):
        Searches(loaded, Budget.parse("10000000candidates")).first()
