"""Optional members are protocols: how they are asked for, and what is said of names that are
almost one."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import noisesearch
from noisesearch.algorithms import capabilities as of_algorithms
from noisesearch.algorithms.draft import DraftThenCommit
from noisesearch.algorithms.settings import Settings
from noisesearch.models import capabilities as of_models
from noisesearch.models.choice import as_model
from noisesearch.names.capabilities import NearMissWarning, members, near_misses, offered
from noisesearch.sampling import capabilities as of_denoisers
from noisesearch.setup.selection import algorithm_of, as_algorithm, as_verifier, verifier_of
from noisesearch.testing.mixture_model import MixtureModel
from noisesearch.verifiers import capabilities as of_verifiers
from noisesearch.verifiers.capabilities import reported
from noisesearch.verifiers.protocol import Views
from noisesearch.verifiers.slow_verifier import SlowVerifier
from noisesearch.verifiers.video import OnVideos

ROOT = Path(noisesearch.__file__).parent

# What is no optional member of an object that a user may write, by file.
FOREIGN = {
    # Errors of the system and of Ray.
    "evaluation/prompts/sources.py": {"strerror"},
    "experiments/spec.py": {"strerror"},
    "files/pictures.py": {"strerror", "n_frames"},  # the latter of Pillow
    "shards/prompt_files.py": {"strerror", "errno"},
    "verifiers/clip/zeroshot.py": {"strerror"},
    "verifiers/process/process.py": {"strerror"},
    "executors/ray_group.py": {"cause"},
    # pydantic
    "cli/tables.py": {"model_fields"},
    "names/options.py": {"model_fields"},
    "setup/request.py": {"model_dump"},
    # torch, diffusers, transformers
    "models/footprint.py": {"__tensor_flatten__"},
    "models/black_box/call.py": {"tobytes", "numpy"},
    "models/black_box/sampler.py": {"prepare_latents", "frames", "images"},
    "models/black_box/call_record.py": {"_orig_mod"},
    "models/diffusers/backbone.py": {"_hf_hook", "shift_factor"},
    "models/diffusers/denoiser.py": {"use_tiling"},
    "models/diffusers/folder.py": {"_keep_in_fp32_modules", "hf_quantizer"},
    "models/diffusers/object.py": {"noisesearch", "config", "dtype"},
    "models/diffusers/prompt_length.py": {"model_max_length"},
    "models/drafts/lora.py": {"in_features", "out_features"},
    "verifiers/llm/local.py": {"chat_template"},
    "verifiers/vqa/chat.py": {"tokenizer", "image_processor", "chat_template"},
    "worker/residence.py": {"is_loaded_in_8bit", "hf_device_map", "_hf_hook"},
    # Python: what any object or function has, and what a platform lacks.
    "names/capabilities.py": {"__dict__", "__module__"},
    "setup/hardware.py": {"sched_getaffinity"},
    "setup/python_objects.py": {"name", "__name__"},
    # What makes an object an algorithm or a verifier, and the flag of a plain function.
    "algorithms/capabilities.py": {"extendable"},
    "verifiers/protocol.py": {"video"},
}

KINDS = [of_verifiers, of_models, of_denoisers, of_algorithms]


def lookups(file: Path) -> Iterator[str]:
    """The names that a file looks up in objects that may lack them."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            named = node.args[1] if len(node.args) > 1 else None
            if node.func.id in ("getattr", "hasattr") and isinstance(named, ast.Constant):
                yield str(named.value)


def test_optional_members_are_asked_for_as_capabilities() -> None:
    for file in sorted(ROOT.rglob("*.py")):
        name = file.relative_to(ROOT).as_posix()
        rest = {*lookups(file)} - FOREIGN.get(name, set())
        assert not rest, (
            f"{name} looks up {', '.join(sorted(rest))}; make a protocol of it in the "
            "capabilities.py of its kind, and ask with names.capabilities.offered"
        )


def test_what_is_allowed_is_there() -> None:
    for name, known in FOREIGN.items():
        assert known <= {*lookups(ROOT / name)}, f"{name} has less lookups than are allowed"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__.split(".")[1])
def test_every_capability_can_be_checked_and_says_what_it_is(kind: Any) -> None:
    for capability in kind.CAPABILITIES:
        assert capability.__doc__ and len(members(capability)) == 1
        (name,) = members(capability)
        assert isinstance(SimpleNamespace(**{name: lambda: None}), capability)
        assert not isinstance(SimpleNamespace(), capability)


class Wrapper:
    """Passes on what it lacks itself."""

    def __init__(self, inner: object) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class OfModules(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.networks = nn.ModuleList([nn.Linear(1, 1)])


def test_what_an_object_passes_on_is_offered() -> None:
    """Catches `isinstance`, which ignores both from Python 3.12 on: networks stay on the host."""
    assert of_verifiers.whole_only(Wrapper(SimpleNamespace(whole_only=True)))
    assert len(of_verifiers.networks(OfModules())) == 1


def test_a_member_that_is_none_is_not_offered() -> None:
    assert offered(SimpleNamespace(features=None), of_verifiers.WithFeatures) is None
    assert offered(None, of_models.WithRealImages) is None


@pytest.mark.parametrize(
    "read, name, value, otherwise",
    [
        (of_verifiers.whole_only, "whole_only", True, False),
        (of_verifiers.video, "video", True, False),
        (of_verifiers.heavy, "heavy", True, False),
        (of_verifiers.paid, "paid", True, False),
        (of_verifiers.in_terminal, "terminal", True, False),
        (of_verifiers.networks, "networks", ("a",), ()),
        (of_verifiers.previews_of, "previews", (0.4,), ()),
        (of_verifiers.reported, "reported", ("mine.dark",), ()),
        (of_verifiers.reference, "reference", (1, 2), None),
        (of_models.drafts, "drafts", {"half": "steps:4"}, {}),
        (of_models.placed, "placed", ("cpu", "float32"), None),
        (of_models.why, "why", "so", ""),
        (of_denoisers.networks, "networks", {"read": ("a",)}, {}),
        (of_denoisers.resident, "resident", ("a",), ()),
        (of_algorithms.stochastic, "stochastic", True, False),
        (of_algorithms.joint, "joint", True, False),
        (of_algorithms.adaptive, "adaptive", True, False),
        (of_algorithms.set_size, "size", 4, None),
        (of_algorithms.finalists, "finalists", 3, 1),
        (of_algorithms.drafts, "drafts", ("steps:4",), ()),
        (of_algorithms.fingerprints, "fingerprints", {"a": "b"}, {}),
    ],
)
def test_values(read: Callable[[object], Any], name: str, value: Any, otherwise: Any) -> None:
    assert read(SimpleNamespace(**{name: value})) == value
    assert read(SimpleNamespace()) == otherwise


def test_a_batch_looks_nothing_up() -> None:
    asked = []

    class Counting:
        name, parts = "counting", ("counting",)

        @property
        def video(self) -> bool:
            asked.append("video")
            return True

        def __call__(self, views: Views) -> dict[str, torch.Tensor]:
            return {"counting": views.images.mean((1, 2, 3, 4))}

    shown: Any = OnVideos(Counting())  # type: ignore[arg-type]
    before = len(asked)
    for _ in range(3):
        shown.scores(Views(torch.zeros(2, 3, 3, 4, 4), []))
    assert len(asked) == before


# What a user may write wrongly, what is meant, and an attribute that is none of ours.
class MyVerifier:
    name, parts, scale = "mine", ("mine",), {"mine": 1.0}
    differentiable, rows, fingerprint = False, None, ""
    preview = (0.4,)
    network = ()
    threshold = 0.5

    def __call__(self, views: Views) -> dict[str, torch.Tensor]:
        return {"mine": views.images.mean((1, 2, 3))}


class MyAlgorithm(Settings):
    name = "mine"
    stochstic: bool = True
    finalist: int = 2
    width: int = 4

    def __call__(self, problem: Any) -> Any:
        return []


class MyModel(MixtureModel):
    draft = "half"
    argument = None
    palette = "warm"


class MyDenoiser:
    recal = compiled = None
    depth = 3


def said(of: Callable[[], object]) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        of()
    assert all(issubclass(each.category, NearMissWarning) for each in found)
    return [str(each.message) for each in found]


def sentence(of: str, attribute: str, meant: str) -> str:
    return f"{of} has an attribute {attribute!r}; did you mean {meant!r}?"


def test_near_misses_of_a_verifier() -> None:
    expected = [sentence("verifier 'mine'", "network", "networks"),
                sentence("verifier 'mine'", "preview", "previews")]  # fmt: skip
    assert said(lambda: as_verifier(MyVerifier(), "mine")) == expected
    assert said(lambda: as_verifier(MyVerifier, "mine")) == expected
    assert said(lambda: verifier_of(f"{__name__}:MyVerifier", None)) == [
        each.replace("mine", "MyVerifier") for each in expected
    ]


def test_near_misses_of_a_function() -> None:
    def vivid(images: torch.Tensor, conditions: Any) -> torch.Tensor:
        return images.std((1, 2, 3))

    vivid.videos = True  # type: ignore[attr-defined]
    vivid.colour = "red"  # type: ignore[attr-defined]
    assert said(lambda: as_verifier(vivid, "vivid")) == [
        sentence("verifier 'vivid'", "videos", "video")
    ]


def test_near_misses_of_a_verifier_that_takes_its_time() -> None:
    class Shop(SlowVerifier):
        name, parts, lane = "shop", ("shop",), 8

        def look(self, looks: Any) -> Any:
            return []

    assert said(lambda: as_verifier(Shop(), "shop")) == [
        sentence("verifier 'shop'", "lane", "lanes")
    ]


def test_near_misses_of_an_algorithm() -> None:
    expected = [sentence("algorithm 'mine'", "finalist", "finalists"),
                sentence("algorithm 'mine'", "stochstic", "stochastic")]  # fmt: skip
    assert said(lambda: as_algorithm(MyAlgorithm(), "mine")) == expected
    assert said(lambda: algorithm_of(f"{__name__}:MyAlgorithm", {})) == [
        each.replace("mine", "MyAlgorithm") for each in expected
    ]


def test_near_misses_of_a_model() -> None:
    assert said(lambda: as_model(MyModel())) == [
        sentence("model 'mixture'", "argument", "arguments"),
        sentence("model 'mixture'", "draft", "drafts"),
    ]


def test_near_misses_of_a_denoiser() -> None:
    assert said(lambda: of_denoisers.warn_of_near_misses(MyDenoiser(), "mine")) == [
        sentence("denoiser or sampler of model 'mine'", "compiled", "compile"),
        sentence("denoiser or sampler of model 'mine'", "recal", "recall"),
    ]


def test_what_the_library_has_written_is_left_alone() -> None:
    """Of a user's class too, which inherits the setting ``draft`` beside ``drafts``."""

    class Own(DraftThenCommit):
        pass

    assert not near_misses(MixtureModel(), of_models.CAPABILITIES)
    assert not said(lambda: as_algorithm(Own(), "own"))


def test_a_name_beside_the_right_one_is_no_near_miss() -> None:
    class Both(MyVerifier):
        networks, previews = (), ()

    assert not said(lambda: as_verifier(Both(), "both"))


def test_a_members_name_may_be_a_users_own() -> None:
    """Catches a method or a counter that is taken for the parts that are only reported."""
    for own in (SimpleNamespace(reported=lambda: 3), SimpleNamespace(reported=0)):
        assert reported(own) == ()
    assert reported(SimpleNamespace(reported=("a", "b"))) == ("a", "b")


def test_features_are_asked_for_where_a_set_needs_them() -> None:
    """Catches a verifier whose features are loaded for a search of single candidates."""

    class Lazy:
        name, parts, fingerprint = "lazy", ("lazy",), ""

        @property
        def features(self) -> Any:
            raise RuntimeError("no tower is loaded")

    shown = OnVideos(Lazy())  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="no tower"):
        shown.features(None)  # type: ignore[arg-type]
