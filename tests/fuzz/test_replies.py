"""What processes and services answer: a number, or the reason why there is none."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import DEEP, Change, Damage, changes, damages, fuzz, in_time
from hypothesis import strategies as st

from noisesearch.candidates.condition import Condition
from noisesearch.verifiers.llm import LLMGrader
from noisesearch.verifiers.llm.grader import Grader
from noisesearch.verifiers.llm.http import Http
from noisesearch.verifiers.process.process import ProcessSettings, ProcessVerifier
from noisesearch.verifiers.slow_verifier import CandidatePicture, SlowReply

EXAMPLES = [40, pytest.param(2000, marks=pytest.mark.slow)]
LOOK = CandidatePicture(np.zeros((4, 4, 3), np.uint8), Condition("a red circle"), "0" * 32)


def sound(verdict: SlowReply, parts: tuple[str, ...]) -> None:
    """A finite number or a reason for every part, and a bill in numbers."""
    assert set(verdict.parts) == set(parts)
    for value in verdict.parts.values():
        assert isinstance(value, str) or np.isfinite(value)
    assert all(np.isfinite(amount) and amount >= 0 for amount in verdict.spent.values())


# A process that answers every request with the next line of a file, and does not know ours.
PARROT = """
import json, sys
lines = open(sys.argv[1], encoding="utf-8", errors="surrogateescape").read().split("\\x1e")
print(json.dumps({"noisesearch": 1, "name": "a", "parts": {"a": 1, "b": 2}}), flush=True)
for number, request in enumerate(sys.stdin):
    line = lines[number % len(lines)].replace('"NUMBER"', str(json.loads(request)["id"]))
    sys.stdout.buffer.write(line.encode("utf-8", "surrogateescape") + b"\\n")
    print(json.dumps({"id": json.loads(request)["id"], "answers": []}), flush=True)
"""
ANSWER: dict[str, Any] = {"id": "NUMBER", "answers": [
    {"id": "0.0", "parts": {"a": 1.0, "b": 2}, "spent": {"usd": 0.1}},
    {"id": "1.0", "error": "dark"},
]}  # fmt: skip


@pytest.mark.parametrize("examples", EXAMPLES)
def test_answers_of_a_process(examples: int, tmp_path: Path) -> None:
    """Each hostile line is followed by an empty answer, so that nothing has to be waited for."""
    lines: list[str] = ["[" * DEEP]

    def collect(damage: Damage, change: Change) -> None:
        whole = json.dumps(change.made(ANSWER))
        damaged = damage.done(json.dumps(ANSWER).encode()).decode("utf-8", "surrogateescape")
        lines.extend(text.replace("\n", " ").replace("\r", " ") for text in (whole, damaged))

    fuzz(collect, examples, damage=damages, change=changes)
    (tmp_path / "parrot.py").write_text(PARROT)
    (tmp_path / "lines").write_text("\x1e".join(lines), "utf-8", "surrogateescape")
    command = f"{sys.executable} {tmp_path / 'parrot.py'} {tmp_path / 'lines'}"
    verifier = ProcessVerifier(ProcessSettings(command=command, timeout=60, restarts=10**6))
    with in_time("a process's verifier"):
        try:
            for _ in lines:
                sound(verifier.look([LOOK])[0], verifier.parts)
        finally:
            verifier.close()


MARKS = {"id": "1", "accuracy_to_prompt": 5, "originality": 5, "visual_quality": 5,
         "internal_consistency": 5, "emotional_resonance": 5, "overall": 5}  # fmt: skip
REPLY: dict[str, Any] = {
    "choices": [{"message": {"content": "{}", "refusal": None}}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 3},
}


@pytest.mark.parametrize("examples", EXAMPLES)
def test_replies_of_a_service(examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("httpx")
    given: dict[str, Any] = {}
    monkeypatch.setattr(Http, "_post", lambda self, asked: given["reply"])
    grader = LLMGrader(model="x", endpoint="http://localhost:1/v1", cache="off", retries=0).open()
    assert isinstance(grader, Grader)

    def check(status: int, wait: str, outer: Change, inner: Change, damage: Damage) -> None:
        marks = json.dumps(inner.made({"grades": [MARKS]}))
        content = json.loads(json.dumps(REPLY))
        content["choices"][0]["message"]["content"] = marks
        headers = {"retry-after": wait}
        for raw in (json.dumps(content), json.dumps(outer.made(content))):
            given["reply"] = status, headers, raw.encode("utf-8", "surrogatepass")
            sound(grader.look([LOOK])[0], grader.parts)
        given["reply"] = status, headers, damage.done(json.dumps(content).encode())
        sound(grader.look([LOOK])[0], grader.parts)

    waits = ["", "nan", "-1", "1e999", "inf", "Fri, 31 Dec 9999 23:59:59 -2359", "x" * 99, "\x00"]
    with in_time("a grader"):
        codes = st.sampled_from([200, 200, 400, 429, 503, 0])
        fuzz(check, examples, status=codes, wait=st.sampled_from(waits), outer=changes,
             inner=changes, damage=damages)  # fmt: skip
