"""Finding faces: MTCNN (Zhang et al. 2016, arXiv 1604.02878), for the weights in facenet-pytorch.

Three small networks, each on what the one before let through: one slides over the image at many
sizes, one looks at its boxes again, and the last one decides. Between them boxes are moved by
what a network says, made square, and of those that overlap the surest is kept.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELL, STRIDE = 12, 2  # of the first network, in pixels of the image that it sees
SHRINK = 0.709  # between two sizes of the image: half the area
SURE = (0.6, 0.7, 0.7)  # least probabilities of the three, as published
OVERLAP = 0.7  # beyond which two boxes are one face
AT_ONCE = 512  # boxes


class Proposal(nn.Module):
    """Probabilities [1, H', W'] and shifts [4, H', W'] for every cell of an image [3, H, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 2, 2, ceil_mode=True)
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_1(x).softmax(1)[:, 1], self.conv4_2(x)


class Refinement(nn.Module):
    """Probabilities [n] and shifts [n, 4] of crops [n, 3, 24, 24]."""

    side = 24

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1, self.dense5_2 = nn.Linear(128, 2), nn.Linear(128, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = self.prelu4(self.dense4(_columns(self.prelu3(self.conv3(x)))))
        return self.dense5_1(x).softmax(1)[:, 1], self.dense5_2(x)


class Output(nn.Module):
    """The same of crops [n, 3, 48, 48]. ``dense6_3`` would say where eyes, nose and mouth are."""

    side = 48

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2 = nn.Linear(256, 2), nn.Linear(256, 4)
        self.dense6_3 = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.prelu3(self.conv3(x)), 2, 2, ceil_mode=True)
        x = self.prelu5(self.dense5(_columns(self.prelu4(self.conv4(x)))))
        return self.dense6_1(x).softmax(1)[:, 1], self.dense6_2(x)


class MTCNN(nn.Module):
    """The three together; :meth:`forward` gives boxes [n, 4] (left, top, right, bottom, in pixels)
    and probabilities [n] of the faces in an image [3, H, W] in [0, 1]."""

    def __init__(self, smallest: int = 20) -> None:
        super().__init__()
        self.pnet, self.rnet, self.onet = Proposal(), Refinement(), Output()
        self.smallest = smallest  # face, in pixels

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        pixels = (image[None] * 255 - 127.5) / 128
        boxes = _squared(self._proposed(pixels))
        boxes, sure, shifts = _looked(self.rnet, pixels, boxes, SURE[1])
        kept = surest(boxes, sure)
        boxes = _squared(_moved(boxes[kept], shifts[kept]))
        boxes, sure, shifts = _looked(self.onet, pixels, boxes, SURE[2])
        boxes = _moved(boxes, shifts)
        kept = surest(boxes, sure, of_smaller=True)
        return boxes[kept], sure[kept]

    def _proposed(self, pixels: Tensor) -> Tensor:
        """Boxes of the first network, at every size at which a face may fill its cell."""
        height, width = pixels.shape[2:]
        scale = CELL / self.smallest
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        while min(height, width) * scale >= CELL:
            size = (int(height * scale + 1), int(width * scale + 1))
            (probability,), (shift,) = self.pnet(F.adaptive_avg_pool2d(pixels, size))
            rows, columns = (probability >= SURE[0]).nonzero(as_tuple=True)
            corner = STRIDE * torch.stack([columns, rows], 1) + 1
            boxes = torch.cat([corner, corner + CELL - 1], 1).to(pixels.dtype)
            boxes = (boxes / scale).floor()
            sure, shifts = probability[rows, columns], shift[:, rows, columns].T
            kept = surest(boxes, sure, 0.5)
            found.append((boxes[kept], sure[kept], shifts[kept]))
            scale *= SHRINK
        if not found:
            return pixels.new_zeros(0, 4)
        boxes, sure, shifts = (torch.cat(column) for column in zip(*found, strict=True))
        kept = surest(boxes, sure)
        return _moved(boxes[kept], shifts[kept], rim=0)


def _looked(
    network: Refinement | Output, pixels: Tensor, boxes: Tensor, least: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The boxes that a network is sure of, how sure it is, and where it would move them."""
    height, width = pixels.shape[2:]
    cut = boxes.trunc().long()
    low, high = cut[:, :2].clamp_min(1) - 1, cut[:, 2:]
    high = torch.minimum(high, high.new_tensor([width, height]))
    there = (high > low).all(1)  # some of it lies in the image
    boxes = boxes[there]
    side = network.side
    crops = [
        F.adaptive_avg_pool2d(pixels[:, :, top:bottom, left:right], (side, side))
        for (left, top), (right, bottom) in zip(
            low[there].tolist(), high[there].tolist(), strict=True
        )
    ]
    if not crops:
        return boxes, boxes.new_zeros(0), boxes
    seen = [network(part) for part in torch.split(torch.cat(crops), AT_ONCE)]
    sure, shifts = (torch.cat(column) for column in zip(*seen, strict=True))
    passed = sure > least
    return boxes[passed], sure[passed], shifts[passed]


def _moved(boxes: Tensor, shifts: Tensor, rim: int = 1) -> Tensor:
    """Each corner by a share of the box's size, the last pixel (``rim``) counted in."""
    size = boxes[:, 2:] - boxes[:, :2] + rim
    return boxes + shifts * torch.cat([size, size], 1)


def _squared(boxes: Tensor) -> Tensor:
    """Around the same middles, as long as the longer side."""
    low, high = boxes[:, :2], boxes[:, 2:]
    middle, half = (low + high) / 2, (high - low).amax(1, keepdim=True) / 2
    return torch.cat([middle - half, middle + half], 1)


def surest(boxes: Tensor, sure: Tensor, most: float = OVERLAP, of_smaller: bool = False) -> Tensor:
    """Which boxes [n, 4] stay, the surest first: those that overlap no surer one by more than
    ``most`` of their union, or of the smaller of the two."""
    size = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    left = sure.argsort(descending=True, stable=True)
    kept = []
    while len(left):
        first, left = left[0], left[1:]
        kept.append(first)
        low = torch.maximum(boxes[left, :2], boxes[first, :2])
        high = torch.minimum(boxes[left, 2:], boxes[first, 2:])
        shared = (high - low).clamp_min(0).prod(1)
        whole = (torch.minimum(size[left], size[first]) if of_smaller
                 else size[left] + size[first] - shared)  # fmt: skip
        left = left[shared <= most * whole]
    return torch.stack(kept) if kept else left


def _columns(x: Tensor) -> Tensor:
    """[n, c, h, w] flat, columns first: the weights come from a library that counts so."""
    return x.permute(0, 3, 2, 1).flatten(1)
