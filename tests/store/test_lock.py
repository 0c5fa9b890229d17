"""One process writes a folder, as long as it lives; where there are no locks, that is said."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from noisesearch.errors import StoreError
from noisesearch.store import lock
from noisesearch.store.lock import acquire
from noisesearch.store.run_store import RunStore

HOLD = """
import sys
from pathlib import Path
from noisesearch.store.lock import acquire
held = acquire(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""
# Imports the whole package without the modules that only Unix has, and prints how many modules.
IMPORT = """
import importlib, pkgutil, sys, warnings

BLOCKED = {"fcntl", "grp", "pwd", "resource", "termios"}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in BLOCKED:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Blocker())
warnings.simplefilter("ignore")  # filelock's: this Unix has no locks
import noisesearch

names = [found.name for found in pkgutil.walk_packages(noisesearch.__path__, "noisesearch.")]
for name in names:
    importlib.import_module(name)
assert not BLOCKED & sys.modules.keys()
print(len(names))
"""
FORK = """
import os, sys
from pathlib import Path
from noisesearch.errors import StoreError
from noisesearch.store.lock import acquire
folder = Path(sys.argv[1])
held = acquire(folder)
child = os.fork()
if not child:
    held.close()
    os._exit(0)
os.waitpid(child, 0)
try:
    acquire(folder)
except StoreError as error:
    print(error)
held.close()
acquire(folder).close()
"""


def python(code: str, *arguments: str) -> str:
    """Return what a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_imports_without_the_modules_of_unix() -> None:
    assert int(python(IMPORT)) > 300


def test_a_held_lock_is_refused_with_the_process_that_holds_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        for _ in range(2):  # the refused one leaves the number as it is
            with pytest.raises(StoreError, match=f"the living process {other.pid};"):
                acquire(tmp_path)
        other.kill()
    acquire(tmp_path).close()


def test_a_thread_or_a_second_store_of_the_same_process_is_refused(tmp_path: Path) -> None:
    store = RunStore.create(tmp_path / "run", {"format": 1, "model": "none"})
    with pytest.raises(StoreError, match=f"the living process {os.getpid()};"):
        RunStore(tmp_path / "run")
    RunStore(tmp_path / "run", write=False).close()
    store.close()
    RunStore(tmp_path / "run").close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_does_not_give_up_its_parents_lock(tmp_path: Path) -> None:
    assert "is being written by the living process" in python(FORK, str(tmp_path))


@pytest.mark.parametrize(
    "error",
    [NotImplementedError(), *(OSError(n, os.strerror(n)) for n in sorted(lock.NO_LOCKS))],
    ids=["no lock at all", *(errno.errorcode[n] for n in sorted(lock.NO_LOCKS))],
)
def test_a_file_system_without_locks_is_written_with_a_warning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    def refuse(descriptor: int, *, blocking: bool) -> bool:
        raise error

    monkeypatch.setattr(lock, "lock_descriptor", refuse)
    with caplog.at_level(logging.WARNING, "noisesearch"):
        RunStore.create(tmp_path / "run", {"format": 1, "model": "none"}).close()
        (tmp_path / "run" / "shard").mkdir()
        acquire(tmp_path / "run" / "shard").close()
        RunStore(tmp_path / "run").close()
    (said,) = caplog.messages
    assert str(tmp_path / "run") in said
    assert said.endswith("two processes must not write this folder at the same time")


def test_another_error_of_the_lock_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int, *, blocking: bool) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(lock, "lock_descriptor", fail)
    with pytest.raises(StoreError, match=r"cannot write .*input/output error"):
        acquire(tmp_path)
