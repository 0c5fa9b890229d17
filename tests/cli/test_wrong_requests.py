"""A wrong request: one sentence, exit status 2, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Done, Tool, quick

RED = "a red circle"
# What is asked for, and words that the sentence must have.
WRONG: dict[str, tuple[list[object], tuple[str, ...]]] = {
    "model": ([*quick(RED), "--model", "shape"], ("unknown model 'shape'", "'shapes'")),
    "verifier": (
        quick(RED, verifier="ensembel"),
        ("unknown verifier 'ensembel'", "did you mean 'ensemble'", "checker"),
    ),
    "verifier file": (quick(RED, verifier="novid.py:x"), ("novid.py", "no such file")),
    "verifier in file": (
        quick(RED, verifier="vivid.py:vivd"),
        ("unknown name in vivid.py 'vivd'", "did you mean 'vivid'"),
    ),
    "verifier that does not parse": (quick(RED, verifier="broken.py:x"), ("broken.py", "syntax")),
    "no verifier": (quick(RED, verifier=""), ("no verifier was given",)),
    "algorithm": (
        [*quick(RED), "--algorithm", "zeroorder"],
        ("unknown algorithm 'zeroorder'", "did you mean 'zero-order'"),
    ),
    "solver": ([*quick(RED), "--solver", "eulr"], ("unknown solver 'eulr'", "'euler'")),
    "solver's file": (
        [*quick(RED), "--solver", "none.py:X"],
        ("solver 'none.py:X'", "no such file"),
    ),
    "solver that is none": (
        [*quick(RED), "--solver", "vivid.py:WHOLE"],
        ("has no 'stochastic'", "a solver is"),
    ),
    "objective that is none": (
        [*quick(RED), "--objective", "vivid.py:WHOLE"],
        ("vivid.py:WHOLE'", "has no 'order'", "an objective is"),
    ),
    "objective by another name": (
        [*quick(RED), "--objective", "weigthed(vivid=1)"],
        ("'weigthed(vivid=1)'", "did you mean 'weighted'"),
    ),
    "experiment": (["reproduce", "fig2"], ("unknown experiment 'fig2'", "did you mean 'fig")),
    "solver's number": (
        [*quick(RED), "--solver", "ddim:two"],
        ("'ddim:two'",),
    ),
    "parameter": (
        [*quick(RED), "--set", "cosin=1"],
        ("unknown zero-order parameter 'cosin'", "did you mean 'cosine'"),
    ),
    "parameter value": ([*quick(RED), "--set", "cosine=1.5"], ("cosine", "1.5", "less than 1")),
    "parameter kind": ([*quick(RED), "--set", "neighbours=x"], ("neighbours", "'x'", "integer")),
    "parameter without =": ([*quick(RED), "--set", "cosine"], ("'cosine'", "--set cosine=0.95")),
    "words": (
        quick("a photo of an astronaut"),
        ("'photo'", "'astronaut'", "noisesearch list words --model shapes"),
    ),
    "word order": (quick("circle red a"), ("'circle red a'", "such as")),
    "long prompt": (quick("a red circle " * 8), ("a red circle a red", "one or two groups")),
    "negative": ([*quick(RED), "--negative", "a sheep"], ("'sheep'", "list words")),
    "empty prompt": (quick(""), ("empty prompt", "such as")),
    "no prompt": (quick(), ("no prompt was given", "a red circle")),
    "missing prompts": (quick("--prompts", "no.txt"), ("no.txt", "no such file")),
    "missing DrawBench": (quick("--prompts", "drawbench:no.csv"), ("no.csv", "get the table")),
    "folder of prompts": (quick("--prompts", "."), ("cannot be read", "is a directory")),
    "empty prompts": (quick("--prompts", "empty.txt"), ("empty.txt has no prompt", "a line")),
    "prompts in Latin-1": (quick("--prompts", "latin.txt"), ("latin.txt", "UTF-8")),
    "draft": ([*quick(RED), "--draft", "stps:1"], ("unknown draft 'stps:1'", "steps:8", "half")),
    "draft's layers": ([*quick(RED), "--draft", "skip:9"], ("skip is 9", "layers 0 to 5")),
    "dear draft": ([*quick(RED), "--draft", "steps:3"], ("costs as much as 3", "needs 2")),
    "draft of other noises": (
        [*quick(RED), "--draft", "model:noisesearch.testing.mixture_model:MixtureModel"],
        ("has noises of shape 1x4x4 and shapes of 3x32x32", "with the same latents"),
    ),
    "calibrated draft": (
        ["calibrate", "shapes", "--prompts", "2", "--draft", "cache:much"],
        ("cache is 'much'", "such as cache:0.1"),
    ),
    "calibrated model": (["calibrate", "shape"], ("unknown model 'shape'", "'shapes'")),
    "candidates to calibrate on": (
        ["calibrate", "shapes", "--prompts", "2", "--candidates", "2"],
        ("candidates", "greater than or equal to 3"),
    ),
    "small budget": ([*quick(RED), "--budget", "1"], ("too small", "the smallest is 2nfe")),
    "small run budget": (
        [*quick(RED, "a blue ring"), "--budget", "3nfe/run"],
        ("too small", "the smallest is 4nfe/run"),
    ),
    "small budget for a long final": (
        [*quick(RED), "--final-steps", "4", "--budget", "5"],
        ("too small", "the smallest is 6nfe"),
    ),
    "budget": ([*quick(RED), "--budget", "banana"], ("'banana'", "640nfe/run")),
    "budget unit": ([*quick(RED), "--budget", "3parsec"], ("'parsec'", "20candidates")),
    "no budget": ([*quick(RED), "--budget", "0"], ("'0' is nothing", "640")),
    "money": ([*quick(RED), "--budget", "2usd"], ("usd", "nfe, candidates or seconds")),
    "steps": ([*quick(RED), "--steps", "0"], ("steps is 0", "at least 1")),
    "final steps": ([*quick(RED), "--final-steps", "0"], ("final-steps is 0", "at least 1")),
    "top": ([*quick(RED), "--top", "0"], ("top is 0", "at least 1")),
    "batch": ([*quick(RED), "--rows", "0"], ("rows is 0", "at least 1")),
    "large batch": ([*quick(RED), "--rows", "2147483648"], ("rows", "equal to 65536")),
    "model that is none": (
        [*quick(RED), "--model", "os:getcwd"],
        ("model 'os:getcwd' is of type str", "has no 'name'", "methods"),
    ),
    "long name": (["show", "x" * 5000], ("xxx… is longer than names may be here",)),
    "long seed": ([*quick(RED), "--start-seed", "9" * 5000], ("start-seed", "up to 64 bits")),
    "more prompts than any model has": (
        ["compare", "random", "--prompts", str(10**19)],
        ("has no 10000000000000000000 prompts of its own",),
    ),
    "prompts that are no number": (
        ["compare", "random", "--prompts", "9" * 5000],
        ("cannot be read (file name too long)",),
    ),
    "candidates to calibrate on for years": (
        ["calibrate", "shapes", "--prompts", "2", "--candidates", "2147483648"],
        ("candidates", "less than or equal to 100000"),
    ),
    "seed": ([*quick(RED), "--seed", "-1"], ("seed is -1", "at least 0")),
    "seconds": ([*quick(RED), "--seconds", "-1"], ("seconds is -1", "above 0")),
    "guidance": ([*quick(RED), "--guidance", "nan"], ("guidance is nan", "a number")),
    "dtype": ([*quick(RED), "--dtype", "float8"], ("'float8'", "float32 or bfloat16")),
    "device": ([*quick(RED), "--device", "banana"], ("'banana'", "choose auto, cpu")),
    "size": ([*quick(RED), "--size", "64x64"], ("'64x64'", "32x32 only")),
    "keep": ([*quick(RED), "--keep", "some"], ("'some'", "all or winners")),
    "objective": ([*quick(RED), "--objective", "banana"], ("'banana'", "part(x)")),
    "objective's part": (
        [*quick(RED), "--objective", "part(vivd)"],
        ("'vivd'", "did you mean 'vivid'"),
    ),
    "constraint without then": (
        [*quick(RED), "--objective", "constrain(vivid >= 6)"],
        ("then=", "constrain(x >= 6, then=y)"),
    ),
    "weights of nothing": (
        [
            *quick(RED),
            "--verifier",
            "vivid.py:vivid,aesthetic",
            "--objective",
            "weighted(vivid=1, aesthetic=-1)",
        ],
        ("sum to nothing",),
    ),
    "paths that never end": (
        [*quick(RED), "--algorithm", "paths", "--set", "forward=0.8", "--set", "backward=0.7"],
        ("backward is 0.7 and forward 0.8", "make backward the larger"),
    ),
    "paths of nothing": (
        [*quick(RED), "--algorithm", "paths", "--set", "paths=0"],
        ("paths", "0"),
    ),
    "steering without injected noise": (
        [*quick(RED), "--algorithm", "steering", "--solver", "euler"],
        ("'steering' looks for the noise", "'euler' injects none", "--solver ddim-ancestral"),
    ),
    "steering by hardly any noise": (
        [*quick(RED), "--algorithm", "steering", "--solver", "euler-sde:0"],
        ("'euler-sde:0' injects none", "--solver euler-sde"),
    ),
    "steering of one": (
        [*quick(RED), "--algorithm", "steering", "--set", "particles=1"],
        ("steering", "particles", "greater than or equal to 2, got 1"),
    ),
    "steering up again": (
        [*quick(RED), "--algorithm", "steering", "--set", "levels=[0.6, 0.3]"],
        ("levels are 0.6, 0.3", "must rise", "such as 0.2, 0.5, 0.8"),
    ),
    "steering and too little": (
        [*quick(RED), "--algorithm", "steering", "--budget", "3"],
        ("leaves 3 NFE", "needs at least 4", "larger budget"),
    ),
    "beam of no states": (
        [*quick(RED), "--algorithm", "beam", "--set", "keep=0"],
        ("beam", "keep", "greater than or equal to 1, got 0"),
    ),
    "rollover of nothing": (
        [*quick(RED), "--algorithm", "rollover", "--set", "candidates=0"],
        ("rollover", "candidates", "greater than or equal to 1, got 0"),
    ),
    "backtracking without injected noise": (
        [*quick(RED), "--algorithm", "backtracking", "--solver", "heun"],
        ("'backtracking' looks for the noise", "'heun' injects none"),
    ),
    "beam and too little": (
        [*quick(RED), "--algorithm", "beam", "--budget", "7"],
        ("leaves 7 NFE", "keep=4", "needs at least 8", "larger budget"),
    ),
    "previews on the way that mean nothing": (
        [*quick(RED, verifier="vivid.py:WHOLE"), "--algorithm", "beam", "--budget", "40"],
        ("'beam' looks at unfinished samples", "verifier 'WHOLE'"),
    ),
    "population of nothing": (
        [*quick(RED), "--algorithm", "population", "--set", "size=0"],
        ("population", "size", "greater than or equal to 1, got 0"),
    ),
    "halving that does not fall": (
        [*quick(RED), "--algorithm", "halving", "--set", "levels=[0.6, 0.3]"],
        ("levels are 0.6, 0.3", "must rise"),
    ),
    "halving of more than there is": (
        [*quick(RED), "--algorithm", "halving", "--set", "width=999"],
        ("halving of 999 noises needs at least", "smaller width"),
    ),
    "bands that do not rise": (
        [*quick(RED), "--algorithm", "spectral", "--set", "bands=[0.5, 0.2]"],
        ("bands are 0.5, 0.2", "must rise"),
    ),
    "a population of one": (
        [*quick(RED), "--algorithm", "spectral", "--set", "population=1"],
        ("population", "greater than or equal to 2, got 1"),
    ),
    "times that do not fall": (
        [*quick(RED), "--algorithm", "evolution", "--set", "times=[0.3, 0.6]"],
        ("times are 0.3, 0.6", "must fall"),
    ),
    "evolution of nobody": (
        [*quick(RED), "--algorithm", "evolution", "--set", "population=0"],
        ("population", "greater than or equal to 2, got 0"),
    ),
    "cma of one": (
        [*quick(RED), "--algorithm", "cma", "--set", "population=1"],
        ("population", "greater than or equal to 4, got 1"),
    ),
    "draft algorithm's draft": (
        [*quick(RED), "--algorithm", "draft", "--set", "draft=stps:1"],
        ("unknown draft 'stps:1'", "steps:8"),
    ),
    "draft algorithm's draft of other noises": (
        [
            *quick(RED),
            "--algorithm",
            "draft",
            "--set",
            "draft=model:noisesearch.testing.mixture_model:MixtureModel",
        ],
        ("has noises of shape 1x4x4 and shapes of 3x32x32", "with the same latents"),
    ),
    "two kinds of drafts": (
        [*quick(RED), "--algorithm", "draft", "--set", "draft=steps:1", "--draft", "steps:1"],
        ("looks at drafts of its own", "leave that out"),
    ),
    "a cascade from dear to cheap": (
        [*quick(RED), "--algorithm", "draft", "--set", "draft=steps:2>steps:1"],
        ("'steps:2' counts 2 NFE", "from cheap to dear"),
    ),
    "more in full than there is": (
        [*quick(RED), "--algorithm", "draft", "--set", "draft=steps:1", "--set", "commit=999"],
        ("commit=999 needs at least 1998", "smaller commit"),
    ),
    "a set, and an algorithm for single candidates": (
        [*quick(RED), "--verifier", "clipscore", "--objective", "frechet(clipscore)"],
        ("'frechet(clipscore)' compares sets", "--algorithm population"),
    ),
    "previews that mean nothing": (
        [
            *quick(RED, verifier="vivid.py:WHOLE"),
            "--algorithm",
            "paths",
            "--budget",
            "40",
        ],
        ("'paths' looks at unfinished samples", "verifier 'WHOLE'", "another algorithm"),
    ),
    "compare nothing known": (["compare", "randm"], ("'randm'", "did you mean 'random'")),
    "compare twice": (["compare", "random", "random"], ("named twice",)),
    "compare by the clock": (["compare", "random", "--budgets", "5m"], ("on the clock",)),
    "compare on nothing": (["compare", "random", "--prompts", "0"], ("no 0 prompts",)),
    "paths and too little": (
        [*quick(RED), "--algorithm", "paths", "--budget", "5"],
        ("needs at least 26", "give a larger budget"),
    ),
    "gradient of a plain function": (
        [*quick(RED), "--algorithm", "first-order"],
        ("'vivid'", "not differentiable"),
    ),
    "full folder": ([*quick(RED), "--out", "full"], ("full is not empty", "--out")),
    "file as folder": ([*quick(RED), "--out", "empty.txt"], ("empty.txt is a file", "--out")),
    "file in the way": ([*quick(RED), "--out", "empty.txt/x"], ("empty.txt/x", "not a directory")),
    "resume nothing": (["resume", "nothing"], ("nothing does not exist", "generate")),
    "resume no run": (["resume", "full"], ("full is not a run", "spec.json")),
    "resume a file": (["resume", "empty.txt"], ("empty.txt is not a run",)),
    "resume a broken spec": (["resume", "broken"], ("broken/spec.json", "cannot be read")),
    "resume no spec": (["resume", "list"], ("list/spec.json", "no spec")),
    "show nothing": (["show", "nothing"], ("nothing does not exist", "generate")),
    "show no run": (["show", "."], (". is not a run", "generate")),
    "list": (["list", "model"], ("unknown list 'model'", "did you mean 'models'")),
    "words of no model": (["list", "words", "--model", "flux9"], ("unknown model 'flux9'",)),
}


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], dict[str, Done]]:
    """The folder, what it had before, and what became of every wrong request."""
    folder = tmp_path_factory.mktemp("wrong")
    tool = Tool(folder)
    (folder / "empty.txt").write_text("\n# nothing but this\n\n")
    (folder / "latin.txt").write_bytes("a red circle\nein grüner Kreis\n".encode("latin-1"))
    (folder / "broken.py").write_text("def x(:\n")
    for name, content in (("full", None), ("broken", '{"format": 1,'), ("list", "[1]")):
        (folder / name).mkdir()
        (folder / name / ("x" if content is None else "spec.json")).write_text(content or "hi")
    before = names(folder)
    done = tool.batch(*(arguments for arguments, _ in WRONG.values()))
    return folder, before, dict(zip(WRONG, done, strict=True))


def names(folder: Path) -> list[str]:
    found = (p for p in folder.rglob("*") if "__pycache__" not in p.parts)
    return sorted(str(p.relative_to(folder)) for p in found)


@pytest.mark.parametrize("name", WRONG)
def test_says_what_is_wrong(name: str, refusals: tuple[Path, list[str], dict[str, Done]]) -> None:
    refusals[2][name].refused(*WRONG[name][1])


def test_leaves_nothing_behind(refusals: tuple[Path, list[str], dict[str, Done]]) -> None:
    folder, before, _ = refusals
    after = [name for name in names(folder) if name != "runs"]
    assert after == before


def test_the_installed_command(tool: Tool) -> None:
    tool.run(*quick(RED), "--model", "shape").refused("unknown model 'shape'")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["generate", "--nosuch"], "No such option: --nosuch"),
        (["generat"], "No such command 'generat'"),
        (["generate", "a red circle", "--seed", "x"], "Invalid value for '--seed'"),
        (["resume"], "Missing argument 'DIR'"),
    ],
)
def test_usage_errors(tool: Tool, arguments: list[str], words: str) -> None:
    done = tool.run(*arguments)
    assert done.status == 2
    assert words in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
