"""Our algorithms, and small ones that use every move, against the algorithms' contract."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from noisesearch import RandomSearch, ZeroOrder
from noisesearch.testing import AlgorithmContract
from noisesearch.testing.toys import Previews, Renoising, Tree

SOLVERS = ("euler", "heun", "ddim-ancestral")


class TestRandomSearch(AlgorithmContract):
    @pytest.fixture
    def algorithm(self) -> Any:
        return RandomSearch()


class TestRandomSearchHeun(AlgorithmContract):
    settings: ClassVar = {"solver": "heun"}

    @pytest.fixture
    def algorithm(self) -> Any:
        return RandomSearch()


class TestRandomSearchAncestral(AlgorithmContract):
    settings: ClassVar = {"solver": "ddim-ancestral"}

    @pytest.fixture
    def algorithm(self) -> Any:
        return RandomSearch()


class TestRandomSearchFewNamed(AlgorithmContract):
    @pytest.fixture
    def algorithm(self) -> Any:
        return RandomSearch(candidates=5)


class TestZeroOrderKeep(AlgorithmContract):
    @pytest.fixture
    def algorithm(self) -> Any:
        return ZeroOrder()


class TestZeroOrderRestart(AlgorithmContract):
    settings: ClassVar = {"solver": "ddim"}

    @pytest.fixture
    def algorithm(self) -> Any:
        return ZeroOrder(pivot="restart", neighbours=2)


class TestZeroOrderMove(AlgorithmContract):
    starts_at_baseline = False  # as in the paper, the first pivot is never scored

    @pytest.fixture
    def algorithm(self) -> Any:
        return ZeroOrder(pivot="move")


class TestZeroOrderAncestral(AlgorithmContract):
    settings: ClassVar = {"solver": "ddim-ancestral"}

    @pytest.fixture
    def algorithm(self) -> Any:
        return ZeroOrder()


class _Toy(AlgorithmContract):
    budget = "12candidates"


class TestPreviews(_Toy):
    @pytest.fixture
    def algorithm(self) -> Any:
        return Previews()


class TestPreviewsHeun(_Toy):
    settings: ClassVar = {"solver": "heun"}

    @pytest.fixture
    def algorithm(self) -> Any:
        return Previews()


class TestPreviewsAncestral(_Toy):
    settings: ClassVar = {"solver": "ddim-ancestral"}

    @pytest.fixture
    def algorithm(self) -> Any:
        return Previews()


class TestRenoising(_Toy):
    settings: ClassVar = {"solver": "ddim"}

    @pytest.fixture
    def algorithm(self) -> Any:
        return Renoising()


class TestRenoisingHeun(_Toy):
    settings: ClassVar = {"solver": "heun"}

    @pytest.fixture
    def algorithm(self) -> Any:
        return Renoising()


class TestRenoisingAncestral(_Toy):
    settings: ClassVar = {"solver": "ddim-ancestral"}

    @pytest.fixture
    def algorithm(self) -> Any:
        return Renoising()


class TestTree(_Toy):
    revisits = True  # under an ODE all branches are one, and its root was passed unasked

    @pytest.fixture
    def algorithm(self) -> Any:
        return Tree()


class TestTreeAncestral(_Toy):
    settings: ClassVar = {"solver": "ddim-ancestral"}

    @pytest.fixture
    def algorithm(self) -> Any:
        return Tree()
