"""How a run gets faster with the engines of a Ray cluster, and what a request costs its driver.

    python benchmarks/cluster.py [--requests N] [--seconds S] [--calls N] [--batch N]

Needs Ray (`pip install "juicecap[ray]"`). The cluster has a head and four nodes, all on this machine. Engines are scripted:
they take time and no CPU, so that what is measured is the driver, and Ray. `speedup_2` and `speedup_4` are the requests per
second of two and four engines over those of one; `driver_share` is what the driver used of a core with four engines.
`driver_ms` are CPU milliseconds of the driver for each request, `local_ms` the same where the engine is in the driver's own
process, and `driver_ratio` the former over the latter. Both are taken as the difference of a long and a short run, so that what
is done once does not count. `call_ms` is the same for a call of Ray that does nothing: a request in a call of its own cannot cost
its driver less than `local_ms + call_ms`, and `floor_share` is that over `driver_ms`.
"""

from __future__ import annotations

import argparse
import asyncio
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
        driver, local, call = subject.cost("ray", 4), subject.cost("local", None), asyncio.run(_call_cost(options))
        ray.shutdown()
        cluster.shutdown()
    for engines, (rate, share) in rates.items():
        print(f"{engines} engines: {rate:.1f} requests/s, the driver at {share:.0%} of a core")
    print(f"driver: {driver:.3f} ms of CPU for each request; in a run on one machine {local:.3f} ms; an empty call {call:.3f} ms")
    conclude(
        speedup_2=rates[2][0] / rates[1][0],
        speedup_4=rates[4][0] / rates[1][0],
        driver_share=rates[4][1],
        driver_ms=driver,
        local_ms=local,
        driver_ratio=driver / local,
        call_ms=call,
        floor_share=(local + call / options.batch) / driver,
    )


async def _call_cost(options: argparse.Namespace) -> float:
    """CPU milliseconds of this process for a call of Ray that does nothing, with as many under way as the runs have."""
    import ray

    class Idler:
        async def nap(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

    actors = [ray.remote(max_concurrency=1000)(Idler).remote() for _ in range(4)]
    each = options.requests // (4 * options.calls)

    async def some(actor: Any, calls: int) -> None:
        for _ in range(calls):
            await actor.nap.remote(options.seconds)

    async def all_of(calls: int) -> float:
        began = time.process_time()
        await asyncio.gather(*(some(actor, calls) for actor in actors for _ in range(options.calls)))
        return time.process_time() - began

    await all_of(1)
    return 1000 * await all_of(each) / (each * 4 * options.calls)


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
