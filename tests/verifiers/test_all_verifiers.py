"""What holds of every published verifier, by its tiny checkpoint and the public way to it."""

from __future__ import annotations

import pytest

from noisesearch.errors import ConfigError
from noisesearch.names import registry
from noisesearch.setup import selection
from noisesearch.testing import tiny_verifier
from noisesearch.testing.tiny_verifiers import MAKERS
from noisesearch.verifiers.settings import VerifierSettings

# These have no weights of their own.
ELSEWHERE = {"llm-grader", "human", "process", "ocr", "safety"}


def test_each_verifier_has_a_tiny_checkpoint_or_no_weights() -> None:
    known = set(registry.names("verifier"))
    assert known - ELSEWHERE == set(MAKERS) & known and set(MAKERS) <= known


@pytest.mark.parametrize("name", sorted(registry.names("verifier")))
def test_each_is_a_class_of_settings_that_says_what_it_is(name: str) -> None:
    target = registry.load("verifier", name)
    assert issubclass(target, VerifierSettings) and target.name == name
    assert target.__doc__ and len(target.__doc__.splitlines()[0]) < 100
    for field in target.model_fields.values():
        assert field.description, "each setting says what it is"


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_text_opens_what_the_object_opens(name: str, tmp_path) -> None:
    chosen = tiny_verifier(name, tmp_path)
    one, other = chosen.open(), selection.verifier_of(str(chosen), None)
    assert one.name == other.name and one.name.startswith(name)
    assert one.fingerprint == other.fingerprint != ""
    assert one.parts == other.parts and set(one.scale) == set(one.parts)
    for network in one.networks:
        assert all(not w.requires_grad for w in network.parameters()) and not network.training


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_weights_that_are_not_there_are_said(name: str, tmp_path) -> None:
    with pytest.raises(ConfigError, match=str(tmp_path)) as said:
        selection.verifier_of(f"{name}(weights={tmp_path / 'nothing.pt'})", None)
    assert name in str(said.value) and "\n" not in str(said.value)


def test_other_names_are_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'clipscore'"):
        tiny_verifier("clipscor", tmp_path)
