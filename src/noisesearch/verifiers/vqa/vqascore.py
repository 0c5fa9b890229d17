"""VQAScore (arXiv 2404.01291): the probability that a network says yes when it is asked whether
the picture shows the prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from ..blip import network as blip
from ..capabilities import heavy
from ..protocol import OnePart, Views
from ..settings import Precision, VerifierSettings
from ..weights import Files, files
from . import blip as blip_vqa
from . import chat as chat_vqa
from .answers import Answerer

QUESTION = 'Does this figure show "{}"? Please answer yes or no.'
# Not measured here: half of what numbers between 0 and 1 can deviate at most.
SCALE = 0.25


@dataclass(frozen=True)
class VqaScoreVerifier(OnePart):
    """The probability of yes to ``question``; NaN where it asks about a prompt and there is none.

    ``against``: no, or all answers.
    """

    answerer: Answerer
    question: str
    against: str
    name: str
    rows: int | None = None

    deviation = SCALE

    @property
    def differentiable(self) -> bool:
        return self.answerer.differentiable

    @property
    def heavy(self) -> bool:
        return heavy(self.answerer)

    @property
    def fingerprint(self) -> str:
        return self.answerer.fingerprint

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        return self.answerer.networks

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        texts = [condition.text for condition in views.conditions]
        asked = [self.question.replace("{}", text or "") for text in texts]
        yes, no = self.answerer(views, asked).unbind(1)
        score = (yes - no).sigmoid() if self.against == "no" else yes.exp()
        unasked = [text is None and "{}" in self.question for text in texts]
        none = torch.tensor(unasked, device=score.device)
        return {self.name: score.masked_fill(none, float("nan"))}


class VqaScore(VerifierSettings):
    """The probability of "yes" when a model is asked whether the picture shows the prompt."""

    name: ClassVar[str] = "vqascore"

    weights: str = Field(
        "Salesforce/blip-vqa-base",
        description="file, folder or hub id of BLIP-VQA, or folder or hub id of a chat model that "
        "looks at pictures",
    )
    question: str = Field(
        QUESTION, description="what is asked; {} stands for the prompt, if it counts"
    )
    against: Literal["all", "no"] = Field(
        "all", description="the probability among all answers, or among yes and no alone"
    )
    part: str = Field(
        "vqascore", description="what the score is called, where several questions are asked"
    )
    tokenizer: str = Field(
        blip.BERT,
        description="of BLIP-VQA: vocab.txt, a folder or hub id; counts where none is by the "
        "weights",
    )
    dtype: Precision = Field("float32", description="of the network")

    @field_validator("question")
    @classmethod
    def _asks(cls, question: str) -> str:
        if not question.strip():
            raise ValueError("question is empty; write one, with {} where the prompt is to stand")
        return question

    @field_validator("part")
    @classmethod
    def _called(cls, part: str) -> str:
        if not re.fullmatch(r"[A-Za-z][\w-]*", part):
            raise ValueError(f"part {part!r} must be a word of letters, digits, - and _")
        return part

    def open(self) -> VqaScoreVerifier:
        of = files(self.name, self.weights, ("*.safetensors", "*.pth", "*.bin"),
                   also=("*.json", "*.txt", "*.model", "*.jinja"))  # fmt: skip
        return VqaScoreVerifier(self._answerer(of), self.question, self.against, self.part)

    def _answerer(self, of: Files) -> Answerer:
        # The published code's checkpoint is a file alone, without a configuration.
        if not (of.folder / "config.json").is_file() or of.config().get("model_type") == "blip":
            return blip_vqa.opened(of, self.tokenizer, self.dtype)
        return chat_vqa.opened(of, self.dtype)
