"""Our code unpickles nothing: no import that could, no call that does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import noisesearch

SOURCE = Path(noisesearch.__file__).parent
UNPICKLE = {"pickle", "_pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib",
            "jsonpickle", "yaml", "pandas"}  # fmt: skip
# Calls by the end of their name, and what must be said to them.
SAID = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False),
        "numpy.load": ("allow_pickle", False), "np.save": ("allow_pickle", False)}  # fmt: skip
NEVER = ("eval", "exec", "os.system", "os.popen", "torch.hub.load", "torch.jit.load",
         "torch.package.PackageImporter", "tempfile.mktemp")  # fmt: skip


def found(tree: ast.AST) -> Iterator[str]:
    """What a module does that ours must not, a line each."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""] if node.level == 0 else []
        else:
            names = []
        yield from (f"imports {n}" for n in names if n.partition(".")[0] in UNPICKLE)
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {k.arg: ast.unparse(k.value) for k in node.keywords}
        if called.endswith("import_module") and node.args:
            target = ast.unparse(node.args[0]).strip("'\"")
            if target.partition(".")[0] in UNPICKLE:
                yield f"imports {target}"
        if called in NEVER:
            yield f"calls {called}"
        if called in SAID and given.get(SAID[called][0]) != str(SAID[called][1]):
            yield f"calls {called} without {SAID[called][0]}={SAID[called][1]}"
        if given.get("shell") == "True":
            yield f"calls {called} with a shell"
        auto = ".Auto" in called or called.startswith("Auto") or called.startswith("reader.")
        if auto and called.endswith("from_pretrained"):
            spread = [ast.unparse(k.value) for k in node.keywords if k.arg is None]
            if given.get("trust_remote_code") != "trusted()" and "here" not in spread:
                yield f"calls {called} without trust_remote_code=trusted()"


@pytest.mark.parametrize("source", [
    "import pickle", "from yaml import load", "importlib.import_module('dill.x')",
    "torch.load(path)", "torch.load(path, weights_only=False)", "np.load(path)",
    "np.load(path, allow_pickle=True)", "eval('1')", "subprocess.run('x', shell=True)",
    "library.AutoModel.from_pretrained(path)",
])  # fmt: skip
def test_the_search_finds(source: str) -> None:
    assert len(list(found(ast.parse(source)))) == 1


def test_nothing_is_unpickled() -> None:
    wrong = [
        f"{path.relative_to(SOURCE)} {what}"
        for path in sorted(SOURCE.rglob("*.py"))
        for what in found(ast.parse(path.read_text("utf-8")))
    ]
    assert wrong == []


def test_nothing_listens() -> None:
    """No module opens a socket to listen at."""
    listening = ("HTTPServer", "TCPServer", "socket.socket", "create_server", ".listen(")
    there = [
        str(path.relative_to(SOURCE))
        for path in sorted(SOURCE.rglob("*.py"))
        if any(word in path.read_text("utf-8") for word in listening)
    ]
    assert there == []
