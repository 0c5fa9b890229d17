"""A verifier in its own process: what it says, and what becomes of what it does not say."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

import noisesearch as ns
from noisesearch.candidates.condition import Condition
from noisesearch.errors import ConfigError
from noisesearch.files.pictures import png
from noisesearch.models.choice import model_of
from noisesearch.names.forms import with_absolute_paths, written
from noisesearch.setup import selection
from noisesearch.testing import VerifierContract
from noisesearch.verifiers import serve
from noisesearch.verifiers.process.process import ProcessSettings, ProcessVerifier
from noisesearch.verifiers.slow_verifier import CandidatePicture, SlowReply

HELLO = """
import base64, hashlib, json, os, sys, time

def say(**message):
    print(json.dumps(message), flush=True)

def hello(**also):
    say(**{"noisesearch": 1, "name": "mine", "parts": {"good": 2.0}, "batch": 4, **also})

def drawn(row):
    return int(hashlib.sha256(base64.b64decode(row["image"])).hexdigest()[:8], 16)

def requests():
    for line in sys.stdin:
        yield json.loads(line)

def answer(request, answers):
    say(id=request["id"], answers=answers)

def score(request, parts, **also):
    answer(request, [{"id": r["id"], "parts": parts(r), **also} for r in request["looks"]])
"""
Start = Callable[..., ProcessVerifier]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a process that is given by its code, with what the code above defines."""
    opened = []

    def started(code: str, **settings: object) -> ProcessVerifier:
        script = tmp_path / "score.py"
        script.write_text(HELLO + code)
        command = f"{sys.executable} -S {script}"  # -S: it needs nothing that is installed
        opened.append(ProcessSettings(command=command, **settings).open())
        return opened[-1]

    yield started
    for verifier in opened:
        verifier.close()


def look(number: int, **condition: object) -> CandidatePicture:
    """Number after number another picture."""
    picture = np.frombuffer(hashlib.sha256(str(number).encode()).digest(), np.uint8)[:27]
    return CandidatePicture(
        picture.reshape(3, 3, 3).copy(), Condition(**(condition or {"text": "a"})), ""
    )


def drawn(of: CandidatePicture) -> int:
    return int(hashlib.sha256(png(of.picture)).hexdigest()[:8], 16)


SERVED = """
import sys
sys.path.insert(0, FOLDER)
from serve import serve
import numpy as np

print("a line of a library")

def score(images, conditions):
    print("another", flush=True)
    if any(c.text == "raise" for c in conditions):
        raise ValueError("no such prompt")
    level = [np.asarray(i).mean() / 255 for i in images]
    return {"level": level, "words": [None if c.text is None else len(c.text.split())
                                      for c in conditions]}

serve(score, name="two", parts={"level": 0.1, "words": 2}, fingerprint="v1", batch=3)
"""


class TestServed(VerifierContract):
    """The helper for authors, copied out of the package, behind the whole contract."""

    @pytest.fixture(scope="class")
    @classmethod
    def verifier(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessVerifier]:
        folder = tmp_path_factory.mktemp("elsewhere")
        (folder / "serve.py").write_text(Path(serve.__file__).read_text())
        (folder / "score.py").write_text(f"FOLDER = {str(folder)!r}\n{SERVED}")
        command = f"{sys.executable} -P {folder / 'score.py'}"
        opened = selection.verifier_of(f"process:{command}", model_of("shapes"))
        assert isinstance(opened, ProcessVerifier)
        yield opened
        opened.close()

    def test_what_it_says_of_itself(self, verifier: ProcessVerifier) -> None:
        assert (verifier.name, verifier.parts) == ("two", ("level", "words"))
        assert verifier.scale == {"level": 0.1, "words": 2.0}
        assert verifier.fingerprint == "v1"

    def test_numbers_and_reasons(self, verifier: ProcessVerifier) -> None:
        looks = [look(0, text="a b c"), look(1, text="raise"), look(2, label=3), look(3, text="a")]
        first, raised, label, last = verifier.look(looks)
        for verdict, of in ((first, 0), (label, 2), (last, 3)):
            assert verdict.parts["level"] == looks[of].picture.mean() / 255
        assert (first.parts["words"], last.parts["words"]) == (3.0, 1.0)
        assert label.parts["words"] == "there is no number for this picture"
        assert set(raised.parts.values()) == {"ValueError: no such prompt"}


def test_the_helper_runs_with_old_pythons_and_nothing_installed() -> None:
    tree = ast.parse(Path(serve.__file__).read_text(), feature_version=(3, 10))
    at_once = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {
        alias.name for node in at_once if isinstance(node, ast.Import) for alias in node.names
    }
    names |= {str(node.module) for node in at_once if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
    with pytest.raises(ValueError, match="a lambda has no name"):
        serve.serve(lambda images, conditions: [])


FAULTY = """
print("loading 100 %")
hello()
for request in requests():
    answers = []
    for row in reversed(request["looks"]):
        number = drawn(row)
        fault, mine = number % 100, {"id": row["id"], "parts": {"good": number}}
        if fault < 5:
            print("out of paper", file=sys.stderr, flush=True)
            os._exit(3)
        if fault < 8:
            print(json.dumps({"id": request["id"], "answers": [mine]})[:-9], flush=True)
        elif fault < 10:
            say(id=request["id"], answers=number)
        elif fault < 13:
            answers.append({**mine, "parts": {"good": float("nan")}})
        elif fault < 16:
            answers.append({**mine, "id": "7.7"})
        elif fault < 19:
            answers.append({**mine, "error": "HTTP 500"})
        elif fault < 22:
            answers += [mine, {**mine, "parts": {"good": 1}}]
        elif fault < 24:
            answers.append({**mine, "parts": {"good": str(number)}})
        elif fault < 26:
            answers.append({**mine, "parts": [number]})
        elif fault < 28:
            answers.append(None)
        elif fault < 30:
            answers.append({**mine, "parts": {"good": True}})
        else:
            answers.append(mine)
    print("a line in between")
    print('{"loss": 0.3}')
    say(id=-1, answers=[{"id": row["id"], "parts": {"good": 0}} for row in request["looks"]])
    answer(request, answers)
"""


@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_faults_touch_nobody_else(count: int, start: Start) -> None:
    """Three looks in ten go wrong. Each picture's score is made of the picture itself."""
    verifier = start(FAULTY)
    looks = [look(i) for i in range(count)]
    with ThreadPoolExecutor(verifier.lanes) as lanes:
        verdicts = list(lanes.map(lambda each: verifier.look([each])[0], looks))
    faults = [drawn(each) % 100 for each in looks]
    assert 0.25 < np.mean(np.array(faults) < 30) < 0.35 and {2, 6, 8, 14} <= set(faults)
    for each, verdict, fault in zip(looks, verdicts, faults, strict=True):
        value = verdict.parts["good"]
        assert isinstance(value, str) if fault < 30 else value == drawn(each), (fault, value)
        if fault < 5:
            assert value == "it ended with exit status 3; it last said: out of paper"
        if fault < 10:
            assert verdict.spent == {"calls": 2}
    assert {v.spent["calls"] for v in verdicts} == {1, 2}


def test_many_looks_travel_together(start: Start, tmp_path: Path) -> None:
    verifier = start(
        f"""
hello()
for request in requests():
    with open({str(tmp_path / "sizes")!r}, "a") as sizes:
        print(len(request["looks"]), file=sizes)
    score(request, lambda row: {{"good": drawn(row)}}, spent={{"usd": 0.25}})
"""
    )
    looks = [look(i) for i in range(10)]
    verdicts = verifier.look(looks)
    assert verdicts == [SlowReply({"good": drawn(x)}, {"calls": 1, "usd": 0.25}) for x in looks]
    assert (tmp_path / "sizes").read_text().split() == ["4", "4", "2"]


def test_a_silent_process_is_not_waited_for(start: Start) -> None:
    verifier = start("hello()\nfor request in requests(): time.sleep(600)", timeout=0.2)
    assert verifier.look([look(0)])[0].parts["good"] == "it gave no answer within 0.2 s"


def test_a_process_that_does_not_read_is_not_waited_for(start: Start) -> None:
    verifier = start("hello()\ntime.sleep(600)", timeout=0.2)
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    large = CandidatePicture(noise, Condition(text="a"), "")  # more than a pipe holds
    assert "no answer within" in str(verifier.look([large])[0].parts["good"])


def test_restarts_are_bounded(start: Start, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    verifier = start(
        f"open({str(starts)!r}, 'a').write('x')\nhello()\nnext(requests())\nsys.exit('no GPU')",
        restarts=3,
    )
    reasons = [str(v.parts["good"]) for v in verifier.look([look(i) for i in range(9)])]
    assert starts.read_text() == "xxxx"
    assert reasons[0] == "it ended with exit status 1; it last said: no GPU"
    assert reasons[-1] == "it failed 4 times in a row, so it is left alone"


def test_another_verifier_after_a_restart_is_not_believed(start: Start, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    verifier = start(
        f"""
hello(fingerprint=str(os.path.exists({str(mark)!r})))
for request in requests():
    if not os.path.exists({str(mark)!r}):
        open({str(mark)!r}, "w").close()
        sys.exit(1)
    score(request, lambda row: {{"good": 1}})
"""
    )
    assert "another verifier" in str(verifier.look([look(0)])[0].parts["good"])


def test_closed_it_is_gone_and_can_be_asked_again(start: Start) -> None:
    verifier = start("hello()\nfor q in requests(): score(q, lambda row: {'good': os.getpid()})")
    (first,) = verifier.look([look(0)])
    verifier.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(float(first.parts["good"])), 0)
    (again,) = verifier.look([look(0)])
    assert again.parts["good"] != first.parts["good"]


def test_name_and_parts_can_be_chosen(start: Start) -> None:
    code = """
hello(parts={"mine": 1, "b": 2, "c": 3})
for request in requests():
    score(request, lambda row: {"mine": 1, "b": 2, "c": 3})
"""
    verifier = start(code, called="other", parts="c+mine")
    assert verifier.name == "other" and verifier.scale == {"c": 3.0, "other": 1.0}
    assert verifier.look([look(0)])[0].parts == {"c": 3.0, "other": 1.0}
    with pytest.raises(ConfigError, match="has no part 'd', but mine, b, c"):
        start(code, parts="b+d")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "sys.exit('no module named hpsv2')",
            "exit status 1; it last said: no module named hpsv2",
        ),
        ("hello(parts={'a': -1})", "parts.a: input should be greater than 0"),
        ("hello(noisesearch=2)", "noisesearch: input should be 1"),
        ("time.sleep(600)", "no answer within 0.5 s"),
    ],
    ids=["ends", "scale", "protocol", "silent"],
)
def test_what_does_not_start_is_refused(code: str, said: str, start: Start) -> None:
    with pytest.raises(ConfigError, match=said):
        start(code, start=0.5 if "sleep" in code else 60)


@pytest.mark.parametrize(
    ("command", "said"),
    [("no-such-program here", "no such file or directory"), ("'half", "is no command")],
)
def test_no_program_is_refused(command: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        selection.verifier_of(f"process:{command}", model_of("shapes"))


def test_the_command_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "score.py").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    whole = f"{tmp_path}/bin/python {tmp_path}/score.py --device cuda"
    text = "process:bin/python score.py --device cuda"
    assert written(with_absolute_paths(text)) == ("process", {"command": whole})
    assert written(with_absolute_paths(with_absolute_paths(text))) == (
        "process",
        {"command": whole},
    )
    asked = "process(command=\"python -c 'f(1), 2'\", timeout=5)"
    assert written(with_absolute_paths(asked))[1] == {
        "command": "python -c 'f(1), 2'",
        "timeout": "5",
    }
    odd = "process:score 'say \"a\", (b'"
    assert written(with_absolute_paths(odd)) == written(odd), (
        "quotes, commas and brackets come back as given"
    )
    of = ProcessSettings(command="score --words a,b", timeout=5)
    assert written(str(of)) == ("process", {"command": "score --words a,b", "timeout": "5.0"})


def test_a_search_with_it(start: Start, tmp_path: Path) -> None:
    """The winner is the picture with the largest number, by the process's own figures."""
    command = start(
        f"""
hello()
for q in requests():
    for r in q["looks"]:
        assert r["text"] == "a red circle"
        with open({str(tmp_path / "seen")!r}, "a") as seen:
            print(drawn(r), file=seen)
    score(q, lambda row: {{"good": drawn(row)}})
"""
    )._settings.command
    result = ns.search(
        "a red circle", verifier=f"process:{command}", algorithm="random", budget="4candidates",
        steps=2, guidance=1, out=tmp_path / "run",
    )  # fmt: skip
    seen = {int(line) for line in (tmp_path / "seen").read_text().split()}
    assert len(seen) == 4
    assert result.winner.parts["good"] == np.float32(max(seen))
    spec = json.loads((tmp_path / "run" / "spec.json").read_text())
    assert spec["verifiers"] == [f"process(command={command})"]


class Service(BaseHTTPRequestHandler):
    """Scores the length of the prompt; refuses the prompt "busy"."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert base64.b64decode(asked["image"]).startswith(b"\x89PNG")
        if asked["prompt"] == "busy":
            self.send_error(429)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"score": len(asked["prompt"])}).encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_the_example_wraps_a_service() -> None:
    example = Path(__file__).parents[2] / "examples" / "http_service.py"
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/score"
        verifier = ProcessSettings(command=f"{sys.executable} {example} {address}").open()
        found = verifier.look([look(i, text=text) for i, text in enumerate(["abc", "busy", "a"])])
        verifier.close()
        server.shutdown()
    first, refused, last = (verdict.parts["service"] for verdict in found)
    assert (first, last) == (3.0, 1.0) and "429" in str(refused)
