"""Our algorithms, and small ones that use every move, against the algorithms' contract."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from noisesearch import (
    Backtracking,
    Beam,
    EpsilonGreedy,
    FirstOrder,
    RandomSearch,
    Rollover,
    Screening,
    SearchOverPaths,
    Steering,
    ZeroOrder,
)
from noisesearch.testing import AlgorithmContract
from support.toys import PreviewSearch, Renoising, Tree

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


class TestScreening(AlgorithmContract):
    @pytest.fixture
    def algorithm(self) -> Any:
        return Screening(pool=8)


class TestScreeningWhatever(AlgorithmContract):
    """Gone by at any rank correlation, so that noises are chosen and not taken in turn."""

    @pytest.fixture
    def algorithm(self) -> Any:
        return Screening(pool=8, least=-1.0, share=0.6)


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


class _Paths(AlgorithmContract):
    """Six steps: 2 x 6 NFE to start, then 2 x (4 rounds of 5 steps and 3 looks) a noise."""

    budget = "130nfe"
    smallest = "58nfe"
    starts_at_baseline = False

    @pytest.fixture
    def algorithm(self) -> Any:
        return SearchOverPaths()


class TestPaths(_Paths):
    pass


class TestPathsOne(_Paths):
    budget, smallest = "70nfe", "17nfe"

    @pytest.fixture
    def algorithm(self) -> Any:
        return SearchOverPaths(paths=1, length=2, start=0.3, forward=0.6, backward=0.8)


class TestPathsHeun(_Paths):
    settings: ClassVar = {"solver": "heun"}
    budget, smallest = "250nfe", "110nfe"


class TestPathsAncestral(_Paths):
    settings: ClassVar = {"solver": "ddim-ancestral"}


class _FirstOrder(AlgorithmContract):
    smallest = "3candidates"

    @pytest.fixture
    def algorithm(self) -> Any:
        return FirstOrder(step=1.0)


class TestFirstOrder(_FirstOrder):
    pass


class TestFirstOrderHeunTwoStarts(_FirstOrder):
    settings: ClassVar = {"solver": "heun"}
    budget, smallest = "13candidates", "6candidates"

    @pytest.fixture
    def algorithm(self) -> Any:
        return FirstOrder(step=1.0, starts=2)


class TestFirstOrderByCosine(_FirstOrder):
    budget = "21candidates"

    @pytest.fixture
    def algorithm(self) -> Any:
        return FirstOrder(cosine=0.8)


class TestFirstOrderAncestral(_FirstOrder):
    settings: ClassVar = {"solver": "ddim-ancestral"}


class _Steering(AlgorithmContract):
    budget = "3candidates"
    smallest = "2candidates"
    starts_at_baseline = False  # the better of two
    revisits = True  # the baseline is the first particle's way, and has gone ahead


class TestSteering(_Steering):
    @pytest.fixture
    def algorithm(self) -> Any:
        return Steering(levels=(0.4, 0.7))


class TestSteeringNarrowing(_Steering):
    settings: ClassVar = {"solver": "ddim:0.7"}

    @pytest.fixture
    def algorithm(self) -> Any:
        return Steering(narrowing=0.5, potential="max", levels=(0.3, 0.6), threshold=1.0)


class TestSteeringMultistep(_Steering):
    settings: ClassVar = {"solver": "dpm++2m-sde"}

    @pytest.fixture
    def algorithm(self) -> Any:
        return Steering(potential="sum", threshold=0.2, levels=(0.4, 0.7))


class _PerStep(AlgorithmContract):
    budget = "3candidates"
    revisits = True  # the baseline is the first state's own way, and has gone ahead


class TestBeam(_PerStep):
    settings: ClassVar = {"solver": "dpm++2m-sde"}
    smallest = "2candidates"
    starts_at_baseline = False  # the better of two states

    @pytest.fixture
    def algorithm(self) -> Any:
        return Beam(keep=2, every=2)


class TestEpsilonGreedy(_PerStep):
    @pytest.fixture
    def algorithm(self) -> Any:
        return EpsilonGreedy(together=1)


class TestRollover(_PerStep):
    settings: ClassVar = {"solver": "euler-sde:2"}
    smallest = "9nfe"  # a candidate, and a look at three more noises
    starts_at_baseline = False

    @pytest.fixture
    def algorithm(self) -> Any:
        return Rollover(together=2)


class TestBacktracking(_PerStep):
    @pytest.fixture
    def algorithm(self) -> Any:
        return Backtracking(back=2, candidates=1)


class _Toy(AlgorithmContract):
    budget = "12candidates"


class TestPreviews(_Toy):
    @pytest.fixture
    def algorithm(self) -> Any:
        return PreviewSearch()


class TestPreviewsHeun(_Toy):
    settings: ClassVar = {"solver": "heun"}

    @pytest.fixture
    def algorithm(self) -> Any:
        return PreviewSearch()


class TestPreviewsAncestral(_Toy):
    settings: ClassVar = {"solver": "ddim-ancestral"}

    @pytest.fixture
    def algorithm(self) -> Any:
        return PreviewSearch()


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
