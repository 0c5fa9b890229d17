"""docs/reproduction.md: what became of the paper's findings, written from experiment folders."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files.json_text import parsed
from ..files.writing import replace
from ..objectives.statistics import Interval
from . import reproduction
from .verdicts import TEST

HEAD = """# The paper's experiments, made again

Written by `noisesearch reproduce --page` from the folders of `noisesearch reproduce ID`; change
nothing here by hand. The experiments are those of
[arXiv 2501.09732](https://arxiv.org/abs/2501.09732), asked of the small worlds that ship inside:
*fashion* in place of ImageNet, *shapes* in place of DrawBench and T2I-CompBench. What holds there
need not hold for large models, and the other way round; `--scale paper` asks those.

{test}

| id | question | verdict |
| --- | --- | --- |
"""
PLOTS = "reproduction"  # the folder of plots, beside the page's pictures


def write(folder: Path, page: Path) -> int:
    """The page from all experiments that are done under a folder, and their plots beside it;
    returns how many are done."""
    plots = page.parent / "images" / PLOTS
    found = {name: _table(folder / name) for name in reproduction.ids()}
    text = HEAD.format(test=textwrap.fill(TEST, 99))
    abouts = {of["name"]: of for of in reproduction.listed()}
    for name, content in found.items():
        verdict = "not run yet" if content is None else f"*{content['verdict']}*"
        link = name if content is None else f"[{name}](#{name})"
        text += f"| {link} | {abouts[name]['question']} | {verdict} |\n"
    for name, content in found.items():
        if content is not None:
            pictures = _pictures(folder / name, plots, name)
            text += "\n" + _section(name, content, pictures, _why(name, content))
    page.parent.mkdir(parents=True, exist_ok=True)
    replace(page, text.encode())
    return sum(content is not None for content in found.values())


def _table(folder: Path) -> dict[str, Any] | None:
    path = folder / "table.json"
    if not path.is_file():
        return None
    content: dict[str, Any] = parsed(path.read_text())
    return content


def _pictures(folder: Path, plots: Path, name: str) -> Sequence[str]:
    """The experiment's plots, copied to where the page finds them."""
    made = []
    for kind in ("plot.svg", "pictures.png"):
        if (folder / kind).is_file():
            plots.mkdir(parents=True, exist_ok=True)
            target = plots / f"{name}{Path(kind).suffix}"
            shutil.copyfile(folder / kind, target)
            made.append(f"![{name}](images/{PLOTS}/{target.name})")
    return made


def _why(name: str, content: Mapping[str, Any]) -> str:
    """What the spec says may make it differ, where it does."""
    spec = reproduction.tables(name)
    said: str = reproduction.at_scale(spec, "embedded").get("why", "")
    return said if content["verdict"] == "does not hold" else ""


def _section(name: str, content: Mapping[str, Any], pictures: Sequence[str], why: str = "") -> str:
    lines = [
        f"## {name}", "",
        f"**Question.** {content['question']}", "",
        f"**The paper.** {content['finding']}", "",
        f"**Here.** {content['summary']}; {content['prompts']} conditions, images of each: "
        f"{content['seeds']}. The verdict: *{content['verdict']}*.", "",
    ]  # fmt: skip
    if content["remark"]:
        lines += [content["remark"], ""]
    if why:
        lines += [f"**What may make it differ.** {why}", ""]
    lines += ["| claim | figure [95 %] | bound | verdict |", "| --- | --- | --- | --- |"]
    lines += [_claim(claim) for claim in content["claims"]]
    for picture in pictures:
        lines += ["", picture]
    return "\n".join([*lines, "", *table(content["arms"], content["columns"])]) + "\n"


def _claim(claim: Mapping[str, Any]) -> str:
    found = claim["interval"]
    figure = claim["why"] if found is None else Interval(**found).text("+.4g")
    return f"| {claim['says']} | {figure} | {claim['bound']} | *{claim['verdict']}* |"


def table(arms: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    """Lines of a table of Markdown: an arm each, figures with their intervals."""
    lines = [f"| arm | NFE | {' | '.join(columns)} |", "| --- |" + " --- |" * (len(columns) + 1)]
    for arm in arms:
        cells = [cell(arm[column]) for column in columns]
        lines.append(f"| {arm['arm']} | {arm['nfe']:.0f} | {' | '.join(cells)} |")
    return lines


def cell(figure: Mapping[str, float | None]) -> str:
    """A figure with its interval, or a dash."""
    if figure["value"] is None:
        return "-"
    if figure["low"] is None or figure["high"] is None:
        return f"{figure['value']:.4g}"
    return f"{figure['value']:.4g} [{figure['low']:.4g}, {figure['high']:.4g}]"
