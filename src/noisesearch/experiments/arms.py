"""The arms of an experiment: sweeps spelled out, and which of them share a run."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from ..candidates.budget import Budget
from ..candidates.keys import digest
from ..errors import ConfigError, unknown
from ..setup.request import Request
from .spec import Closed, Experiment, checked

SIZES = ("candidates", "budget", "final_steps")  # by which arms of one run differ
POOL = "random"  # the algorithm whose candidates do not depend on what they are judged by
NAMED = re.compile(r"\{(\w+)\}")


class Setting(Closed):
    """One arm's settings, nothing swept any more; None takes the model's own.

    ``candidates`` or ``budget`` are for the search: a final generation at other steps comes on
    top, as the paper counts; one candidate is no search. ``line``: what joins arms in a plot.
    """

    name: str
    line: str = ""
    model: str = "shapes"
    verifier: str = "ensemble"
    objective: str = ""
    algorithm: str = "random"
    parameters: dict[str, Any] = Field(default_factory=dict)
    candidates: int | None = None
    budget: str | None = None
    steps: int | None = None
    final_steps: int | None = None
    guidance: float | None = None
    solver: str | None = None
    size: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    memory: str = "auto"
    rows: int | None = None

    @property
    def search_budget(self) -> str:
        return self.budget or f"{self.candidates}candidates"

    @property
    def searched(self) -> bool:
        """False where there is one noise a condition, and nothing to choose from."""
        return not (self.candidates == 1 and self.algorithm == POOL)

    def request(self, prompts: Sequence[str], seed: int, verifier: str) -> Request:
        """What its run asks for: without a final generation, which each arm makes itself."""
        return Request(
            prompts, model=self.model, verifier=verifier, objective=self.objective,
            algorithm=self.algorithm, parameters=dict(self.parameters), budget=self.search_budget,
            seed=seed, steps=self.steps, guidance=self.guidance, solver=self.solver,
            size=self.size, device=self.device, dtype=self.dtype, memory=self.memory,
            rows=self.rows,
        )  # fmt: skip


@dataclass(frozen=True)
class ArmGroup:
    """Arms that are answered by one run a seed: every candidate is made once for all of them."""

    name: str
    arms: tuple[Setting, ...]

    @property
    def largest(self) -> Setting:
        """Whose search is the run; the others are read off its journal as far as that goes."""
        return max(self.arms, key=lambda arm: (Budget.parse(arm.search_budget).amount, arm.name))

    @property
    def verifier(self) -> str:
        """All that any of the arms is judged by."""
        return ",".join(dict.fromkeys(arm.verifier for arm in self.arms))

    def request(self, prompts: Sequence[str], seed: int) -> Request:
        found = self.largest.request(prompts, seed, self.verifier)
        pooled = len({(arm.verifier, arm.objective) for arm in self.arms}) > 1
        found.objective = "" if pooled else self.largest.objective
        return found


def settings(experiment: Experiment) -> list[Setting]:
    """Every arm, a sweep's one by one; ConfigError for unknown settings and equal names."""
    found = [
        _named(one)
        for table in experiment.arms
        for one in _swept({**experiment.defaults, **table, "parameters": _both(experiment, table)})
    ]
    names = [arm.name for arm in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"two arms are named {name!r}; put what is swept into the name, such as "
                "'random {candidates}'"
            )
    for arm in (name for claim in experiment.claims for name in (*claim.contrast, claim.of)):
        if arm and arm not in names:
            raise unknown("arm", arm, names)
    return found


def _both(experiment: Experiment, table: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of the arm's own over the defaults', where they are for the same algorithm."""
    defaults = experiment.defaults
    for given in (defaults, table):
        if not isinstance(given.get("parameters", {}), Mapping):
            raise ConfigError(
                f"parameters are {given['parameters']!r:.60}, but must be a table such as "
                "{ cosine = 0.95 }"
            )
    same = table.get("algorithm", defaults.get("algorithm")) == defaults.get("algorithm")
    return {**(defaults.get("parameters", {}) if same else {}), **table.get("parameters", {})}


def _swept(table: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """A table for every combination of what is given as lists, parameters' too."""
    outer = {k: v if isinstance(v, list) else [v] for k, v in table.items() if k != "parameters"}
    inner = {k: v if isinstance(v, list) else [v] for k, v in table["parameters"].items()}
    for some in itertools.product(*outer.values()):
        for others in itertools.product(*inner.values()):
            parameters = dict(zip(inner, others, strict=True))
            yield {**dict(zip(outer, some, strict=True)), "parameters": parameters}


def _named(table: Mapping[str, Any]) -> Setting:
    """One arm, its name with its settings in the brackets."""
    arm = checked(Setting, table, "arm setting")
    if (arm.candidates is None) == (arm.budget is None):
        raise ConfigError(
            f"arm {arm.name!r} needs how much to search: candidates = 16, or budget = '640nfe', "
            "and not both"
        )
    if arm.candidates is not None and arm.candidates < 1:
        raise ConfigError(f"arm {arm.name!r} has {arm.candidates} candidates; 1 is no search")
    if not Budget.parse(arm.search_budget).counted:
        raise ConfigError(
            f"arm {arm.name!r} has a budget on the clock or in money, but arms are compared at "
            "equal work; write candidates, nfe or forwards"
        )
    known = {**arm.model_dump(exclude={"name", "line", "parameters"}), **arm.parameters}
    for field in NAMED.findall(arm.name + arm.line):
        if known.get(field) is None:
            raise unknown("setting in an arm's name", field, (k for k in known if known[k]))
    bare = {**known, "candidates": "", "budget": ""}
    changed: dict[str, Any] = {}
    if not arm.searched:  # so nothing is made but the final one
        changed = {"steps": arm.final_steps or arm.steps, "final_steps": None}
    line = NAMED.sub(lambda m: str(bare[m[1]]), arm.line or arm.name).strip(" ,×")
    name = NAMED.sub(lambda m: str(known[m[1]]), arm.name)
    return arm.model_copy(update={**changed, "name": name, "line": line})


def groups(arms: Sequence[Setting]) -> list[ArmGroup]:
    """Arms that share what they can: candidates are recipes, so those of one model and sampling
    serve every size of a search, and those of Random Search every objective."""
    sharing: dict[str, list[Setting]] = {}
    for arm in arms:
        alone = {"name", "line", *SIZES}
        if arm.algorithm == POOL:
            alone |= {"verifier", "objective"}
        about = arm.model_dump(exclude=alone)
        if arm.algorithm == "population":  # its candidates are the sizes of the search
            about["parameters"] = {k: v for k, v in arm.parameters.items() if k != "candidates"}
        sharing.setdefault(digest(about), []).append(arm)
    return [ArmGroup(slug(ArmGroup("", tuple(some)).largest.name), tuple(some))
            for some in sharing.values()]  # fmt: skip


def slug(name: str) -> str:
    """A name as a folder's; two names that differ by more than marks stay apart."""
    return re.sub(r"[^\w.+-]+", "-", name).strip("-")
