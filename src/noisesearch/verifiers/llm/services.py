"""How a question is written for each kind of service, and how its answer is read."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .errors import Failed


@dataclass(frozen=True)
class GraderQuestion:
    """``prompt`` and PNG files, under an id that the answer must repeat."""

    id: str
    prompt: Mapping[str, str]
    images: tuple[bytes, ...]

    @property
    def text(self) -> str:
        """The prompt as data: inside a string of JSON it cannot end the object it stands in."""
        return json.dumps({"id": self.id, **self.prompt, "images": len(self.images)})


@dataclass(frozen=True)
class ServiceReply:
    """The text of an answer, and the tokens that it took."""

    text: str
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True)
class ServiceRequest:
    """All that one call asks. ``schema`` is None where the service knows none."""

    model: str
    instructions: str
    questions: Sequence[GraderQuestion]
    schema: Mapping[str, Any] | None
    temperature: float | None


class Service(Protocol):
    """A kind of service over HTTP. ``key_header`` makes the header that carries the key."""

    endpoint: str
    key_env: str

    def key_header(self, key: str) -> dict[str, str]: ...
    def path(self, model: str) -> str: ...
    def body(self, asked: ServiceRequest) -> dict[str, Any]: ...
    def said(self, content: Mapping[str, Any]) -> ServiceReply: ...


class OpenAI:
    """Chat completions, as OpenAI's, vLLM, Ollama, llama.cpp and many others offer them."""

    endpoint = "https://api.openai.com/v1"
    key_env = "OPENAI_API_KEY"

    def key_header(self, key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"}

    def path(self, model: str) -> str:
        return "/chat/completions"

    def body(self, asked: ServiceRequest) -> dict[str, Any]:
        shown: list[dict[str, Any]] = []
        for question in asked.questions:
            shown.append({"type": "text", "text": question.text})
            shown += [{"type": "image_url",
                       "image_url": {"url": f"data:image/png;base64,{_text(image)}"}}
                      for image in question.images]  # fmt: skip
        form: dict[str, Any] = {"type": "json_object"}
        if asked.schema is not None:
            named = {"name": "grades", "strict": True, "schema": asked.schema}
            form = {"type": "json_schema", "json_schema": named}
        warm = {} if asked.temperature is None else {"temperature": asked.temperature}
        return {
            "model": asked.model,
            "messages": [
                {"role": "system", "content": asked.instructions},
                {"role": "user", "content": shown},
            ],
            "response_format": form,
            **warm,
        }

    def said(self, content: Mapping[str, Any]) -> ServiceReply:
        usage = content.get("usage") or {}
        tokens = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        try:
            choice = content["choices"][0]
            text, refusal = choice["message"]["content"], choice["message"].get("refusal")
        except (KeyError, IndexError, TypeError, AttributeError):
            raise Failed("its reply holds no message", tokens=tokens) from None
        if refusal or not isinstance(text, str):
            raise Failed(f"it refused: {refusal or 'no text'}"[:200], tokens=tokens)
        return ServiceReply(text, *tokens)


class Gemini:
    """Google's generateContent."""

    endpoint = "https://generativelanguage.googleapis.com/v1beta"
    key_env = "GEMINI_API_KEY"

    def key_header(self, key: str) -> dict[str, str]:
        return {"x-goog-api-key": key}  # not in the address, which ends up in logs

    def path(self, model: str) -> str:
        return f"/models/{model.removeprefix('models/')}:generateContent"

    def body(self, asked: ServiceRequest) -> dict[str, Any]:
        shown: list[dict[str, Any]] = []
        for question in asked.questions:
            shown.append({"text": question.text})
            shown += [{"inlineData": {"mimeType": "image/png", "data": _text(image)}}
                      for image in question.images]  # fmt: skip
        form: dict[str, Any] = {"responseMimeType": "application/json"}
        if asked.schema is not None:
            form["responseJsonSchema"] = asked.schema
        if asked.temperature is not None:
            form["temperature"] = asked.temperature
        return {
            "systemInstruction": {"parts": [{"text": asked.instructions}]},
            "contents": [{"role": "user", "parts": shown}],
            "generationConfig": form,
        }

    def said(self, content: Mapping[str, Any]) -> ServiceReply:
        usage = content.get("usageMetadata") or {}
        out = _count(usage, "candidatesTokenCount") + _count(usage, "thoughtsTokenCount")
        tokens = _count(usage, "promptTokenCount"), out
        try:
            parts = content["candidates"][0]["content"]["parts"]
            text = "".join(part.get("text", "") for part in parts if not part.get("thought"))
        except (KeyError, IndexError, TypeError, AttributeError):
            blocked = content.get("promptFeedback") or content.get("candidates")
            raise Failed(f"its reply holds no text ({blocked})"[:200], tokens=tokens) from None
        return ServiceReply(text, *tokens)


MOST = 2**40  # tokens of a call; what says more is no count, and would be no number to add

SERVICES: Mapping[str, Service] = {"openai": OpenAI(), "gemini": Gemini()}


def _text(image: bytes) -> str:
    return base64.b64encode(image).decode()


def _count(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, Mapping) else None
    return value if type(value) is int and 0 < value < MOST else 0
