"""VQAScore: BLIP-VQA against the published code's numbers, and a chat model."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import noisesearch as ns
from noisesearch.candidates.condition import Condition
from noisesearch.errors import ConfigError
from noisesearch.names.forms import written
from noisesearch.testing import VerifierContract
from noisesearch.testing.tiny_blip import make_imagereward, make_vqascore, make_vqascore_chat
from noisesearch.verifiers.protocol import Views
from noisesearch.verifiers.vqa import blip as blip_vqa
from noisesearch.verifiers.vqa import chat as chat_vqa
from noisesearch.verifiers.vqa.answers import by_length
from noisesearch.verifiers.vqa.vqascore import VqaScore, VqaScoreVerifier
from noisesearch.verifiers.weights import Files

FixtureOf = Callable[[str], dict[str, Tensor]]
PROMPTS = ("a red circle", "a blue square above a yellow ring", "a cat", "an old man reading")


@pytest.fixture(scope="module")
def blip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_vqascore(tmp_path_factory.mktemp("blip-vqa"))


@pytest.fixture(scope="module")
def chat_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_vqascore_chat(tmp_path_factory.mktemp("chat-vqa"))


@pytest.fixture(scope="module")
def folders(blip_folder: Path, chat_folder: Path) -> dict[str, Path]:
    return {"blip": blip_folder, "chat": chat_folder}


class Contract(VerifierContract):
    @pytest.fixture
    def conditions(self) -> list[Condition]:
        """Some whose questions are padded to different lengths."""
        return [Condition(text=PROMPTS[i % 4] + " and a cat" * (9 * (i % 3))) for i in range(8)]


class TestBlipVqa(Contract):
    @pytest.fixture
    def verifier(self, blip_folder: Path) -> VqaScoreVerifier:
        return VqaScore(weights=str(blip_folder)).open()


class TestChat(Contract):
    @pytest.fixture
    def verifier(self, chat_folder: Path) -> VqaScoreVerifier:
        return VqaScore(weights=str(chat_folder)).open()


class Reference:
    """The reference's network and inputs, in float64."""

    yes, no = 27, 20  # its tokens

    def __init__(self, fixture: dict[str, Tensor], path: Path) -> None:
        self.of = fixture
        save_file({n.removeprefix("model."): v for n, v in fixture.items()
                   if n.startswith("model.")}, path)  # fmt: skip
        files = Files("vqascore", str(path), path.parent, (path,))
        self.network = blip_vqa.network(files, vision_head=6, text_head=8).double()

    def logits(self, mask: Tensor) -> Tensor:
        with torch.inference_mode():
            seen = self.network.seen(self.of["in.image"].double())
            return self.network(seen, self.of["in.input_ids_before_enc"], mask)


@pytest.fixture
def reference(fixture_of: FixtureOf, tmp_path: Path) -> Reference:
    return Reference(fixture_of("blip_vqa_tiny_reference"), tmp_path / "weights.safetensors")


def test_the_probability_of_yes_equals_the_reference(reference: Reference) -> None:
    logits = reference.logits(reference.of["in.attention_mask"])
    got = (logits[:, reference.yes] - logits[:, reference.no]).sigmoid()
    torch.testing.assert_close(got, reference.of["out.p_yes_float64"], atol=1e-9, rtol=0)
    wanted = reference.of["out.first_token_logits"].double()
    torch.testing.assert_close(logits, wanted, atol=1e-5, rtol=0)


def test_the_reference_heeds_the_padding_of_questions(reference: Reference) -> None:
    mask = reference.of["in.attention_mask"]
    assert (mask == 0).any()
    unmasked = reference.logits(torch.ones_like(mask))
    wanted = reference.of["out.first_token_logits"].double()
    padded = (mask == 0).any(1)
    assert ((unmasked - wanted).abs().amax(1)[padded] > 1e-3).all()


def scores(verifier: VqaScoreVerifier, texts: tuple[str | None, ...], images: Tensor) -> Tensor:
    with torch.inference_mode():
        views = Views(images, [Condition(text=text) for text in texts])
        return verifier(views)["vqascore"]


def noise(rows: int) -> Tensor:
    draw = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (rows, 3, 40, 48), generator=draw) / 255


@pytest.mark.parametrize("kind", ["blip", "chat"])
def test_probabilities(kind: str, folders: dict[str, Path]) -> None:
    """Among all answers and against no; of a picture, a prompt and a question each of its own."""
    given, texts, images = str(folders[kind]), PROMPTS[:2] * 2, noise(2).repeat_interleave(2, 0)
    among_all = scores(VqaScore(weights=given).open(), texts, images)
    against_no = scores(VqaScore(weights=given, against="no").open(), texts, images)
    assert ((among_all > 0) & (among_all < against_no) & (against_no < 1)).all()
    assert len({round(float(score), 6) for score in against_no}) == 4
    asked = VqaScore(weights=given, against="no", question="is it {}?")
    other = scores(asked.open(), texts, images)
    assert not torch.isclose(other, against_no).any()
    assert scores(asked.open(), ("a cat", None), noise(2)).isnan().tolist() == [False, True]
    same = VqaScore(weights=given, against="no", question="is it a cat?").open()
    assert torch.equal(scores(same, ("a red circle", None), noise(2)),
                       scores(asked.open(), ("a cat", "a cat"), noise(2)))  # fmt: skip


def test_blip_answers_as_transformers_does(blip_folder: Path) -> None:
    """Its own preparation and its decoder, one question at a time and thus without padding."""
    import transformers

    verifier = VqaScore(weights=str(blip_folder), against="no").open()
    model = transformers.BlipForQuestionAnswering.from_pretrained(blip_folder).eval()
    for layer in [m for m in model.vision_model.modules() if isinstance(m, torch.nn.LayerNorm)]:
        layer.eps = 1e-6
    words = transformers.BertTokenizer.from_pretrained(blip_folder)
    pictures = transformers.BlipImageProcessorPil(size={"height": 32, "width": 32})
    images = noise(len(PROMPTS))
    found = []
    for image, prompt in zip(images, PROMPTS, strict=True):
        plain = f"does this figure show {prompt}? please answer yes or no"
        ids = words(plain, return_tensors="pt")["input_ids"]
        ids[:, 0] = start = model.config.text_config.vocab_size - 1
        array = (image.movedim(0, -1) * 255).round().to(torch.uint8).numpy()
        seen = model.vision_model(**pictures(array, return_tensors="pt"))[0]
        question = model.text_encoder(ids, encoder_hidden_states=seen)[0]
        first = torch.tensor([[start - 1]])
        logits = model.text_decoder(first, encoder_hidden_states=question).logits[0, 0]
        yes, no = (logits[words.convert_tokens_to_ids(word)] for word in ("yes", "no"))
        found.append((yes - no).sigmoid())
    torch.testing.assert_close(
        scores(verifier, PROMPTS, images), torch.stack(found).detach(), atol=1e-5, rtol=0
    )


def test_published_names_are_read_too(blip_folder: Path, tmp_path: Path) -> None:
    """A file alone, nested and tied as model_base_vqa_capfilt_large.pth is."""
    state = load_file(blip_folder / "model.safetensors")
    turned = {
        "class_embedding": "cls_token", "position_embedding": "pos_embed", "layers.": "blocks.",
        "patch_embedding.": "patch_embed.proj.", "layer_norm": "norm", "self_attn.qkv": "attn.qkv",
        "self_attn.projection": "attn.proj", "post_layernorm": "norm",
    }  # fmt: skip
    published = {}
    for name, value in state.items():
        if name.startswith("vision_model."):
            name = name.replace("vision_model.", "visual_encoder.")
            name = name.replace(".embeddings.", ".").replace(".encoder.", ".")
            for ours, theirs in turned.items():
                name = name.replace(ours, theirs)
        published[name] = value
    published["text_encoder.embeddings.position_ids"] = torch.arange(256)[None]
    torch.save({"model": published, "epoch": 3}, tmp_path / "base.pth")
    alone = VqaScore(
        weights=str(tmp_path / "base.pth"), tokenizer=str(blip_folder / "vocab.txt")
    ).open()
    folder = VqaScore(weights=str(blip_folder)).open()
    assert torch.equal(scores(alone, PROMPTS, noise(4)), scores(folder, PROMPTS, noise(4)))


@pytest.mark.parametrize("kind", ["llava", "idefics3"])
def test_a_chat_model_is_asked_as_by_its_own_processor(kind: str, tmp_path: Path) -> None:
    """One picture and question at a time; the verifier has them together, padded."""
    import transformers

    verifier = VqaScore(weights=str(make_vqascore_chat(tmp_path, kind))).open()
    processor = transformers.AutoProcessor.from_pretrained(tmp_path)
    model = transformers.AutoModelForImageTextToText.from_pretrained(tmp_path).eval()
    yes = processor.tokenizer.convert_tokens_to_ids(["Yes", "yes"])
    texts, images, found = (*PROMPTS, "a cat and " * 20), noise(len(PROMPTS) + 1), []
    for image, prompt in zip(images, texts, strict=True):
        asked = f'Does this figure show "{prompt}"? Please answer yes or no.'
        array = (image.movedim(0, -1) * 255).round().to(torch.uint8).numpy()
        given = processor(
            text=f"USER: <image>\n{asked} ASSISTANT:", images=array, return_tensors="pt"
        )
        with torch.inference_mode():
            found.append(model(**given).logits[0, -1].softmax(0)[yes].sum())
    torch.testing.assert_close(
        scores(verifier, texts, images), torch.stack(found), atol=1e-6, rtol=1e-4
    )


def test_the_last_layer_of_a_chat_model_sees_one_place_of_a_row(chat_folder: Path) -> None:
    """However long the questions of its companions are: one shape, and so the same bits."""
    verifier = VqaScore(weights=str(chat_folder)).open()
    network: Any = verifier.networks[0]
    shapes: list[tuple[int, ...]] = []
    handle = network.lm_head.register_forward_hook(lambda *of: shapes.append(tuple(of[2].shape)))
    scores(verifier, PROMPTS, noise(4))
    scores(verifier, PROMPTS[:1] * 4, noise(4))
    handle.remove()
    assert {shape[:2] for shape in shapes} == {(4, 1)}
    assert not network.lm_head._forward_pre_hooks, "a model is left as it was"


def test_a_question_is_made_of_tokens_once(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in folders.values():
        verifier = VqaScore(weights=str(folder)).open()
        images = noise(4)
        scores(verifier, PROMPTS, images)
        answerer: Any = verifier.answerer
        tokenizer = getattr(answerer, "tokenizer", None) or answerer.processor.tokenizer
        monkeypatch.setattr(type(tokenizer), "__call__", None)
        scores(verifier, PROMPTS, images.flip(0))
        with pytest.raises(TypeError):
            scores(verifier, ("a new one", *PROMPTS[1:]), images)
        monkeypatch.undo()


def test_questions_share_what_was_seen(blip_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = VqaScore(weights=str(blip_folder)).open()
    two = VqaScore(weights=str(blip_folder), question="is it {}?", part="is-it").open()
    looks: list[int] = []
    monkeypatch.setattr(
        blip_vqa.BlipVqaNetwork, "seen",
        lambda self, x: looks.append(len(x)) or self.vision_model(x).last_hidden_state,
    )  # fmt: skip
    views = Views(noise(4), [Condition(text=text) for text in PROMPTS])
    with torch.inference_mode():
        assert not torch.equal(one(views)["vqascore"], two(views)["is-it"])
    assert looks == [4]


def test_a_search_by_it_goes_on_from_its_folder(blip_folder: Path, tmp_path: Path) -> None:
    """Its question, commas and all, is in the spec; gradients follow scores."""
    verifier = VqaScore(weights=str(blip_folder), question='Is it "{}", yes or no?')
    made = ns.search(
        "a red circle", model="shapes-small", verifier=verifier, algorithm="first-order",
        budget=24, seed=2, steps=2, guidance=1, out=tmp_path / "run",
    )  # fmt: skip
    assert 0 < made.baseline.score < made.winner.score < 1
    (again,) = ns.resume(tmp_path / "run")
    assert again.winner.trajectory == made.winner.trajectory
    spec = json.loads((tmp_path / "run" / "spec.json").read_text())
    (name,) = spec["verifiers"]
    assert written(name) == (
        "vqascore", {"weights": str(blip_folder), "question": 'Is it "{}", yes or no?'},
    )  # fmt: skip


def test_a_gradient_reaches_the_picture(blip_folder: Path, chat_folder: Path) -> None:
    verifier = VqaScore(weights=str(blip_folder)).open()
    image = noise(2).requires_grad_()
    verifier(Views(image, [Condition(text=t) for t in PROMPTS[:2]]))["vqascore"].sum().backward()
    assert image.grad is not None and image.grad.isfinite().all()
    assert (image.grad.abs().sum((1, 2, 3)) > 0).all()
    assert verifier.differentiable
    assert not VqaScore(weights=str(chat_folder)).open().differentiable


@pytest.mark.parametrize("kind", ["blip", "chat"])
def test_a_short_format_changes_little(kind: str, folders: dict[str, Path]) -> None:
    given, images = str(folders[kind]), noise(4)
    full = scores(VqaScore(weights=given, against="no").open(), PROMPTS, images)
    short = scores(VqaScore(weights=given, against="no", dtype="bfloat16").open(), PROMPTS, images)
    assert short.dtype == torch.float32 and not torch.equal(short, full)
    torch.testing.assert_close(short, full, atol=0.05, rtol=0)


def test_rows_of_one_length_are_asked_together() -> None:
    asked = []

    def ask(rows: list[int], length: int) -> Tensor:
        asked.append((rows, length))
        return torch.tensor(rows) * 10

    assert by_length([5, 40, 32, 33], ask).tolist() == [0, 10, 20, 30]
    assert asked == [([0, 2, 0, 0], 32), ([1, 3, 1, 1], 64)]


def test_what_cannot_be_asked_is_said(
    blip_folder: Path, chat_folder: Path, tmp_path: Path
) -> None:
    def refused(said: str, **given: Any) -> None:
        with pytest.raises(ConfigError, match=said):
            VqaScore(**given).open()

    with pytest.raises(ValueError, match="question is empty; write one"):
        VqaScore(question=" ")
    with pytest.raises(ValueError, match=r"part 'a b' must be a word"):
        VqaScore(part="a b")
    other = make_imagereward(tmp_path / "other")
    refused("lacks .*text_decoder.bert", weights=str(other / "ImageReward.pt"))
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "model.safetensors").write_bytes((blip_folder / "model.safetensors").read_bytes())
    refused("no vocab.txt; put vocab.txt", weights=str(bare), tokenizer=str(bare))
    (bare / "vocab.txt").write_text("word\n" * 500)
    refused("lists 500 tokens", weights=str(bare))
    mute = make_vqascore_chat(tmp_path / "mute")
    (mute / "chat_template.jinja").unlink()
    refused("has no chat template", weights=str(mute))
    for file in chat_folder.iterdir():
        (mute / file.name).write_bytes(file.read_bytes())
    state = load_file(mute / "model.safetensors")
    save_file({n: v for n, v in state.items() if "lm_head" not in n}, mute / "model.safetensors",
              {"format": "pt"})  # fmt: skip
    refused("lacks 1 weights .lm_head", weights=str(mute))
    config = json.loads((mute / "config.json").read_text())
    (mute / "config.json").write_text(json.dumps({**config, "model_type": "nobody"}))
    refused("cannot be opened by transformers", weights=str(mute))


def test_a_model_that_needs_another_package_is_said(
    chat_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*_: object, **__: object) -> None:
        raise ImportError(
            "\nItsVideoProcessor requires the Torchvision library. See the page\nof it."
        )

    monkeypatch.setattr("transformers.AutoProcessor.from_pretrained", lacking)
    with pytest.raises(ConfigError, match=r"Torchvision library\); install it, or give a model"):
        VqaScore(weights=str(chat_folder)).open()


def test_a_model_without_a_known_last_layer_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_vqascore_chat(tmp_path, "idefics3")
    kind = "transformers.Idefics3ForConditionalGeneration.get_output_embeddings"
    monkeypatch.setattr(kind, lambda self: None)
    monkeypatch.setattr("noisesearch.verifiers.weights._LOADED", {})
    with pytest.raises(ConfigError, match=r"Idefics3.* does not say which of its layers"):
        VqaScore(weights=str(folder)).open()


def test_a_vocabulary_without_an_answer_is_said(
    chat_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_vqa, "MARKS", "no")
    with pytest.raises(ConfigError, match="no token for the answer 'no'"):
        VqaScore(weights=str(chat_folder)).open()


def test_without_transformers_it_is_said_how_to_install_it(
    blip_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"no module named {name}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigError, match="pip install 'noisesearch"):
        VqaScore(weights=str(blip_folder)).open()
