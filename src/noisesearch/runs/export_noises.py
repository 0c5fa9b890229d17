"""What a run found, for other programs: the start noises of its winners."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..candidates.keys import seed_of
from ..candidates.noise import Materialiser
from ..candidates.trajectory import Denoise, Renoise, Trajectory
from ..errors import ConfigError
from ..files.writing import replace
from ..models.capabilities import (
    WithCallArguments,
    WithNativeLayout,
    WithPipelineCode,
    of_pipeline,
)
from ..models.choice import as_it_runs, as_model, at_size, model_of, with_call_arguments
from ..models.protocol import Model
from ..setup import memory
from ..setup.consent import NamedCode
from ..setup.start import LATENTS
from ..store.given_images import InputImages
from ..store.run_store import RunStore, read_spec
from ..store.spec import RunSpec
from ..store.winners import stored_results
from ..version import __version__

if TYPE_CHECKING:
    from torch import Tensor

ENDING = ".safetensors"
COMFYUI = ".latent"
DRAW = """\
with safe_open({file!r}, framework="pt") as stored:
    latents = stored.get_tensor("latents")
    winners = json.loads(stored.metadata()["winners"])
for i, winner in enumerate(winners):
    noise = latents[i : i + 1].to({device!r}, torch.{dtype})
    image = pipe(**winner["arguments"], latents=noise{drawn}).images[0]
    image.save(f"winner-{{i + 1}}.png")"""
# What a black box draws besides, which our own loop injects itself.
DRAWN = ', generator=torch.Generator().manual_seed(winner["seed"])'


@dataclass(frozen=True)
class ExportedNoises:
    """Files of start noises, what is known of each, and how the pipeline makes its picture.

    ``lines``: of Python, empty where there are none, and then ``remarks`` says why. ``remarks``
    also has a sentence for each winner that no start noise alone makes, which is left out.
    """

    file: Path
    winners: list[dict[str, Any]]
    comfyui: Path | None = None
    lines: str = ""
    remarks: list[str] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        comfyui = None if self.comfyui is None else str(self.comfyui)
        return {"file": str(self.file), "comfyui": comfyui, "winners": self.winners,
                "lines": self.lines, "remarks": self.remarks}  # fmt: skip


def export(
    run: str | Path,
    out: str | Path | None = None,
    *,
    model: Any = None,
    comfyui: bool = False,
) -> ExportedNoises:
    """Write the start noises of a run's winners as its pipeline's ``latents=`` takes them.

    ``out``: a safetensors file with the tensor ``latents`` [N, …] and, in its metadata,
    ``winners`` (JSON); by default latents.safetensors in the run folder. ``model``: the object
    that the run was made with, if it was. ``comfyui``: also a .latent file beside it, with noises
    [N, C, H, W]. Weights are loaded of black boxes only, since only they know their latents.
    """
    import torch

    folder = Path(run)
    content = stored_results(folder)
    spec = RunSpec.read(read_spec(folder), folder)
    known = as_it_runs(at_size(_model(spec, model, folder), spec.size), spec.solver)
    known = with_call_arguments(known, spec.call, InputImages.read(folder))
    file = Path(out) if out is not None else folder / f"{LATENTS}{ENDING}"
    if file.suffix != ENDING:
        raise ConfigError(f"out is {file}, but the latents are written as {ENDING}; name it so")
    store = RunStore(folder, write=False)
    kept, remarks = _kept(store, content)
    array = Materialiser(_shape(known, spec, comfyui), store.arrays.get)
    noises = torch.stack([torch.tensor(array(trajectory.noise)) for trajectory, _ in kept])
    winners = [_about(*each, known, spec) for each in kept]
    pipeline = of_pipeline(known, WithNativeLayout)
    packed = noises if pipeline is None else pipeline.native(noises)
    about = {"noisesearch": __version__, "model": spec.model, "winners": json.dumps(winners)}
    _write(file, {LATENTS: packed}, about)
    other = None
    if comfyui:
        other = file.with_suffix(COMFYUI)
        # The empty tensor says that the numbers are to be taken as they are.
        marked = {"latent_tensor": noises, "latent_format_version_0": torch.zeros(0)}
        _write(other, marked, about)
    lines, why = _lines(known, spec, file)
    return ExportedNoises(file, winners, other, lines, [*remarks, *why])


def _model(spec: RunSpec, given: Any, folder: Path) -> Model:
    if given is not None:
        return as_model(given)
    if spec.objects.get("model"):
        raise ConfigError(
            f"{folder} was made with a model object ({spec.model}) that is needed again; export "
            f"from Python: noisesearch.export({str(folder)!r}, model=…)"
        )
    NamedCode.of_run(folder, spec).check("model")
    return model_of(spec.model)


def _shape(model: Model, spec: RunSpec, places: bool) -> tuple[int, ...]:
    """Of one noise; ConfigError where it has to be ``places`` [C, H, W] and is none."""
    space = model.space()
    if not space.black_box:
        return space.shape
    shape = memory.built(model, spec).shape
    if places and len(shape) != 3:
        raise ConfigError(
            f"the latents of {model.name} have the shape {list(shape)} and not [C, H, W], as "
            "ComfyUI has them; leave out --comfyui"
        )
    return shape


Winner = tuple[Trajectory, Mapping[str, Any]]


def _kept(store: RunStore, content: Mapping[str, Any]) -> tuple[list[Winner], list[str]]:
    """The winners that a start noise alone makes, and a sentence for each of the others."""
    if not any(search["winners"] for search in content["searches"]):
        raise ConfigError(
            f"{store.folder} has no winners yet; go on with: noisesearch resume {store.folder}"
        )
    graph = store.graph()
    kept: list[Winner] = []
    left_out: list[str] = []
    for winner in (w for search in content["searches"] for w in search["winners"]):
        trajectory = graph.trajectory(winner["trajectory"])
        why = _beside(trajectory)
        if why:
            left_out.append(f"the winner of {str(trajectory.condition)!r} is left out: {why}")
        else:
            kept.append((trajectory, winner))
    if not kept:
        raise ConfigError(
            f"no winner of {store.folder} is made by a start noise alone ({left_out[0]}); search "
            "with an algorithm and a solver that add no noise on the way, such as zero-order and "
            "euler"
        )
    return kept, left_out


def _beside(trajectory: Trajectory) -> str:
    """What makes a sample beside its start noise."""
    if any(isinstance(move, Renoise) for move in trajectory.moves):
        return "it was renoised on its way"
    if any(isinstance(move, Denoise) and move.seed is not None for move in trajectory.moves):
        return "its solver injected noise on the way"
    return ""


def _about(
    trajectory: Trajectory, winner: Mapping[str, Any], model: Model, spec: RunSpec
) -> dict[str, Any]:
    """What is known of a winner; ``arguments`` are those of its pipeline's own call."""
    condition, steps = trajectory.condition, trajectory.steps
    about: dict[str, Any] = {
        "prompt": str(condition), "negative": condition.negative, "steps": steps,
        "guidance": spec.guidance, "solver": spec.solver, "score": winner["score"],
        "size": "x".join(map(str, model.size)), "trajectory": trajectory.key,
    }  # fmt: skip
    if model.space().black_box:
        about["seed"] = seed_of("injected", trajectory.noise.key)
    called = of_pipeline(model, WithCallArguments)
    if called is None:
        return about
    arguments = {**called.arguments(condition, spec.guidance), "num_inference_steps": steps}
    return {**about, "arguments": arguments}


def _write(file: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    from safetensors.torch import save

    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    replace(file, save(whole, {"format": "pt", **metadata}))


def _lines(model: Model, spec: RunSpec, file: Path) -> tuple[str, list[str]]:
    """Lines that make the pictures with diffusers, or a sentence on why there are none."""
    coded = of_pipeline(model, WithPipelineCode)
    again = f"noisesearch takes the file with --start-latents {file}"
    if coded is None:
        return "", [f"{model.name} is no pipeline of diffusers, so there are no lines; {again}"]
    try:
        pipe = coded.opened(spec.solver, spec.device, spec.dtype)
    except ConfigError as error:
        return "", [f"there are no lines for diffusers, since {error}; {again}"]
    drawn = DRAWN if model.space().black_box else ""
    draw = DRAW.format(drawn=drawn, file=str(file.resolve()), device=spec.device, dtype=spec.dtype)
    first = "import json\n\nimport diffusers\nimport torch\nfrom safetensors import safe_open\n"
    return "\n".join([first, *pipe, draw]), []
