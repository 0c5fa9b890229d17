"""What the report of a large run weighs and takes: 300 prompts of 64 candidates.

    python benchmarks/report.py [--quick] [--json]

``megabytes``: of the page without the candidates' thumbnails. ``write_seconds``: to write it.
``open_seconds``: from the address to the first prompt on the page in Chromium, and
``prompt_seconds`` to draw another prompt's views; null where playwright or a Chromium is not
there. The run is the engine's own with made-up scores (`noisesearch.testing.synthetic`).
``--quick`` has 30 prompts. Medians over repeats.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from noisesearch.experiments.pages.report import report
from noisesearch.testing.synthetic import made_up_run

REPEATS = 5
NAMES = ("chromium", "chromium-browser", "google-chrome")


def opened(path: Path) -> tuple[float, float] | None:
    """Seconds to open the page and to go to another prompt; None without a browser."""
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if browser is None:
        return None
    first, other = [], []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for _ in range(REPEATS):
            page = chromium.new_page()
            started = time.perf_counter()
            page.goto(path.as_uri())
            page.wait_for_selector("#detail .chart svg")
            first.append(time.perf_counter() - started)
            started = time.perf_counter()
            page.keyboard.press("j")
            page.wait_for_selector("#detail .chart svg")
            other.append(time.perf_counter() - started)
            page.close()
        chromium.close()
    return statistics.median(first), statistics.median(other)


def measure(prompts: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        made_up_run(run, prompts, "64candidates", algorithm="zero-order", watch="checker")
        started = time.perf_counter()
        found = report(run, pictures="link")
        written = time.perf_counter() - started
        seconds = opened(found.path)
    return {
        "prompts": prompts,
        "candidates": 64,
        "megabytes": found.size / 1e6,
        "write_seconds": written,
        "open_seconds": None if seconds is None else seconds[0],
        "prompt_seconds": None if seconds is None else seconds[1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = measure(30 if arguments.quick else 300)
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, figure in figures.items():
        print(f"{name}: {figure if figure is None else format(figure, '.3g')}")


if __name__ == "__main__":
    main()
