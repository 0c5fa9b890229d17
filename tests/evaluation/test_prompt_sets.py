"""Prompts of benchmarks, read from files as they are about, and what is said of others."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from noisesearch.cli.application import prompts_of, texts_of
from noisesearch.errors import ConfigError
from noisesearch.evaluation.compbench.prompts import LINES
from noisesearch.evaluation.prompt_parser import read
from noisesearch.evaluation.prompts import vbench
from noisesearch.evaluation.prompts.prompt_set import Prompt

ROWS = [("A red car.", "Colors"), ('A sign that says "Hello, World".', "Text"),
        ("A blue dog.", "Colors")]  # fmt: skip
VBENCH: list[dict[str, Any]] = [
    {"prompt_en": "a bicycle on the left of a car, front view",
     "dimension": ["spatial_relationship"], "auxiliary_info": {"spatial_relationship": {
         "spatial_relationship": {"object_a": "bicycle", "object_b": "car",
                                  "relationship": "on the left of"}}}},
    {"prompt_en": "a bird and a cat", "dimension": ["multiple_objects"],
     "auxiliary_info": {"multiple_objects": {"object": "bird and cat"}}},
    {"prompt_en": "a red bicycle", "dimension": ["color"],
     "auxiliary_info": {"color": {"color": "red"}}},
    {"prompt_en": "a person", "dimension": ["object_class"],
     "auxiliary_info": {"object_class": {"object": "person"}}},
    {"prompt_en": "alley", "dimension": ["scene", "background_consistency"],
     "auxiliary_info": {"scene": {"scene": {"scene": "alley"}}}},
    {"prompt_en": "a boat, Van Gogh style", "dimension": ["appearance_style"],
     "auxiliary_info": {"appearance_style": {"appearance_style": "Van Gogh style"}}},
    {"prompt_en": "A person is riding a bike", "dimension": ["human_action"]},
]  # fmt: skip


def table(path: Path, header: tuple[str, str] = ("Prompts", "Category")) -> Path:
    """The rows as a file of its ending."""
    mark = "\t" if path.suffix == ".tsv" else ","
    dressed = [('"' + text.replace('"', '""') + '"', category) for text, category in ROWS]
    objects = [dict(zip(header, row, strict=True)) for row in ROWS]
    text = {
        ".json": json.dumps(objects),
        ".jsonl": "\n".join(map(json.dumps, objects)) + "\n",
    }.get(path.suffix, "\r\n".join(mark.join(row) for row in [header, *dressed]))
    path.write_text(text, encoding="utf-8-sig")
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv", "json", "jsonl"])
def test_drawbench(ending: str, tmp_path: Path) -> None:
    got = read(f"drawbench:{table(tmp_path / f'drawbench.{ending}', ('prompt', 'CATEGORY'))}")
    assert [(p.text, *p.categories) for p in got.prompts] == ROWS
    assert got.categories == ["Colors", "Text"]


def test_a_prompt_over_two_lines(tmp_path: Path) -> None:
    (tmp_path / "drawbench.csv").write_text('Prompts,Category\n"A cat\nand a dog.",Counting\n')
    assert read(f"drawbench:{tmp_path}/drawbench.csv").texts == ["A cat and a dog."]


def test_one_category(tmp_path: Path) -> None:
    path = table(tmp_path / "drawbench.csv")
    got = read(f"drawbench:{tmp_path}#colors")
    assert got.texts == ["A red car.", "A blue dog."]
    assert got.name == f"drawbench:{tmp_path}#Colors"
    with pytest.raises(ConfigError, match="did you mean 'Colors'"):
        read(f"drawbench:{path}#color")


def test_vbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a file, and from the package, which is not imported."""
    package = tmp_path / "vbench"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    path = package / vbench.NAME
    path.write_text(json.dumps(VBENCH))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert read("vbench").prompts == read(f"vbench:{path}").prompts
    truths = [dict(prompt.truth) for prompt in read("vbench").prompts]
    assert truths == [
        {"objects": ("bicycle", "car"), "relation": "on the left of"},
        {"objects": ("bird", "cat")},
        {"color": "red"},
        {"objects": ("person",)},
        {"scene": "alley"},
        {},
        {},
    ]
    [alley] = read("vbench#background_consistency").prompts
    assert alley == Prompt("alley", ("scene", "background_consistency"), {"scene": "alley"})
    assert "vbench" not in sys.modules


def compbench(folder: Path, **texts: Callable[[int], str]) -> Path:
    """Files of the published sizes; ``texts``: the prompt in each line of the named ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("color_val", "shape_val", "texture_val", "spatial_val", "numeracy_val",
                 "complex_val"):  # fmt: skip
        text = texts.get(name, lambda i, name=name: f"{name} {i}")  # type: ignore[misc]
        (folder / f"{name}.txt").write_text("\n".join(map(text, range(LINES[name]))))
    return folder


def test_compbench(tmp_path: Path) -> None:
    folder = compbench(
        tmp_path / "clone/examples/dataset",
        spatial_val=lambda i: f"a dog{i} on the left of an airplane" if i else "nowhere",
        numeracy_val=lambda i: f"two dogs, a teddy bear and {i} frogs",
    )
    (folder / "new_objects.txt").write_text("dog - dogs\nteddy bear - teddy bears")
    whole = read(f"compbench:{tmp_path / 'clone'}")
    assert whole.categories == ["color", "shape", "texture", "spatial", "numeracy", "complex"]
    assert len(whole.prompts) == 6 * 300
    spatial = read(f"compbench:{folder}/spatial_val")
    assert spatial.prompts == whole.only("spatial").prompts
    assert spatial.prompts[7].text == "a dog7 on the left of an airplane"
    truth = {"objects": ("dog7", "airplane"), "relation": "on the left of"}
    assert spatial.prompts[7].truth == truth and spatial.prompts[0].truth == {}
    counted = read(f"compbench:{folder}/numeracy_val.txt").prompts[0].truth
    assert counted == {"objects": ("dog", "teddy bear"), "counts": {"dog": 2, "teddy bear": 1}}
    assert read(f"compbench:{folder}/complex_val").prompts[0].truth == {}


def test_a_data_set_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def snapshot_download(name: str, **how: Any) -> str:
        asked.append((name, how["repo_type"], "*.csv" in how["allow_patterns"]))
        return str(tmp_path)

    fake = SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    table(tmp_path / "drawbench.csv")
    assert read("drawbench:someone/DrawBench").texts == [text for text, _ in ROWS]
    compbench(tmp_path / "examples/dataset")
    assert len(read("compbench:someone/T2I-CompBench/color_val").prompts) == 300
    assert asked == [
        ("someone/DrawBench", "dataset", True), ("someone/T2I-CompBench", "dataset", False),
    ]  # fmt: skip


def test_prompts_on_the_command_line(tmp_path: Path) -> None:
    path = table(tmp_path / "drawbench.csv")
    texts = [text for text, _ in ROWS]
    assert prompts_of(["a cat"], Path(f"drawbench:{path}"), True) == ["a cat", *texts, None]
    assert texts_of(f"drawbench:{path}#Text", "shapes") == texts[1:2]
    plain = tmp_path / "prompts.txt"
    plain.write_text("# not one\n a cat \n\na #dog\n")
    assert prompts_of([], plain, False) == ["a cat", "a #dog"]


@pytest.mark.parametrize(("given", "said"), [
    ("drawbench", "DrawBench are not part of this package; get the table"),
    ("drawbench:nothing.csv", "no prompts of DrawBench at nothing.csv; get the table .* --prom"),
    ("drawbench:{}/empty", "no prompts of DrawBench at .*empty; get"),
    ("drawbench:{}/columns.csv", r"has no column with prompts \(text_id, kind\); get"),
    ("drawbench:{}/header.csv", "holds no prompts; get"),
    ("drawbench:{}/gap.csv", "has no prompt in row 2; give a whole table"),
    ("drawbench:{}/words.json", "is no list of objects with a prompt in each"),
    ("drawbench:{}/broken.jsonl", "cannot be read as a table"),
    ("drawbench:{}/several", r"several files that .* \(a.csv, b.csv\); name one"),
    ("compbench:{}/spatial_val", "no prompts of T2I-CompBench at .*spatial_val.txt; clone https"),
    ("compbench:{}/color_val", "has 2 prompts and the published file 300"),
    ("compbench:{}/colour_val.txt", "did you mean 'color_val'"),
    ("compbench:{}/new_objects.txt", "unknown prompt file of T2I-CompBench"),
    ("compbench", "T2I-CompBench are not part of this package; clone"),
    ("vbench", "comes? with a package that is not installed here; install them .pip install"),
    ("vbench:{}/list.json", "is no VBench_full_info.json"),
    ("nothing.txt", "prompts file nothing.txt cannot be read"),
    ("{}/empty.txt", "has no prompt; write one a line"),
    ("{}/binary", "it is not text in utf-8"),
])  # fmt: skip
def test_what_is_missing_is_said(
    given: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for folder in ("empty", "several"):
        (tmp_path / folder).mkdir()
    for name, text in {
        "columns.csv": "text_id,kind\n1,2\n",
        "header.csv": "Prompts,Category\n",
        "gap.csv": "Prompts,Category\na,b\n,b\n",
        "broken.jsonl": "{\n",
        "words.json": '["a cat"]',
        "several/a.csv": "",
        "several/b.csv": "",
        "color_val.txt": "a red car\na blue car",
        "new_objects.txt": "dog - dogs",
        "list.json": "[1]",
        "empty.txt": "# nothing\n",
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(ConfigError, match=said):
        read(given.replace("{}", str(tmp_path)))
