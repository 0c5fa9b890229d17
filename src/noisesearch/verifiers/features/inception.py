"""The Inception network of 2015-12-05, by which published FIDs and Inception Scores are measured.

The architecture is that of arXiv 1512.00567 with the averages of the original TensorFlow graph,
which leave the border out, and a maximum in the last block. Its parameters have the names of the
published conversion to PyTorch. No reference output was at hand here: parameters, shapes and
single layers are tested, not a score of the published weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import ConfigError
from ..preprocess import tensorflow_bilinear
from ..protocol import Views
from ..settings import Precision
from ..weights import Files, files, filled, shared

SIDE = 299
OUTPUTS = 1008
EPS = 1e-3
STEM = 32  # channels of the first layer
FILE = "pt_inception-2015-12-05-6726825d.pth"
Pool = Literal["mean", "max", "halve"]


@dataclass(frozen=True)
class Step:
    """One convolution. Those of stride 1 keep the size; the others have no border."""

    width: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1


Branch = tuple[Step | tuple[Step, Step], ...]  # a pair: both look at the same, side by side


@dataclass(frozen=True)
class BlockPlan:
    """A block: its branches by name, and the pooling whose ``pooled`` channels stand last."""

    branches: Mapping[str, Branch]
    pool: Pool
    pooled: int = 0


def _thirty_five(pooled: int) -> BlockPlan:
    branches = {
        "branch1x1": (Step(64),),
        "branch5x5": (Step(48), Step(64, (5, 5))),
        "branch3x3dbl": (Step(64), Step(96, (3, 3)), Step(96, (3, 3))),
    }
    return BlockPlan(branches, "mean", pooled)


def _seventeen(inner: int) -> BlockPlan:
    flat, tall = Step(inner, (1, 7)), Step(inner, (7, 1))
    branches = {
        "branch1x1": (Step(192),),
        "branch7x7": (Step(inner), flat, Step(192, (7, 1))),
        "branch7x7dbl": (Step(inner), tall, flat, tall, Step(192, (1, 7))),
    }
    return BlockPlan(branches, "mean", 192)


def _eight(pool: Pool) -> BlockPlan:
    cross = Step(384, (1, 3)), Step(384, (3, 1))
    branches = {
        "branch1x1": (Step(320),),
        "branch3x3": (Step(384), cross),
        "branch3x3dbl": (Step(448), Step(384, (3, 3)), cross),
    }
    return BlockPlan(branches, pool, 192)


BLOCKS = {
    "Mixed_5b": _thirty_five(32),
    "Mixed_5c": _thirty_five(64),
    "Mixed_5d": _thirty_five(64),
    "Mixed_6a": BlockPlan(
        {
            "branch3x3": (Step(384, (3, 3), 2),),
            "branch3x3dbl": (Step(64), Step(96, (3, 3)), Step(96, (3, 3), 2)),
        },
        "halve",
    ),
    "Mixed_6b": _seventeen(128),
    "Mixed_6c": _seventeen(160),
    "Mixed_6d": _seventeen(160),
    "Mixed_6e": _seventeen(192),
    "Mixed_7a": BlockPlan(
        {
            "branch3x3": (Step(192), Step(320, (3, 3), 2)),
            "branch7x7x3": (
                Step(192),
                Step(192, (1, 7)),
                Step(192, (7, 1)),
                Step(192, (3, 3), 2),
            ),
        },
        "halve",
    ),
    "Mixed_7b": _eight("mean"),
    "Mixed_7c": _eight("max"),
}


class Norm(nn.Module):
    """Batch normalisation with the statistics of training."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=EPS
        )


class Convolution(nn.Module):
    def __init__(
        self, before: int, width: int, kernel: tuple[int, int], stride: int = 1, same: bool = False
    ) -> None:
        super().__init__()
        border = (kernel[0] // 2, kernel[1] // 2) if same else 0
        self.conv = nn.Conv2d(before, width, kernel, stride, border, bias=False)
        self.bn = Norm(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Branches side by side and a pooling; what they see is stacked to ``width`` channels.

    ``share``: one of how many channels there are, in tiny networks for tests.
    """

    def __init__(self, before: int, plan: BlockPlan, share: int) -> None:
        super().__init__()
        self.plan = plan
        self.ways: list[list[tuple[str, ...]]] = []  # of each branch, the names of its layers
        self.width = 0
        for branch, steps in plan.branches.items():
            at = before
            way: list[tuple[str, ...]] = []
            for number, step in enumerate(steps, 1):
                pair = step if isinstance(step, tuple) else (step,)
                end = f"_{number}" if len(steps) > 1 else ""
                names = tuple(f"{branch}{end}{'ab'[i] if len(pair) > 1 else ''}"
                              for i in range(len(pair)))  # fmt: skip
                for name, one in zip(names, pair, strict=True):
                    width = one.width // share
                    layer = Convolution(at, width, one.kernel, one.stride, one.stride == 1)
                    self.add_module(name, layer)
                way.append(names)
                at = sum(one.width // share for one in pair)
            self.ways.append(way)
            self.width += at
        if plan.pooled:
            self.branch_pool = Convolution(before, plan.pooled // share, (1, 1))
        self.width += plan.pooled // share or before

    def forward(self, x: Tensor) -> Tensor:
        seen = []
        for way in self.ways:
            at = x
            for names in way:
                at = torch.cat([self.get_submodule(name)(at) for name in names], 1)
            seen.append(at)
        return torch.cat([*seen, self._pooled(x)], 1)

    def _pooled(self, x: Tensor) -> Tensor:
        if self.plan.pool == "halve":
            return F.max_pool2d(x, 3, 2)
        if self.plan.pool == "max":
            at = F.max_pool2d(x, 3, 1, 1)
        else:
            at = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        out: Tensor = self.branch_pool(at)
        return out


class Inception(nn.Module):
    """``features`` of pictures [B, 3, 299, 299] in [-1, 1), and what the classifier says."""

    def __init__(self, share: int = 1) -> None:
        super().__init__()
        widths = [width // share for width in (STEM, 32, 64, 80, 192)]
        self.Conv2d_1a_3x3 = Convolution(3, widths[0], (3, 3), 2)
        self.Conv2d_2a_3x3 = Convolution(widths[0], widths[1], (3, 3))
        self.Conv2d_2b_3x3 = Convolution(widths[1], widths[2], (3, 3), same=True)
        self.Conv2d_3b_1x1 = Convolution(widths[2], widths[3], (1, 1))
        self.Conv2d_4a_3x3 = Convolution(widths[3], widths[4], (3, 3))
        width = widths[4]
        for name, plan in BLOCKS.items():
            block = Mixed(width, plan, share)
            self.add_module(name, block)
            width = block.width
        self.fc = nn.Linear(width, OUTPUTS)

    def features(self, pictures: Tensor) -> Tensor:
        """[B, 2048]: the mean over places of the last block, published as pool3."""
        x: Tensor = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(pictures)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = F.max_pool2d(x, 3, 2)
        for name in BLOCKS:
            x = self.get_submodule(name)(x)
        return x.mean((2, 3))

    def logits(self, features: Tensor) -> Tensor:
        """[B, 1008] without the bias, as published Inception Scores have them."""
        values: Tensor = F.linear(features, self.fc.weight)
        return values


def picture(images: Tensor) -> Tensor:
    """TensorFlow's resize to 299×299, and (x - 128) / 128 of values up to 255."""
    return (tensorflow_bilinear(images, SIDE, SIDE) * 255 - 128) / 128


def seen(network: Inception, views: Views) -> Tensor:
    """The features [B, 2048] of the images, in float32, worked out once."""

    def look() -> Tensor:
        return network.features(picture(views.images).to(network.fc.weight.dtype)).float()

    found: Tensor = views.once(("inception", network), look)
    return found


def given(verifier: str, weights: str) -> Files:
    """The weights that a verifier was given; ConfigError where none were."""
    if not weights:
        raise ConfigError(
            f"verifier {verifier!r} needs the weights of the Inception network of 2015, which are "
            f"on no hub; download {FILE} from github.com/mseitzer/pytorch-fid (releases) and name "
            f"it: --verifier '{verifier}(weights=/path/to/{FILE})'"
        )
    return files(verifier, weights, ("*inception*.safetensors", "*inception*.pth"))


def inception(of: Files, dtype: Precision) -> Inception:
    """The network of these files, frozen, loaded once."""

    def load() -> Inception:
        state = {n: w for n, w in of.tensors().items() if not n.endswith("num_batches_tracked")}
        first = state.get("Conv2d_1a_3x3.conv.weight", torch.empty(STEM))
        share = max(1, STEM // max(1, len(first)))
        return filled(Inception(share), state, of).to(getattr(torch, dtype))

    return shared(("inception", *map(str, of.weights), of.fingerprint, dtype), load)


def outputs(path: Path) -> tuple[int, ...]:
    """Which of the network's 1008 outputs stands for each class of ImageNet, in its usual order.

    ``path``: the network's own imagenet_2012_challenge_label_map_proto.pbtxt, which pairs outputs
    with WordNet ids, whose order is ImageNet's; or plain numbers, one for each class.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"classes={path} cannot be read ({error}); {_maps()}") from error
    pairs = re.findall(r'target_class:\s*(\d+)\s*target_class_string:\s*"(n\d+)"', text)
    words: Sequence[str] = [at for at, _ in sorted(pairs, key=lambda pair: pair[1])]
    words = words or text.split()
    numbers = tuple(int(word) for word in words if word.isdecimal())
    right = len(numbers) == len(words) == len(set(numbers))
    if not numbers or not right or max(numbers) >= OUTPUTS:
        raise ConfigError(
            f"classes={path} gives no output of its own, below {OUTPUTS}, to each class; {_maps()}"
        )
    return numbers


def _maps() -> str:
    return (
        "give imagenet_2012_challenge_label_map_proto.pbtxt of the original network "
        "(inception-2015-12-05.tgz), or a text file with the number of an output for each class"
    )
