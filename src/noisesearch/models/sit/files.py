"""SiT weights on disk: found, understood, checked and loaded; nothing is unpickled.

Read are the published formats (a dictionary with ``ema`` and ``model``, or plain weights) in
``.pt`` and safetensors files, and our own: safetensors with the sizes in a JSON beside them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ...errors import ConfigError, first_of, unknown
from ...files.hub import ENDINGS
from ...files.json_text import parsed
from ...files.tensors import data, opened
from ...names.options import settings
from .config import WIDTHS, SiTConfig
from .network import SiT

BRANCHES = ("ema", "model")  # the first that is there is used: its samples are the published ones
TABLE = "y_embedder.embedding_table.weight"
# Weights whose shapes tell the network's sizes, and how many dimensions each has.
TELLING = {"x_embedder.proj.weight": 4, "pos_embed": 3, TABLE: 2, "final_layer.linear.weight": 2,
           "blocks.0.mlp.fc1.weight": 2}  # fmt: skip
OTHER = "give the .safetensors or .pt file of a SiT checkpoint, or a folder with one"
PIPELINE = "or with the model_index.json of a diffusers pipeline"


def find(source: Path) -> Path:
    """The weights file that a file or folder stands for; ConfigError where it is not one."""
    if source.is_file():
        return source
    if not source.is_dir():
        raise ConfigError(f"no file or folder {source}: {OTHER} {PIPELINE}")
    if (source / "model_index.json").is_file():
        raise ConfigError(f"{source} holds a diffusers pipeline, not a SiT checkpoint: {OTHER}")
    found = sorted(p for p in source.iterdir() if p.suffix in ENDINGS)
    if not found:
        raise ConfigError(f"{source} holds no weights ({', '.join(ENDINGS)}): {OTHER} {PIPELINE}")
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise ConfigError(f"{source} holds several weights ({names}); give the file that is meant")
    return found[0]


def beside(weights: Path) -> dict[str, Any]:
    """The JSON beside the weights: ``NAME.json``, else ``config.json``; empty without one."""
    for path in (weights.with_suffix(".json"), weights.with_name("config.json")):
        if path.is_file():
            try:
                content = parsed(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise ConfigError(f"{path} cannot be read as JSON ({error}); mend it") from error
            if not isinstance(content, dict):
                raise ConfigError(f'{path} must hold an object such as {{"num_heads": 6}}')
            if "_class_name" in content:
                raise ConfigError(
                    f"{weights.parent} holds a {content['_class_name']}, one component of a "
                    "diffusers pipeline; give the pipeline's folder, with its model_index.json"
                )
            return content
    return {}


@dataclass(frozen=True)
class SiTCheckpoint:
    """A weights file. ``branch``: ema or model; None takes the averaged weights if there."""

    path: Path
    branch: str | None = None

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every weight by its published name; the weights stay on disk."""
        if self.path.suffix == ".safetensors":
            with opened(self.path, OTHER) as stored:
                names = self._chosen(stored.keys())
                return {n: tuple(stored.get_slice(key).get_shape()) for n, key in names.items()}
        return {name: tuple(weight.shape) for name, weight in self._unpacked().items()}

    def tensors(self) -> dict[str, Tensor]:
        """The weights by their published names, on the processor."""
        if self.path.suffix == ".safetensors":
            with opened(self.path, OTHER) as stored:
                names = self._chosen(stored.keys())
                return {name: stored.get_tensor(key) for name, key in names.items()}
        return self._unpacked()

    def _chosen(self, keys: Iterable[str]) -> dict[str, str]:
        """Published name → key in the file; where files cannot nest, a prefix names the branch."""
        known = list(keys)
        for branch in self._order():
            of = {k.removeprefix(f"{branch}."): k for k in known if k.startswith(f"{branch}.")}
            if of:
                return of
        self._check_plain()
        return {key: key for key in known}

    def _unpacked(self) -> dict[str, Tensor]:
        content = data(self.path, OTHER)
        nested = [content[b] for b in self._order() if isinstance(content.get(b), Mapping)]
        if not nested:
            self._check_plain()
        of = (nested or [content])[0]
        return {name: value for name, value in of.items() if isinstance(value, Tensor)}

    def _order(self) -> Sequence[str]:
        return BRANCHES if self.branch is None else (self.branch,)

    def _check_plain(self) -> None:
        if self.branch is not None:
            raise ConfigError(
                f"{self.path} has no weights under {self.branch!r}; leave the branch out to take "
                "those that are there"
            )


def understand(
    checkpoint: SiTCheckpoint, given: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> SiTConfig:
    """The network that weights belong to: what is given, the rest told by their shapes.

    ConfigError where something is missing, unknown or does not fit.
    """
    for key in given:
        if key not in SiTConfig.model_fields:
            raise unknown("setting of a SiT", key, [*SiTConfig.model_fields, "class_names"])
    lost = [name for name, rank in TELLING.items() if len(shapes.get(name, ())) != rank]
    if lost:
        raise ConfigError(
            f"{checkpoint.path} is no whole SiT checkpoint: it lacks {first_of(lost)} and holds "
            f"{first_of(sorted(shapes))}; {OTHER} {PIPELINE}"
        )
    told = _told(shapes, given)
    if "num_heads" not in told and "num_heads" not in given:
        width, depth = told["hidden_size"], told["depth"]
        near = next(
            (f" (SiT-{n} has {d} of it)" for n, (w, d, _) in WIDTHS.items() if w == width), ""
        )
        raise ConfigError(
            f"{checkpoint.path} holds {depth} blocks of width {width}, no published size{near}, "
            "and weights do not tell their heads; if it is whole, write "
            '{"num_heads": …} to config.json beside it'
        )
    config: SiTConfig = settings("checkpoint", checkpoint.path.name, SiTConfig, {**told, **given})
    _check(checkpoint.path, config, shapes)
    return config


def _told(shapes: Mapping[str, tuple[int, ...]], given: Mapping[str, Any]) -> dict[str, Any]:
    """What the shapes of weights say of their network."""
    width, channels, patch = shapes["x_embedder.proj.weight"][:3]
    side = round(shapes["pos_embed"][-2] ** 0.5)
    depth = 1 + max(int(m[1]) for n in shapes if (m := re.match(r"blocks\.(\d+)\.", n)))
    null = int(given.get("null_class") is not False)
    told = {
        "hidden_size": width,
        "in_channels": channels,
        "patch_size": patch,
        "input_size": side * patch,
        "depth": depth,
        "num_classes": shapes[TABLE][0] - null,
        "learn_sigma": shapes["final_layer.linear.weight"][0] == 2 * channels * patch * patch,
        "mlp_ratio": shapes["blocks.0.mlp.fc1.weight"][0] / width,
    }
    heads = next((h for w, d, h in WIDTHS.values() if (w, d) == (width, depth)), None)
    return told if heads is None else {**told, "num_heads": heads}


def _check(path: Path, config: SiTConfig, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """ConfigError with the names where weights and network differ."""
    with torch.device("meta"):
        needed = {n: tuple(w.shape) for n, w in SiT(config).state_dict().items()}
    lost = [n for n in needed if n not in shapes]
    strange = [n for n in shapes if n not in needed]
    other = [
        f"{n} is {list(shapes[n])} and must be {list(needed[n])}"
        for n in needed
        if n in shapes and shapes[n] != needed[n]
    ]
    found = [f"lacks {first_of(lost)}"] if lost else []
    found += [f"has {first_of(strange)} beyond it"] if strange else []
    found += [f"differs in shape ({first_of(other, 1)})"] if other else []
    if found:
        raise ConfigError(
            f"{path} does not fit {config}: it {', and '.join(found)}; give the whole checkpoint "
            "of this network, or mend the sizes that were given with it (config.json)"
        )


def load(checkpoint: SiTCheckpoint, config: SiTConfig, device: str, dtype: torch.dtype) -> SiT:
    """The frozen network of a checkpoint that :func:`understand` knows."""
    with torch.device("meta"):
        network = SiT(config)
    network = network.to(dtype).to_empty(device=device)
    network.load_state_dict(checkpoint.tensors())
    return network.eval().requires_grad_(False)


def save(
    network: SiT,
    path: Path,
    dtype: torch.dtype = torch.float32,
    class_names: Sequence[str] = (),
) -> None:
    """Weights in ``dtype`` as ``path`` (.safetensors), sizes and class names as its JSON."""
    state = {n: w.detach().to("cpu", dtype).contiguous() for n, w in network.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, str(path))
    content: dict[str, Any] = network.config.model_dump()
    if class_names:
        content["class_names"] = list(class_names)
    path.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
