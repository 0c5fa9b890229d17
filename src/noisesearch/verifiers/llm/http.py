"""A service over HTTP: one call, with a limit of time, and no key in anything that comes of it."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any
from urllib.parse import quote

from ...errors import ConfigError
from ...files.json_text import parsed
from .errors import Failed
from .services import Service, ServiceReply, ServiceRequest

AGAIN = (408, 409, 425, 429)  # below 500, those that another try may change
PATIENCE = 3600.0  # seconds that a service may ask to wait
LONGEST = 16 * 2**20  # bytes of a reply
SHORTEST = 8  # letters of a key; less is a word such as "none" that may be a part of any reply
SHOWN = 200  # letters of what a service says of its failure


class Http:
    """Calls one endpoint. Its connections are kept until :meth:`close`, and made anew after it."""

    def __init__(
        self,
        service: Service,
        endpoint: str,
        key: str,
        timeout: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        try:
            import httpx
        except ImportError as error:
            raise ConfigError(
                "verifier 'llm-grader' needs httpx to call a service: pip install "
                "'noisesearch[llm]'; or use backend=local"
            ) from error
        self._httpx = httpx
        self._service, self._endpoint, self._timeout = service, endpoint.rstrip("/"), timeout
        self._now, self._lock = now, Lock()
        self._headers = service.key_header(key) if key else {}
        forms = (key, key.replace("/", r"\/"), quote(key, safe=""),
                 base64.b64encode(key.encode()).decode())  # fmt: skip
        self._hidden = forms if len(key) >= SHORTEST else ()
        self._client: Any = None

    def __call__(self, asked: ServiceRequest) -> ServiceReply:
        """The answer; Failed where there is none."""
        # Raised outside of the handler, so that no error carries the request and its headers.
        failed: Failed | None = None
        try:
            status, headers, raw = self._post(asked)
        except Exception as error:  # of the network, the address, or a client closed under way
            kind, said = type(error).__name__, str(error)
            failed = Failed(self._clean(f"{kind}: {said}" if said else kind)[:SHOWN])
        if failed is not None:
            raise failed
        text = self._clean(raw.decode("utf-8", "replace"))
        if status != 200:
            raise Failed(
                f"HTTP {status}: {' '.join(text.split())[:SHOWN]}",
                final=status < 500 and status not in AGAIN,
                after=waiting(headers.get("retry-after", "")),
            )
        try:
            content = parsed(text)
        except ValueError:
            content = None
        if not isinstance(content, Mapping):
            raise Failed(f"its reply of {len(raw)} bytes is no whole JSON object")
        return self._service.said(content)

    def _post(self, asked: ServiceRequest) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body; the client's own limit is one for each piece of it."""
        url = self._endpoint + self._service.path(asked.model)
        until = self._now() + self._timeout
        body = self._service.body(asked)
        with self._opened().stream("POST", url, json=body, headers=self._headers) as reply:
            raw = bytearray()
            for piece in reply.iter_bytes():
                raw += piece
                if self._now() > until:
                    raise self._httpx.ReadTimeout(f"no whole reply in {self._timeout:g} s")
                if len(raw) > LONGEST:
                    raise self._httpx.ReadError(f"a reply of more than {LONGEST} bytes")
            return reply.status_code, reply.headers, bytes(raw)

    def _opened(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._httpx.Client(timeout=self._timeout)
            return self._client

    def _clean(self, text: str) -> str:
        """Without the key, however a service may repeat it."""
        for hidden in self._hidden:
            text = text.replace(hidden, "[key]")
        return text

    def close(self) -> None:
        """Let go of the connections; calls that are under way fail."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None


def waiting(retry_after: str) -> float:
    """Seconds to wait, of the header Retry-After: a number or a date; 0 where it says nothing."""
    try:
        return min(max(0.0, float(retry_after)), PATIENCE)
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(retry_after).astimezone(UTC)
    except (ValueError, OverflowError):  # none, or beyond the last day that there is
        return 0.0
    return min(max(0.0, (then - datetime.now(UTC)).total_seconds()), PATIENCE)
