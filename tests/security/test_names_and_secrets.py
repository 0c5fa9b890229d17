"""What prompts and keys leave behind: no path, no tag, no secret."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import noisesearch as ns
from noisesearch.cli.summary import summary
from noisesearch.experiments.pages.report import report
from noisesearch.runs.export_data import export_data
from noisesearch.store.winners import stored_results
from noisesearch.testing.mixture_model import MixtureModel
from support.grader_server import GraderServer

PROMPTS = ("../../x", "/etc/x", "a\x00b", "x" * 10_000, "\u202egnp.exe", "CON", "aux.txt",
           "a/b\\c", "~", "$HOME `x`", "-rf", ".", "..", "line\nline", "\ufeff",
           "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>")  # fmt: skip
NAMES = re.compile(
    r"(samples/[0-9a-f]{32}\.png|samples|best\.png|grid\.png|spec\.json|journal\.jsonl|lock"
    r"|winners\.json|plan\.json|report\.html|candidates\.(jsonl|csv))"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of hostile prompts alone in a folder."""
    folder = tmp_path_factory.mktemp("outer") / "run"

    def bright(images: Any, conditions: Any) -> Any:
        return images.mean((1, 2, 3))

    ns.search(list(PROMPTS), model=MixtureModel(), verifier=bright, algorithm="random",
              budget="2candidates", steps=1, out=folder)  # fmt: skip
    return folder


def test_prompts_never_become_paths(run: Path) -> None:
    report(run)
    export_data(run, "jsonl")
    export_data(run, "csv")
    assert [path.name for path in run.parent.iterdir()] == ["run"]
    names = [path.relative_to(run).as_posix() for path in run.rglob("*")]
    assert [name for name in names if not NAMES.fullmatch(name)] == []
    assert all(prompt[:9] in summary(stored_results(run)) for prompt in ("CON", "aux.txt"))


def test_prompts_are_escaped_on_the_page(run: Path) -> None:
    page = report(run).path.read_text("utf-8")
    for tag in ("<script>alert", "<img src=x", "</script><img"):
        assert tag not in page
    assert "alert(1)" in page and "onerror" in page, "as text they are there"


def test_a_text_that_no_file_can_hold_is_refused(tmp_path: Path) -> None:
    """Half of a pair of UTF-16, as broken encodings leave it."""
    with pytest.raises(ns.ConfigError, match="unicode"):
        ns.search(
            "a \ud800 circle",
            model=MixtureModel(),
            verifier="brightness",
            budget="2candidates",
            out=tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()


SECRET = "sk-secret-0123456789-MARK"


def test_keys_never_reach_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of a grader's run: its folder, page, exports and what is said, with a service that repeats
    the key in its answers and fails now and then."""
    pytest.importorskip("httpx")
    monkeypatch.setenv("MARKED_KEY", SECRET)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def worth(picture: Any, question: Any) -> float:
        return 50.0

    with GraderServer(worth, faults=0.3) as server:
        verifier = f"llm-grader(model={SECRET[:3]}x, endpoint={server.endpoint}, " + (
            "key_env=MARKED_KEY, retries=8)"
        )
        found = ns.search("a red circle", model="shapes", verifier=verifier, algorithm="random",
                  budget="3candidates", steps=1, guidance=1.0, out=tmp_path / "run",
                  max_missing=1.0)  # fmt: skip
        sent = json.dumps(server.headers)
    assert SECRET in sent, "the service was given the key"
    report(tmp_path / "run")
    part = next(iter(found.winner.parts))
    export_data(tmp_path / "run", "jsonl", objective=f"part({part})")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 8
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    said = capfd.readouterr()
    assert SECRET not in said.out + said.err


@pytest.mark.parametrize("given", [
    {"endpoint": f"http://user:{SECRET}@localhost/v1"},
    {"endpoint": f"http://localhost/v1?key={SECRET}"},
    {"key_env": SECRET},
])  # fmt: skip
def test_a_key_in_a_setting_is_refused_unsaid(given: dict[str, str]) -> None:
    from noisesearch.verifiers.llm import LLMGrader

    with pytest.raises(ValueError) as refused:
        LLMGrader(model="x", **given)
    assert refused.value.errors()[0]["type"] == "value_error"  # type: ignore[attr-defined]
    from noisesearch.setup.selection import verifier_of

    text = ", ".join(f"{name}={value}" for name, value in given.items())
    with pytest.raises(ns.ConfigError) as told:
        verifier_of(f"llm-grader(model=x, {text})", None)
    assert SECRET not in str(told.value)
