"""What to cite: the method, the model and the verifiers of a run, as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from ..models.choice import model_of
from ..names.forms import written
from ..names.registry import TABLES
from ..objectives.sets_text import parse as set_form
from ..store.spec import RunSpec
from ..version import __version__

METHOD = "ma2025inference"
# By what is in a model's name, folder or hub id; the first that fits.
MODELS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("flux", ("flux2024",)),
    ("pixart", ("chen2024pixartsigma",)),
    ("dpo", ("podell2024sdxl", "wallace2024diffusion")),
    ("sdxl|stable-diffusion-xl", ("podell2024sdxl",)),
    ("stable-diffusion-3|sd3", ("esser2024scaling",)),
    ("sana", ("xie2025sana",)),
    ("fashion", ("ma2024sit", "xiao2017fashion")),
    (r"\bsit\b", ("ma2024sit",)),
    ("stable-diffusion|sd1|sd2", ("rombach2022high",)),
)
VERIFIERS = {
    "clipscore": ("hessel2021clipscore", "radford2021learning"),
    "clip-zeroshot": ("radford2021learning",),
    "aesthetic": ("schuhmann2022laion",),
    "imagereward": ("xu2023imagereward",),
    "pickscore": ("kirstain2023pick",),
    "hpsv2": ("wu2023human",),
    "vqascore": ("lin2024evaluating",),
    "dino-linear": ("oquab2024dinov2",),
    "oracle-is": ("szegedy2016rethinking",),
    "oracle-fid": ("heusel2017gans", "szegedy2016rethinking"),
    "imagenet-lite": ("tan2019efficientnet",),
    "faces": ("zhang2016joint",),
}
SETS = {
    "frechet": ("heusel2017gans",),
    "inception-score": ("salimans2016improved",),
    "precision": ("kynkaanniemi2019improved",),
    "recall": ("kynkaanniemi2019improved",),
}
WORLDS = ("shapes", "fashion")  # whose verifiers are networks of our own in others' roles


@dataclass(frozen=True)
class Citations:
    """``bibtex``: entries of what was used; ``remarks``: what has none, a sentence each."""

    bibtex: str
    remarks: tuple[str, ...]


def citations(
    specs: Sequence[RunSpec], measured: Sequence[str] = (), sets: Sequence[str] = ()
) -> Citations:
    """Of one run or of several; of an experiment's, beside them, the verifiers that only
    ``measured`` what came out, and its figures of ``sets``."""
    keys = [METHOD]
    remarks: list[str] = []
    roles: dict[str, str] = {}
    for model in dict.fromkeys(spec.model for spec in specs):
        world = model in TABLES["model"]
        known = [of for pattern, of in MODELS if re.search(pattern, model.lower())]
        keys += known[0] if known else ()
        if not known and not world:
            remarks.append(f"The model {model} is not known here: cite it as its makers ask.")
        roles |= model_of(model).verifiers if world else {}
    used = (v for spec in specs for v in (*spec.verifiers, *spec.watch))
    kinds = list(dict.fromkeys(written(v)[0] for v in (*used, *measured)))
    if ours := [kind for kind in kinds if kind in roles]:
        remarks.append(
            f"Of noisesearch's own, in the roles of published ones, which are not to be cited for "
            f"them: {', '.join(ours)}."
        )
    keys += [key for kind in kinds if kind not in roles for key in VERIFIERS.get(kind, ())]
    if unknown := [kind for kind in kinds if kind not in roles and kind not in VERIFIERS]:
        remarks.append(f"Without an entry here, to be cited as they ask: {', '.join(unknown)}.")
    forms = (set_form(spec.objective) for spec in specs)
    figures = (*sets, *(form.kind for form in forms if form is not None))
    keys += [key for figure in figures for key in SETS.get(figure, ())]
    entries = _entries()
    found = [entries[key] for key in dict.fromkeys(keys)]
    return Citations("\n\n".join([*found, _own()]), tuple(remarks))


def _entries() -> dict[str, str]:
    """BibTeX entries by key."""
    text = files(__package__).joinpath("references.bib").read_text(encoding="utf-8")
    entries = (entry.strip() for entry in re.split(r"\n(?=@)", text))
    return {re.split(r"[{,]", entry)[1]: entry for entry in entries}


def _own() -> str:
    return (
        "@software{noisesearch,\n"
        "  title = {noisesearch: search over noise for diffusion and flow models},\n"
        "  author = {{The noisesearch authors}},\n"
        f"  version = {{{__version__}}}\n"
        "}"
    )
