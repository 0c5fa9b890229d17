"""What reads text, numbers and files from outside: a value or a refusal, never anything else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hostile import DEEP, TEXTS, Change, Damage, changes, damages, fuzz
from hypothesis import strategies as st
from safetensors.numpy import save

from noisesearch.candidates.budget import Budget
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import gaussian
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.cli.application import parameters_of
from noisesearch.driver.stopping import Target
from noisesearch.errors import NoisesearchError
from noisesearch.evaluation import prompt_parser as reading
from noisesearch.experiments import spec as experiments
from noisesearch.files import pictures
from noisesearch.files import tensors as tensor_files
from noisesearch.files.json_text import parsed
from noisesearch.models.drafts import lora
from noisesearch.names import drafts, forms
from noisesearch.objectives import sets_text
from noisesearch.objectives import text as objective_text
from noisesearch.setup.start import _read
from noisesearch.store.picture_recipe import Pictured, fields_of
from noisesearch.store.spec import RunSpec

EXAMPLES = [60, pytest.param(3000, marks=pytest.mark.slow)]
MARKS = '()=,:"\\+*<>[]{}0123456789eE.-abnfx '
texts = st.one_of(
    st.sampled_from(TEXTS), st.text(max_size=40), st.text(alphabet=MARKS, max_size=40)
)


def refused_or_read(read: Callable[[], object]) -> None:
    """One sentence of ours, or a value."""
    try:
        read()
    except NoisesearchError as error:
        assert str(error).strip()


READERS: Mapping[str, Callable[[str], object]] = {
    "budget": Budget.parse,
    "verifier": forms.written,
    "list of verifiers": forms.separated,
    "objective": lambda text: objective_text.parse(text, {"a": 1.0, "b": 2.0}),
    "objective of sets": sets_text.parse,
    "draft": drafts.parse,
    "target": lambda text: Target.parse(text, ("a", "b")),
    "parameter": lambda text: parameters_of([text], "set", "cosine=0.95"),
}


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("name", READERS)
def test_texts(name: str, examples: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fuzz(lambda text: refused_or_read(lambda: READERS[name](text)), examples, text=texts)
    assert list(tmp_path.iterdir()) == []


FORMS: Mapping[str, tuple[str, bytes]] = {
    "one a line": ("prompts.txt", "a red circle\n# no\nzwei Kreise ◯\n".encode()),
    "drawbench": ("prompts.csv", b"Prompts,Category\na red circle,Colors\n"),
    "drawbench of objects": ("prompts.jsonl", b'{"Prompts": "a", "Category": "b"}\n'),
    "drawbench of a list": ("prompts.json", b'[{"Prompts": "a", "Category": ["b"]}]'),
    "vbench": ("VBench_full_info.json", b'[{"prompt_en": "a", "dimension": ["color"]}]'),
    "compbench": ("color_val.txt", b"a red circle\n"),
}


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("form", FORMS)
def test_prompts(form: str, examples: int, tmp_path: Path) -> None:
    name, whole = FORMS[form]
    file = tmp_path / name
    given = str(file) if form == "one a line" else f"{form.split()[0]}:{file}"

    def check(damage: Damage, change: Change) -> None:
        file.write_bytes(damage.done(whole))
        refused_or_read(lambda: reading.read(given))
        if name.endswith("json"):
            file.write_text(json.dumps(change.made(json.loads(whole))))
            refused_or_read(lambda: reading.read(given))

    fuzz(check, examples, damage=damages, change=changes)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_experiments(examples: int, tmp_path: Path) -> None:
    file = tmp_path / "experiment.toml"
    whole = b'summary = "s"\nprompts = 2\n[[arms]]\nname = "a"\ncandidates = [1, 4]\n'
    content = {
        "summary": "s", "prompts": {"a": 2, "b": ["x"]}, "seeds": 2, "assets": {"one": "x"},
        "defaults": {"steps": 2}, "arms": [{"name": "a {candidates}", "candidates": [1, 4],
                                            "parameters": {"cosine": [0.9]}}],
        "measure": {"columns": ["clipscore"], "by_group": {"c": {"a": "x"}}, "real": "$one"},
        "plot": {"y": ["clipscore"]},
        "claims": [{"says": "x", "column": "c", "contrast": {"a 1": 1.0}, "more_than": 0}],
    }  # fmt: skip

    def check(damage: Damage, change: Change) -> None:
        from noisesearch.experiments.arms import settings

        file.write_bytes(damage.done(whole))
        refused_or_read(lambda: experiments.experiment(experiments.read(file)))
        made = change.made(content)
        if isinstance(made, dict):  # as all that TOML can be
            refused_or_read(lambda: settings(experiments.experiment(made)))

    fuzz(check, examples, damage=damages, change=changes)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_recipes_of_pictures(examples: int, tmp_path: Path) -> None:
    """The text fields of a PNG, changed with and without regard to its form."""
    spec = RunSpec.model_validate({
        "model": "shapes", "conditions": [{"text": "x"}], "verifiers": [], "algorithm": "random",
        "budget": "2candidates", "seed": 0, "steps": 2, "final_steps": 2, "guidance": 1.0,
        "solver": "euler", "rows": 4, "dtype": "float32", "device": "cpu", "threads": 1,
    })  # fmt: skip
    trajectory = Trajectory.begin(Condition("x"), gaussian(1), 2).denoise()
    fields = fields_of(trajectory, spec)
    picture = np.zeros((4, 4, 3), np.uint8)
    whole = pictures.png(picture, **fields)
    file = tmp_path / "x.png"

    def check(damage: Damage, change: Change, frames: str) -> None:
        file.write_bytes(damage.done(whole))
        refused_or_read(lambda: Pictured.read(file).about())
        recipe = json.dumps(change.made(json.loads(fields["recipe"])))
        file.write_bytes(pictures.png(picture, **{**fields, "recipe": recipe}))
        refused_or_read(lambda: (Pictured.read(file).about(), Pictured.read(file).json()))
        file.write_bytes(pictures.png(picture, frames=frames.replace("\x00", "")))
        refused_or_read(lambda: pictures.read(file))

    frames = st.sampled_from([t for t in TEXTS if t.isascii()])
    fuzz(check, examples, damage=damages, change=changes, frames=frames)


ARRAY = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_safetensors(examples: int, tmp_path: Path) -> None:
    whole = save({"latents": ARRAY}, {"format": "pt"})
    length = int.from_bytes(whole[:8], "little")
    head = json.loads(whole[8 : 8 + length])
    file = tmp_path / "x.safetensors"

    def read() -> None:
        refused_or_read(lambda: tensor_files.tensors(file, "give another"))
        refused_or_read(lambda: _read(file))
        refused_or_read(lambda: lora.read(file))

    def check(damage: Damage, change: Change) -> None:
        file.write_bytes(damage.done(whole))
        read()
        text = json.dumps(change.made(head)).encode()
        file.write_bytes(len(text).to_bytes(8, "little") + text + whole[8 + length :])
        read()

    fuzz(check, examples, damage=damages, change=changes)


@pytest.mark.filterwarnings("ignore:Reading `.npy`")  # of a head as Python 2 wrote it
@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_arrays(ending: str, examples: int, tmp_path: Path) -> None:
    file = tmp_path / f"x{ending}"
    if ending == ".npy":
        np.save(file, ARRAY)
    else:
        np.savez(file, mu=ARRAY[0], sigma=ARRAY)
    whole = file.read_bytes()

    def check(damage: Damage) -> None:
        file.write_bytes(damage.done(whole))
        refused_or_read(lambda: _read(file))
        refused_or_read(lambda: sets_text.stored(file))

    fuzz(check, examples, damage=damages)


def test_deep_json() -> None:
    """Python's own reader raises no ValueError there."""
    for text in ("[" * DEEP, '{"a":' * DEEP, "[" * DEEP + "]" * DEEP):
        with pytest.raises(ValueError):
            parsed(text)
