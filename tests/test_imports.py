"""What is imported when: the front door stays light."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import noisesearch

HEAVY = ("torch", "scipy", "diffusers", "transformers", "ray", "matplotlib", "pandas")
ROOT = Path(noisesearch.__file__).parent


def loaded(code: str) -> set[str]:
    """The packages that a fresh interpreter has imported after ``code``."""
    ask = "import sys; print('\\n' + ' '.join({m.partition('.')[0] for m in sys.modules}))"
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{ask}"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


HELP = """
import sys
from noisesearch.__main__ import main
sys.argv = ["noisesearch", {words}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


@pytest.mark.parametrize(
    "code",
    [
        "import noisesearch",
        "import noisesearch; noisesearch.ZeroOrder(), noisesearch.Budget.parse('5m')",
        HELP.format(words="'--help'"),
        HELP.format(words="'generate', '--help'"),
        "import noisesearch.evaluation.prompt_parser",
    ],
    ids=["import", "values", "help", "generate-help", "prompts"],
)
def test_light(code: str) -> None:
    modules = loaded(code)
    assert "noisesearch" in modules
    assert not modules & set(HEAVY)


def test_public_names() -> None:
    for name in noisesearch.__all__:
        assert getattr(noisesearch, name) is not None
    assert callable(noisesearch.search), "the function, not a subpackage of its name"
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        noisesearch.serach  # noqa: B018


def imports(path: Path) -> set[str]:
    """Names that a module imports, those only for type checkers left out."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            found.update(a.name.partition(".")[0] for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").partition(".")[0])
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                visit(child)

    visit(ast.parse(path.read_text()))
    return found


def test_values_and_algorithms_import_no_torch() -> None:
    """At module level: torch is for sampling, worker, models, verifiers and worlds."""
    light = ("algorithms", "candidates", "cli", "driver", "names", "objectives", "runs", "setup",
             "store")  # fmt: skip
    paths = [path for name in light for path in sorted((ROOT / name).glob("*.py"))]
    paths += [ROOT / "api.py", ROOT / "errors.py"]
    assert len(paths) > 80
    for path in paths:
        # scipy and torch come in through functions that need them, never with the module.
        assert not imports(path) & set(HEAVY), str(path)
