"""DINOv2's features, and the logit of a linear head on them (arXiv 2304.07193, Section 7.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from ...candidates.condition import Condition
from ...candidates.keys import digest
from ...errors import ConfigError
from ...files.fingerprint import of_file
from ...files.tensors import tensors
from ..preprocess import IMAGENET_MEAN, IMAGENET_STD, center_crop, normalise, pillow_shorter_side
from ..protocol import OnePart, Views
from ..settings import Precision, VerifierSettings
from ..weights import Files, files, shared
from .classes import check_classes, of_class
from .dino_network import BLOCKS, DinoV2, dinov2

PUBLISHED = "facebook/dinov2-large-imagenet1k-1-layer"
WEIGHTS = ("model*.safetensors", "pytorch_model*.bin", "*_pretrain.safetensors", "*_pretrain.pth")
HEADS = ("_linear4_head.*", "_linear_head.*")  # the paper's (arXiv 2501.09732) first
SHORTER, SIDE = 256, 224


def picture(images: Tensor) -> Tensor:
    """What the network is evaluated on: [B, 3, 224, 224], normalised."""
    square = center_crop(pillow_shorter_side(images, SHORTER), SIDE)
    return normalise(square, IMAGENET_MEAN, IMAGENET_STD)


def backbone(of: Files, dtype: Precision) -> DinoV2:
    """The network of these files, loaded once for all verifiers that look through it."""

    def load() -> DinoV2:
        return dinov2(of.tensors(), of).to(getattr(torch, dtype))

    return shared(("dino", *map(str, of.weights), of.fingerprint, dtype), load)


def tokens(network: DinoV2, views: Views) -> tuple[Tensor, Tensor]:
    """The network's class and patch tokens of the images, worked out once."""

    def look() -> tuple[Tensor, Tensor]:
        seen: tuple[Tensor, Tensor] = network(picture(views.images).to(network.cls_token.dtype))
        return seen

    found: tuple[Tensor, Tensor] = views.once(("dino", network), look)
    return found


def head_input(classes: Tensor, patches: Tensor, blocks: int) -> Tensor:
    """[B, (blocks + 1) · width]: class tokens, the last block's last, then the patches' mean."""
    return torch.cat([*classes[-blocks:], patches.mean(1)], dim=-1)


@dataclass(frozen=True)
class LinearProbe(OnePart):
    """A linear head on the network; see :class:`DinoLinear`, its settings.

    ``blocks``: how many class tokens the head reads.
    """

    network: DinoV2
    head: nn.Linear
    blocks: int
    fingerprint: str
    name: str = "dino-linear"
    differentiable: bool = True
    rows: int | None = None

    # A logit's natural unit: not measured with published weights. On the world fashion the
    # deviation of such a logit among samples of one class is 0.55.
    deviation = 1.0

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        return (self.network, self.head)

    def check(self, conditions: Sequence[Condition]) -> None:
        check_classes(self.name, self.head.out_features, conditions)

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        seen = head_input(*tokens(self.network, views), self.blocks)
        logits = self.head(seen.to(self.head.weight.dtype))
        return {self.name: of_class(logits, views.conditions)}

    def features(self, views: Views) -> Tensor:
        """The last class token behind the norm [B, width]: FD-DINOv2's (arXiv 2306.04675)."""
        return tokens(self.network, views)[0][-1].float()


class DinoLinear(VerifierSettings):
    """The logit of the class by DINOv2 and its pretrained linear head on ImageNet."""

    name: ClassVar[str] = "dino-linear"

    weights: str = Field(
        default=PUBLISHED,
        description="hub id, folder or file of the network, in the names of facebookresearch "
        "(dinov2_*_pretrain.pth) or of transformers",
    )
    head: str = Field(
        default="",
        description="file of the linear head (dinov2_*_linear4_head.pth reads four blocks, "
        "dinov2_*_linear_head.pth one); by default one beside the weights, four blocks before "
        "one, else the classifier in the weights",
    )
    dtype: Precision = Field(default="float32", description="of the network's weights")

    def open(self) -> LinearProbe:
        of = files(self.name, self.weights, WEIGHTS, ("*.json",))
        network = backbone(of, self.dtype)
        path = self._head(of)
        state = tensors(path, of.instead) if path else _inside(of)
        head, blocks = linear_head(state, network.sizes.width, path or of.of)
        print_ = digest([of.fingerprint, of_file(path) if path else "", self.dtype])[:16]
        return LinearProbe(network, head, blocks, print_)

    def _head(self, of: Files) -> Path | None:
        if self.head:
            path = Path(self.head).expanduser()
            if not path.is_file():
                raise ConfigError(
                    f"no file {self.head} for the linear head of verifier {self.name!r}; give a "
                    f"published one: --verifier '{self.name}(weights=…, "
                    "head=dinov2_vitl14_linear4_head.pth)'"
                )
            return path
        size = of.weights[0].name.rpartition("_pretrain")[0]  # such as dinov2_vitl14_reg4
        found = [path for end in HEADS for path in sorted(of.folder.glob(f"{size or '*'}{end}"))]
        return found[0] if found else None


def _inside(of: Files) -> dict[str, Tensor]:
    """The classifier that transformers keeps with the network."""
    mark = "classifier."
    inner = {n.removeprefix(mark): w for n, w in of.tensors().items() if n.startswith(mark)}
    if not inner:
        raise ConfigError(
            f"{of.of} holds a DINOv2 without a linear head; put dinov2_*_linear4_head.pth (from "
            f"github.com/facebookresearch/dinov2) beside it or name it: --verifier "
            f"'{of.verifier}(weights={of.of}, head=FILE)'"
        )
    return inner


def linear_head(state: Mapping[str, Tensor], width: int, source: object) -> tuple[nn.Linear, int]:
    """The head of these weights, frozen, in float32, and how many class tokens it reads: 1 or 4,
    by its width; ConfigError where it is none of a network as wide as this one."""
    weight, bias = (state.get(name) for name in ("weight", "bias"))
    reads = {(blocks + 1) * width: blocks for blocks in (1, BLOCKS)}
    if weight is None or bias is None or weight.ndim != 2 or weight.shape[1] not in reads:
        got = "lacks weight or bias" if weight is None or bias is None else (
            f"has a weight of {list(weight.shape)}"
        )  # fmt: skip
        raise ConfigError(
            f"{source} {got}, but a linear head on this network, which is {width} wide, has a "
            f"weight [classes, {' or '.join(map(str, reads))}] and a bias; give the head that was "
            "published with the network"
        )
    head = nn.Linear(weight.shape[1], weight.shape[0])
    head.load_state_dict({"weight": weight.float(), "bias": bias.float()})
    return head.eval().requires_grad_(False), reads[weight.shape[1]]
