"""What may be written beside a pipeline, and in what precision it may run."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ...errors import ConfigError

DTYPES = ("float32", "bfloat16", "float16")


class Preset(BaseModel):
    """What a pipeline's maker may write into ``noisesearch.json`` beside ``model_index.json``, or
    into the attribute ``noisesearch`` of an object: what is taken where nothing is asked for.

    ``true_guidance``: of a FLUX that reads its guidance as a number, a second, classifier-free
    guidance away from the negative prompt, at twice the price (``true_cfg_scale`` of diffusers).
    ``drafts``: short names of drafts, {"fast": "steps:8+cache:0.1"}.
    ``call``: of a black box, further arguments of the pipeline's call.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int | None = Field(None, ge=1)
    guidance: float | None = None
    size: tuple[int, int] | None = None
    true_guidance: float = 1.0
    drafts: dict[str, str] = Field(default_factory=dict)
    call: dict[str, Any] = Field(default_factory=dict)


def check_dtype(name: str, dtype: str, placed: tuple[str, str] | None) -> None:
    """ConfigError for a precision that there is not, or that an object in memory is not in."""
    if dtype not in DTYPES:
        raise ConfigError(f"dtype is {dtype!r}, but must be one of {', '.join(DTYPES)}")
    if placed is not None and placed[1] != dtype:
        raise ConfigError(
            f"{name} is in {placed[1]} and the run is asked for in {dtype}; leave "
            "the dtype out, or convert the pipeline first with its method to()"
        )
