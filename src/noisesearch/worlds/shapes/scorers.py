"""The learned verifiers of the shapes world: small networks that score images.

They stand in for CLIPScore (`ImageText`, arXiv:2104.08718), ImageReward (`Preference`,
arXiv:2304.05977) and the LAION aesthetic predictor (`Taste`), and err in the same ways: each
sees a part of what makes an image good, so a search that trusts one alone can be misled.
All are differentiable, and no row's score depends on another row.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file as load_tensors
from safetensors.torch import save_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).parent / "weights"
VOCABULARY_SIZE = 80

# The standard deviation of each score among images of one prompt, averaged over prompts, the
# first as 2.5 * max(cosine, 0). Measured on the default generator's images by
# `PYTHONPATH=training python training/results/measure.py verifiers --steps 12 --guidance 1`.
SCALES = {"image-text": 0.21, "preference": 0.56, "taste": 0.48}


def norm(channels: int) -> nn.GroupNorm:
    """A norm over each image alone, so that rows of a batch cannot influence each other."""
    return nn.GroupNorm(8, channels)


class ConvTower(nn.Module):
    """Turns images into a small grid of features, so that places are kept."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        first, second, third = widths
        # The first layer already halves the picture: full-size layers would cost the most.
        self.layers = nn.Sequential(
            nn.Conv2d(3, first, 4, stride=2, padding=1),
            norm(first),
            nn.SiLU(),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            norm(second),
            nn.SiLU(),
            nn.Conv2d(second, second, 3, padding=1),
            norm(second),
            nn.SiLU(),
            nn.Conv2d(second, third, 3, stride=2, padding=1),
            norm(third),
            nn.SiLU(),
            nn.Conv2d(third, third, 3, padding=1),
            norm(third),
            nn.SiLU(),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, width, 4, 4] of images [B, 3, 32, 32] in [0, 1]."""
        features: Tensor = self.layers(images * 2 - 1)
        return features


class TextTower(nn.Module):
    """Turns token numbers into one vector by a gated recurrent network in both directions."""

    def __init__(self, words: int, hidden: int) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY_SIZE, words)
        self.gru = nn.GRU(words, hidden, batch_first=True, bidirectional=True)

    def forward(self, tokens: Tensor) -> Tensor:
        """Vectors [B, 2 * hidden] of token numbers [B, 16]."""
        states: Tensor = self.gru(self.words(tokens))[0]
        # The padding is left out of the maximum: <pad> is 0.
        states = states.masked_fill((tokens == 0)[:, :, None], -1.0)
        return states.amax(dim=1)


class ImageText(nn.Module):
    """How well an image fits a prompt: two towers that meet in a cosine (arXiv:2103.00020)."""

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 96), embedding: int = 128) -> None:
        super().__init__()
        self.tower = ConvTower(widths)
        self.image_out = nn.Sequential(
            nn.Linear(widths[2] * 16, 192), nn.SiLU(), nn.Linear(192, embedding)
        )
        self.text = TextTower(64, 96)
        self.text_out = nn.Sequential(nn.Linear(192, 192), nn.SiLU(), nn.Linear(192, embedding))
        self.log_scale = nn.Parameter(torch.tensor(2.5))

    def embed_images(self, images: Tensor) -> Tensor:
        """Unit vectors [B, embedding] of images [B, 3, 32, 32] in [0, 1]."""
        return F.normalize(self.image_out(self.tower(images).flatten(1)), dim=1)

    def features(self, images: Tensor) -> Tensor:
        """What is seen in images [B, 3, 32, 32], whatever the prompt: [B, embedding]."""
        return self.embed_images(images)

    def embed_prompts(self, tokens: Tensor) -> Tensor:
        """Unit vectors [B, embedding] of token numbers [B, 16]."""
        return F.normalize(self.text_out(self.text(tokens)), dim=1)

    def score(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Cosines [B] of images [B, 3, 32, 32] and the prompts [B, 16] beside them."""
        return (self.embed_images(images) * self.embed_prompts(tokens)).sum(dim=1)

    def forward(self, images: Tensor, tokens: Tensor) -> Tensor:
        """The same as `score`."""
        return self.score(images, tokens)


class Preference(ImageText):
    """A judge's reward for an image of a prompt, with mean 0 and deviation 1 on samples.

    It has the towers of `ImageText` and weighs where they agree, in place of a plain cosine.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 96), embedding: int = 128) -> None:
        super().__init__(widths, embedding)
        self.head = nn.Sequential(nn.Linear(3 * embedding, 128), nn.SiLU(), nn.Linear(128, 1))
        self.register_buffer("shift", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def raw(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Rewards [B] before they are normalised."""
        seen, said = self.embed_images(images), self.embed_prompts(tokens)
        # Entries of unit vectors are small: the product is brought to the others' size.
        parts = torch.cat([seen * said * seen.shape[1] ** 0.5, seen, said], dim=1)
        rewards: Tensor = self.head(parts * seen.shape[1] ** 0.5)
        return rewards[:, 0]

    def score(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Rewards [B] of images [B, 3, 32, 32] in [0, 1] for the prompts [B, 16]."""
        return (self.raw(images, tokens) - self.shift) / self.scale

    def forward(self, images: Tensor, tokens: Tensor) -> Tensor:
        """The same as `score`."""
        return self.score(images, tokens)


class Taste(nn.Module):
    """A rating of the image's looks, about 1 to 10, whatever the prompt was."""

    def __init__(self, widths: tuple[int, int, int] = (24, 48, 64)) -> None:
        super().__init__()
        self.tower = ConvTower(widths)
        self.head = nn.Sequential(nn.Linear(widths[2] * 16, 64), nn.SiLU(), nn.Linear(64, 1))

    def features(self, images: Tensor) -> Tensor:
        """The last hidden layer [B, 64] of images [B, 3, 32, 32]."""
        hidden: Tensor = self.head[:2](self.tower(images).flatten(1))
        return hidden

    def score(self, images: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Ratings [B] of images [B, 3, 32, 32] in [0, 1]; the prompts are not looked at."""
        ratings: Tensor = self.head(self.tower(images).flatten(1))
        return 5.0 + 2.0 * ratings[:, 0]

    def forward(self, images: Tensor, tokens: Tensor | None = None) -> Tensor:
        """The same as `score`."""
        return self.score(images, tokens)


KINDS: dict[str, type[ImageText] | type[Preference] | type[Taste]] = {
    "image-text": ImageText,
    "preference": Preference,
    "taste": Taste,
}


def save(network: nn.Module, path: Path) -> None:
    """Write a network's weights in float16."""
    state = {
        name: value.detach().half().contiguous() for name, value in network.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, str(path))
    path.chmod(0o644)


def load(name: str) -> ImageText | Preference | Taste:
    """The trained verifier "image-text", "preference" or "taste", frozen and in float32."""
    if name not in KINDS:
        raise ValueError(f"unknown verifier {name!r}; known: {', '.join(KINDS)}")
    network = KINDS[name]()
    state = load_tensors(str(WEIGHTS / f"{name}.safetensors"))
    network.load_state_dict({key: value.float() for key, value in state.items()})
    return network.eval().requires_grad_(False)
