"""EfficientNet-Lite0 (Tan and Le 2019, arXiv 1905.11946; the "lite" variant of TensorFlow's
authors: ReLU6, no squeeze and excitation), under the names of its published PyTorch weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

# A row a stage: blocks, kernel, stride of the first, expansion, channels.
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
          (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))  # fmt: skip
BLOCKS = tuple(
    (kernel, stride if first == 0 else 1, expansion, channels)
    for count, kernel, stride, expansion, channels in STAGES
    for first in range(count)
)
CHANNELS = tuple(shape[-1] for shape in BLOCKS)
STEM, HEAD, CLASSES = 32, 1280, 1000


class SameConv(nn.Conv2d):
    """TensorFlow's padding: an odd pixel goes to the right and below."""

    def forward(self, x: Tensor) -> Tensor:
        (height, width), kernel, stride = x.shape[2:], self.kernel_size[0], self.stride[0]
        down, right = (max((-(-n // stride) - 1) * stride + kernel - n, 0)
                       for n in (height, width))  # fmt: skip
        pads = (right // 2, right - right // 2, down // 2, down - down // 2)
        return super().forward(F.pad(x, pads))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):
    """Widen, look around channel by channel, narrow; and add where the shape stays."""

    def __init__(self, before: int, kernel: int, stride: int, expansion: int, after: int) -> None:
        super().__init__()
        inner = before * expansion
        if expansion > 1:
            self._expand_conv = nn.Conv2d(before, inner, 1, bias=False)
            self._bn0 = _norm(inner)
        self._depthwise_conv = SameConv(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = _norm(inner)
        self._project_conv = nn.Conv2d(inner, after, 1, bias=False)
        self._bn2 = _norm(after)
        self.wide, self.adds = expansion > 1, stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu6(self._bn0(self._expand_conv(x))) if self.wide else x
        inner = F.relu6(self._bn1(self._depthwise_conv(inner)))
        found: Tensor = self._bn2(self._project_conv(inner))
        return x + found if self.adds else found


class EfficientNetLite(nn.Module):
    """[B, 3, H, W] to features [B, head]; ``_fc`` makes logits of them."""

    def __init__(
        self,
        stem: int = STEM,
        channels: Sequence[int] = CHANNELS,
        head: int = HEAD,
        classes: int = CLASSES,
    ) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, stem, 3, 2, bias=False)
        self._bn0 = _norm(stem)
        before = (stem, *channels)
        self._blocks = nn.ModuleList(
            Block(before[i], kernel, stride, expansion, channels[i])
            for i, (kernel, stride, expansion, _) in enumerate(BLOCKS)
        )
        self._conv_head = nn.Conv2d(channels[-1], head, 1, bias=False)
        self._bn1 = _norm(head)
        self._fc = nn.Linear(head, classes)

    @classmethod
    def like(cls, state: Mapping[str, Tensor]) -> EfficientNetLite:
        """As wide as these weights are; the published width where they are others' weights."""
        names = ["_conv_stem.weight", "_conv_head.weight", "_fc.weight"]
        names += [f"_blocks.{i}._project_conv.weight" for i in range(len(BLOCKS))]
        if any(name not in state for name in names):
            return cls()
        stem, head, classes, *channels = (state[name].shape[0] for name in names)
        return cls(stem, channels, head, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return F.relu6(self._bn1(self._conv_head(x))).mean((2, 3))

    def logits(self, features: Tensor) -> Tensor:
        """[B, classes] of features [B, head]."""
        found: Tensor = self._fc(features)
        return found
