"""CLIP as a classifier that was never trained on the classes (arXiv 2103.00020, Section 3.1.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from ...candidates.condition import Condition
from ...candidates.keys import digest
from ...errors import ConfigError
from ..settings import Vocabulary
from . import towers
from .scores import ClipSettings, ClipVerifier
from .towers import Sentences

TEMPLATES = Path(__file__).with_name("clip_templates.txt")
PLACE = "{}"  # of a class's name in a template


@dataclass(frozen=True)
class ClassSentences:
    """The sentences of a class: every template with its name in it."""

    names: tuple[str, ...]
    templates: tuple[str, ...]

    def __call__(self, condition: Condition) -> Sentences | None:
        """Of a text the text itself is the name; of a label its class's, without its synonyms."""
        if condition.text is not None:
            name = condition.text
        elif condition.label is not None and condition.label < len(self.names):
            name = self.names[condition.label].partition(",")[0].strip()
        else:
            return None
        return tuple(template.replace(PLACE, name) for template in self.templates)


class ClipZeroShot(ClipSettings):
    """How much a picture looks like its class: CLIP's cosine with the class in many sentences."""

    name: ClassVar[str] = "clip-zeroshot"

    classes: str = Field(
        default="",
        description="text file with a name for each class in order, one a line; default: the "
        "model's own names",
    )
    templates: str = Field(
        default="",
        description="text file of sentences with {} for the name, one a line; default: 64 of ours",
    )

    def open(self) -> ClipVerifier:
        return self._of(())

    def open_for(self, model: Vocabulary) -> ClipVerifier:
        return self._of(model.words())

    def _of(self, known: Sequence[str]) -> ClipVerifier:
        names = _lines(self.classes, "classes") if self.classes else tuple(known)
        templates = _lines(self.templates or TEMPLATES, "templates")
        lost = [line for line in templates if PLACE not in line]
        if lost:
            raise ConfigError(
                f"templates {self.templates} have a line without {PLACE}: {lost[0]!r:.60}; write "
                f"{PLACE} where the name of the class goes"
            )
        # Not measured here and in no published table: CLIPScore's, which is 2.5 times a cosine.
        built = self.verifier(
            self.checkpoint(), towers.cropped, ClassSentences(names, templates),
            lambda cosines: cosines,
            0.018, "name it by --verifier 'clip-zeroshot(classes=FILE)', a text file with a name "
            "for each class in order, one a line",
        )  # fmt: skip
        return replace(built, fingerprint=digest(built.fingerprint, names, templates)[:16])


def _lines(path: str | Path, what: str) -> tuple[str, ...]:
    """The lines of a text file that say something."""
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ConfigError(
            f"{what} of verifier 'clip-zeroshot' cannot be read from {path} ({why.lower()}); give "
            "a text file in UTF-8, one a line"
        ) from error
    found = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not found:
        raise ConfigError(f"{what} of verifier 'clip-zeroshot' are none in {path}; one a line")
    return found
