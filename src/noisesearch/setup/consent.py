"""What a folder names may run only where this user named it, or has looked and agreed.

Run folders and experiments travel. Their verifiers, algorithms and models may be code
(``file.py:score``), commands (``process:…``) or services that take keys, pictures and money. Who
makes a folder has named those himself; of any other folder they are refused until
``noisesearch trust DIR``. What was agreed to is kept by folder and names, outside of the folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..candidates.keys import digest
from ..candidates.trajectory import FULL
from ..errors import ConfigError, StoreError
from ..files.writing import disk_error
from ..names import drafts, forms, registry
from ..objectives import text as objective_text
from ..store.spec import RunSpec

SERVICES = ("process", "llm-grader")  # verifiers that are commands, or calls to somewhere
STATE = "noisesearch/trusted"


@dataclass(frozen=True)
class NamedCode:
    """What a folder names that may run something: pairs of its kind and its name."""

    folder: Path
    names: tuple[tuple[str, str], ...]

    @classmethod
    def of_run(cls, folder: Path, spec: RunSpec) -> NamedCode:
        objects = {name for names in spec.objects.values() for name in names}  # never by name
        return cls(folder, tuple(dict.fromkeys(found for found in (
            *code("model", [spec.model]),
            *code("algorithm", [spec.algorithm]),
            *of_verifiers([*spec.verifiers, *spec.watch]),
            *of_objectives([spec.objective]),
            *code("solver", [spec.solver]),
            *_drafts([spec.draft, *spec.drafts]),
        ) if found[1] not in objects)))  # fmt: skip

    def agree(self) -> None:
        """Remember that these may run; StoreError where that cannot be kept."""
        for kind, name in self.names:
            path = self._kept(kind, name)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            except OSError as error:
                raise disk_error(error, path) from error

    def made_here(self) -> None:
        """Agree to what whoever makes the folder names himself. Said before the folder is whole:
        it may be gone on with from then on. Where it cannot be kept, who goes on is asked."""
        with suppress(StoreError):
            self.agree()

    def check(self, *kinds: str) -> None:
        """ConfigError where this user has not agreed to one of them; of some ``kinds`` only where
        these alone are going to be used."""
        for kind, name in self.names:
            if (not kinds or kind in kinds) and not self._kept(kind, name).exists():
                raise ConfigError(
                    f"{self.folder} was not made here and names what would run on this machine "
                    f"({kind} {name}); look at it, and if you want that to run: noisesearch trust "
                    f"{self.folder}"
                )

    def _kept(self, kind: str, name: str) -> Path:
        root = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return Path(root) / STATE / digest(str(self.folder.resolve()), kind, name)


Found = Iterator[tuple[str, str]]  # kind and name


def is_code(kind: str, name: str) -> bool:
    """Return whether a name stands for somebody's Python: of a file, a module or a plug-in."""
    if kind == "solver":
        name = forms.numbered(name)[0]
    # Plug-ins are looked for last: that goes through all that is installed.
    return ":" in name or _is_plugin(kind, name)


def _is_plugin(kind: str, name: str) -> bool:
    return name not in registry.TABLES[kind] and name in registry.names(kind)


def code(kind: str, names: Iterable[str]) -> Found:
    return ((kind, name) for name in names if is_code(kind, name))


def of_verifiers(names: Iterable[str]) -> Found:
    for name in names:
        kind = forms.written(name)[0]
        if kind in SERVICES or is_code("verifier", kind):
            yield "verifier", name


def of_objectives(texts: Iterable[str]) -> Found:
    return (("objective", text) for text in texts if objective_text.code_of(text))


def of_metrics(names: Iterable[str]) -> Found:
    """Yield the metrics of plug-ins; those of files and modules are asked about as verifiers."""
    return (("metric", n) for n in names if _is_plugin("metric", forms.written(n)[0]))


def _drafts(texts: Iterable[str]) -> Found:
    return code("model", [drafts.parse(text).model for text in texts if text != FULL])
