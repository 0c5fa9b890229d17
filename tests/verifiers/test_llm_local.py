"""A grader on this machine: a real model of transformers, tiny, so its own words are noise."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from llm_grading import RED, numbered

from noisesearch.errors import ConfigError
from noisesearch.models.choice import model_of
from noisesearch.setup import selection
from noisesearch.verifiers.llm.grader import ASPECTS, Grader
from noisesearch.verifiers.slow_verifier import CandidatePicture
from support.tiny_llm_grader import make_llm_grader


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grader")
    make_llm_grader(folder)
    return folder


@pytest.fixture
def grader(folder: Path) -> Grader:
    text = f"llm-grader(backend=local, model={folder}, cache=off, retries=0, device=cpu)"
    grader = selection.verifier_of(text, model_of("shapes"))
    assert isinstance(grader, Grader)
    return grader


def test_noise_is_no_mark(grader: Grader) -> None:
    local: Any = grader.asker.caller.backend
    local.longest = 20
    (verdict,) = grader.look([numbered(1)])
    assert all("does not fit the schema" in str(v) for v in verdict.parts.values())
    assert verdict.spent["calls"] == verdict.spent["failures"] == 1
    assert verdict.spent["tokens_in"] > 2000 and verdict.spent["tokens_out"] <= 20


def test_what_the_model_is_shown_and_how_it_is_read(
    grader: Grader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In place of its own words come those that a model of any use would write."""
    local: Any = grader.asker.caller.backend
    seen: dict[str, Any] = {}

    def generate(**inputs: Any) -> torch.Tensor:
        seen.update(inputs)
        seen["text"] = local.processor.tokenizer.decode(inputs["input_ids"][0])
        id = re.search(r'\{"id": "([^"]+)", "prompt": "a red circle"', seen["text"])[1]
        mark = {"explanation": "fine", "score": 70}
        grade = {"id": id, **dict.fromkeys((*ASPECTS, "overall"), mark)}
        text = f"```json\n{json.dumps({'answers': [grade]})}\n```</s>"
        said = local.processor.tokenizer(text, return_tensors="pt")["input_ids"]
        return torch.cat([inputs["input_ids"], said], 1)

    monkeypatch.setattr(local.model, "generate", generate)
    (verdict,) = grader.look(
        [CandidatePicture(numbered(1).picture.repeat(8, 0).repeat(8, 1), RED, "one")]
    )
    assert verdict.parts == dict.fromkeys(grader.parts, 70)
    assert seen["text"].startswith("system: You grade images") and "JSON schema" in seen["text"]
    assert seen["pixel_values"].shape == (1, 3, 32, 32) and seen["do_sample"] is False
    assert seen["text"].count("<image>") == 4, "patches of 16 in 32 x 32"


def test_a_model_that_raises_is_missing(grader: Grader, monkeypatch: pytest.MonkeyPatch) -> None:
    local: Any = grader.asker.caller.backend
    monkeypatch.setattr(local.model, "generate", lambda **_: torch.zeros(1)[3])
    (verdict,) = grader.look([numbered(1)])
    assert "IndexError" in str(verdict.parts["llm-grader"])


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be loaded .* give model=FOLDER"):
        selection.verifier_of(f"llm-grader(backend=local, model={tmp_path})", model_of("shapes"))
