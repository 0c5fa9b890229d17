"""Folders of pictures with what people keep beside them, and what else a run is told to read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile import (
    DEEP,
    SEEING,
    TEXTS,
    WORLD,
    Change,
    Damage,
    changes,
    command,
    damages,
    fuzz,
    tree,
)
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from noisesearch.errors import ConfigError
from noisesearch.evaluation.compbench.combined_rule import Branches
from noisesearch.evaluation.compbench.numeracy import Nouns, counts, tokens
from noisesearch.evaluation.compbench.repaired_rules import counts as repaired_counts
from noisesearch.evaluation.compbench.spatial import locality

EXAMPLES = [15, pytest.param(500, marks=pytest.mark.slow)]
RUNS = [4, pytest.param(80, marks=pytest.mark.slow)]
ROWS = [{"file_name": "a.png", "prompt": "a red circle"}, {"file_name": "sub/b.png", "text": "b"}]
TABLE = 'file_name,prompt\na.png,"a red circle"\nsub/b.png,b\n'


@pytest.fixture
def evaluated(tmp_path: Path) -> Callable[[str, bytes], None]:
    """Measures two pictures beside a file of this name, and sees that nothing else changes."""
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.png", "sub/b.png"):
        Image.new("RGB", (8, 8), "red").save(folder / name)
    (tmp_path / "seeing.py").write_text(SEEING)
    metrics = f"diversity,{tmp_path / 'seeing.py'}:LIGHT"

    def run(name: str, data: bytes) -> None:
        (folder / name).write_bytes(data)
        before = tree(tmp_path, but=tmp_path / "seeing.py")
        command("evaluate", folder, "--metrics", metrics, "--json")
        assert tree(tmp_path, but=tmp_path / "seeing.py") == before

    return run


@pytest.mark.parametrize("examples", EXAMPLES)
def test_prompts_beside_pictures(evaluated: Callable[[str, bytes], None], examples: int) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)

    def check(number: int, change: Change, damage: Damage) -> None:
        row = change.made(ROWS[number])
        both = [json.dumps(each) for each in (row, ROWS[1 - number])]
        evaluated("metadata.jsonl", "\n".join(both).encode())
        evaluated("metadata.jsonl", damage.done(lines.encode()))

    fuzz(check, examples, number=st.integers(0, 1), change=changes, damage=damages)
    evaluated("metadata.jsonl", b"[" * DEEP)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_tables_beside_pictures(evaluated: Callable[[str, bytes], None], examples: int) -> None:
    def check(damage: Damage, cells: list[str]) -> None:
        evaluated("metadata.csv", damage.done(TABLE.encode()))
        row = ",".join(f'"{cell}"' for cell in cells)
        evaluated("metadata.csv", f"file_name,prompt\n{row}\n".encode("utf-8", "surrogatepass"))

    cells = st.lists(st.one_of(st.sampled_from(TEXTS), st.text(max_size=9)), max_size=4)
    fuzz(check, examples, damage=damages, cells=cells)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_text_in_pictures(
    evaluated: Callable[[str, bytes], None], tmp_path: Path, examples: int
) -> None:
    """What other programs, or nobody, wrote into a picture's text fields."""
    recipe = {"nodes": [{"condition": {"text": "a red circle"}}]}

    def check(field: str, text: str, change: Change, damage: Damage) -> None:
        for written in (text, json.dumps(change.made(recipe))):
            info = PngInfo()
            info.add_text(field, written.encode("utf-8", "replace").decode().replace("\0", ""))
            Image.new("RGB", (8, 8), "blue").save(tmp_path / "made.png", pnginfo=info)
            data = (tmp_path / "made.png").read_bytes()
            (tmp_path / "made.png").unlink()
            evaluated("a.png", data)
            evaluated("a.png", damage.done(data))

    fields = st.sampled_from(["noisesearch:recipe", "prompt", "parameters", "Title"])
    texts = st.one_of(st.sampled_from(TEXTS), st.text(max_size=30))
    fuzz(check, examples, field=fields, text=texts, change=changes, damage=damages)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_prompts_and_lists_of_t2i_compbench(tmp_path: Path, examples: int) -> None:
    """Its lists are read or refused in a sentence, and any prompt is counted through."""
    lists = tmp_path / "new_objects.txt"

    def check(damage: Damage, words: list[str]) -> None:
        lists.write_bytes(damage.done(b"knife - knives\nballoon - balloons\nhot dog - hot dogs\n"))
        for of in ("spatial", "action"):
            (tmp_path / f"complex_val_{of}.txt").write_bytes(damage.done(b"a cat. on a mat\nb\n"))
        prompt = " ".join(words)
        try:
            nouns, branches = Nouns.read(lists), Branches.read(tmp_path)
        except ConfigError as error:
            assert "\n" not in str(error)
            return
        assert branches.of(prompt)
        locality(prompt)
        for counted in (counts, repaired_counts):
            assert all(number > 0 for _, number in counted(tokens(prompt), nouns))

    known = st.sampled_from(["two", "a", "eight", "knives", "hot", "dog", "hot dogs", "left of"])
    words = st.lists(st.one_of(known, st.sampled_from(TEXTS), st.text(max_size=9)), max_size=6)
    fuzz(check, 10 * examples, damage=damages, words=words)


@pytest.mark.parametrize("examples", RUNS)
def test_runs_that_screening_is_fitted_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples: int
) -> None:
    """``--set run=``: a run folder of which one file says something else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seeing.py").write_text(SEEING)
    common = ("generate", "a", "--model", WORLD, "--verifier", tmp_path / "seeing.py:LIGHT",
              "--steps", "2")  # fmt: skip
    fitted, out = tmp_path / "fitted", tmp_path / "out"
    made = command(*common, "--algorithm", "random", "--budget", "12candidates",
                   "--out", tmp_path / "whole")  # fmt: skip
    assert made.status == 0, made
    named = sorted(
        str(path.relative_to(tmp_path / "whole"))
        for path in (tmp_path / "whole").rglob("*")
        if path.suffix in (".json", ".jsonl")
    )
    told = (*common, "--algorithm", "screening", "--budget", "4candidates", "--out", out,
            "--set", "pool=8", "--set", f"run={fitted}")  # fmt: skip

    def check(number: int, change: Change, damage: Damage) -> None:
        name = named[number % len(named)]
        data = (tmp_path / "whole" / name).read_bytes()
        changed = [damage.done(data)]
        if name.endswith(".json"):
            changed.append(json.dumps(change.made(json.loads(data))).encode())
        for content in changed:
            for folder in (fitted, out):
                shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(tmp_path / "whole", fitted)
            (fitted / name).write_bytes(content)
            before = tree(tmp_path, but=out)
            command(*told)
            assert tree(tmp_path, but=out) == before

    fuzz(check, examples, number=st.integers(0, 100), change=changes, damage=damages)
