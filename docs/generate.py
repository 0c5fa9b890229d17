"""Write the pages that follow from the code: python docs/generate.py"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from noisesearch.cli.tables import listed, summary
from noisesearch.evaluation.metrics import GROUPS
from noisesearch.experiments import reproduction
from noisesearch.names import registry

FOLDER = Path(__file__).parent
WRITTEN = "Written by `docs/generate.py` from the code; change it there."
ALGORITHMS = f"""# Algorithms

{WRITTEN} C is the NFE of one candidate: the
search's steps times the NFE of a solver step. Parameters are given as `--set name=value` on the
command line and as keyword arguments in Python.

"""
NAMES = f"""# Models, verifiers, solvers, metrics, objectives

{WRITTEN} `noisesearch list` prints the same.

"""
OTHERS = """Folders, hub ids and objects of [diffusers](diffusers.md), [any pipeline](black-box.md)
and checkpoints of [SiT](sit.md) are models too."""
COMMANDS = f"""# Commands

{WRITTEN} Results go to stdout, everything
else to stderr. Exit status: 0 done, 1 the run failed, 2 the request was wrong, 130 interrupted
with a result saved.
"""
PARTS = ("clipscore", "aesthetic", "imagereward")
ROLES = ("shapes", "fashion")  # the worlds whose networks play published verifiers


def algorithms() -> str:
    """The page on all algorithms of the package."""
    found = {name: registry.load("algorithm", name) for name in registry.TABLES["algorithm"]}
    rows = [(f"`{name}`", f"`{kind.__name__}`", summary(kind), kind.needs, kind.price)
            for name, kind in found.items()]  # fmt: skip
    page = ALGORITHMS
    page += table(("name", "in Python", "what it does", "needs", "price in NFE"), rows)
    for name, kind in found.items():
        page += f"\n## {name}\n\n{inspect.getdoc(kind)}\n\n"
        fields = [(f"`{parameter}`", f"`{field.default}`", field.description)
                  for parameter, field in kind.model_fields.items()]  # fmt: skip
        page += table(("parameter", "default", "what it is"), fields)
    return page


def names() -> str:
    """The page on everything that is chosen by name and is no algorithm."""
    models = [(f"`{m['name']}`", m["summary"], m["size"], m["steps"], m["solver"], m["guidance"])
              for m in listed("models", "shapes")
              if m["name"] in registry.TABLES["model"]]  # fmt: skip
    page = NAMES + "## Models\n\n"
    page += table(("name", "what it is", "size", "steps", "solver", "guidance"), models)
    page += f"\n{OTHERS}\n\n## Verifiers\n\n"
    own = sorted(registry.TABLES["verifier"])
    loaded = [(f"`{n}`", summary(registry.load("verifier", n))) for n in own]
    page += table(("name", "what it says"), loaded)
    for world in ROLES:
        roles = registry.load("model", world)().verifiers
        page += f"\n## Verifiers on the world *{world}*\n\nThere these names are small networks"
        page += " that ship inside.\n\n"
        page += table(("name", "what it says"),
                      [(f"`{n}`", summary(registry.load("verifier", n, roles)))
                       for n in sorted(roles)])  # fmt: skip
    for kind in ("solver", "metric", "objective"):
        own = [*registry.TABLES[kind], *(GROUPS if kind == "metric" else ())]
        rows = [(f"`{of['name']}`", of["summary"]) for of in listed(f"{kind}s", "shapes")
                if of["name"] in own]  # fmt: skip
        page += f"\n## {kind.capitalize()}s\n\n"
        page += table(("name", "what it is"), rows)
    return page


def commands() -> str:
    """The page on all commands and their options, as their help has them."""
    import typer.main

    from noisesearch.cli import app

    page = COMMANDS
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
        usage = " ".join([name, *(str(a.metavar or (a.name or "").upper()) for a in arguments)])
        page += f"\n## {name}\n\n```text\nnoisesearch {usage} [OPTIONS]\n```\n\n"
        page += f"{' '.join((command.help or '').split())}\n\n"
        said = [(f"`{', '.join(o.opts)}`", default(o), o.help or "") for o in options]
        page += table(("option", "default", "what it is"), said)
    return page


def choosing() -> str:
    """The page on what to choose, with its tables as measured."""
    tables = {"verifiers": judged, "budgets": doubled, "algorithms": sided}
    stages = {"efficiency": "efficiency-stage2-ensemble",
              "efficiency by preference": "efficiency-stage2-imagereward",
              "efficiency of all by preference": "efficiency-stage1-imagereward",
              "efficiency of all": "efficiency-stage1-ensemble",
              "efficiency of ingredients": "efficiency-ablation-ensemble"}  # fmt: skip
    tables |= {mark: partial(reached, name) for mark, name in stages.items()}
    return with_tables("choosing", tables)


def scale() -> str:
    """The page on large jobs, with what the engine's benchmark measured."""
    return with_tables("scale", {"where time goes": spent, "slots": held})


def experiments() -> str:
    """The page on experiments, with the table of the paper's."""
    return with_tables("experiments", {"experiments": papers})


def with_tables(name: str, tables: dict[str, Callable[[], str]]) -> str:
    """A page by hand whose tables stand between marks."""
    page = (FOLDER / f"{name}.md").read_text("utf-8")
    for mark, made in tables.items():
        begin, end = f"<!-- {mark}, by docs/generate.py -->\n", f"<!-- end of {mark} -->\n"
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n{made()}\n{end}{rest.partition(end)[2]}"
    return page


def papers() -> str:
    """The paper's experiments, as their specs have them."""
    rows = []
    for name in reproduction.ids():
        of = reproduction.at_scale(reproduction.tables(name), "embedded")
        rows.append((f"`{name}`", of["question"], of["summary"], f"{of['minutes']:g}"))
    return table(("id", "question", "what is run", "minutes"), rows)


def judged() -> str:
    """What each verifier's favourite of the same candidates is worth."""
    found = measured("quality-300")
    rows = []
    for name, arm in found["arms"].items():
        delta = found["deltas"].get(name)
        gain = "" if delta is None else interval(delta)
        numbers = (f"{arm[part]:.2f}" for part in PARTS)
        rows.append((name, f"{arm['checker']:.1f} %", gain, *numbers))
    return table(("search", "wholly right", "over no search, points", *PARTS), rows)


def doubled() -> str:
    """What each doubling of the budget is worth."""
    found = measured("budget")
    rows = []
    for random, zero in zip(found["random"], found["zero-order"], strict=True):
        if count := random["candidates"]:
            half, over = random.get("over_half"), zero["over_random"]["score"]
            rows.append((count, int(count * found["nfe_per_candidate"]),
                         f"{random['checker']:.0f} %", f"{random['score']:.2f}",
                         "" if half is None else interval(half["score"], "+.2f"),
                         f"{zero['checker']:.0f} %", f"{zero['score']:.2f}",
                         interval(over, "+.2f") if count > 1 else ""))  # fmt: skip
    return table(("candidates", "NFE", "random: wholly right", "score", "over half as many",
                  "zero-order: wholly right", "score", "over random"), rows)  # fmt: skip


def sided() -> str:
    """What each algorithm makes of the same budget."""
    found = measured("algorithms")
    rows = []
    for arm in found["arms"]:
        rival = arm.get("over_random")
        over = ("", "") if rival is None else (
            interval(rival["score"], "+.2f"), interval(in_points(rival["right"]))
        )  # fmt: skip
        means = arm["means"]
        rows.append((arm["algorithm"], f"{arm['nfe']:.0f}", f"{100 * means['right']:.0f} %",
                     f"{means['score']:.2f}", *over,
                     *(f"{means[part]:.2f}" for part in PARTS)))  # fmt: skip
    return table(("algorithm", "NFE", "wholly right", "score", "score over random",
                  "right over random, points", *PARTS), rows)  # fmt: skip


def reached(name: str) -> str:
    """What algorithms are worth by budgets, the best of each in bold, and what they need for the
    target."""
    found = measured(name)
    points = {(row["line"], row["candidates"]): row for row in found["points"]}
    budgets = sorted({candidates for _, candidates in points})
    rows = []
    for line, reach in found["reach"].items():
        cells = []
        for budget in budgets:
            value = f"{points[line, budget]['value']['value']:.2f}" if (
                (line, budget) in points
            ) else ""  # fmt: skip
            best = found["best_by_budget"][f"{budget:g}"] == line
            cells.append(f"**{value}**" if best else value)
        right = reach["checker_delta"]
        rows.append((line, *cells, *(share(reach["ratios"][unit]) for unit in ("nfe", "seconds")),
                     "" if right is None else
                     f"{100 * right['value']:+.1f} [{100 * right['low']:+.1f}, "
                     f"{100 * right['high']:+.1f}]"))  # fmt: skip
    heads = [f"{budget:g}" for budget in budgets]
    return table(("algorithm", *heads, "NFE to reach it", "seconds", "right there, points"), rows)


def spent() -> str:
    """Where the time of a search goes, an answer, by the kind of search."""
    found = measured("engine")["where"]
    parts = dict.fromkeys(part for of in found.values() for part in of["parts"])
    rows = []
    for part in parts:
        cells = [of["parts"].get(part, {"ms_per_answer": 0.0, "share": 0.0})
                 for of in found.values()]  # fmt: skip
        rows.append((part, *(f"{c['ms_per_answer']:.2f} ms, {c['share']:.1%}" for c in cells)))
    rows.append(("all", *(f"{of['ms_per_answer']:.2f} ms" for of in found.values())))
    return table(("part", *found), rows)


def held() -> str:
    """The share of slots that held work, by algorithm and live searches."""
    found = {name: of for name, of in measured("engine")["occupancy"].items()
             if isinstance(of, dict)}  # fmt: skip
    live = [*next(iter(found.values()))]
    rows = [(f"`{name}`", *(f"{of[count]:.2f}" for count in live)) for name, of in found.items()]
    return table(("algorithm", *(f"{count} live" for count in live)), rows)


def share(of: Mapping[str, float | None]) -> str:
    """A ratio with its interval, open where most resamples have none."""
    if of["value"] is None:
        return "not reached"
    high = "" if of["high"] is None else f"{of['high']:.2f}"
    return f"{of['value']:.2f} [{of['low']:.2f}, {high}]"


def in_points(shares: dict[str, float]) -> dict[str, float]:
    return {name: 100 * share for name, share in shares.items()}


def measured(name: str) -> dict[str, Any]:
    """A file of benchmarks/results."""
    file = FOLDER.parent / "benchmarks" / "results" / f"{name}.json"
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def interval(of: dict[str, float], form: str = "+.1f") -> str:
    return f"{of['delta']:{form}} [{of['low']:{form}}, {of['high']:{form}}]"


def default(option: Any) -> str:
    """Of flags and of what a model decides there is none to write."""
    value = option.default
    return "" if value is None or value is False or callable(value) or value in ("", []) else (
        f"`{value}`"
    )  # fmt: skip


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """In Markdown; a bar inside a cell does not end it."""
    lines = [head, ["---"] * len(head), *rows]
    cells = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


PAGES: dict[str, Callable[[], str]] = {
    "algorithms.md": algorithms,
    "choosing.md": choosing,
    "experiments.md": experiments,
    "scale.md": scale,
    "names.md": names,
    "commands.md": commands,
}

if __name__ == "__main__":
    for page, written in PAGES.items():
        (FOLDER / page).write_text(written(), encoding="utf-8")
        print(f"wrote {page}")
