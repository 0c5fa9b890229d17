"""Real Ray on this machine: a cluster of several nodes, each with room for one worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from searching import ALGORITHMS, MIXTURE, opened, same, searched

import noisesearch as ns
from noisesearch.driver.driver import Driver
from noisesearch.errors import BackendError, ConfigError
from noisesearch.executors.choice import ExecutorChoice

ray = pytest.importorskip("ray")
ON_RAY = ExecutorChoice.of("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without room, beside which nodes come and go."""
    from ray.cluster_utils import Cluster

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False},
    )
    ray.init(address=made.address, logging_level="ERROR", log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()
    torch.set_num_threads(before)


def grown(cluster: Any, nodes: int) -> None:
    """Have so many nodes with room for a worker each."""
    working = [node for node in cluster.worker_nodes if node is not cluster.head_node]
    for _ in range(nodes - len(working)):
        cluster.add_node(num_cpus=1)
    for node in working[nodes:]:
        cluster.remove_node(node)
    cluster.wait_for_nodes()


class Acts:
    """Does something once, after so many replies; keeps the executor."""

    def __init__(self, after: int, act: Callable[[Any], None]) -> None:
        self.left, self.act, self.pool = after, act, None

    def replied(self, driver: Driver, live: Any, reply: Any) -> None:
        self.left -= 1
        if self.left == 0:
            self.pool = driver.executor
            self.act(driver.executor)

    def improved(self, driver: Driver, live: Any, reply: Any) -> None:
        pass


def acted(folder: Path, algorithm: str, watcher: Acts, **settings: Any) -> Any:
    run = opened(folder, algorithm, **settings)
    try:
        return run.execute(watcher, where=ON_RAY)
    finally:
        run.close()


def kill_one(pool: Any) -> None:
    ray.kill(next(iter(pool.crew._actors.values())))


def test_a_killed_worker_changes_nothing(cluster: Any, tmp_path: Path) -> None:
    grown(cluster, 2)
    settings = {"budget": "60candidates"}
    here = searched(tmp_path / "here", "zero-order", **settings)
    killer = Acts(15, kill_one)
    same(here, acted(tmp_path / "there", "zero-order", killer, **settings))
    assert killer.pool is not None and len(killer.pool.remarks) == 1


HEAVY = '''
import torch

class Contrast:
    """The spread of the pixels; says that it is worth a device of its own."""

    name, parts, scale = "contrast", ("contrast",), {"contrast": 0.1}
    differentiable, rows, fingerprint, heavy = False, None, "1", True

    def __call__(self, views):
        assert torch.equal((views.images * 255).round() / 255, views.images)
        return {"contrast": views.images.double().flatten(1).std(1)}
'''


@pytest.mark.slow
def test_a_heavy_verifier_looks_from_a_node_of_its_own(cluster: Any, tmp_path: Path) -> None:
    grown(cluster, 2)
    (tmp_path / "contrast.py").write_text(HEAVY)
    settings = {"verifier": [f"{tmp_path}/contrast.py:Contrast", "evenness"]}
    here = searched(tmp_path / "here", "zero-order", **settings)
    looked = Acts(3, lambda pool: None)
    same(here, acted(tmp_path / "there", "zero-order", looked, **settings))
    assert looked.pool is not None
    crew = looked.pool.crew
    assert len(crew.judges) == 1 and crew._made == 1, "one node each"


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_every_algorithm_gives_what_it_gives_here(
    workers: int, cluster: Any, tmp_path: Path
) -> None:
    grown(cluster, workers)
    for algorithm in ALGORITHMS:
        here = searched(tmp_path / f"{algorithm}-here", algorithm)
        same(here, searched(tmp_path / f"{algorithm}-there", algorithm, ON_RAY))


@pytest.mark.slow
def test_a_function_crosses_where_python_gave_it(cluster: Any, tmp_path: Path) -> None:
    grown(cluster, 1)
    middle = 0.25

    def near(images: torch.Tensor, conditions: Any) -> torch.Tensor:
        return -(images.mean((1, 2, 3)) - middle).abs()

    settings: dict[str, Any] = {"model": MIXTURE, "budget": "5candidates", "rows": 4,
                                "verifier": near}  # fmt: skip
    here = ns.search(["one"], out=tmp_path / "here", **settings)
    same(here, ns.search(["one"], out=tmp_path / "there", executor="ray", **settings))


@pytest.mark.slow
def test_without_a_node_a_run_ends_with_a_sentence_and_goes_on_elsewhere(
    cluster: Any, tmp_path: Path
) -> None:
    grown(cluster, 1)
    here = searched(tmp_path / "here", "random", budget="40candidates")
    with pytest.raises(BackendError, match="no worker is left"):
        acted(tmp_path / "there", "random", Acts(12, lambda pool: grown(cluster, 0)),
              budget="40candidates")  # fmt: skip
    same(here, ns.resume(tmp_path / "there"))
    with pytest.raises(ConfigError, match="has room for 0 times 1 CPU"):
        searched(tmp_path / "nowhere", "random", ON_RAY)
