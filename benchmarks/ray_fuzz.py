"""Runs on a Ray cluster that are disturbed at random moments: nodes and engines go, and the driver is killed.

    python benchmarks/ray_fuzz.py [--removals N] [--kills N] [--samples N] [--seed N]

Needs Ray (`pip install "juicecap[ray]"`). The cluster has a head and two nodes, all on this machine; the engine is scripted and
notes what it answers. Rounds follow until `removals` nodes and engines were removed (half of the nodes as if switched off, half
in good order; a new one joins each time) and drivers were killed `kills` times and started again. `lost` and `duplicated` count
samples of finished runs, `identical` says whether each output has the bytes of a calm run on one machine, and `reasked` counts
requests that were asked again although their answer was in the journal.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from common import ROOT, conclude
from loguru import logger

sys.path.insert(0, str(ROOT / "tests" / "support"))

import napping

import juicecap

HEAD = {"num_cpus": 0, "object_store_memory": 100_000_000, "include_dashboard": False}

AT_MOST, PAUSE = 300.0, 2.0
"""Seconds of a driver, and the longest ones between two disturbances."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--removals", type=int, default=100)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--samples", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logger.remove()
    with tempfile.TemporaryDirectory() as name, napping.installed(Path(name) / "installed"):
        fuzz = _Fuzz(Path(name), options)
        try:
            while fuzz.removals < options.removals or fuzz.kills < options.kills:
                fuzz.round()
        finally:
            fuzz.end()
    print(f"{fuzz.rounds} runs; {fuzz.removals} nodes and engines removed, {fuzz.kills} drivers killed")
    conclude(
        lost=fuzz.lost,
        duplicated=fuzz.duplicated,
        identical=fuzz.identical,
        reasked=fuzz.reasked,
        removals=fuzz.removals,
        kills=fuzz.kills,
    )


class _Fuzz:
    """The cluster, the runs, and what became of them."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        import ray
        from ray.cluster_utils import Cluster

        self._folder, self._options, self._random = folder, options, random.Random(options.seed)
        self._ray = ray
        self._cluster = Cluster(initialize_head=True, head_node_args=HEAD)
        self._nodes = [self._add() for _ in range(2)]
        ray.init(address=self._cluster.address, namespace="juicecap", log_to_driver=False, logging_level="ERROR")
        self._texts = [f"what is {number}?" for number in range(options.samples)]
        calm = napping.write_recipe(folder / "calm", self._texts, params={"batch": 2}, cluster=None)
        juicecap.run(calm)
        self._calm = (folder / "calm" / "out.jsonl").read_bytes()
        self.rounds = self.removals = self.kills = self.lost = self.duplicated = self.reasked = 0
        self.identical = True

    def round(self) -> None:
        """One run, from its first driver to its end."""
        self.rounds += 1
        folder = self._folder / str(self.rounds)
        params: dict[str, Any] = {"seconds": 0.2, "batch": 2, "notes": str(folder / "notes.jsonl")}
        cluster = {"address": self._cluster.address, "engines": [1, 2]}
        recipe = napping.write_recipe(folder, self._texts, params=params, cluster=cluster)
        while not self._driver(folder, recipe):
            continue
        self._judge(folder)

    def end(self) -> None:
        """End the cluster."""
        self._ray.shutdown()
        self._cluster.shutdown()

    def _driver(self, folder: Path, recipe: Path) -> bool:
        """Run a driver and disturb it; whether it came to an end."""
        known, asked_before = _known(folder / "out.run" / "journal.sqlite"), len(_asked(folder))
        driver = subprocess.Popen([sys.executable, "-m", "juicecap", "run", str(recipe), "--quiet"], cwd=ROOT)
        deadline = time.monotonic() + AT_MOST
        while driver.poll() is None:
            assert time.monotonic() < deadline, "a driver hangs"
            with suppress(subprocess.TimeoutExpired):
                driver.wait(self._random.uniform(0.1, PAUSE))
            if driver.poll() is None and len(_asked(folder)) > asked_before:
                self._disturb(driver)
        self.reasked += sum(text in known for text in _asked(folder)[asked_before:])
        return driver.returncode == 0

    def _disturb(self, driver: subprocess.Popen[bytes]) -> None:
        ways = [self._remove_node, self._kill_engine] * (self.removals < self._options.removals)
        if self.kills < self._options.kills:
            ways.append(lambda: self._kill_driver(driver))
        if ways:
            self._random.choice(ways)()

    def _remove_node(self) -> None:
        node = self._nodes.pop(self._random.randrange(len(self._nodes)))
        self._cluster.remove_node(node, allow_graceful=self._random.random() < 0.5)
        self._nodes.append(self._add())
        self.removals += 1

    def _kill_engine(self) -> None:
        names = [each["name"] for each in self._ray.util.list_named_actors(all_namespaces=True)]
        if names:
            with suppress(ValueError):  # it is gone just now
                self._ray.kill(self._ray.get_actor(self._random.choice(names), namespace="juicecap"))
                self.removals += 1

    def _kill_driver(self, driver: subprocess.Popen[bytes]) -> None:
        driver.kill()
        driver.wait()
        self.kills += 1

    def _add(self) -> Any:
        return self._cluster.add_node(num_cpus=1, object_store_memory=100_000_000)

    def _judge(self, folder: Path) -> None:
        output = (folder / "out.jsonl").read_bytes()
        found = Counter(json.loads(line)["text"] for line in output.splitlines())
        self.lost += sum(text not in found for text in self._texts)
        self.duplicated += sum(count - 1 for count in found.values())
        self.identical &= output == self._calm


def _asked(folder: Path) -> list[str]:
    """What engines have answered so far, in order."""
    notes = folder / "notes.jsonl"
    return [json.loads(line)[0] for line in notes.read_text().splitlines()] if notes.exists() else []


def _known(journal: Path) -> set[str]:
    """The questions whose answers are in a journal; an answer is its question and a seed."""
    if not journal.exists():
        return set()
    with sqlite3.connect(journal) as store:
        entries = [json.loads(entry) for (entry,) in store.execute("SELECT entry FROM answers")]
    return {entry["text"].rpartition(" ")[0] for entry in entries if "text" in entry}


if __name__ == "__main__":
    main()
