"""What crosses between the driver and a worker: asks and answers, as data that JSON holds.

To a worker goes a *parcel*: recipes (each node once), what is asked about them, and of their blobs
and stored pictures what the worker cannot have. Back comes a *report*: numbers, small arrays, the
files of finished pictures and what ran. Nothing of it is ever unpickled. A report is read in one
place, :func:`read`, and one that is not as it must be is :class:`Broken`.
"""

from __future__ import annotations

import base64
import binascii
import io
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..candidates.ask import Ask, Features, Gradient, Reply, Score
from ..candidates.noise import Array, Noise
from ..candidates.trajectory import Graph, Trajectory, nodes
from ..errors import BackendError, ConfigError, NoisesearchError, StoreError
from .worker_group import Parcel, Report

NODES = 50_000  # that both sides remember before they begin anew
BYTES = 256 * 2**20  # of blobs, likewise
MOST = sys.float_info.max
PNG = b"\x89PNG\r\n\x1a\n"
ERRORS = {kind.__name__: kind for kind in (ConfigError, StoreError, BackendError)}


class InvalidReport(Exception):
    """A report breaks the schema; the message says how."""


def text(data: bytes) -> str:
    """Bytes as JSON holds them."""
    return base64.b64encode(data).decode()


def data(encoded: str) -> bytes:
    return base64.b64decode(encoded, validate=True)


def array_text(array: Array) -> str:
    """An array with its shape and type."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return text(buffer.getvalue())


def array_of(encoded: str) -> Array:
    return np.asarray(np.load(io.BytesIO(data(encoded)), allow_pickle=False))


class Sender:
    """Makes the parcels of one worker, and remembers what that has been sent.

    ``fetch`` gives the arrays of blobs, ``stored`` the file of a picture that was kept before.
    """

    def __init__(
        self,
        fetch: Callable[[str], Array] | None = None,
        stored: Callable[[Trajectory], bytes | None] | None = None,
    ) -> None:
        self._fetch, self._stored = fetch, stored
        self._sent: set[str] = set()
        self._bytes = 0

    def parcel(self, asks: Sequence[Ask], cancelled: Collection[str] = ()) -> Parcel:
        """What a worker is told next; ``cancelled``: keys of asks that nobody waits for."""
        clear = len(self._sent) > NODES or self._bytes > BYTES
        if clear:
            self._sent.clear()
            self._bytes = 0
        lines: list[dict[str, Any]] = []
        blobs: dict[str, str] = {}
        pictures: dict[str, str] = {}
        for trajectory in dict.fromkeys(ask.trajectory for ask in asks):
            for node in nodes(trajectory, self._sent):
                lines.append({"node": node.key, **node.line()})
                self._sent.add(node.key)
                if isinstance(node, Noise) and node.op == "blob" and self._fetch is not None:
                    key = str(node.numbers[0])
                    blobs[key] = array_text(self._fetch(key))
                    self._bytes += len(blobs[key])
            stored = self._stored(trajectory) if self._stored is not None else None
            if stored is not None:
                pictures[trajectory.key] = text(stored)
        return {
            "clear": clear,
            "nodes": lines,
            "blobs": blobs,
            "pictures": pictures,
            "cancel": list(cancelled),
            "asks": [{"of": ask.trajectory.key, **_want(ask)} for ask in asks],
        }


def _want(ask: Ask) -> dict[str, Any]:
    match ask.want:
        case Gradient(weights):
            return {"gradient": [list(pair) for pair in weights]}
        case Features(verifier):
            return {"features": verifier}
        case Score(parts):
            return {"score": None if parts is None else list(parts)}


class Receiver:
    """The worker's end: recipes, blobs and pictures out of parcels."""

    def __init__(self) -> None:
        self.pictures: dict[str, bytes] = {}  # files by trajectory
        self._graph = Graph()
        self._blobs: dict[str, Array] = {}
        self._before: dict[str, Array] = {}  # of asks that were in hand when all began anew

    def asks(self, parcel: Parcel) -> list[Ask]:
        """What is newly asked."""
        if parcel["clear"]:
            self._graph = Graph()
            self._blobs, self._before = {}, self._blobs
        for line in parcel["nodes"]:
            self._graph.add(line["node"], {k: v for k, v in line.items() if k != "node"})
        self._blobs |= {key: array_of(blob) for key, blob in parcel["blobs"].items()}
        self.pictures |= {key: data(file) for key, file in parcel["pictures"].items()}
        return [Ask(self._graph.trajectory(ask["of"]), _wanted(ask)) for ask in parcel["asks"]]

    def fetch(self, key: str) -> Array:
        """The array of a blob that came with a recipe."""
        return self._blobs[key] if key in self._blobs else self._before[key]


def _wanted(ask: Mapping[str, Any]) -> Score | Gradient | Features:
    if "gradient" in ask:
        return Gradient(tuple((part, weight) for part, weight in ask["gradient"]))
    if "features" in ask:
        return Features(ask["features"])
    return Score(None if ask["score"] is None else tuple(ask["score"]))


def answer(ask: Ask, reply: Reply) -> dict[str, Any]:
    """One answer of a report; whoever asks for a score is not sent another's gradient."""
    return {
        "ask": ask.key,
        "of": reply.trajectory.key,
        "parts": dict(reply.parts),
        "missing": dict(reply.missing),
        "cost": dict(reply.cost),
        "arrays": {
            key: array_text(array) for key, array in reply.arrays.items() if key == ask.key
        },
    }


def failure(error: NoisesearchError) -> dict[str, Any]:
    """The report of work that came to an end that another worker would come to as well."""
    kind = next(name for name, of in ERRORS.items() if isinstance(error, of))
    return {"error": kind, "message": str(error)}


@dataclass(frozen=True)
class StoredPicture:
    """A picture that a verifier elsewhere is to look at: the file of it."""

    of: Trajectory
    verifier: str
    picture: bytes


@dataclass(frozen=True)
class Heard:
    """What a report says, read and checked.

    ``pictures``: files of finished samples by trajectory; ``usage``: what ran since the report
    before, by condition; ``rows`` of the worker's batches from here on; ``swaps`` of its networks
    so far.
    """

    answers: list[tuple[Ask, Reply]]
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    shown: Sequence[StoredPicture] = ()
    usage: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    rows: int = 1
    swaps: int = 0

    def only(self, answers: list[tuple[Ask, Reply]]) -> Heard:
        """Some of its answers, and the pictures that belong to them."""
        of = {ask.trajectory.key for ask, _ in answers}
        pictures = {key: file for key, file in self.pictures.items() if key in of}
        shown = [one for one in self.shown if one.of.key in of]
        return replace(self, answers=answers, pictures=pictures, shown=shown)


@dataclass(frozen=True)
class ReportReader:
    """Reads reports. ``parts``: all that a search is judged by; those of them in ``away`` are
    said elsewhere, and need not be here."""

    parts: tuple[str, ...]
    away: frozenset[str] = frozenset()

    def read(self, report: Report, held: Mapping[str, Ask]) -> Heard:
        """What a worker that was asked ``held`` says; Broken where it cannot be so, and the error
        that it met where it met one."""
        content = _mapping(report, "a report")
        if (kind := content.get("error")) is not None:
            if not isinstance(kind, str) or kind not in ERRORS:
                raise InvalidReport(f"an error of the unknown kind {kind!r:.60}")
            raise ERRORS[kind](str(content.get("message")))
        answers = [self._answer(one, held) for one in _listed(content, "answers")]
        if len({ask.key for ask, _ in answers}) < len(answers):
            raise InvalidReport("two answers to one ask")
        of = {ask.trajectory.key: ask.trajectory for ask in held.values()}
        return Heard(
            answers,
            {_known(key, of): _file(file) for key, file in _part(content, "pictures").items()},
            [_shown(one, of) for one in _listed(content, "shown")],
            {key: {unit: _count(n, unit) for unit, n in _mapping(units, "usage").items()}
             for key, units in _part(content, "usage").items()},
            _count(content.get("rows"), "rows"),
            _count(content.get("swaps"), "swaps"),
        )  # fmt: skip

    def _answer(self, one: Any, held: Mapping[str, Ask]) -> tuple[Ask, Reply]:
        content = _mapping(one, "an answer")
        ask = held.get(str(content.get("ask")))
        if ask is None:
            raise InvalidReport(f"an answer to {content.get('ask')!r:.60}, which it was not asked")
        of = ask.trajectory
        if content.get("of") != of.key:
            raise InvalidReport(f"an answer about {content.get('of')!r:.60} in place of {of.key}")
        parts = _part(content, "parts")
        missing = {part: str(reason) for part, reason in _part(content, "missing").items()}
        wanted = set(ask.parts(self.parts))
        if others := (parts.keys() | missing.keys()) - wanted:
            raise InvalidReport(f"a part {min(others)!r:.60} that it was not asked for")
        if lacking := wanted - parts.keys() - missing.keys() - self.away:
            raise InvalidReport(f"no part {min(lacking)!r} in an answer")
        if both := parts.keys() & missing.keys():
            raise InvalidReport(f"a part {min(both)!r} that is there and missing")
        arrays = {key: _array(one) for key, one in _part(content, "arrays").items()}
        if arrays.keys() != ({ask.key} if ask.stored else set()):
            raise InvalidReport(f"{len(arrays)} arrays where {int(ask.stored)} were asked for")
        numbers = {part: _number(number, part) for part, number in parts.items()}
        cost = {name: _number(s, "cost") for name, s in _part(content, "cost").items()}
        return ask, Reply(of, numbers, missing, cost, arrays=arrays)


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InvalidReport(f"{what} must be a mapping with names, got {value!r:.60}")
    return value


def _part(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return _mapping(content.get(name), name)


def _listed(content: Mapping[str, Any], name: str) -> list[Any]:
    value = content.get(name)
    if not isinstance(value, list):
        raise InvalidReport(f"{name} must be a list, got {value!r:.60}")
    return value


def _number(value: Any, name: str) -> float:
    # An integer beyond all floats is none of ours either.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MOST:
        raise InvalidReport(f"{name!r:.60} must be a finite number, got {value!r:.60}")
    return float(value)


def _count(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidReport(f"{name!r:.60} must be a count, got {value!r:.60}")
    return value


def _known(key: Any, of: Mapping[str, Trajectory]) -> str:
    if not isinstance(key, str) or key not in of:
        raise InvalidReport(f"a picture of {key!r:.60}, which it was not asked for")
    return key


def _file(encoded: Any) -> bytes:
    try:
        found = data(encoded)
    except (TypeError, ValueError, binascii.Error) as error:
        raise InvalidReport(f"a picture that cannot be read ({error})") from error
    if not found.startswith(PNG):
        raise InvalidReport("a picture that is no PNG")
    return found


def _array(encoded: Any) -> Array:
    try:
        found = array_of(encoded)
    except Exception as error:  # whatever a file that is something else makes of the reader
        raise InvalidReport(f"an array that cannot be read ({error})") from error
    if found.dtype != np.float32 or not np.isfinite(found).all():
        raise InvalidReport(f"an array of {found.dtype} where finite float32 was asked for")
    return found


def _shown(one: Any, of: Mapping[str, Trajectory]) -> StoredPicture:
    content = _mapping(one, "a picture to be looked at")
    key = _known(content.get("of"), of)
    return StoredPicture(of[key], str(content.get("verifier")), _file(content.get("picture")))
