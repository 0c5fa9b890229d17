"""The page of an experiment in a real browser: every view, narrow and wide, light and dark."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_experiment import PROMPTS, campaign, finished

import noisesearch as ns
from noisesearch.experiments.pages.report import report

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Experiments with a plot, with groups and none, without a common figure, and stopped."""
    base = tmp_path_factory.mktemp("experiments")
    done = finished(base)
    arms = [{"name": "none", "candidates": 1, "steps": 2},
            *({"name": f"search with a rather long name, {i}", "candidates": i, "steps": 2}
              for i in (2, 3, 5))]  # fmt: skip
    grouped = finished(base, "grouped", plot={}, claims=[], seeds=1, arms=arms,
                       prompts={"odd": PROMPTS[::2], "even": PROMPTS[1::2]})  # fmt: skip
    stopped = base / "stopped"
    campaign(base).begin(stopped)
    shutil.copytree(done / "runs" / "random-8-seed0", stopped / "runs" / "random-8-seed0")
    ns.trust(stopped)
    apart = finished(base, "apart", plot={}, claims=[], seeds=1, measure={}, arms=[
        {"name": name, "verifier": f"{base}/two.py:{name}", "candidates": 2, "steps": 2}
        for name in ("light", "dark")])  # fmt: skip
    folders = {"apart": apart, "plot": done, "grouped": grouped, "stopped": stopped}
    return {name: report(folder).path for name, folder in folders.items()}


@pytest.fixture
def visit(opened: Callable[..., Any], pages: dict[str, Path]) -> Callable[..., Any]:
    def go(name: str, width: int = 1280, scheme: str = "light") -> Any:
        page = opened(pages[name], width, scheme)
        if name != "apart":
            page.wait_for_selector("#column .chart svg")  # drawn when their width is known
        return page

    return go


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280, 2200])
@pytest.mark.parametrize("name", ["plot", "grouped", "stopped", "apart"])
def test_every_page_at_every_width(
    visit: Callable[..., Any], sound: Callable[[Any, int], None], name: str, width: int,
    scheme: str,
) -> None:  # fmt: skip
    page = visit(name, width, scheme)
    sound(page, width)
    assert page.locator("#pictures .row img").count() > 0
    assert page.locator("#column .chart").count() == (name != "apart")
    assert page.locator("#lines .chart").count() == (name in ("plot", "stopped"))


def test_tables_sort_by_pointer_and_keyboard(visit: Callable[..., Any]) -> None:
    page = visit("plot")
    figures = page.get_by_role("region", name="Figures of all arms")
    head = figures.locator("thead th").nth(1)
    nfe = figures.locator("tbody td:nth-child(2)")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert nfe.all_inner_texts() == ["3", "6", "6", "12", "12", "24"]
    page.keyboard.press("Enter")  # the button still has the focus
    assert head.get_attribute("aria-sort") == "descending"
    assert nfe.all_inner_texts() == ["24", "12", "12", "6", "6", "3"]
    names = figures.locator("tbody th")
    figures.locator("thead th").first.locator("button").focus()
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") is None
    assert names.all_inner_texts() == [
        "darker", "random 2", "random 4", "random 8", "steps 3", "steps 6"
    ]  # fmt: skip


def test_charts_are_gone_through(visit: Callable[..., Any]) -> None:
    """By arrow keys and by pointer; all charts mark the same arm."""
    page = visit("plot")
    chart = page.locator("#lines .chart svg")
    chart.focus()
    page.keyboard.press("Home")
    words = page.locator("#lines .told")
    assert words.inner_text().startswith("steps 3, 3 NFE an image: light 0.")
    assert words.inner_text() == page.locator("#said").text_content()
    page.keyboard.press("End")
    assert words.inner_text().startswith("random 8, 24 NFE")
    assert page.locator("#column .told").inner_text() == words.inner_text()
    mark = page.locator("#column .arm.mark").first
    mark.hover()
    assert page.locator("#column .told").inner_text().startswith("steps 6, 6 NFE")
    page.mouse.move(0, 0)
    assert "arrow keys" in words.inner_text()


def test_one_column_of_every_arm(visit: Callable[..., Any]) -> None:
    page = visit("grouped")
    column, kind = (page.locator("#column select").nth(i) for i in (0, 1))
    assert column.locator("option").all_inner_texts() == ["light", "light [odd]", "light [even]"]
    assert page.locator("#column .arm.mark").count() == 4
    column.select_option("light [even]")
    kind.select_option("over")
    page.wait_for_selector("#column .chart svg")
    assert "light [even], difference to “none”" in page.locator("#column figcaption").inner_text()
    assert page.locator("#column .arm.mark").count() == 3
    page.locator("#column svg").focus()
    page.keyboard.press("Home")
    assert "light [even] +" in page.locator("#column .told").inner_text()


def test_pictures_lead_to_their_files(visit: Callable[..., Any], pages: dict[str, Path]) -> None:
    page = visit("plot")
    row = page.locator("#pictures .row").first
    names = row.locator("a span:first-of-type").all_inner_texts()
    assert names == ["steps 3", "steps 6", "random 2", "random 4", "random 8"]
    link = row.locator("a").last.get_attribute("href")
    assert (pages["plot"].parent / link).is_file()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
