"""The sizes of SiT networks, as the published code names them; no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...errors import unknown

# Width, blocks and heads of the four networks (arXiv 2401.08740, Table 1; heads as in
# arXiv 2212.09748, Table 1). No two share width and blocks, so weights tell their heads.
WIDTHS = {"S": (384, 12, 6), "B": (768, 12, 12), "L": (1024, 24, 16), "XL": (1152, 28, 16)}
PATCHES = (2, 4, 8)
NAMES = tuple(f"SiT-{size}/{patch}" for size in WIDTHS for patch in PATCHES)


class SiTConfig(BaseModel):
    """One network; the fields have the names of the published constructor's arguments.

    ``input_size``: side of the picture or latent. ``null_class``: the table of classes has one
    row more, for "no class", without which there is no guidance. ``learn_sigma``: the last layer
    makes twice the channels, of which the second half is never used. ``gelu``: the published
    networks use the tanh approximation; the exact form ("none") is quicker on processors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_size: int = Field(default=32, ge=1)
    patch_size: int = Field(default=2, ge=1)
    in_channels: int = Field(default=4, ge=1)
    hidden_size: int = Field(default=1152, ge=4, multiple_of=4)
    depth: int = Field(default=28, ge=1)
    num_heads: int = Field(default=16, ge=1)
    mlp_ratio: float = Field(default=4.0, gt=0)
    num_classes: int = Field(default=1000, ge=1)
    null_class: bool = True
    learn_sigma: bool = True
    gelu: Literal["tanh", "none"] = "tanh"

    @model_validator(mode="after")
    def _whole(self) -> SiTConfig:
        if self.input_size % self.patch_size:
            raise ValueError(
                f"input_size is {self.input_size}, but must be a multiple of patch_size, "
                f"{self.patch_size}"
            )
        if self.hidden_size % self.num_heads:
            raise ValueError(
                f"hidden_size is {self.hidden_size}, but must be a multiple of num_heads, "
                f"{self.num_heads}"
            )
        return self

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.input_size // self.patch_size

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one noise."""
        return self.in_channels, self.input_size, self.input_size

    @property
    def out_channels(self) -> int:
        """Channels that the last layer makes."""
        return self.in_channels * (2 if self.learn_sigma else 1)

    @property
    def rows(self) -> int:
        """Rows of the table of classes; the null class is its last."""
        return self.num_classes + self.null_class

    @property
    def mlp_size(self) -> int:
        return int(self.hidden_size * self.mlp_ratio)

    @property
    def published(self) -> str | None:
        """The published name of these widths; None for others."""
        size = (self.hidden_size, self.depth, self.num_heads)
        found = (name for name, widths in WIDTHS.items() if widths == size)
        name = next(found, None)
        return f"SiT-{name}/{self.patch_size}" if name else None

    def __str__(self) -> str:
        blocks = f"{self.depth} block{'s' * (self.depth > 1)}"
        shape = "×".join(map(str, self.shape))
        return (
            f"{self.published or 'a SiT'} of {blocks} of width {self.hidden_size}, patch "
            f"{self.patch_size}, {self.num_classes} classes, {shape}"
        )


def sized(
    name: str,
    input_size: int = 32,
    in_channels: int = 4,
    num_classes: int = 1000,
    learn_sigma: bool = True,
) -> SiTConfig:
    """The network of a published name, SiT-{S,B,L,XL}/{2,4,8}; by default ImageNet at 256."""
    if name not in NAMES:
        raise unknown("SiT", name, NAMES)
    size, patch = name.removeprefix("SiT-").split("/")
    width, depth, heads = WIDTHS[size]
    return SiTConfig(
        input_size=input_size,
        patch_size=int(patch),
        in_channels=in_channels,
        hidden_size=width,
        depth=depth,
        num_heads=heads,
        num_classes=num_classes,
        learn_sigma=learn_sigma,
    )
