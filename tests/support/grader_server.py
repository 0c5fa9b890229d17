"""A service that grades pictures, in this process, and does wrong as often as it is told to."""

from __future__ import annotations

import base64
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any

import numpy as np
from PIL import Image

from noisesearch.files.pictures import Picture

Mark = Callable[[Picture, Mapping[str, Any]], float]  # of a picture and its question
Reply = tuple[int, dict[str, str], bytes]

ASPECTS = ("accuracy", "originality", "visual", "consistency", "emotional", "overall")
LEVEL = 0.5  # marks that lie no further apart are level
STALL = 60.0  # seconds; whoever asks has given up long before
FAULTS = ("stall", "drop", "429", "500", "truncated", "no-json", "range", "nan", "text", "short",
          "double", "foreign", "beyond", "no-explanation", "refused")  # fmt: skip


def brightness(picture: Picture, question: Mapping[str, Any]) -> float:
    """From 0 (black) to 100 (white)."""
    return float(picture.mean()) / 2.55


class GraderServer:
    """Speaks chat completions and generateContent; use it with ``with``.

    ``mark``: what a picture is worth. A share ``faults`` of the calls goes wrong, in one of
    ``kinds``. ``calls``: how many came; ``faulty``: how many of each kind; ``bodies`` and
    ``headers`` of those that came last. Several answers come in any order.
    """

    def __init__(
        self,
        mark: Mark = brightness,
        faults: float = 0.0,
        kinds: Sequence[str] = FAULTS,
        seed: int = 0,
        tokens: tuple[int, int] = (1000, 100),
    ) -> None:
        self.mark, self.faults, self.kinds, self.tokens = mark, faults, kinds, tokens
        self.calls = 0
        self.faulty: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._random, self._lock, self._closing = random.Random(seed), Lock(), Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = (
                -1
            )  # headers and content leave together, or each waits for the other's receipt
            owner = self

            def do_POST(self) -> None:
                """One call."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                reply = self.owner.answer(self.path, dict(self.headers), json.loads(body))
                if reply is None:
                    self.close_connection = True
                    return
                status, headers, content = reply
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> GraderServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Reply | None:
        """Status, headers and content; None for none at all."""
        with self._lock:
            self.calls += 1
            self.bodies = [*self.bodies[-9:], body]
            self.headers = [*self.headers[-9:], headers]
            wrong = self._random.random() < self.faults
            fault = self._random.choice(self.kinds) if wrong else ""
            self.faulty.update([fault] if wrong else [])
            order = self._random.random()
        match fault:
            case "stall":
                self._closing.wait(STALL)
                return None
            case "drop":
                return None
            case "429":
                return 429, {"Retry-After": "7"}, b'{"error": "slow down"}'
            case "500":
                return 500, {}, b"<html>out of order</html>"
            case "echo":
                return 500, {}, _echo(headers)
            case "denied":
                return 401, {}, _echo(headers)
        asked = list(_questions(body))
        random.Random(order).shuffle(asked)
        answers = [self._answered(question, images) for question, images in asked]
        text = json.dumps({"answers": _spoilt(answers, fault)})
        if fault == "truncated":
            text = text[: len(text) // 2]
        if fault == "no-json":
            text = f"Here are my marks: {text}"
        return 200, {}, json.dumps(self._wrapped(path, text, fault == "refused")).encode()

    def _answered(self, question: Mapping[str, Any], images: list[Picture]) -> dict[str, Any]:
        """A grade, or a comparison where the question has two pictures."""
        marks = [self.mark(image, question) for image in images]
        if len(marks) == 2:
            apart = marks[0] - marks[1]
            better = "neither" if abs(apart) < LEVEL else "first" if apart > 0 else "second"
            said = {"first": "a", "second": "b", "explanation": "by its mark"}
            return {"id": question["id"], **said, "better": better}
        given = {"explanation": "by its mark", "score": sum(marks) / len(marks)}
        return {"id": question["id"], **{aspect: dict(given) for aspect in ASPECTS}}

    def _wrapped(self, path: str, text: str, refused: bool) -> dict[str, Any]:
        read, written = self.tokens
        if path.endswith(":generateContent"):
            content = {} if refused else {"content": {"parts": [{"text": text}]}}
            usage = {"promptTokenCount": read, "candidatesTokenCount": written}
            return {"candidates": [content], "usageMetadata": usage}
        message = {"content": None, "refusal": "no"} if refused else {"content": text}
        usage = {"prompt_tokens": read, "completion_tokens": written}
        return {"choices": [{"message": message}], "usage": usage}


def _echo(headers: Mapping[str, str]) -> bytes:
    """The headers, the key's before those that every client sends."""
    return json.dumps({"got": dict(list(headers.items())[::-1])}).encode()


def _questions(body: Mapping[str, Any]) -> list[tuple[dict[str, Any], list[Picture]]]:
    """(question, its pictures), of either way of writing."""
    found: list[tuple[dict[str, Any], list[Picture]]] = []
    (told,) = body.get("contents") or body["messages"][1:]
    for part in told["parts" if "parts" in told else "content"]:
        if "text" in part:
            found.append((json.loads(part["text"]), []))
            continue
        file = (part["inlineData"]["data"] if "inlineData" in part
                else part["image_url"]["url"].partition(",")[2])  # fmt: skip
        with Image.open(io.BytesIO(base64.b64decode(file))) as image:
            found[-1][1].append(np.asarray(image.convert("RGB")))
    return found


def _spoilt(answers: list[dict[str, Any]], fault: str) -> list[dict[str, Any]]:
    """With one fault in them; those of a number are in the last one's last mark."""
    last = answers[-1]
    mark: dict[str, Any] = last.get("overall", {})
    match fault:
        case "short":
            return answers[:-1]
        case "double":
            return [*answers, answers[0]]
        case "foreign":
            last["id"] = "9-00000000"
        case "beyond":
            last["bonus"] = 100
        case "range" | "nan" | "text" | "no-explanation" if not mark:
            last["better"] = "both"
        case "range":
            mark["score"] = 150
        case "nan":
            mark["score"] = float("nan")
        case "text":
            mark["score"] = "100"
        case "no-explanation":
            del mark["explanation"]
    return answers
