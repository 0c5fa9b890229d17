"""For all tests: plain assertions of the shipped suites say what was compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from torch import Tensor

pytest.register_assert_rewrite("noisesearch.testing")


@pytest.fixture(scope="session", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where this user's consent is kept, here and in processes that tests start."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def fashion_data() -> Path:
    """The folder of Fashion-MNIST; skips, saying so, where it is not installed."""
    from noisesearch.errors import ConfigError
    from noisesearch.worlds.fashion import data

    try:
        return data.folder()
    except ConfigError:
        pytest.skip("Fashion-MNIST (Debian's dataset-fashion-mnist) is not installed")


REFERENCES = Path(__file__).parent / "fixtures"


@pytest.fixture(scope="session")
def reference_path() -> Callable[[str], Path]:
    """Return the path of a file of reference numbers, by its name."""
    return lambda name: REFERENCES / name


@pytest.fixture(scope="session")
def fixture_of(reference_path: Callable[[str], Path]) -> Callable[[str], dict[str, Tensor]]:
    """The tensors of a file of reference numbers."""
    from safetensors.torch import load_file

    return lambda name: load_file(reference_path(f"{name}.safetensors"))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Print why tests were skipped, in one line after pytest's own last one."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # in a worker of xdist; its controller prints
        return
    skipped = reporter.stats.get("skipped", [])
    # The reason of a skip is the third of its place, its line and its reason.
    reasons = Counter(" ".join(report.longrepr[2].split()) for report in skipped)
    if reasons:
        each = (f"{n} × {why.removeprefix('Skipped: ')}" for why, n in reasons.most_common())
        reporter.write_line(f"not run here: {'; '.join(each)}")
