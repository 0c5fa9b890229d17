"""A language model's marks of a set of images: six columns, who got none, and what it cost."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from picture_sets import Pictures

from noisesearch.errors import BackendError, ConfigError
from noisesearch.evaluation import grader
from noisesearch.evaluation.grader import GraderTable
from noisesearch.evaluation.protocol import check
from noisesearch.names.options import settings
from support.grader_server import GraderServer

pytest.importorskip("httpx")

COLUMNS = ("accuracy", "originality", "visual", "consistency", "emotional", "overall", "mean")


def grey(*levels: int) -> Pictures:
    """Pictures of one grey each, whose brightness is the service's mark."""
    pictures = [np.full((8, 8, 3), level, np.uint8) for level in levels]
    return Pictures(pictures, [f"number {i}" for i in range(len(levels))])


def table(server: GraderServer, **more: Any) -> GraderTable:
    given = {"model": "stub", "endpoint": server.endpoint, "cache": "off", **more}
    made: GraderTable = settings("metric", "grader", GraderTable, given)
    return made


def test_the_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image has its own marks, however many are asked about at once."""
    monkeypatch.setattr(grader, "TOGETHER", 3)
    levels = (0, 51, 102, 255, 204)
    with GraderServer() as server:
        of = table(server, per_call=2, usd_in=1.0, usd_out=10.0)
        check([of], grey(*levels))
        got = of.measure(grey(*levels))
    for column in COLUMNS:
        assert got[f"grader.{column}"] == pytest.approx([level / 2.55 for level in levels])
    assert got["grader.calls"] == 3 and got["grader.tokens_in"] == 3000
    assert got["grader.usd"] == pytest.approx(3 * 0.002)


def test_an_image_without_marks() -> None:
    """It has none, the others have theirs; where none has any, that is an error."""
    with GraderServer() as server:
        got = table(server, max_calls=2, lanes=1).measure(grey(51, 102, 255))
        marks = got["grader.overall"]
        assert isinstance(marks, list) and marks[:2] == pytest.approx([20.0, 40.0])
        assert math.isnan(marks[2])
        with pytest.raises(BackendError, match=r"no marks for any image: .*cap of 0 calls"):
            table(server, max_calls=0).measure(grey(51))


def test_a_cap_is_of_all_sets_together() -> None:
    with GraderServer() as server:
        of = table(server, max_calls=3, lanes=1)
        first, second = (of.measure(grey(51, level))["grader.overall"] for level in (102, 255))
        assert server.calls == 3
    assert first == pytest.approx([20.0, 40.0])
    assert second == pytest.approx([20.0, math.nan], nan_ok=True)


def test_what_was_answered_is_not_asked_again(tmp_path: Any) -> None:
    with GraderServer() as server:
        of = table(server, cache=str(tmp_path))
        first, again = of.measure(grey(51, 102)), of.measure(grey(51, 102))
        assert server.calls == 2
    assert again["grader.overall"] == first["grader.overall"]
    assert again["grader.cached"] == 2 and "grader.calls" not in again


def test_what_is_wrong_is_said_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY, which is not set"):
        check([GraderTable(model="stub")], grey(0))
    with GraderServer() as server:
        unnamed = Pictures(grey(0).pictures, [None])
        with pytest.raises(ConfigError, match=r"0\.png has none"):
            check([table(server)], unnamed)
        with pytest.raises(ConfigError, match="mode: input should be 'score'"):
            table(server, mode="pairs")
        assert server.calls == 0
