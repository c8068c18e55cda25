"""A cluster of several nodes on one machine: a head without CPUs, and nodes with one CPU each."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import napping
import pytest

if importlib.util.find_spec("ray") is None:
    collect_ignore_glob = ["test_ray_*.py"]  # a lane of its own in .ci/run has Ray, and runs them all


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class Nodes:
    """The cluster: nodes are added and removed."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        port = free_port()
        head = {"num_cpus": 0, "object_store_memory": 100_000_000, "include_dashboard": False, "ray_client_server_port": port}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.client_address = f"ray://127.0.0.1:{port}"
        self.address: str = self._cluster.address
        self.session = Path(self._cluster.head_node.get_session_dir_path())
        """Where Ray's processes leave logs."""
        self.nodes: list[Any] = []

    def add(self, **more: Any) -> Any:
        """One more node."""
        node = self._cluster.add_node(num_cpus=1, object_store_memory=100_000_000, **more)
        self.nodes.append(node)
        return node

    def remove(self, node: Any, *, gently: bool = False) -> None:
        """Remove a node, as if it were switched off, or in good order."""
        self.nodes.remove(node)
        self._cluster.remove_node(node, allow_graceful=gently)

    def want(self, count: int) -> None:
        """Have as many nodes as that."""
        while len(self.nodes) > count:
            self.remove(self.nodes[-1], gently=True)
        while len(self.nodes) < count:
            self.add()

    def end(self) -> None:
        """End all processes."""
        self._cluster.shutdown()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Two nodes, where the backend `napping` is installed."""
    with napping.installed(tmp_path_factory.mktemp("installed")):
        nodes = Nodes()
        nodes.want(2)
        yield nodes
        nodes.end()


@pytest.fixture
def nodes(cluster: Nodes) -> Nodes:
    """The same with two nodes, whatever the test before did."""
    cluster.want(2)
    return cluster


@pytest.fixture
def texts() -> list[str]:
    """What is asked about."""
    return [f"what is {number}?" for number in range(24)]
