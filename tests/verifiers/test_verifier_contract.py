"""The contract of verifiers finds what it is there to find."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from noisesearch.candidates.condition import Condition
from noisesearch.testing import VerifierContract
from noisesearch.verifiers.protocol import FunctionVerifier


def test_a_verifier_that_writes_into_its_images_is_found() -> None:
    def darkens(images: Tensor, conditions: Sequence[Condition]) -> Any:
        scores = images.mean((1, 2, 3))
        images *= 0.5
        return scores

    images, conditions = torch.rand(8, 3, 8, 8), [Condition(text="a red circle")] * 8
    with pytest.raises(AssertionError):
        VerifierContract().test_images_are_left_alone(
            FunctionVerifier(darkens, "darkens"), images, conditions
        )
