"""How a run gets faster with the engines of a Ray cluster, and what a request costs its driver.

    python benchmarks/cluster.py [--requests N] [--seconds S] [--calls N] [--batch N]

Needs Ray (`pip install "juicecap[ray]"`). The cluster has a head and four nodes, all on this machine. Engines are scripted:
they take time and no CPU, so that what is measured is the driver, and Ray. `speedup_2` and `speedup_4` are the requests per
second of two and four engines over those of one; `driver_share` is what the driver used of a core with four engines.
`driver_ms` are CPU milliseconds of the driver for each request, `local_ms` the same where the engine is in the driver's own
process, and `driver_ratio` the former over the latter. Both are taken as the difference of a long and a short run, so that what
is done once does not count.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import ROOT, conclude
from loguru import logger

sys.path.insert(0, str(ROOT / "tests" / "support"))

import napping

import juicecap
from juicecap.runner import RunResult

HEAD = {"num_cpus": 0, "object_store_memory": 100_000_000, "include_dashboard": False}

SHORT = 5
"""The short run has the requests of the long one divided by this."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--calls", type=int, default=8)
    parser.add_argument("--batch", type=int, default=1, help="requests in a call, as of an engine that takes batches")
    options = parser.parse_args()
    logger.remove()
    with tempfile.TemporaryDirectory() as name, napping.installed(Path(name) / "installed"):
        import ray
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args=HEAD)
        for _ in range(4):
            cluster.add_node(num_cpus=1, object_store_memory=100_000_000)
        ray.init(address=cluster.address, namespace="juicecap", log_to_driver=False, logging_level="ERROR")
        subject = _Subject(Path(name), options, cluster.address)
        subject.run("warm-up", 100, 4)
        rates = {engines: subject.rate(engines) for engines in (1, 2, 4)}
        driver, local = subject.cost("ray", 4), subject.cost("local", None)
        ray.shutdown()
        cluster.shutdown()
    for engines, (rate, share) in rates.items():
        print(f"{engines} engines: {rate:.1f} requests/s, the driver at {share:.0%} of a core")
    print(f"driver: {driver:.3f} ms of CPU for each request; in a run on one machine {local:.3f} ms")
    conclude(
        speedup_2=rates[2][0] / rates[1][0],
        speedup_4=rates[4][0] / rates[1][0],
        driver_share=rates[4][1],
        driver_ms=driver,
        local_ms=local,
        driver_ratio=driver / local,
    )


class _Subject:
    """Runs that ask scripted engines."""

    def __init__(self, folder: Path, options: argparse.Namespace, address: str) -> None:
        self._folder, self._options, self._address = folder, options, address

    def run(self, name: str, requests: int, engines: int | None) -> tuple[RunResult, float]:
        """A run, and the CPU seconds of this process that it took."""
        params: dict[str, Any] = {"seconds": self._options.seconds, "calls": self._options.calls, "batch": self._options.batch}
        cluster = {"address": self._address, "engines": engines} if engines else None
        texts = [f"what is {number}?" for number in range(requests)]
        recipe = napping.write_recipe(self._folder / name, texts, params=params, cluster=cluster)
        began = time.process_time()
        result = juicecap.run(recipe)
        assert result.asked == requests, result
        return result, time.process_time() - began

    def rate(self, engines: int) -> tuple[float, float]:
        """Requests per second, and the share of a core that the driver used."""
        requests = self._options.requests * engines // 4
        result, cpu = self.run(f"rate-{engines}", requests, engines)
        seconds = result.steps[-1].seconds
        return requests / seconds, cpu / seconds

    def cost(self, name: str, engines: int | None) -> float:
        """CPU milliseconds for each request."""
        many, few = self._options.requests, self._options.requests // SHORT
        _, long = self.run(f"{name}-long", many, engines)
        _, short = self.run(f"{name}-short", few, engines)
        return 1000 * (long - short) / (many - few)


if __name__ == "__main__":
    main()
