"""The zero-shot classifier: whose names the classes have, and in which sentences."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from noisesearch.candidates.condition import Condition
from noisesearch.errors import ConfigError
from noisesearch.models.choice import model_of
from noisesearch.setup import selection
from noisesearch.testing import tiny_clip
from noisesearch.verifiers.clip.zeroshot import PLACE, TEMPLATES, ClassSentences, ClipZeroShot
from noisesearch.verifiers.protocol import Views

pytest.importorskip("transformers")

IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    return tiny_clip.make_clip_zeroshot(tmp_path_factory.mktemp("clip")).weights


def scores(verifier, *conditions: Condition) -> Tensor:
    return verifier(Views(IMAGES, conditions))["clip-zeroshot"]


def test_a_label_is_the_name_that_the_model_gives_it(folder: str) -> None:
    fashion = model_of("fashion")
    name = f"noisesearch.verifiers.clip.zeroshot:ClipZeroShot(weights={folder})"
    verifier = selection.verifier_of(name, fashion)
    asked = [fashion.condition(text) for text in ("sneaker", "bag", "class:9")]
    assert [c.label for c in asked] == [7, 8, 9]
    said = [Condition(text=fashion.words()[c.label].partition(",")[0]) for c in asked]
    assert len({c.text for c in said}) == 3
    assert torch.equal(scores(verifier, *asked), scores(verifier, *said))
    verifier.check(asked)


def test_names_from_a_file(folder: str, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("tench, Tinca tinca\ngoldfish\n\n")
    verifier = ClipZeroShot(weights=folder, classes=str(names)).open_for(model_of("fashion"))
    label, text, beyond = Condition(label=0), Condition(text="tench"), Condition(label=2)
    got = scores(verifier, label, text, beyond)
    again = scores(verifier, text, label, beyond)
    assert torch.equal(got[:2], again[:2]) and got[2].isnan()
    verifier.check([label, text])
    with pytest.raises(ConfigError, match=r"none of the condition class:2; name it by .*classes="):
        verifier.check([label, beyond])
    other = ClipZeroShot(weights=folder).open()
    assert other.fingerprint != verifier.fingerprint
    with pytest.raises(ConfigError, match="none of the condition unconditional"):
        other.check([Condition()])


def test_our_templates() -> None:
    lines = TEMPLATES.read_text(encoding="utf-8").splitlines()
    assert len(set(lines)) == len(lines) == 64, "the settings say how many"
    assert all(line.count(PLACE) == 1 for line in lines)
    sentences = ClassSentences(("bag",), tuple(lines))(Condition(label=0))
    assert sentences is not None and sentences[0] == "a photograph of a bag."


def test_templates_from_a_file(folder: str, tmp_path: Path) -> None:
    """One sentence is CLIP's plain cosine; the mean of two lies between them."""
    path = tmp_path / "templates.txt"
    found = []
    for text in ("a red {}", "a painting of a {}", "a red {}\na painting of a {}"):
        path.write_text(text)
        verifier = ClipZeroShot(weights=folder, templates=str(path)).open()
        found.append(scores(verifier, *[Condition(text="circle")] * 3))
    first, second, both = found
    vectors = [
        verifier.text_tower.vectors([(text,)], IMAGES.device)
        for text in ("a red circle", "a painting of a circle")
    ]
    mean = (vectors[0] + vectors[1]) / 2
    assert torch.allclose(both, (first + second) / 2 / mean.norm(), atol=1e-6)
    assert not torch.allclose(first, second)


@pytest.mark.parametrize(
    ("setting", "content", "said"),
    [
        ("templates", b"a picture of it", r"without {}: 'a picture of it'; write {} where"),
        ("templates", b"\n", "templates of verifier 'clip-zeroshot' are none in"),
        ("classes", b"\xff\xfe\x00", "it is not text in utf-8"),
        ("classes", None, "no such file or directory"),
    ],
)
def test_wrong_lists(
    setting: str, content: bytes | None, said: str, folder: str, tmp_path: Path
) -> None:
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        ClipZeroShot(weights=folder, **{setting: str(path)}).open()
