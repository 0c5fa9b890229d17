"""A SiT checkpoint as a model of the library: by file or folder, its classes as conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...candidates.condition import Condition
from ...candidates.keys import digest
from ...candidates.space import Space
from ...candidates.trajectory import Grid
from ...errors import ConfigError, unknown
from ...files.fingerprint import of_file
from ...files.hub import ENDINGS
from ...names.drafts import usual
from ...names.forms import numeral
from .config import NAMES, SiTConfig, sized

if TYPE_CHECKING:
    from .denoiser import SiTDenoiser
    from .files import SiTCheckpoint

MARK = "class:"
PIXELS = (1, 3)  # channels of a picture; anything else, and whatever has an autoencoder, is latent


@dataclass(frozen=True)
class SiTModel:
    """One checkpoint; :func:`sit` makes it from a file or folder.

    ``vae``: the folder of the autoencoder, None for a model of pictures. Steps, solver and
    guidance are those of arXiv 2501.09732, Section 3.1: Heun, 50 NFE, no guidance.
    """

    name: str
    summary: str
    config: SiTConfig
    checkpoint: SiTCheckpoint
    class_names: tuple[str, ...] = ()
    vae: Path | None = None
    steps: int = 25
    guidance: float = 1.0
    solver: str = "heun"
    ensemble: tuple[str, ...] = ("clip-zeroshot", "dino-linear")
    verifiers: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        if self.vae is None:
            return self.config.input_size, self.config.input_size
        from ..autoencoder import factor

        side = self.config.input_size * factor(self.vae)
        return side, side

    @property
    def drafts(self) -> Mapping[str, str]:
        return usual(self.steps, cached=True)

    @property
    def fingerprint(self) -> str:
        """Of all that a sample depends on: weights, which of them, sizes, autoencoder."""
        files = sorted(self.vae.glob("*.safetensors")) if self.vae else []
        return digest(
            [of_file(path) for path in (self.checkpoint.path, *files)],
            self.checkpoint.branch,
            self.config.model_dump(),
        )[:16]

    @cached_property
    def _numbers(self) -> dict[str, list[int]]:
        """Class numbers by name, in lower case; a name may list several after commas."""
        numbers: dict[str, list[int]] = {}
        for number, names in enumerate(self.class_names):
            for name in dict.fromkeys([names, *names.split(",")]):
                numbers.setdefault(name.strip().lower(), []).append(number)
        return numbers

    def condition(self, text: str | None, negative: str | None = None) -> Condition:
        """``class:207``, a class's name, or None for the null class."""
        if negative is not None:
            raise ConfigError(
                f"negative is {negative!r}, but {self.name} knows classes only and is guided away "
                "from none of them; leave it out"
            )
        if text is None:
            if not self.config.null_class:
                raise ConfigError(f"{self.name} has no null class; name a class such as class:0")
            return Condition()
        last = self.config.num_classes - 1
        if text.strip().lower() in self._numbers:
            found = self._numbers[text.strip().lower()]
            if len(found) > 1:
                meant = " and ".join(f"class:{number}" for number in found)
                raise ConfigError(f"several classes are named {text!r}; write {meant} instead")
            return Condition(label=found[0])
        if not text.startswith(MARK):
            if self.class_names:
                raise unknown("class", text, self.words())
            raise ConfigError(
                f"{text!r} is no class that {self.name} knows by name; write class:0 to "
                f"class:{last}, or list class_names in config.json beside the weights"
            )
        number = numeral(text.removeprefix(MARK))
        if number is None or number > last:
            raise ConfigError(f"{text!r}: {self.name} has classes from class:0 to class:{last}")
        return Condition(label=number)

    def words(self) -> tuple[str, ...]:
        return self.class_names

    def examples(self, count: int) -> list[str]:
        """Classes spread evenly over all."""
        every = max(1, self.config.num_classes // max(1, count))
        return [f"{MARK}{n}" for n in range(0, self.config.num_classes, every)][:count]

    def space(self) -> Space:
        # Times as the published sampler's, whose num_steps counts points, one more than ours.
        return Space(self.config.shape, Grid.uniform, differentiable=True)

    def build(self, guidance: float, device: str, dtype: str) -> SiTDenoiser:
        if dtype not in ("float32", "bfloat16"):
            raise ConfigError(f"dtype is {dtype!r}, but must be float32 or bfloat16")
        if guidance != 1 and not self.config.null_class:
            raise ConfigError(
                f"guidance is {guidance:g}, but {self.name} has no null class to be guided away "
                "from; use --guidance 1"
            )
        import torch

        from ..autoencoder import Autoencoder
        from .denoiser import SiTDenoiser, pixels
        from .files import load

        channels = self.config.in_channels
        if self.vae is None and channels not in PIXELS:
            raise ConfigError(
                f"{self.name} makes latents of {channels} channels, and there is no autoencoder "
                f"beside {self.checkpoint.path}; put the folder of its AutoencoderKL (published: "
                "stabilityai/sd-vae-ft-ema) there under the name vae"
            )
        decode = pixels if self.vae is None else Autoencoder(self.vae, channels, device)
        network = load(self.checkpoint, self.config, device, getattr(torch, dtype))
        return SiTDenoiser(network, guidance, decode, device)


def is_checkpoint(name: str) -> bool:
    """True where a model's name is that of a weights file, a folder or a published network."""
    path = Path(name).expanduser()
    if path.exists() or name in NAMES:
        return True
    # A missing file is still one, so that the sentence about it is the right one.
    return ":" not in name and (path.suffix in ENDINGS or path.is_absolute())


def sit(
    source: str | Path,
    size: str | None = None,
    *,
    vae: str | Path | None = None,
    branch: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> SiTModel:
    """The model of a checkpoint file, or of a folder with one and perhaps a JSON and a ``vae``.

    ``size``: a published name that the weights must have. ``vae``: the autoencoder's folder, by
    default ``vae`` beside the weights. ``branch``: ``ema`` or ``model``, by default the averaged
    weights where there are both. ``settings``: fields of SiTConfig and ``class_names``, before
    those of the JSON, before what the weights' shapes tell. ConfigError says what does not fit.
    """
    if str(source) in NAMES:
        raise ConfigError(
            f"{source} names a network, not its weights, and they are not downloaded; give the "
            "checkpoint's file or folder, such as --model SiT-XL-2-256x256.pt"
        )
    from .files import SiTCheckpoint, beside, find, understand

    weights = find(Path(source).expanduser().resolve())
    checkpoint = SiTCheckpoint(weights, branch)
    content = {**beside(weights), **(settings or {})}
    class_names = _names(content.pop("class_names", ()), weights)
    shapes = checkpoint.shapes()
    if size is not None:
        sizes = sized(size).model_dump(include={"hidden_size", "depth", "num_heads", "patch_size"})
        content = {**content, **sizes}
    config = understand(checkpoint, content, shapes)
    if class_names and len(class_names) != config.num_classes:
        raise ConfigError(
            f"{weights} has {config.num_classes} classes and {len(class_names)} class_names; list "
            "one for each, in order"
        )
    folder = Path(vae).expanduser().resolve() if vae is not None else weights.with_name("vae")
    autoencoder = folder if vae is not None or folder.is_dir() else None
    name = config.published or (Path(source).name if Path(source).is_dir() else weights.stem)
    return SiTModel(
        name, f"class to image: {config}", config, checkpoint, class_names, autoencoder
    )


def _names(given: Any, weights: Path) -> tuple[str, ...]:
    if isinstance(given, list | tuple) and all(isinstance(name, str) for name in given):
        return tuple(given)
    raise ConfigError(f"class_names of {weights} are {given!r:.60}, but must be a list of names")
