"""The generator of the shapes world: a small text-to-image flow transformer.

Text tokens and image patches share one sequence (as in MMDiT, arXiv:2403.03206, but with shared
weights), time enters by one modulation for all blocks (adaLN-single, arXiv:2310.00426), queries
and keys are normalised (arXiv:2302.05442), and the network predicts the clean image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).parent / "weights"
TIME_FREQUENCIES = 64


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of a `ShapesTransformer`."""

    width: int = 192
    depth: int = 8
    heads: int = 3
    patch: int = 4
    vocabulary: int = 80
    text_length: int = 16
    image_size: int = 32
    channels: int = 3
    mlp_ratio: float = 3.0
    reader_depth: int = 3

    @property
    def grid(self) -> int:
        """Patches along one side of the image."""
        return self.image_size // self.patch

    @property
    def patch_values(self) -> int:
        """Numbers in one patch."""
        return self.channels * self.patch * self.patch


SIZES: dict[str, TransformerConfig] = {
    "shapes": TransformerConfig(width=192, depth=6, heads=3, mlp_ratio=4.0),
    "shapes-small": TransformerConfig(width=192, depth=3, heads=3, mlp_ratio=4.0),
}


def sincos_positions(grid: int, width: int) -> Tensor:
    """Fixed two-dimensional sine-cosine positions [grid*grid, width] (arXiv:2111.06377)."""
    quarter = width // 4
    # A patch grid is tiny, so the longest wave need only span it a few times over.
    rates = 100.0 ** (-torch.arange(quarter, dtype=torch.float32) / quarter)
    place = torch.arange(grid, dtype=torch.float32)[:, None] * rates[None, :]
    waves = torch.cat([place.sin(), place.cos()], dim=1)
    rows = waves[:, None, :].expand(grid, grid, -1)
    columns = waves[None, :, :].expand(grid, grid, -1)
    return torch.cat([rows, columns], dim=2).reshape(grid * grid, width)


def word_positions(length: int, width: int) -> Tensor:
    """Where the words' learned positions [length, width] start from (arXiv:1706.03762).

    Not near zero: which word belongs to which is a matter of their places, and is learned
    late or never if these are faint beside the words.
    """
    rates = 100.0 ** (-torch.arange(width // 2, dtype=torch.float32) * 2 / width)
    waves = torch.arange(length, dtype=torch.float32)[:, None] * rates[None, :]
    return 0.5 * torch.cat([waves.sin(), waves.cos()], dim=1)


def time_features(t: Tensor) -> Tensor:
    """Sine-cosine features [B, 2*TIME_FREQUENCIES] of times [B] in [0, 1]."""
    steps = torch.arange(TIME_FREQUENCIES, device=t.device, dtype=torch.float32)
    rates = 1000.0 * torch.exp(-steps * (9.21 / TIME_FREQUENCIES))
    phase = t.float()[:, None] * rates[None, :]
    return torch.cat([phase.sin(), phase.cos()], dim=1)


class Block(nn.Module):
    """One transformer block over the joint sequence, modulated by time."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, hidden = config.width, int(config.width * config.mlp_ratio)
        self.heads = config.heads
        self.norm_attention = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.norm_mlp = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.norm_q = nn.LayerNorm(width // config.heads, bias=False)
        self.norm_k = nn.LayerNorm(width // config.heads, bias=False)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        # adaLN-single: the time modulation is shared, each block only shifts it by a table.
        self.table = nn.Parameter(torch.randn(6, width) * width**-0.5)

    def attention(self, x: Tensor) -> Tensor:
        """Self-attention [B, N, width] with normalised queries and keys."""
        batch, length, width = x.shape
        parts = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        q, k = self.norm_q(q).to(v.dtype), self.norm_k(k).to(v.dtype)
        # Written out, since for so few tokens PyTorch's fused kernel is slower on processors.
        alike = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        mixed = alike.float().softmax(dim=-1).to(v.dtype) @ v
        merged: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return merged

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """The sequence [B, N, width] after the block; modulation is [B, 6, width]."""
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = (
            (modulation + self.table).to(x.dtype)[:, :, None, :].unbind(1)
        )
        hidden = torch.addcmul(shift_a, self.norm_attention(x).to(x.dtype), 1 + scale_a)
        x = torch.addcmul(x, gate_a, self.attention(hidden).to(x.dtype))
        hidden = torch.addcmul(shift_m, self.norm_mlp(x).to(x.dtype), 1 + scale_m)
        # The exact form: on processors the tanh approximation takes five times as long.
        hidden = self.down(F.gelu(self.up(hidden)))
        return torch.addcmul(x, gate_m, hidden.to(x.dtype))


class PromptReader(nn.Module):
    """Reads the prompt before any image is looked at, as text encoders of larger models do.

    Trained first, on what prompts say (`training/shapes_reader.py`), and then left as it is, it
    hands the generator words that know their sentence: what stands left of what, and how many.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.width
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width,
                config.heads,
                2 * width,
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(config.reader_depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, words: Tensor) -> Tensor:
        """Hidden words [B, text_length, width] of embedded words [B, text_length, width]."""
        for layer in self.layers:
            words = layer(words)
        read: Tensor = self.norm(words)
        return read


class ShapesTransformer(nn.Module):
    """Predicts the clean image from a noisy one, a time and a prompt."""

    positions: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.words = nn.Embedding(config.vocabulary, width)
        self.places = nn.Parameter(word_positions(config.text_length, width))
        self.reader = PromptReader(config)
        self.read_in = nn.Linear(width, width)
        self.patch_in = nn.Linear(config.patch_values, width)
        positions = sincos_positions(config.grid, width)
        self.register_buffer("positions", positions, persistent=False)
        self.time = nn.Sequential(
            nn.Linear(2 * TIME_FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.modulation = nn.Linear(width, 6 * width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm_out = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.modulation_out = nn.Linear(width, 2 * width)
        self.patch_out = nn.Linear(width, config.patch_values)
        self._initialise()

    def _initialise(self) -> None:
        """Start every block as the identity and the output at zero (arXiv:2212.09748)."""
        nn.init.normal_(self.words.weight, std=0.5)
        for block in self.blocks:
            assert isinstance(block, Block)
            with torch.no_grad():
                block.table[[2, 5]] = 0.0
        for layer in (self.modulation, self.modulation_out, self.patch_out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def encode(self, tokens: Tensor) -> Tensor:
        """The context [B, text_length, width] of token numbers [B, text_length].

        It does not depend on the image or the time, so a sampler computes it once.
        """
        context: Tensor = self.words(tokens) + self.places + self.read_in(self.read(tokens))
        return context

    def read(self, tokens: Tensor) -> Tensor:
        """What the reader makes of token numbers [B, text_length]: [B, text_length, width]."""
        read: Tensor = self.reader(self.words(tokens) + self.places)
        return read

    def text_parameters(self) -> list[nn.Parameter]:
        """What `read` uses: trained on text alone, then fixed."""
        return [*self.reader.parameters(), *self.words.parameters(), self.places]

    def patchify(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W] as patches [B, grid*grid, C*patch*patch]."""
        grid, patch, channels = self.config.grid, self.config.patch, self.config.channels
        cut = images.reshape(-1, channels, grid, patch, grid, patch)
        return cut.permute(0, 2, 4, 1, 3, 5).reshape(-1, grid * grid, self.config.patch_values)

    def unpatchify(self, patches: Tensor) -> Tensor:
        """Patches [B, grid*grid, C*patch*patch] as images [B, C, H, W]."""
        grid, patch, channels = self.config.grid, self.config.patch, self.config.channels
        size = self.config.image_size
        cut = patches.reshape(-1, grid, grid, channels, patch, patch)
        return cut.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, size, size)

    def forward(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """The clean image [B, C, H, W] predicted from x [B, C, H, W] at times t [B].

        `context` is either what `encode` returned [B, text_length, width] or token numbers
        [B, text_length]; x = (1 - t) * clean + t * noise with the clean image in [-1, 1].
        """
        if not context.is_floating_point():
            context = self.encode(context)
        time = F.silu(self.time(time_features(t)))
        modulation = self.modulation(time).view(-1, 6, self.config.width)
        patches = self.patch_in(self.patchify(x))
        patches = patches + self.positions.to(patches.dtype)
        sequence = torch.cat([context.to(patches.dtype), patches], dim=1)
        for block in self.blocks:
            sequence = block(sequence, modulation)
        shift, scale = self.modulation_out(time)[:, None, :].chunk(2, dim=2)
        last = self.norm_out(sequence[:, self.config.text_length :]) * (1 + scale) + shift
        return self.unpatchify(self.patch_out(last)).float()


def parameter_count(network: nn.Module) -> int:
    """How many trained numbers a network holds."""
    return sum(parameter.numel() for parameter in network.parameters())


def save(network: ShapesTransformer, path: Path) -> None:
    """Write the weights in float16, with the sizes as text in the file's metadata."""
    state = {
        name: value.detach().half().contiguous() for name, value in network.state_dict().items()
    }
    metadata = {name: str(value) for name, value in asdict(network.config).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    # Moved into place at the end, since a run in training publishes while others read.
    part = path.with_suffix(".part")
    save_file(state, str(part), metadata=metadata)
    part.chmod(0o644)
    part.replace(path)


def load_file(path: Path) -> ShapesTransformer:
    """A frozen float32 network, ready for sampling, from a file written by `save`, or of low-rank
    additions to such a file, whose metadata say which it `adapts`."""
    with safe_open(str(path), framework="pt") as stored:
        metadata = stored.metadata()
        state = {name: stored.get_tensor(name).float() for name in stored.keys()}  # noqa: SIM118
    if "adapts" in metadata:
        network = load(metadata["adapts"])
        add_adapters(network, state)
        return network
    sizes = {
        field.name: int(metadata[field.name])
        for field in fields(TransformerConfig)
        if field.name != "mlp_ratio"
    }
    config = TransformerConfig(mlp_ratio=float(metadata["mlp_ratio"]), **sizes)
    network = ShapesTransformer(config)
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


def load(name: str = "shapes") -> ShapesTransformer:
    """The trained generator called `name` from the package: one of `SIZES`, or "shapes-fast"."""
    known = sorted(path.stem for path in WEIGHTS.glob("shapes*.safetensors"))
    if name not in known:
        raise ValueError(f"unknown generator {name!r}; known: {', '.join(known)}")
    return load_file(WEIGHTS / f"{name}.safetensors")


def add_adapters(network: ShapesTransformer, factors: Mapping[str, Tensor]) -> None:
    """Add to each layer's weight the product of its low-rank factors (arXiv:2106.09685)."""
    for key, down in factors.items():
        layer, mark, ending = key.partition(".lora_A.")
        if mark:
            weight = network.get_submodule(layer).get_parameter("weight")
            weight.add_(factors[f"{layer}.lora_B.{ending}"] @ down)
