"""A picture that is read again is looked at as it was when it was made, to the last bit."""

from __future__ import annotations

import numpy as np
import torch

from noisesearch.candidates.condition import Condition
from noisesearch.sampling.images import from_pictures, pictures, quantise
from noisesearch.setup.request import Request
from noisesearch.verifiers.protocol import Views


def test_the_layout_is_that_of_the_decoder() -> None:
    """After a kill between a picture and its reply, what is scored is read from the file."""
    loaded = Request(["a red circle"], algorithm="random", budget="4candidates").resolve().loaded
    images = quantise(torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    again = from_pictures([np.ascontiguousarray(p) for p in pictures(images)])  # as files are
    assert torch.equal(again, images) and again.stride() == images.stride()
    conditions = [Condition(text="a red circle")] * 8
    for verifier in loaded.verifiers:
        with torch.inference_mode():
            made, read = (verifier(Views(x, conditions)) for x in (images, again))
        assert all(torch.equal(made[part], read[part]) for part in verifier.parts), verifier.name
