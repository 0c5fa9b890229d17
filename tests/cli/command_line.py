"""The command line as its users run it: in processes of their own, with stdout in a pipe."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOOL = Path(sys.executable).with_name("noisesearch")
# Two network calls a candidate, and an algorithm that asks alike under every budget.
QUICK = ("--steps", "2", "--guidance", "1", "--algorithm", "zero-order")
VIVID = '''
import time

def vivid(images, conditions):
    return images.std(dim=(1, 2, 3)) * 10

def slow(images, conditions):
    """Slow, so that there is time to interrupt; the same numbers as vivid. And it talks."""
    print("looking at", len(images))
    time.sleep(0.05)
    return vivid(images, conditions)

from noisesearch.verifiers.protocol import FunctionVerifier

WHOLE = FunctionVerifier(vivid, "WHOLE", whole_only=True)
'''
# Several calls of the real entry point in one process, since importing torch takes seconds.
BATCH = """
import contextlib, io, json, sys, traceback
from noisesearch.__main__ import main
done = []
for arguments in json.loads(sys.stdin.read()):
    out, err, status = io.StringIO(), io.StringIO(), 0
    sys.argv = ["noisesearch", *arguments]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as stop:
            status = stop.code or 0
        except BaseException:
            traceback.print_exc()
            status = 1
    done.append((status, out.getvalue(), err.getvalue()))
print(json.dumps(done))
"""


@dataclass(frozen=True)
class Done:
    """What a finished command left: exit status, stdout, stderr."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """The one JSON object on stdout, of a command that went well."""
        assert self.status == 0, self.err
        return json.loads(self.out)

    def refused(self, *expected: str) -> None:
        """Exit 2 and one sentence that has all the expected words."""
        assert self.status == 2, (self.status, self.out, self.err)
        assert "Traceback" not in self.err
        assert self.out == ""
        sentences = [x for x in self.err.splitlines() if x.startswith("noisesearch: ")]
        assert len(sentences) == 1, self.err
        for words in expected:
            assert words in sentences[0], sentences[0]


class Tool:
    """Runs commands in a folder of their own."""

    def __init__(self, cwd: Path) -> None:
        self.cwd = cwd
        (cwd / "vivid.py").write_text(VIVID)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(self, *arguments: object, **options: Any) -> subprocess.Popen[str]:
        """The installed command in a process group of its own."""
        # A shell's background job ignores Ctrl-C, and so would its children.
        options.setdefault("preexec_fn", lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(
            [str(TOOL), *map(str, arguments)],
            cwd=self.cwd, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, **options,
        )  # fmt: skip

    def run(self, *arguments: object, **options: Any) -> Done:
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=300)
        return Done(process.returncode, out, err)

    def batch(self, *calls: Sequence[object]) -> list[Done]:
        """Several commands one after the other in one process."""
        found = subprocess.run(
            [sys.executable, "-c", BATCH],
            cwd=self.cwd, env=self.environment, text=True, capture_output=True, timeout=600,
            input=json.dumps([[str(a) for a in call] for call in calls]),
        )  # fmt: skip
        assert found.returncode == 0, found.stderr
        return [Done(*one) for one in json.loads(found.stdout)]

    def python(self, code: str) -> Done:
        found = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self.cwd, env=self.environment, text=True, capture_output=True, timeout=300,
        )  # fmt: skip
        return Done(found.returncode, found.stdout, found.stderr)


def quick(*arguments: object, verifier: str = "vivid.py:vivid") -> list[object]:
    """`generate` with few steps and a verifier from a file."""
    return ["generate", *arguments, "--verifier", verifier, *QUICK]


def logical(content: dict[str, Any]) -> list[Any]:
    """All that a run's JSON says of its searches but for what was measured and the folder."""
    searches = json.loads(json.dumps(content["searches"]))
    for search in searches:
        search["ledger"].pop("seconds")
        search["ledger"].pop("physical")
        for verifier in search["ledger"]["verifiers"].values():
            verifier.pop("seconds")
        for candidate in (search["baseline"], search["winner"], *search["winners"]):
            candidate["image"] = Path(candidate["image"]).name
    return searches


def journal(folder: Path) -> list[dict[str, Any]]:
    """The whole lines; a kill may have left the beginning of one more."""
    return [json.loads(x) for x in (folder / "journal.jsonl").read_text().split("\n")[:-1]]


def answered(folder: Path) -> list[str]:
    """Keys of the replies, as often as they are recorded."""
    return [r["reply"] for r in journal(folder) if "reply" in r]
