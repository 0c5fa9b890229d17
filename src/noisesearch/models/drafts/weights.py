"""A draft with its network loaded, checked against the model that it is a draft of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ...candidates.condition import Condition
from ...candidates.ledger import Cost, Rates
from ...candidates.space import Space
from ...errors import ConfigError
from ...files.fingerprint import of_file
from ...names.capabilities import offered
from ...names.drafts import Draft, parse
from ...sampling.capabilities import Rewirable
from ...store.spec import RunSpec
from ..capabilities import SharingWeights, Sized
from ..choice import at_size, model_of
from ..protocol import Model

if TYPE_CHECKING:
    from ...sampling.denoiser import Denoiser
    from ...sampling.sampler import Sampler


@dataclass(frozen=True)
class Full:
    """What a draft is a draft of."""

    model: Model
    denoiser: Denoiser
    steps: int
    guidance: float
    size: str
    device: str
    dtype: str


@dataclass(frozen=True)
class Drafted:
    """``fold``: how many times smaller its noises are than the full ones, in width and height.

    ``fingerprint`` of weights of its own, empty where it has none.
    """

    draft: Draft
    steps: int
    space: Space
    denoiser: Denoiser
    fold: int = 1
    fingerprint: str = ""

    @property
    def differentiable(self) -> bool:
        """False where the gradient at its noise is not one at the full noise, or where what a
        network remembers is left out of it."""
        return self.space.differentiable and self.fold == 1 and self.draft.cache is None


def drafted(draft: Draft, full: Full, conditions: Sequence[Condition]) -> Drafted:
    """Load what a draft needs; ConfigError where it cannot be a draft of this model."""
    model = model_of(draft.model) if draft.model else full.model
    if model.space().black_box:
        raise ConfigError(
            f"draft {str(draft)!r}: {model.name} runs in its own loop only; choose a pipeline "
            "that runs in ours"
        )
    if draft.size or (draft.model and offered(model, Sized) is not None):
        model = at_size(model, draft.size or full.size)
    fold = _fold(draft, model, full)
    if draft.model:
        check_read(draft, model, conditions)
    guidance = draft.guidance
    if guidance is None:
        guidance = model.guidance if draft.model else full.guidance
    denoiser = _loaded(draft, model, full, guidance)
    if denoiser.process.name != full.denoiser.process.name:
        raise ConfigError(
            f"draft {str(draft)!r} has a {denoiser.process.name} process and {full.model.name} a "
            f"{full.denoiser.process.name} one; choose a model that was trained as it was"
        )
    steps = draft.steps or min(model.steps if draft.model else full.steps, full.steps)
    rewired = _rewired(draft, denoiser)
    prints = [model.fingerprint] if draft.model else []
    prints += [of_file(Path(draft.lora))] if draft.lora else []
    return Drafted(draft, steps, model.space(), rewired, fold, "+".join(prints))


def check_read(draft: Draft, model: Model, conditions: Sequence[Condition]) -> None:
    """Another model must be able to read the run's conditions too."""
    for condition in conditions:
        # Not what to lead away from, which is a matter of its own guidance.
        given = condition.text if condition.label is None else f"class:{condition.label}"
        try:
            model.condition(given)
        except ConfigError as error:
            raise ConfigError(f"draft {str(draft)!r}: {error}") from error


def _loaded(draft: Draft, model: Model, full: Full, guidance: float) -> Denoiser:
    """Weights that are there already are used again, where the model can."""
    if model is full.model and guidance == full.guidance:
        return full.denoiser
    sharing = offered(model, SharingWeights)
    if sharing is not None and not draft.model:
        return sharing.beside(full.denoiser, guidance)
    return cast("Denoiser", model.build(guidance, full.device, full.dtype))


def _rewired(draft: Draft, denoiser: Any) -> Denoiser:
    """With adapters, without the layers that are skipped, and with a cache, as asked for."""
    if draft.cache is None and not draft.skip and not draft.lora:
        found: Denoiser = denoiser
        return found
    if offered(denoiser, Rewirable) is None:
        raise ConfigError(
            f"draft {str(draft)!r} needs to look into the model's network, which this model does "
            "not allow; use a draft of fewer steps"
        )
    from .blocks import twin
    from .first_block_cache import FirstBlockDenoiser
    from .lora import adapted, read

    if draft.lora:
        denoiser = denoiser.rewired(partial(adapted, factors=read(Path(draft.lora))))
    if draft.cache is not None:
        return FirstBlockDenoiser(denoiser, draft.cache, draft.skip)
    found = denoiser.rewired(partial(twin, skip=draft.skip)) if draft.skip else denoiser
    return found


def _fold(draft: Draft, model: Model, full: Full) -> int:
    """How many times smaller the draft's noises are; ConfigError where they are others."""
    mine, theirs = model.space().shape, full.model.space().shape
    if mine == theirs:
        return 1
    if not draft.size:
        raise ConfigError(
            f"draft {str(draft)!r} has noises of shape {_text(mine)} and {full.model.name} of "
            f"{_text(theirs)}, so the same noise means nothing to it; choose a model with "
            "the same latents"
        )
    ratios = {whole / part for whole, part in zip(theirs[1:], mine[1:], strict=True)}
    ratio = ratios.pop()
    if mine[0] != theirs[0] or ratios or not ratio.is_integer():
        width, height = full.model.size
        raise ConfigError(
            f"draft {str(draft)!r}: its width and height must be those of {width}x{height} over "
            f"one whole number, such as {width // 2}x{height // 2}, since it begins with sums of "
            "the full noise"
        )
    return int(ratio)


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def loaded(
    spec: RunSpec,
    model: Model,
    denoiser: Denoiser | Sampler,
    conditions: list[Condition],
    known: Mapping[str, Drafted],
) -> dict[str, Drafted]:
    """The drafts of a run, loaded, by their text; those ``known`` serve again. ConfigError for one
    that saves nothing."""
    if spec.drafts and model.space().black_box:
        raise ConfigError(
            f"draft {spec.drafts[0]!r}: {model.name} runs in its own loop, which has no drafts; "
            "leave the draft out, or choose an algorithm without one, such as zero-order"
        )
    place = "cpu" if spec.memory == "lean" else spec.device  # where weights wait
    ours = cast("Denoiser", denoiser)
    full = Full(model, ours, spec.final_steps, spec.guidance, spec.size, place, spec.dtype)
    found: dict[str, Drafted] = {}
    for text in spec.drafts:
        if text in known:
            found[text] = known[text]
            continue
        made = drafted(parse(text), full, conditions)
        cost = Cost(made.denoiser.forwards, made.denoiser.flops)
        weight = Rates(1, denoiser.forwards, denoiser.flops, drafts={text: cost}).weight(text)
        if made.steps * weight > full.steps:
            raise ConfigError(
                f"draft {text!r} costs as much as {made.steps * weight:g} evaluations of the full "
                f"sample, which needs {full.steps}; leave it out, or give it fewer steps"
            )
        found[text] = made
    return found
