"""The scores of T2I-CompBench as metrics of a set of images with their prompts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from ...errors import ConfigError
from ...setup import hardware
from ..protocol import Figures, ImageSet, prompts_of
from . import attributes, detectors, numeracy, spatial, words
from . import combined_rule as combined
from . import prompts as benchmark
from . import repaired_rules as repaired
from .detections import Detection, Detector, framed
from .networks import Cosine, blip_vqa, probabilities, scored
from .words import Parser

SURE = "sureness that counts; none: 0.5, or 0.1 of a detector that is told the nouns"
Words = Annotated[str, Field(description="spaCy's model of English that finds the nouns")]
Blip = Annotated[str, Field(description="file, folder or hub id of BLIP-VQA")]
Finder = Annotated[
    str, Field(description="folder or hub id of an object detector of transformers")
]
Threshold = Annotated[float | None, Field(ge=0, le=1, description=SURE)]
Folder = Annotated[str, Field(description="folder of T2I-CompBench's prompt files")]
BLIP_VQA, CLIP = "Salesforce/blip-vqa-base", "openai/clip-vit-base-patch32"


class CompBench(BaseModel):
    """Base of the metrics: their settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    summary: ClassVar[str]

    fixed: bool = Field(
        default=False, description="put right what the published code hardly meant"
    )
    device: str = Field("auto", description="auto, cpu or a cuda device")

    def check(self, images: ImageSet) -> None:
        """ConfigError where an image has no prompt, or weights or packages are missing."""
        prompts_of(images, self.name)
        self.ready()

    @abstractmethod
    def ready(self) -> None:
        """Opens what the metric needs, before any picture is looked at; it stays open."""

    @abstractmethod
    def measure(self, images: ImageSet) -> Figures:
        """See :class:`evaluation.protocol.Metric`."""

    def place(self) -> str:
        return hardware.place(self.device)


class Attributes(CompBench):
    """Each noun with what belongs to it is asked about: is it in the picture?"""

    name: ClassVar[str] = "compbench-attribute"
    summary: ClassVar[str] = "color, shape and texture by BLIP-VQA, from 0 to 1, more is better"

    words: Words = words.MODEL
    blip: Blip = BLIP_VQA

    def ready(self) -> None:
        words.parser(self.words)
        blip_vqa(self.blip)

    def measure(self, images: ImageSet) -> Figures:
        return {self.name: self.scores(images, prompts_of(images, self.name))}

    def scores(self, images: ImageSet, prompts: Sequence[str]) -> list[float]:
        parse, score = words.parser(self.words), attributes.score
        asked = [attributes.questions(parse(prompt)) for prompt in prompts]
        yes = probabilities(blip_vqa(self.blip), images, asked, self.place())
        return [(repaired.attribute_score if self.fixed else score)(of) for of in yes]


class Spatial(CompBench):
    """Two objects are there, and the first one is where the prompt says."""

    name: ClassVar[str] = "compbench-spatial"
    summary: ClassVar[str] = "two objects and their places by a detector, 0 to 1, more is better"

    words: Words = words.MODEL
    detector: Finder = detectors.OPEN
    threshold: Threshold = None
    complex: bool = Field(
        default=False, description="longer sentences: the nouns around the place"
    )

    def ready(self) -> None:
        words.parser(self.words)
        self.finder()

    def finder(self) -> Detector:
        return detectors.opened(self.detector, self.threshold, self.place())

    def measure(self, images: ImageSet) -> Figures:
        prompts = prompts_of(images, self.name)
        fits = repaired.fits if self.fixed else str.__eq__
        unknown = _unknown(self.finder(), [self.nouns(prompt) for prompt in prompts], fits)
        return {self.name: self.scores(images, prompts), f"{self.name}.unknown": unknown}

    def scores(self, images: ImageSet, prompts: Sequence[str]) -> list[float]:
        finder = self.finder()
        found = (_found(finder, images, i, self.nouns(p)) for i, p in enumerate(prompts))
        return [self._score(of, p) for of, p in zip(found, prompts, strict=True)]

    def nouns(self, prompt: str) -> list[str]:
        """The names of the objects that are looked for."""
        return sorted({noun for noun in self._pair(prompt) if noun})

    def _pair(self, prompt: str) -> spatial.Pair:
        published = spatial.complex_objects if self.complex else spatial.simple_objects
        return (repaired.objects if self.fixed else published)(self._parse(prompt))

    def _score(self, found: Sequence[Detection], prompt: str) -> float:
        if self.fixed:
            return repaired.spatial_score(found, self._parse(prompt))
        return spatial.score(found, self._pair(prompt), spatial.locality(prompt))

    @property
    def _parse(self) -> Parser:
        return words.parser(self.words)


class Numeracy(CompBench):
    """As many of each object as the prompt says."""

    name: ClassVar[str] = "compbench-numeracy"
    summary: ClassVar[str] = "numbers of objects by a detector, from 0 to 1, more is better"

    prompts: Folder = ""
    detector: Finder = detectors.OPEN
    threshold: Threshold = None

    def ready(self) -> None:
        self._objects()
        self.finder()

    def finder(self) -> Detector:
        return detectors.opened(self.detector, self.threshold, self.place())

    def measure(self, images: ImageSet) -> Figures:
        nouns, finder = self._objects(), self.finder()
        counts = repaired.counts if self.fixed else numeracy.counts
        score = repaired.numeracy_score if self.fixed else numeracy.score
        texts = prompts_of(images, self.name)
        wanted = [counts(numeracy.tokens(text), nouns) for text in texts]
        names = [sorted({self._called(name) for name, _ in of}) for of in wanted]
        scores = [score(_found(finder, images, i, names[i]), of) for i, of in enumerate(wanted)]
        fits = repaired.fits if self.fixed else str.__contains__
        return {self.name: scores, f"{self.name}.unknown": _unknown(finder, names, fits)}

    def _called(self, name: str) -> str:
        return name if self.fixed else numeracy.CALLED.get(name, name)

    def _objects(self) -> numeracy.Nouns:
        return numeracy.Nouns.read(_folder(self.prompts, self.name) / benchmark.OBJECTS)


class Complex(CompBench):
    """Attributes, places and actions of longer sentences, whichever a prompt has: 3-in-1."""

    name: ClassVar[str] = "compbench-complex"
    summary: ClassVar[str] = "attributes, places and CLIP's cosine, mixed; more is better"

    prompts: Folder = ""
    words: Words = words.MODEL
    blip: Blip = BLIP_VQA
    detector: Finder = detectors.OPEN
    threshold: Threshold = None
    clip: str = Field(
        default=CLIP, description="folder or hub id of the CLIP that looks for actions"
    )

    def ready(self) -> None:
        self._branches()
        self._attributes().ready()
        self._places().ready()
        Cosine.opened(self.clip)

    def measure(self, images: ImageSet) -> Figures:
        prompts, branches = prompts_of(images, self.name), self._branches()
        parse, clip = words.parser(self.words), Cosine.opened(self.clip)
        plain = [combined.without_adjectives(parse(prompt)) for prompt in prompts]
        parts = {
            combined.ATTRIBUTE: self._attributes().scores(images, prompts),
            combined.SPATIAL: self._places().scores(images, prompts),
            combined.ACTION: scored(clip, images, plain, self.place()),
        }
        mixed = [
            combined.score({name: of[i] for name, of in parts.items()}, branches.of(prompt))
            for i, prompt in enumerate(prompts)
        ]
        return {self.name: mixed, **{f"{self.name}.{name}": of for name, of in parts.items()}}

    def _branches(self) -> combined.Branches:
        return combined.Branches.read(_folder(self.prompts, self.name))

    def _attributes(self) -> Attributes:
        return Attributes(fixed=self.fixed, device=self.device, words=self.words, blip=self.blip)

    def _places(self) -> Spatial:
        return Spatial(
            fixed=self.fixed, device=self.device, words=self.words, detector=self.detector,
            threshold=self.threshold, complex=True,
        )  # fmt: skip


def _found(finder: Detector, images: ImageSet, i: int, nouns: Sequence[str]) -> list[Detection]:
    """What is in a picture, in the frame that distances are meant in."""
    picture = images.picture(i)
    return framed(finder(picture, nouns), *picture.shape[:2])


def _unknown(
    finder: Detector, nouns: Sequence[Sequence[str]], fits: Callable[[str, str], bool]
) -> float:
    """For how many images the detector has no label for one of the nouns, which then cannot be
    found whatever the picture shows."""
    if finder.labels is None:
        return 0.0
    labels = finder.labels
    lost = (any(not any(fits(label, noun) for label in labels) for noun in of) for of in nouns)
    return float(sum(lost))


def _folder(given: str, metric: str) -> Path:
    if not given:
        raise ConfigError(
            f"metric {metric!r} reads lists that lie among T2I-CompBench's prompts: clone "
            "https://github.com/Karine-Huang/T2I-CompBench and give that folder: --metrics "
            f"'{metric}(prompts=FOLDER)'"
        )
    return benchmark.dataset(given)
