"""How large a class and a file of the package may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import noisesearch

ROOT = Path(noisesearch.__file__).parent
MEMBERS, LINES = 20, 400
# Dataclasses that only hold what a user asked for: their fields do not count.
SETTINGS = {"BaseModel", "Request", "RunSpec"}


@dataclass(frozen=True)
class FoundClass:
    """A class statement, with the names of its bases."""

    path: Path
    node: ast.ClassDef
    bases: tuple[str, ...]

    def members(self, settings: bool) -> set[str]:
        """Public methods and properties, and public fields where it is none of ``settings``."""
        found = {s.name for s in self.node.body if isinstance(s, ast.FunctionDef)}
        if not settings:
            found |= set(assigned(self.node))
        return {name for name in found if not name.startswith("_")}


def assigned(node: ast.ClassDef) -> Iterator[str]:
    """The names that a class statement assigns, and the attributes that its methods set."""
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign | ast.Assign):
            for name in ast.walk(statement):
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                    yield name.id
        for name in ast.walk(statement) if isinstance(statement, ast.FunctionDef) else ():
            of_self = isinstance(name, ast.Attribute) and isinstance(name.value, ast.Name)
            if of_self and name.value.id == "self" and isinstance(name.ctx, ast.Store):
                yield name.attr


def base_names(node: ast.ClassDef) -> Iterator[str]:
    """The names of a class's bases, without their modules and their type arguments."""
    for base in node.bases:
        plain = base.value if isinstance(base, ast.Subscript) else base
        if isinstance(plain, ast.Name | ast.Attribute):
            yield plain.id if isinstance(plain, ast.Name) else plain.attr


def classes() -> Mapping[str, list[FoundClass]]:
    """All classes of the package by name."""
    found: dict[str, list[FoundClass]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                each = FoundClass(path, node, tuple(base_names(node)))
                found.setdefault(node.name, []).append(each)
    return found


def lineage(of: FoundClass, known: Mapping[str, list[FoundClass]]) -> list[FoundClass]:
    """A class and all of its bases that are in the package."""
    bases = [base for name in of.bases if name != of.node.name for base in known.get(name, ())]
    return [of, *(each for base in bases for each in lineage(base, known))]


def public_members(of: FoundClass, known: Mapping[str, list[FoundClass]]) -> set[str]:
    """Those of a class with those that it inherits in the package."""
    line = lineage(of, known)
    names = {name for each in line for name in (each.node.name, *each.bases)}
    return {name for each in line for name in each.members(bool(names & SETTINGS))}


def test_a_class_has_few_public_members() -> None:
    known = classes()
    larger = {}
    for name, found in known.items():
        for of in found:
            members = public_members(of, known)
            if len(members) > MEMBERS:
                larger[f"{of.path.relative_to(ROOT)}:{name}"] = (len(members), sorted(members))
    assert not larger


def test_members_are_counted() -> None:
    """Fields, properties, methods, and what a method sets; settings without their fields."""
    source = """
class Base:
    kept = 1
    def shown(self): ...
class Derived(Base):
    field: int
    _hidden: int
    def __init__(self):
        self.made, self._own = 1, 2
    @property
    def told(self): ...
class Chosen(BaseModel):
    field: int
    def method(self): ...
"""
    nodes = [n for n in ast.parse(source).body if isinstance(n, ast.ClassDef)]
    known = {n.name: [FoundClass(ROOT, n, tuple(base_names(n)))] for n in nodes}
    members = {name: public_members(of, known) for name, (of,) in known.items()}
    assert members == {
        "Base": {"kept", "shown"},
        "Derived": {"kept", "shown", "field", "made", "told"},
        "Chosen": {"method"},
    }


def test_a_file_has_few_lines() -> None:
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in ROOT.rglob("*.py")}
    assert not {str(path): count for path, count in lines.items() if count > LINES}
