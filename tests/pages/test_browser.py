"""The report in a real browser: every view, keyboard and pointer, narrow and wide, no errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import noisesearch as ns
from noisesearch.experiments.pages.report import report
from noisesearch.testing.synthetic import made_up_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports of every kind of run."""
    base = tmp_path_factory.mktemp("reports")

    def dull(images: Any, conditions: Any) -> Any:
        """Missing for the darker half."""
        score = -images.std((1, 2, 3))
        score[images.mean((1, 2, 3)) < images.mean()] = float("nan")
        return score

    quick: dict[str, Any] = {"verifier": "clipscore,aesthetic", "steps": 2, "guidance": 1.0}
    runs: dict[str, dict[str, Any]] = {
        "tree": {"algorithm": "zero-order", "budget": "24candidates", "watch": "checker"},
        "paths": {"algorithm": "paths", "budget": 120, "steps": 4},
        "pareto": {"algorithm": "random", "budget": "12candidates",
                   "objective": "pareto(clipscore, aesthetic)"},
        "drafts": {"algorithm": "zero-order", "budget": "12candidates", "final_steps": 4},
        "missing": {"verifier": [dull, "aesthetic"], "algorithm": "random",
                    "budget": "8candidates", "max_missing": 1.0},
        "bounded": {"algorithm": "random", "budget": "8candidates",
                    "objective": "constrain(aesthetic >= 6, then=clipscore)"},
    }  # fmt: skip
    prompts = ["a red circle", "two blue squares", "three purple circles"]
    for name, settings in runs.items():
        of = prompts[:1] if name == "paths" else prompts
        ns.search(of, out=base / name, **{**quick, **settings})
    made_up_run(base / "many", 40, "30candidates", algorithm="zero-order")
    names = (*runs, "many")
    return {n: report(base / n, pictures="link" if n == "tree" else "auto").path for n in names}


@pytest.fixture(scope="module")
def page_of_a_set(tmp_path_factory: pytest.TempPathFactory, fashion_data: Path) -> Path:
    """The report of a set that was chosen by its distance to real images."""
    folder = tmp_path_factory.mktemp("set") / "run"
    ns.search(["sneaker", "bag"], model="fashion", verifier="dino-linear", algorithm="population",
              parameters={"size": 8, "batch": 2, "candidates": 2}, budget="20candidates", steps=2,
              objective="frechet(dino-linear)", out=folder)  # fmt: skip
    return report(folder).path


@pytest.fixture
def visit(
    opened: Callable[..., Any], pages: dict[str, Path], request: pytest.FixtureRequest
) -> Callable[..., Any]:
    """Opens a report by the name of its run."""

    def go(name: str, width: int = 1280, scheme: str = "light") -> Any:
        path = request.getfixturevalue("page_of_a_set") if name == "set" else pages[name]
        page = opened(path, width, scheme)
        page.wait_for_selector("#detail .chart svg")  # drawn when their width is known
        return page

    return go


EVERY = ("tree", "paths", "pareto", "drafts", "missing", "bounded", "set", "many")


@pytest.mark.parametrize("width", [360, 1280, 2200])
@pytest.mark.parametrize("name", EVERY)
def test_every_run_at_every_width(
    visit: Callable[..., Any], sound: Callable[[Any, int], None], name: str, width: int
) -> None:
    page = visit(name, width, "dark" if width == 360 else "light")
    assert page.locator("#detail .chart svg").count() >= 1
    sound(page, width)


def test_pointer(visit: Callable[..., Any]) -> None:
    """Hover shows picture and recipe, a click opens the candidate, where one can go on."""
    page = visit("tree")
    chart = page.locator("#detail .chart svg").first
    chart.scroll_into_view_if_needed()
    ring = chart.locator(".ring").first
    at = {"x": float(ring.get_attribute("cx")), "y": float(ring.get_attribute("cy"))}
    chart.hover(position=at)
    tip = page.locator("#tip")
    assert tip.is_visible() and "the winner" in tip.inner_text()
    assert "neighbour" in tip.inner_text() or "gaussian" in tip.inner_text()
    assert tip.locator("img").evaluate("(image) => image.decode().then(() => image.naturalWidth)")
    chart.click(position=at)
    dialog = page.locator("#candidate")
    assert dialog.is_visible() and not tip.is_visible()
    first = page.locator("#candidate-title").inner_text()
    page.get_by_label("Next candidate").click()
    assert page.locator("#candidate-title").inner_text() != first
    page.keyboard.press("ArrowLeft")
    assert page.locator("#candidate-title").inner_text() == first
    link = dialog.get_by_role("link").get_attribute("href")
    assert (Path(page.url.removeprefix("file://")).parent / link).is_file()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_keyboard(visit: Callable[..., Any]) -> None:
    page = visit("tree")
    heading = page.locator("#detail h2")
    assert "a red circle" in heading.inner_text()
    page.keyboard.press("j")
    assert "two blue squares" in heading.inner_text()
    page.keyboard.press("k")
    assert "a red circle" in heading.inner_text()
    chart = page.locator("#detail .chart svg").first
    chart.focus()
    page.keyboard.press("Home")
    assert "1 of 24" in page.locator("#said").text_content()
    page.keyboard.press("ArrowRight")
    assert "2 of 24" in page.locator("#said").text_content()
    page.keyboard.press("Enter")
    assert "2 of 24" in page.locator("#candidate-title").inner_text()
    page.keyboard.press("Escape")
    tree = page.locator(".tree svg")
    assert tree.locator("path.line").count() + tree.locator("rect.line").count() > 0
    tree.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    assert page.locator("#candidate").is_visible()


def test_choices(visit: Callable[..., Any]) -> None:
    page = visit("tree")
    names = page.locator("#pairs .name")
    gains = page.locator("#pairs .gain")
    page.locator("#order").select_option("most")
    numbers = [float(t.replace("−", "-")) for t in gains.all_inner_texts() if t[0] in "+−0"]
    assert numbers == sorted(numbers, reverse=True)
    page.locator("#find").fill("blue")
    assert names.all_inner_texts() == ["two blue squares"]
    page.locator("#pairs button").click()
    assert "two blue squares" in page.locator("#detail h2").inner_text()
    page.locator("#detail label", has_text="Against").locator("select").select_option("seconds")
    page.wait_for_selector("#detail .chart svg")
    assert "seconds" in page.locator("#detail .chart svg").first.inner_html()
    assert page.locator(".best.held").count() > 0, "held-out scores are dashed"
    head = page.locator("table.sortable th button").first
    head.click()
    rows = page.locator("table.sortable tbody th").all_inner_texts()
    assert rows == sorted(rows)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_what_runs_have(visit: Callable[..., Any]) -> None:
    """Front, tree, drafts, failures, sets: each where it is, and not elsewhere."""
    front = visit("pareto")
    assert front.get_by_text("What no candidate beats in every score").is_visible()
    assert front.locator(".tree").count() == 0
    missing = visit("missing")
    assert "missing in" in missing.locator(".trust").inner_text()
    marks = missing.locator("#detail .chart .lost").evaluate_all(
        "(paths) => paths.map((path) => path.getAttribute('d').length)")  # fmt: skip
    assert sum(marks) > 0
    drafts = visit("drafts")
    assert drafts.locator("#detail .dots.draft").count() and drafts.locator(".ring").count()
    assert drafts.get_by_text("More steps on the left, more search on the right").is_visible()
    row = drafts.locator("#detail .row").first
    names = row.locator("button span:first-of-type").all_inner_texts()
    assert names[:2] == ["2 steps", "4 steps"] and len(names) > 2
    assert row.evaluate("(of) => [...of.children].findIndex((e) => e.matches('.divide'))") == 2
    assert "winner" in names[-1] or "kept" in row.locator("button").nth(1).inner_text()
    paths = visit("paths")
    assert paths.locator(".tree .edge").count() and paths.locator(".dots.preview").count()
    together = visit("set")
    assert together.locator(".set").first.locator("img").count() == 8


def test_what_others_wrote_stays_text(
    tmp_path: Path, opened: Callable[..., Any], sound: Callable[[Any, int], None]
) -> None:
    """Prompts, failures and names that are markup are shown and not run."""
    bad = (
        "</script><script>document.title = 'run'</script><img src=x onerror=document.title='run'>"
    )

    def rude(images: Any, conditions: Any) -> Any:
        raise ValueError(bad)

    rude.__name__ = "<b>rude</b>"
    ns.search(
        [bad, f'a "quoted" {bad}'], model=ns.testing.MixtureModel(), verifier=["brightness", rude],
        steps=2, algorithm="random", budget="4candidates", max_missing=1.0, out=tmp_path,
    )  # fmt: skip
    page = opened(report(tmp_path).path, 1280, "light")
    page.wait_for_selector("#detail .chart svg")
    assert bad in page.locator("body").inner_text()
    assert page.title() != "run" and page.locator("img[src=x]").count() == 0
    sound(page, 1280)
