"""What the tests skip is the last line that they print."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parent / "conftest.py"
MODULES = {
    "test_some.py": """
import pytest

@pytest.mark.parametrize("number", range(3))
def test_data(number):
    pytest.skip("the data\\nare not here")

@pytest.mark.skipif(True, reason="root may write")
def test_root(): ...

def test_run(): ...
""",
    "test_whole.py": "import pytest\npytest.importorskip('nowhere', reason='no package nowhere')",
}


def last_lines(folder: Path, *options: str) -> list[str]:
    """Return the last two lines of the tests in a folder under our conftest."""
    shutil.copy(CONFTEST, folder)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "not slow"]
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = slow: minutes\n")
    done = subprocess.run(
        [*command, *options], cwd=folder, capture_output=True, encoding="utf-8", check=True
    )
    return done.stdout.splitlines()[-2:]


@pytest.mark.parametrize("processes", [0, 2])
def test_skips_have_their_reason_and_count_in_the_last_line(
    tmp_path: Path, processes: int
) -> None:
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text)
    pytests, ours = last_lines(tmp_path, "-n", str(processes))
    assert "1 passed, 5 skipped" in pytests
    assert ours.startswith("not run here: 3 × the data are not here; 1 × ")
    assert {"1 × root may write", "1 × no package nowhere"} < set(
        ours.removeprefix("not run here: ").split("; ")
    )


def test_nothing_is_said_where_all_tests_run(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text("def test_run(): ...\n")
    *_, last = last_lines(tmp_path, "-n", "0")
    assert "1 passed" in last
