"""A diffusers pipeline in a folder, such as the hub's own cache; nothing is unpickled."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...candidates.keys import digest
from ...errors import ConfigError
from ...files.fingerprint import of_file
from ...files.json_text import parsed
from ...files.remote_code import OPTION, trusted
from .source import UNUSED, package, pipeline_class
from .weights import check_whole, quiet

INDEX = "model_index.json"
PRESET = "noisesearch.json"
LIBRARIES = ("diffusers", "transformers")  # whose classes are loaded; others run foreign code
WEIGHTS = (".safetensors",)
PICKLED = (".bin", ".pt", ".pth", ".ckpt")


@dataclass(frozen=True)
class Folder:
    """A pipeline on disk, as ``save_pretrained`` writes it; nothing is unpickled."""

    path: Path
    name: str
    unused: tuple[str, ...] = UNUSED

    @property
    def pipeline_class(self) -> type:
        return pipeline_class(self.kind, self.name)

    @cached_property
    def index(self) -> Mapping[str, Any]:
        return _read(self.path / INDEX)

    @property
    def kind(self) -> str:
        return str(self.index.get("_class_name", "nothing that its index names"))

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        path = self.path / PRESET
        return _read(path) if path.is_file() else {}

    @cached_property
    def parts(self) -> Mapping[str, tuple[str, str]]:
        """(library, class) of every component that the index lists and our loop uses."""
        return {
            name: (str(value[0]), str(value[1]))
            for name, value in self.index.items()
            if isinstance(value, list) and len(value) == 2 and value[0] is not None
            and name not in self.unused
        }  # fmt: skip

    @cached_property
    def fingerprint(self) -> str:
        """Of the files of weights, all configurations, and the code where there is some."""
        weights = {str(p.relative_to(self.path)): _hash(p)
                   for part in self.parts for p in self._files(part, WEIGHTS)}  # fmt: skip
        texts = {str(p.relative_to(self.path)): of_file(p)
                 for part in self.parts for p in self._files(part, (".json", ".py"))}  # fmt: skip
        return digest(self.kind, weights, texts)[:16]

    @cached_property
    def _configs(self) -> dict[str, Mapping[str, Any]]:
        """The configurations that were read, by component."""
        return {}

    def config(self, part: str) -> Mapping[str, Any]:
        if part not in self.parts:
            raise ConfigError(
                f"{self.path} has no {part} in its {INDEX}, which {self.kind} needs; give a whole "
                "pipeline, as save_pretrained writes it"
            )
        if part not in self._configs:
            self._configs[part] = _read(self.path / part / self._file(part))
        return self._configs[part]

    def _file(self, part: str) -> str:
        return "scheduler_config.json" if part == "scheduler" else "config.json"

    def _files(self, part: str, endings: tuple[str, ...]) -> list[Path]:
        folder = self.path / part
        return sorted(p for p in folder.glob("*") if p.suffix in endings)

    def numbers(self, part: str) -> int:
        """How many numbers a component's weights are, by the heads of its files."""
        from safetensors import safe_open

        files = self._files(part, WEIGHTS)
        whole = [p for p in files if ".fp16" not in p.name]
        count = 0
        for path in whole or files:
            try:
                with safe_open(path, framework="pt") as weights:
                    shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
            except Exception as error:  # a truncated head: the package has its own
                raise _unreadable(path, error) from error
            count += sum(math.prod(shape) for shape in shapes)
        return count

    def _half(self, part: str) -> bool:
        """True where only the published half-precision variant of the weights is there."""
        return all(".fp16" in path.name for path in self._files(part, WEIGHTS))

    @property
    def _models(self) -> list[str]:
        """Components with weights."""
        return [part for part in self.parts if (self.path / part / "config.json").is_file()]

    def check(self) -> None:
        """ConfigError for a component whose files are not all there, before anything is loaded."""
        for part in self.parts:
            if not (self.path / part).is_dir():
                raise ConfigError(
                    f"{self.path} lacks the folder {part} that its {INDEX} lists; get the "
                    "pipeline's files again"
                )
            if self.parts[part][0] not in LIBRARIES:
                self._check_code(part)
        for part in self._models:
            if self._files(part, WEIGHTS):
                continue
            if pickled := self._files(part, PICKLED):
                raise ConfigError(
                    f"{pickled[0]} would have to be unpickled, which can run anything; save the "
                    "pipeline with save_pretrained(..., safe_serialization=True)"
                )
            raise ConfigError(f"{self.path / part} holds no weights; get the files again")

    def scheduler(self) -> Any:
        return self._scheduler

    @cached_property
    def _scheduler(self) -> Any:
        kind = getattr(package(), self.parts["scheduler"][1], None)
        if kind is None:
            raise ConfigError(
                f"scheduler {self.parts['scheduler'][1]!r} of {self.path} is none that the "
                "installed diffusers knows; install a newer one: pip install -U diffusers"
            )
        return kind.from_config(dict(self.config("scheduler")))

    def tokenizer(self, part: str) -> Any | None:
        library, name = self.parts.get(part, ("", ""))
        if library != "transformers":
            return None
        try:
            kind = getattr(importlib.import_module(library), name)
            return kind.from_pretrained(
                str(self.path / part), local_files_only=True, **_code_too(name)
            )
        except Exception as error:  # each tokenizer has its own files and errors
            raise _unreadable(self.path / part, error) from error

    def pipeline(self, device: str, dtype: str) -> Any:
        """Loaded part by part, so that a weight that is missing is noticed."""
        import torch

        self.check()
        precision, own = getattr(torch, dtype), self._own
        # A network is made with random weights before it gets its own.
        with torch.random.fork_rng(devices=[]):
            loaded = {part: self._load(part, precision) for part in self._models
                      if part not in own}  # fmt: skip
        loaded |= {part: None for part in self.unused if part in self.index}
        if "requires_safety_checker" in self.index:
            loaded["requires_safety_checker"] = False
        kind: Any = self.pipeline_class
        try:
            with quiet(LIBRARIES):
                pipeline = kind.from_pretrained(
                    str(self.path),
                    **loaded,
                    local_files_only=True,
                    use_safetensors=True,
                    trust_remote_code=trusted(),
                )
        except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
            raise _unreadable(self.path, error) from error
        for part in own:
            network = getattr(pipeline, part).to(precision)
            self._check_filled(part, network.eval().requires_grad_(False))
        return pipeline.to(device)

    def precision(self, part: str, dtype: str) -> Any | None:
        import torch

        return getattr(torch, dtype) if part in self.parts else None

    def opened(self, device: str, dtype: str) -> list[str]:
        # A hub id has a slash in it, the name of a folder has none.
        where = self.name if "/" in self.name else str(self.path)
        settings = [repr(where), f"torch_dtype=torch.{dtype}"]
        if (self.index.get("safety_checker") or [None])[0] is not None:
            settings.append("safety_checker=None")  # it is not run in a search
        if all(map(self._half, self._models)):
            settings.append("variant='fp16'")
        return [f"pipe = diffusers.{self.kind}.from_pretrained({', '.join(settings)})",
                f"pipe.to({device!r})"]  # fmt: skip

    def _check_code(self, part: str) -> None:
        """ConfigError where a component's class is neither of a library nor may be run."""
        name, file = ".".join(self.parts[part]), self._code(part)
        said = f"{part} of {self.path} is a {name}, which is not in the installed "
        said += " and ".join(LIBRARIES)
        if not self.parts[part][0].isidentifier() or not file.is_file():
            raise ConfigError(f"{said} nor beside its weights; get the pipeline's files again")
        if not trusted():
            raise ConfigError(
                f"{said}; where you have read {file} and trust it, let it run with {OPTION}"
            )

    @property
    def _own(self) -> list[str]:
        """Components with weights whose class is in the folder; diffusers alone loads these."""
        return [part for part in self._models if self.parts[part][0] not in LIBRARIES]

    def _check_filled(self, part: str, model: Any) -> None:
        """ConfigError where the files lack weights of a network that others have loaded."""
        from safetensors import safe_open

        there: set[str] = set()
        for path in self._files(part, WEIGHTS):
            with safe_open(path, framework="pt") as weights:
                there.update(weights.keys())
        info = {"missing_keys": model.state_dict().keys() - there}
        info |= {"unexpected_keys": [], "mismatched_keys": []}
        check_whole(self.path / part, self.parts[part][1], info, strict=False)

    def _code(self, part: str) -> Path:
        return self.path / part / f"{self.parts[part][0]}.py"

    def _load(self, part: str, dtype: Any) -> Any:
        library, name = self.parts[part]
        kind: Any = getattr(importlib.import_module(library), name, None)
        if kind is None:
            raise ConfigError(
                f"{part} of {self.path} is a {name}, which the installed {library} does not "
                f"know; install a newer one: pip install -U {library}"
            )
        precision = {"torch_dtype" if library == "diffusers" else "dtype": dtype}
        try:
            with quiet(LIBRARIES):
                model, info = kind.from_pretrained(
                    str(self.path / part), local_files_only=True, use_safetensors=True,
                    output_loading_info=True, variant="fp16" if self._half(part) else None,
                    ignore_mismatched_sizes=True, **precision, **_code_too(name),
                )  # fmt: skip
        except Exception as error:  # truncated files: each library has its own
            raise _unreadable(self.path / part, error) from error
        check_whole(self.path / part, name, info, strict=library == "diffusers")
        mixed = getattr(model, "_keep_in_fp32_modules", None) or hasattr(model, "hf_quantizer")
        if model.dtype != dtype and not mixed:
            # Without accelerate, diffusers leaves some as they are in their files (SD3's, whose
            # first weight is a table of places in float32).
            with quiet(LIBRARIES):
                model = model.to(dtype)
        return model.eval().requires_grad_(False)


def _code_too(name: str) -> dict[str, bool]:
    """Whether a class that finds out by itself what to load may find code there."""
    return {"trust_remote_code": trusted()} if name.startswith("Auto") else {}


def _hash(path: Path) -> str:
    """A file's hash; the hub's cache names a file by its SHA-256, which saves reading it."""
    name = path.resolve().name
    return name if re.fullmatch(r"[0-9a-f]{64}", name) else of_file(path)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} cannot be read as JSON ({error}); get the pipeline's files again"
        ) from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold an object; get the pipeline's files again")
    return content


def _unreadable(path: Path, error: Exception) -> ConfigError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    if "low_cpu_mem_usage" in reason:  # of networks of which a part stays in float32
        return ConfigError(
            f"{path} can be loaded only with accelerate; install it with: pip install accelerate"
        )
    return ConfigError(f"{path} cannot be loaded ({reason}); get the pipeline's files again")
