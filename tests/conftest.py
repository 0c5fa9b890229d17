"""For all tests: plain assertions of the shipped suites say what was compared."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
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


REFERENCES = Path(__file__).parents[2] / "shared" / "fixtures"


@pytest.fixture
def reference_path() -> Callable[[str], Path]:
    """The file of reference numbers with this name; skips, saying so, where it is not."""

    def find(name: str) -> Path:
        path = REFERENCES / name
        if not path.exists():
            pytest.skip(f"the reference numbers are not here: ../shared/fixtures/{name}")
        return path

    return find


@pytest.fixture
def fixture_of(reference_path: Callable[[str], Path]) -> Callable[[str], dict[str, Tensor]]:
    """The tensors of a file of reference numbers."""
    from safetensors.torch import load_file

    return lambda name: load_file(reference_path(f"{name}.safetensors"))
