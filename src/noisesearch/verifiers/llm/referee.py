"""Candidates compared two by two, as numbers that hold over the rounds of a search."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np

from ...candidates.condition import Condition
from ...files.json_text import parsed
from ...files.pictures import Picture
from ...files.writing import replace
from ..slow_verifier import CandidatePicture, SlowReply, SlowVerifier
from .errors import Failed
from .grader import NAME, mean, total
from .pictures import GraderPictures
from .questions import Asker
from .ratings import bradley_terry, knock_out
from .schema import PairGrade

MODES = ("pairs", "tournament")
POINTS = {"first": 1.0, "second": 0.0, "neither": 0.5}


@dataclass(frozen=True)
class Incumbent:
    """The best candidate of a search so far, and its rating, which stays what it was."""

    picture: Picture
    rating: float


@dataclass
class Memory:
    """The incumbents of a run by condition; with a folder they outlive the process.

    They are written before the round's numbers are told, so that none is told of a scale that is
    forgotten.
    """

    folder: Path | None = None
    known: dict[str, Incumbent] = field(default_factory=dict)
    locks: dict[str, Lock] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def of(self, condition: str) -> Lock:
        """The lock under which one condition's rounds follow each other."""
        with self.lock:
            return self.locks.setdefault(condition, Lock())

    def get(self, condition: str) -> Incumbent | None:
        path = self._path(condition)
        if condition not in self.known and path is not None and path.exists():
            kept = parsed(path.read_text())
            raw = np.frombuffer(base64.b64decode(kept["picture"]), np.uint8)
            self.known[condition] = Incumbent(raw.reshape(kept["shape"]), kept["rating"])
        return self.known.get(condition)

    def put(self, condition: str, incumbent: Incumbent) -> None:
        self.known[condition] = incumbent
        if (path := self._path(condition)) is not None:
            path.parent.mkdir(exist_ok=True)
            picture = incumbent.picture
            raw = base64.b64encode(picture.tobytes()).decode()
            kept = {"rating": incumbent.rating, "shape": picture.shape, "picture": raw}
            replace(path, json.dumps(kept).encode())

    def _path(self, condition: str) -> Path | None:
        return None if self.folder is None else self.folder / NAME / f"{condition}.json"


@dataclass(frozen=True)
class Referee(SlowVerifier):
    """All candidates that a search asks about in one round, and the best one before them,
    compared two by two, each pair in both orders of showing.

    ``pairs``: each with each; ratings in logits by Bradley and Terry, shifted until the
    incumbent's is what it was. ``tournament``: a knock-out, whose champion then meets the
    incumbent: a mark above it, level with it or a mark below. The others are below both, by a
    mark for each match that they fell short. One logit, or mark, is taken for the scale: how far
    candidates of one prompt usually lie apart is not measured here.
    """

    video = True  # a few frames in one question
    paid = True

    asker: Asker[PairGrade]
    mode: Literal["pairs", "tournament"]
    repeats: int = 1
    fingerprint: str = ""
    lanes: int = 4
    name: str = NAME
    parts: tuple[str, ...] = (NAME,)
    group: bool = True
    memory: Memory = field(default_factory=Memory, compare=False)

    def begin(self, folder: Path, spent: Mapping[str, float]) -> None:
        self.asker.caller.begin(spent)
        self.memory.folder = folder
        self.memory.known.clear()

    def close(self) -> None:
        self.asker.caller.close()

    def look(self, looks: Sequence[CandidatePicture]) -> Sequence[SlowReply]:
        verdicts: dict[int, SlowReply] = {}
        for condition in dict.fromkeys(look.condition for look in looks):
            mine = [i for i, look in enumerate(looks) if look.condition == condition]
            with self.memory.of(condition.key):
                judged = self._round(condition, [looks[i].picture for i in mine])
            verdicts |= dict(zip(mine, judged, strict=True))
        return [verdicts[i] for i in range(len(looks))]

    def _round(self, condition: Condition, pictures: Sequence[Picture]) -> list[SlowReply]:
        """One verdict for each picture; the same picture is one player, however often it comes."""
        before = self.memory.get(condition.key)
        shown = [
            GraderPictures(p) for p in (*pictures, *([] if before is None else [before.picture]))
        ]
        names = [each.key for each in shown]
        players = dict(zip(names, shown, strict=True))
        place = {name: i for i, name in enumerate(players)}
        holder = None if before is None else place[names[-1]]
        anchor = 0.0 if before is None else before.rating
        games = _Games(self.asker, condition, list(players.values()), self.repeats)
        rate = _pairs if self.mode == "pairs" else _tournament
        ratings = rate(games, len(players), anchor, holder)
        rated = {i: r for i, r in enumerate(ratings) if r is not None}
        best = max(rated, key=lambda i: rated[i], default=None)
        if best is not None and (before is None or rated[best] > before.rating):
            self.memory.put(condition.key, Incumbent(games.shown[best].picture, rated[best]))
        verdicts: list[SlowReply] = []
        for name in names[: len(pictures)]:
            rating = ratings[place[name]]
            told = f"{NAME}: {games.reason or 'no comparison'}" if rating is None else rating
            verdicts.append(SlowReply({NAME: told}, {} if verdicts else total(games.spent)))
        return verdicts


@dataclass
class _Games:
    """Matches of one round. ``reason``: why the last that could not be held was not."""

    asker: Asker[PairGrade]
    condition: Condition
    shown: Sequence[GraderPictures]
    repeats: int
    spent: list[Mapping[str, float]] = field(default_factory=list)
    reason: str = ""

    def __call__(self, pairs: Sequence[tuple[int, int]]) -> list[float | None]:
        """The share of the points that the first of each pair had over both orders of showing;
        None without an answer to each order: who is shown first has an advantage or a handicap."""
        asked = [(i, j, r) for i, j in pairs for r in range(self.repeats)]
        there = self._points(asked)
        back = self._points([(j, i, r) for i, j, r in asked])
        shares: list[float | None] = []
        for at in range(0, len(asked), self.repeats):
            of = slice(at, at + self.repeats)
            one = [p for p in there[of] if p is not None]
            two = [1 - p for p in back[of] if p is not None]
            shares.append((mean(one) + mean(two)) / 2 if one and two else None)
        return shares

    def _points(self, asked: Sequence[tuple[int, int, int]]) -> list[float | None]:
        """Of the one that is shown first."""
        try:
            subjects = [
                self.asker.subject(self.condition, [self.shown[i], self.shown[j]], repeat)
                for i, j, repeat in asked
            ]
        except Failed as failed:
            self.reason = str(failed)
            return [None for _ in asked]
        points: list[float | None] = []
        for answered in self.asker.ask(subjects):
            self.spent.append(answered.spent)
            self.reason = answered.reason or self.reason
            points.append(None if answered.answer is None else POINTS[answered.answer.better])
        return points


def _pairs(games: _Games, count: int, anchor: float, holder: int | None) -> list[float | None]:
    """Ratings by all pairs; None for who has less than half of its matches."""
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    held = [(i, j, share) for (i, j), share in zip(pairs, games(pairs), strict=True)
            if share is not None]  # fmt: skip
    ratings = bradley_terry(held, count)
    # The incumbent's stays what it was, so the numbers of one round are those of the next.
    ratings += anchor - (0.0 if holder is None else ratings[holder])
    played = [sum(i in game[:2] for game in held) for i in range(count)]
    return [float(ratings[i]) if i == holder or 2 * played[i] >= count - 1 else None
            for i in range(count)]  # fmt: skip


def _tournament(
    games: _Games, count: int, anchor: float, holder: int | None
) -> list[float | None]:
    """Marks by a knock-out; None for who is in a match that could not be held, and for all where
    it is that of the champion with the incumbent."""
    champion, short = knock_out([i for i in range(count) if i != holder], games)
    marks: list[float | None] = [None] * count
    if holder is not None:
        marks[holder] = anchor
    if champion is None:
        return marks
    top = anchor
    if holder is not None:
        (share,) = games([(champion, holder)])
        if share is None:
            return marks
        top += float(np.sign(share - 0.5))
    marks[champion] = top
    for i, matches in short.items():
        marks[i] = min(top, anchor) - matches
    return marks
