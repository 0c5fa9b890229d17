"""The settings of ``llm-grader``, and what is made of them."""

from __future__ import annotations

import os
import re
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from ...candidates.keys import digest
from ...errors import ConfigError
from ..protocol import Verifier
from ..settings import VerifierSettings
from .cache import Cache
from .calls import Backend, BackendCaller, Limits
from .grader import NAME, Grader
from .http import Http
from .instructions import instructions, rubric
from .questions import Asker
from .referee import Referee
from .schema import Grade, Kind, PairGrade
from .services import SERVICES


class LLMGrader(VerifierSettings):
    """A multimodal language model grades images by a rubric, over an API or on this machine."""

    name = NAME

    model: str = Field(min_length=1, description="the service's name of the model; for the "
                       "backend local a folder or hub id")  # fmt: skip
    backend: Literal["openai", "gemini", "local"] = Field(
        "openai", description="openai: any endpoint of chat completions; gemini: "
        "generateContent; local: transformers on this machine",
    )  # fmt: skip
    endpoint: str = Field("", description="address of the API up to its version, such as "
                          "http://localhost:11434/v1; empty: the vendor's own")  # fmt: skip
    key_env: str = Field("", description="environment variable with the key; empty: "
                         "OPENAI_API_KEY or GEMINI_API_KEY at the vendor's own endpoint, none at "
                         "another")  # fmt: skip
    mode: Literal["score", "pairs", "tournament"] = Field(
        "score", description="score: marks for each image; pairs, tournament: the candidates of "
        "a round compared two by two",
    )  # fmt: skip
    rubric: str = Field("", description="file with what is judged; empty: the one inside")
    structured: bool = Field(True, description="give the service a JSON schema; false where it "
                             "knows none: the schema is then told in words")  # fmt: skip
    temperature: float | None = Field(None, ge=0, description="none: the service's own")
    repeats: int = Field(1, ge=1, description="times that each question is asked")
    per_call: int = Field(1, ge=1, description="questions in one call")
    lanes: int = Field(4, ge=1, description="calls at once")
    timeout: float = Field(60.0, gt=0, description="seconds that a call may take")
    retries: int = Field(5, ge=0, description="further tries of a call that failed")
    per_minute: float | None = Field(None, gt=0, description="tries a minute at most")
    max_calls: int | None = Field(None, ge=0, description="tries of a run at most")
    max_usd: float | None = Field(None, ge=0, description="US dollars of a run at most; needs "
                                  "usd_in and usd_out")  # fmt: skip
    usd_in: float = Field(0.0, ge=0, description="US dollars for a million tokens read")
    usd_out: float = Field(0.0, ge=0, description="US dollars for a million tokens written")
    cache: str = Field("", description="folder of answers; empty: the user's cache; off: none")
    device: str = Field("auto", description="of the backend local")

    @model_validator(mode="before")
    @classmethod
    def _no_key(cls, given: Any) -> Any:
        """Before anything else is said of the settings: what may be a key is not repeated."""
        if not re.fullmatch(r"([A-Z_][A-Z0-9_]*)?", str(given.get("key_env", ""))):
            raise ValueError("key_env must be the name of an environment variable in capitals, "
                             "never the key itself")  # fmt: skip
        at = urlsplit(str(given.get("endpoint", "")))
        if "@" in at.netloc or at.query or at.fragment:
            raise ValueError("endpoint must be an address without user, password or query: it "
                             "stands in the run's spec; give the key by key_env")  # fmt: skip
        return given

    @model_validator(mode="after")
    def _fits(self) -> LLMGrader:
        if self.max_usd is not None and not self.usd_in + self.usd_out > 0:
            raise ValueError("a cap in money (max_usd) needs prices: give usd_in and usd_out, US "
                             "dollars for a million tokens")  # fmt: skip
        at = urlsplit(self.endpoint)
        if self.endpoint and (at.scheme not in ("http", "https") or not at.netloc):
            raise ValueError(f"endpoint is {self.endpoint!r}, and must be an address such as "
                             "http://localhost:8000/v1")  # fmt: skip
        return self

    def open(self) -> Verifier:
        """Ready to be asked; ConfigError where the key, the rubric or a package is not there."""
        backend = self._backend()
        shape: dict[str, Any] = {"repeats": self.repeats, "lanes": self.lanes}
        if self.mode == "score":
            grades = self._asker(Grade, backend)
            return Grader(grades, fingerprint=self._fingerprint(grades), **shape)
        games = self._asker(PairGrade, backend)
        return Referee(games, self.mode, fingerprint=self._fingerprint(games), **shape)

    def _asker(self, kind: type[Kind], backend: Backend) -> Asker[Kind]:
        structured = self.structured and self.backend != "local"
        told = instructions(kind, rubric(self.rubric), not structured)
        limits = Limits(**{name: getattr(self, name) for name in Limits.__dataclass_fields__})
        caller = BackendCaller(backend, kind, self.model, told, limits,
                        structured=structured, temperature=self.temperature)  # fmt: skip
        of = digest(told, self.backend, self.endpoint, self.model, structured, self.temperature,
                    self.per_call)  # fmt: skip
        return Asker(caller, kind, Cache(self.cache), self.per_call, self.lanes, of)

    def _fingerprint(self, asker: Asker[Any]) -> str:
        return digest(asker.of, self.mode, self.repeats)[:16]

    def _backend(self) -> Backend:
        if self.backend == "local":
            import torch

            from .local import Local

            usual = "cuda" if torch.cuda.is_available() else "cpu"
            return Local(self.model, usual if self.device == "auto" else self.device)
        service = SERVICES[self.backend]
        return Http(service, self.endpoint or service.endpoint, self._key(), self.timeout)

    def _key(self) -> str:
        """From the environment, and from nowhere else. The vendor's key goes to no endpoint but
        the vendor's, unless it is named."""
        service = SERVICES[self.backend]
        where = self.key_env or ("" if self.endpoint else service.key_env)
        if not where:
            return ""
        key = os.environ.get(where, "").strip()
        if not key:
            raise ConfigError(
                f"verifier {NAME!r} needs a key in the environment variable {where}, which is not "
                f"set: export {where}=…, name another with key_env=NAME, or give the endpoint=URL "
                "of a service that needs none"
            )
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise ConfigError(
                f"the key in the environment variable {where} has spaces or letters that no key "
                "has; copy it again"
            )
        return key
