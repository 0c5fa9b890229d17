"""Whether an image shows the words that its prompt puts in quotes."""

from __future__ import annotations

import importlib
import logging
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ...candidates.condition import Condition
from ...errors import ConfigError
from ...files.pictures import Picture
from ..protocol import Views
from ..settings import VerifierSettings
from .weights import packaged

NAME = "ocr"
MODULE = "rapidocr_onnxruntime"
MODELS = ("ch_PP-OCRv4_det_infer.onnx", "ch_PP-OCRv4_rec_infer.onnx",
          "ch_ppocr_mobile_v2.0_cls_infer.onnx")  # fmt: skip
INSTALL = "pip install 'noisesearch[ocr]'"
# Double quotes of several languages, and single ones that are no apostrophes.
QUOTED = re.compile(
    r"\"([^\"]+)\"|[“„]([^“”]+)[“”]|«([^»]+)»"
    r"|(?<!\w)['‘]((?:[^'’]|(?<=\w)['’](?=\w))+)['’](?!\w)"
)

Reader = Callable[[Picture], Sequence[str]]


class Ocr(VerifierSettings):
    """How much of the text in the prompt's quotes is read in the image, by RapidOCR (15 MB)."""

    name: ClassVar[str] = NAME

    text: str = Field(default="", description="asked of all images; default what quotes hold")
    sure: float = Field(default=0.5, ge=0, lt=1, description="least certainty of a line")

    def open(self) -> OcrVerifier:
        of = packaged(NAME, "", f"{MODULE}/models", MODELS, INSTALL)
        return OcrVerifier(_reader(self.sure), of.fingerprint, self.text)


@dataclass(frozen=True)
class OcrVerifier:
    """1 where every text asked for is read as it stands, 0 where nothing of it is; the mean over
    the texts. NaN where none is asked for.

    ``read`` gives the lines of a picture uint8 [H, W, 3], blue first, in reading order.
    """

    read: Reader
    fingerprint: str
    text: str = ""
    name: str = NAME
    parts: tuple[str, ...] = (NAME,)
    # Not measured on samples of a generator: a letter in five.
    scale: Mapping[str, float] = field(default_factory=lambda: {NAME: 0.2})
    differentiable: bool = False
    rows: int | None = 1  # a reader reads one by one, and fillers would cost as much

    def check(self, conditions: Sequence[Condition]) -> None:
        """ConfigError where a condition asks for no text."""
        for condition in conditions:
            if not self._asked(condition):
                raise ConfigError(
                    f"verifier {NAME!r} reads the text that a prompt puts in quotes, and "
                    f"{str(condition)!r} has none; quote it, or ask all images for one text with "
                    f"{NAME}(text=…)"
                )

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        pictures = (views.images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        scores = [
            self._score(picture, self._asked(condition))
            for picture, condition in zip(pictures, views.conditions, strict=True)
        ]
        return {NAME: torch.tensor(scores)}

    def _asked(self, condition: Condition) -> Sequence[str]:
        return [self.text] if self.text else quoted(condition.text)

    def _score(self, picture: Picture, asked: Sequence[str]) -> float:
        if not asked:
            return float("nan")
        lines = self.read(np.ascontiguousarray(picture[..., ::-1]))
        return sum(likeness(text, lines) for text in asked) / len(asked)


def quoted(text: str | None) -> list[str]:
    """What stands in quotes in a prompt, in its order; quotes around no letters hold nothing."""
    found = ("".join(match) for match in QUOTED.findall(text or ""))
    return [inside for inside in found if _plain(inside)]


def likeness(asked: str, lines: Sequence[str]) -> float:
    """1 less the edit distance over the longer text's length, of the run of lines that is nearest
    to the text. Case and spaces do not count: small letters are hard to tell from large ones, and
    readers drop spaces."""
    wanted, read, best = _plain(asked), [_plain(line) for line in lines], 0.0
    for first in range(len(read)):
        for last in range(first + 1, len(read) + 1):
            run = "".join(read[first:last])
            longer, shorter = max(len(run), len(wanted)), min(len(run), len(wanted))
            if longer and shorter / longer > best:  # else it cannot be nearer
                best = max(best, 1 - distance(wanted, run) / longer)
    return best


def distance(one: str, other: str) -> int:
    """Least number of letters put in, left out or changed (Levenshtein 1966)."""
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, row = row, [i]
        for j, also in enumerate(other, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != also)))
    return row[-1]


def _plain(text: str) -> str:
    """In one form of its letters, without case and spaces."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _reader(sure: float) -> Reader:
    try:
        module = importlib.import_module(MODULE)
    except ImportError as error:
        raise ConfigError(
            f"verifier {NAME!r} needs {MODULE}, which cannot be imported here ({error}); run: "
            f"{INSTALL}; where libGL is missing, install opencv-python-headless"
        ) from error
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)  # it tells of every empty picture
    engine = module.RapidOCR(text_score=sure, intra_op_num_threads=torch.get_num_threads())

    def read(picture: Picture) -> list[str]:
        found, _ = engine(picture)
        return [text for _, text, _ in found or []]

    return read
