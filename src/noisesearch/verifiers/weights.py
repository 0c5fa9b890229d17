"""The weights of published verifiers: found in a folder, a file or on the hub, and checked."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..candidates.keys import digest
from ..errors import ConfigError, first_of
from ..files.fingerprint import of_file
from ..files.hub import ENDINGS, downloaded
from ..files.json_text import parsed
from ..files.tensors import tensors

Network = TypeVar("Network", bound=nn.Module)
BRANCHES = ("state_dict", "model", "ema")


@dataclass(frozen=True)
class Files:
    """The files of one verifier's weights. ``folder`` holds them; ``weights``: those that count.

    ``of`` is what the user gave or the default hub id, ``setting`` which of the verifier's
    settings that is, for sentences.
    """

    verifier: str
    of: str
    folder: Path
    weights: tuple[Path, ...]
    setting: str = "weights"

    @property
    def instead(self) -> str:
        return _instead(self.verifier, self.setting)

    @property
    def fingerprint(self) -> str:
        return digest({p.name: of_file(p) for p in self.weights})[:16]

    def config(self) -> Mapping[str, Any]:
        """The folder's config.json."""
        return self.json("config.json")

    def json(self, name: str) -> Mapping[str, Any]:
        """A JSON object beside the weights; ConfigError where it is not there."""
        path = self.folder / name
        try:
            content = parsed(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{path} is needed for verifier {self.verifier!r} and cannot be read ({error}); "
                f"{self.instead}"
            ) from error
        if not isinstance(content, dict):
            raise ConfigError(f"{path} must hold an object; {self.instead}")
        return content

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, on the processor; ConfigError where two files hold the same."""
        found: dict[str, Tensor] = {}
        for path in self.weights:
            more = tensors(path, self.instead, BRANCHES)
            if twice := sorted(found.keys() & more.keys()):
                names = ", ".join(path.name for path in self.weights)
                raise ConfigError(
                    f"several files in {self.folder} hold {first_of(twice, 1)} ({names}), so they "
                    f"are not one checkpoint; name one: "
                    f"--verifier '{self.verifier}({self.setting}={path})'"
                )
            found |= more
        return found


def transformers(verifier: str) -> Any:
    """The library; ConfigError says how to install it."""
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise ConfigError(
            f"verifier {verifier!r} needs the package transformers ({error}): "
            "pip install 'noisesearch[verifiers]'"
        ) from error


def files(
    verifier: str,
    source: str,
    patterns: Sequence[str],
    also: Sequence[str] = ("*.json", "*.txt"),
    setting: str = "weights",
) -> Files:
    """The weights that ``source`` stands for: a file, a folder or a hub id, which is downloaded.

    ``patterns``: names of weights in order of preference; the first that matches anything counts,
    all its matches together (shards). ``also``: what else of a hub id is needed. ``setting``: the
    verifier's setting that ``source`` is.
    """
    path, instead = Path(source).expanduser(), _instead(verifier, setting)
    if path.is_file():
        return Files(verifier, source, path.parent, (path,), setting)
    here = path.is_dir()
    if not here and (path.suffix in ENDINGS or source.startswith(("/", ".", "~"))):
        raise ConfigError(f"no file or folder {source} for verifier {verifier!r}; {instead}")
    for pattern in patterns:
        if not here:  # the hub often has the same weights in several formats: one is enough
            what = f"{source!r}, the weights of verifier {verifier!r},"
            path = downloaded(source, [pattern, *also], what, instead)
        found = tuple(sorted(path.glob(pattern)))
        if found:
            return Files(verifier, source, path, found, setting)
    raise ConfigError(
        f"{path} holds no weights of verifier {verifier!r} ({', '.join(patterns)}); {instead}"
    )


def filled(network: Network, state: Mapping[str, Tensor], of: Files, spare: Sequence[str] = ()
           ) -> Network:  # fmt: skip
    """The network with these weights, frozen, in float32; ConfigError with the names where they
    are not its own. ``spare``: prefixes of names beyond it that published files have. A network
    on the device "meta", which has shapes alone, becomes a real one."""
    needed = network.state_dict()
    lost = sorted(needed.keys() - state.keys())
    beyond = sorted(n for n in state.keys() - needed.keys() if not n.startswith(tuple(spare)))
    other = [
        f"{name} is {list(state[name].shape)} and must be {list(needed[name].shape)}"
        for name in sorted(needed.keys() & state.keys())
        if state[name].shape != needed[name].shape
    ]
    said = [f"lacks {len(lost)} weights ({first_of(lost)})"] if lost else []
    said += [f"holds weights of another size ({first_of(other, 1)})"] if other else []
    said += [f"holds weights beyond it ({first_of(beyond)})"] if beyond else []
    if said:
        raise ConfigError(
            f"{of.of} is no whole checkpoint of verifier {of.verifier!r}: it "
            f"{' and '.join(said)}; {of.instead}"
        )
    empty = any(weight.is_meta for weight in needed.values())

    def own(value: Tensor) -> Tensor:
        """In float32; a copy where nothing else makes one, since files may change under a run."""
        return value.to(torch.float32 if value.is_floating_point() else value.dtype, copy=empty)

    network.load_state_dict({name: own(state[name]) for name in needed}, assign=empty)
    return network.eval().requires_grad_(False)


_LOADED: dict[tuple[str, ...], Any] = {}


def shared(key: tuple[str, ...], load: Callable[[], Network]) -> Network:
    """A network that several verifiers look through, loaded once."""
    if key not in _LOADED:
        _LOADED[key] = load()
    found: Network = _LOADED[key]
    return found


def _instead(verifier: str, setting: str) -> str:
    return f"give a folder with them: --verifier '{verifier}({setting}=/path/to/folder)'"
