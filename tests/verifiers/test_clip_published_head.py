"""The real head of the aesthetic predictor, where its file is at hand."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from noisesearch.verifiers.clip.aesthetic import HEAD, HEADS, loaded
from noisesearch.verifiers.weights import files

INDEX = torch.arange(768, dtype=torch.float64)
INPUTS = {
    "zeros": torch.zeros_like(INDEX),
    "ones": torch.ones_like(INDEX),
    "alternating_+1_-1 (index even +1)": 1 - 2 * (INDEX % 2),
    "cos(i) i=0..767": INDEX.cos(),
    "e_0": (INDEX == 0).double(),
    "e_767": (INDEX == 767).double(),
    "linspace(-1,1,768)": torch.linspace(-1, 1, 768, dtype=torch.float64),
}


def test_its_scores_are_the_probed_ones(reference_path) -> None:
    path = Path(os.environ.get("AESTHETIC_HEAD", ""))
    if not path.is_file():
        pytest.skip(f"set AESTHETIC_HEAD to the path of {HEAD}.pth")
    probe = json.loads(reference_path("aesthetic_head_real_probe.json").read_text())
    assert hashlib.sha256(path.read_bytes()).hexdigest() == probe["sha256"]
    assert INPUTS.keys() == probe["probe_scores"].keys()
    head = loaded(files("aesthetic", str(path), HEADS)).double()
    got = head(normalize(torch.stack([*INPUTS.values()]), dim=1)).tolist()
    assert dict(zip(INPUTS, got, strict=True)) == pytest.approx(probe["probe_scores"], abs=1e-9)
