"""A browser for the tests that look at pages, and what its console may not hold."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="needs noisesearch[browser]")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium here; install Debian's chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page from disk without a network, and at the end says what its console held."""
    said: list[str] = []
    pages = []

    def go(path: Path, width: int = 1280, scheme: str = "light") -> Any:
        page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        pages.append(page)
        return page

    yield go
    for page in pages:
        page.close()
    assert said == []


@pytest.fixture
def sound() -> Callable[[Any, int], None]:
    """What every page is held to: nothing scrolls sideways or is nameless, all pictures there."""

    def check(page: Any, width: int) -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "scrolls sideways"
        nameless = """[...document.querySelectorAll("button, select, input, a, [tabindex='0']")]
            .filter((e) => !(e.textContent.trim() || e.ariaLabel || e.labels?.length))
            .map((e) => e.outerHTML.slice(0, 120))"""
        assert page.evaluate(nameless) == []
        assert page.locator("img:not([alt])").count() == 0
        broken = "[...document.images].filter((i) => i.complete && !i.naturalWidth).length"
        assert page.evaluate(broken) == 0

    return check
