"""Retries, waits, caps and counts of calls, on a clock that is turned by hand."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Lock
from typing import Any

import pytest

from noisesearch.errors import ConfigError
from noisesearch.verifiers.llm import LLMGrader
from noisesearch.verifiers.llm.calls import BackendCaller, Bill, Limits, Subject
from noisesearch.verifiers.llm.errors import Failed
from noisesearch.verifiers.llm.http import Http, waiting
from noisesearch.verifiers.llm.local import unfenced
from noisesearch.verifiers.llm.schema import Grade, PairGrade, schema
from noisesearch.verifiers.llm.services import SERVICES, ServiceReply, ServiceRequest

SUBJECT = Subject("key", {"prompt": "a cat"}, ())


class Clock:
    """Seconds that pass where somebody sleeps; ``slept`` remembers them."""

    def __init__(self) -> None:
        self.time, self.slept = 0.0, list[float]()

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


class Backend:
    """Answers after some failures; ``asked`` is all that it was asked."""

    def __init__(self, *failures: Failed) -> None:
        self.failures: Iterator[Failed] = iter(failures)
        self.asked: list[ServiceRequest] = []

    def __call__(self, asked: ServiceRequest) -> ServiceReply:
        self.asked.append(asked)
        for failure in self.failures:
            raise failure
        said = {"first": "a", "second": "b", "explanation": "c", "better": "first"}
        answers = [{"id": question.id, **said} for question in asked.questions]
        return ServiceReply(json.dumps({"answers": answers}), 1000, 200)

    def close(self) -> None:
        """Nothing."""


def caller(backend: Backend, clock: Clock, **limits: Any) -> BackendCaller:
    return BackendCaller(
        backend, PairGrade, "m", "", Limits(**limits), now=clock.now, sleep=clock.sleep
    )


def test_waits_grow_and_are_the_same_each_time() -> None:
    def waits() -> list[float]:
        clock, bill = Clock(), Bill()
        backend = Backend(*[Failed("busy") for _ in range(8)])
        caller(backend, clock, retries=8).ask([SUBJECT], bill)
        assert (bill.calls, bill.failures) == (9, 8)
        return clock.slept

    first = waits()
    for attempt, wait in enumerate(first):
        most = min(2.0**attempt, 60.0)
        assert most / 2 <= wait <= most
    assert first == waits() and len({wait / 2.0**i for i, wait in enumerate(first)}) == 8


def test_a_service_that_asks_to_wait_is_waited_for() -> None:
    clock = Clock()
    caller(Backend(Failed("429", after=90.0)), clock).ask([SUBJECT], Bill())
    assert clock.slept == [90.0]


def test_the_header_retry_after() -> None:
    assert waiting("7") == 7 and waiting("0.5") == 0.5
    assert waiting("") == waiting("soon") == waiting("-3") == waiting("nan") == 0
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=300), usegmt=True)
    assert 200 < waiting(soon) <= 300
    assert waiting("inf") == waiting("1e9") == 3600
    assert waiting("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_what_another_try_cannot_change_is_not_tried_again() -> None:
    clock, bill = Clock(), Bill()
    with pytest.raises(Failed, match=r"^HTTP 401$"):
        caller(Backend(Failed("HTTP 401", final=True)), clock).ask([SUBJECT], bill)
    assert bill.calls == 1 and clock.slept == []


def test_each_try_has_another_id() -> None:
    backend = Backend(Failed("a"), Failed("b"))
    caller(backend, Clock()).ask([SUBJECT, SUBJECT], Bill())
    ids = [question.id for asked in backend.asked for question in asked.questions]
    assert len(ids) == 6 and len({*ids[::2]}) == 3 and len({*ids[1::2]}) == 3


def test_tries_are_spread_over_the_minute() -> None:
    clock = Clock()
    asking = caller(Backend(), clock, per_minute=30)
    for _ in range(4):
        asking.ask([SUBJECT], Bill())
    assert clock.slept == [2.0, 2.0, 2.0]
    clock.time += 100
    asking.ask([SUBJECT], Bill())
    assert clock.time == 106


def test_the_cap_of_calls_holds_over_a_resume_and_counts_tries() -> None:
    backend, bill = Backend(Failed("busy")), Bill()
    asking = caller(backend, Clock(), max_calls=10)
    asking.begin({"calls": 7})
    asking.ask([SUBJECT], bill)  # two tries
    asking.ask([SUBJECT], bill)
    with pytest.raises(Failed, match="10 calls"):
        asking.ask([SUBJECT], bill)
    assert len(backend.asked) == bill.calls == 3


def test_the_cap_in_money_holds_over_a_resume() -> None:
    """A call is 1000 tokens at 2 and 200 at 10 dollars a million: 0.004 dollars."""
    bill = Bill()
    asking = caller(Backend(), Clock(), max_usd=1.0, usd_in=2.0, usd_out=10.0)
    asking.begin({"usd": 0.9899})
    asking.ask([SUBJECT], bill)
    asking.ask([SUBJECT], bill)
    with pytest.raises(Failed, match="1 USD"):
        asking.ask([SUBJECT], bill)  # would make it 1.0019
    assert bill.spent() == {
        "calls": 2, "tokens_in": 2000, "tokens_out": 400, "usd": pytest.approx(0.008),
    }  # fmt: skip


def test_no_more_calls_at_once_than_lanes() -> None:
    """However many threads ask."""
    active, most, lock = 0, 0, Lock()

    class Slow(Backend):
        def __call__(self, asked: ServiceRequest) -> ServiceReply:
            nonlocal active, most
            with lock:
                active += 1
                most = max(most, active)
            time.sleep(0.01)
            with lock:
                active -= 1
            return super().__call__(asked)

    asking = caller(Slow(), Clock(), lanes=2)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: asking.ask([SUBJECT], Bill()), range(16)))
    assert len(answers) == 16 and most == 2


def test_a_reply_that_trickles_in_is_given_up() -> None:
    """The limit is one for the whole call, not for each piece of its reply."""
    httpx = pytest.importorskip("httpx")
    clock, sent = Clock(), list[float]()

    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            clock.time += 1
            sent.append(clock.time)
            yield b" "

    http = Http(SERVICES["openai"], "http://nowhere", "", 10.0, clock.now)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=pieces()))
    http._client = httpx.Client(transport=transport)
    with pytest.raises(Failed, match="no whole reply in 10 s"):
        http(ServiceRequest("m", "i", [], None, None))
    http.close()
    assert len(sent) == 11


def test_without_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ConfigError, match=r"pip install 'noisesearch\[llm\]'"):
        LLMGrader(model="m", endpoint="http://nowhere", cache="off").open()


def test_a_run_that_is_stopped_tries_no_more() -> None:
    """One that waits for its next try gives up; a further run begins anew."""
    clock, backend = Clock(), Backend(Failed("busy"))
    asking = caller(backend, clock)
    asking._sleep = lambda seconds: asking.close()
    with pytest.raises(Failed, match="stopped"):
        asking.ask([SUBJECT], bill := Bill())
    assert bill.calls == len(backend.asked) == 1
    asking.begin({})
    assert len(asking.ask([SUBJECT], Bill())) == 1


def test_the_schema_has_no_references_and_the_explanation_first() -> None:
    for kind in (Grade, PairGrade):
        text = json.dumps(schema(kind))
        assert "$" not in text and "null" not in text
    one = schema(Grade)["properties"]["answers"]["items"]
    assert list(one["properties"]) == one["required"] == [
        "id", "accuracy", "originality", "visual", "consistency", "emotional", "overall",
    ]  # fmt: skip
    for mark in list(one["properties"].values())[1:]:
        assert list(mark["properties"]) == ["explanation", "score"] == mark["required"]
        assert mark["additionalProperties"] is False
    compared = schema(PairGrade)["properties"]["answers"]["items"]
    assert list(compared["properties"])[-1] == "better"


@pytest.mark.parametrize(
    ("service", "content"),
    [
        ("openai", {}),
        ("openai", {"choices": []}),
        ("openai", {"choices": [{"message": None}]}),
        ("openai", {"choices": [{"message": {"content": None, "refusal": "no"}}]}),
        ("openai", {"choices": [{"message": {"content": [1]}}], "usage": 3}),
        ("gemini", {"promptFeedback": {"blockReason": "SAFETY"}}),
        ("gemini", {"candidates": [{"finishReason": "SAFETY"}], "usageMetadata": None}),
    ],
)
def test_replies_without_text(service: str, content: dict[str, Any]) -> None:
    with pytest.raises(Failed, match=r"no message|refused|no text"):
        SERVICES[service].said(content)


def test_thoughts_are_paid_for_and_are_no_answer() -> None:
    parts = [{"text": "hm", "thought": True}, {"text": "{}"}]
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 2, "thoughtsTokenCount": 40}
    content = {"candidates": [{"content": {"parts": parts}}], "usageMetadata": usage}
    assert SERVICES["gemini"].said(content) == ServiceReply("{}", 5, 42)


BODIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "openai": lambda body: body["response_format"].get("json_schema", {}).get("schema"),
    "gemini": lambda body: body["generationConfig"].get("responseJsonSchema"),
}


@pytest.mark.parametrize("service", BODIES)
def test_a_service_is_given_the_schema_that_answers_are_read_by(service: str) -> None:
    for given in (schema(Grade), None):
        body = SERVICES[service].body(ServiceRequest("m", "i", [], given, None))
        assert BODIES[service](body) == given and "temperature" not in json.dumps(body)
        warm = SERVICES[service].body(ServiceRequest("m", "i", [], given, 0.5))
        assert '"temperature": 0.5' in json.dumps(warm)


def test_fences_of_models_that_nothing_stops() -> None:
    assert unfenced('```json\n{"a": 1}\n```').strip() == '{"a": 1}'
    assert unfenced(' {"a": "```"} ') == '{"a": "```"}'
