"""Joining a cluster or starting one here: how many engines fit in it, and whether those of an earlier driver are left."""

from __future__ import annotations

import math
import signal
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import ray
from loguru import logger
from ray._private import worker as ray_worker
from ray.exceptions import RayError

from juicecap.errors import EnvironmentFailure
from juicecap.text import first_line
from juicecap.vlm.base import ModelSettings
from juicecap.vlm.catalog import spec_of
from juicecap.vlm.cluster.options import AUTO, LOCAL, ClusterOptions

NAMESPACE = "juicecap"

GONE_WITHIN = 120.0
"""Seconds that a run waits for the engines of an earlier driver of its folder to be gone."""

OBJECT_STORE = 200_000_000
"""Bytes of the object store of a cluster that is started here: nothing large travels."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How many engines there are, and what Ray reserves for each. `part`: how many of them a node holds."""

    least: int
    most: int
    cpus: float
    gpus: float
    part: int

    def fits(self, resources: Mapping[str, float]) -> bool:
        """Whether a node with these resources can hold an engine."""
        return _fitting(resources, self.cpus, self.gpus) > 0


@contextmanager
def connected(options: ClusterOptions) -> Iterator[None]:
    """A block within which this process is a driver of the cluster. One that is connected already stays so.

    Raises:
        EnvironmentFailure: there is no such cluster, or it has another version.
    """
    if ray.is_initialized():
        yield
        return
    local: dict[str, Any] = {"object_store_memory": OBJECT_STORE, "include_dashboard": False}
    try:
        with _own_signals():
            ray.init(
                address=options.address,
                namespace=NAMESPACE,
                log_to_driver=False,
                logging_level="ERROR",
                configure_logging=False,
                **(local if options.address == LOCAL else {}),
            )
    except (ConnectionError, RuntimeError, ValueError, OSError, RayError) as error:
        raise EnvironmentFailure(_not_connected(options.address, error)) from error
    with suppress(AttributeError):  # what the cluster says of its processes goes to the log: stdout is the program's
        ray_worker.print_to_stdstream = _log
    try:
        yield
    finally:
        ray.shutdown()


def shape_of(options: ClusterOptions, models: Iterable[ModelSettings], nodes: Iterable[Mapping[str, float]]) -> Shape:
    """What engines of these models take, on nodes with these resources."""
    usable = [node for node in nodes if node.get("CPU", 0) or node.get("GPU", 0)]
    local = [model for model in models if not spec_of(model).is_remote]
    gpus = options.gpus_per_engine
    if gpus is None:
        gpus = float(_gpus_of(local)) if local and any(node.get("GPU", 0) for node in usable) else 0.0
    cpus = options.cpus_per_engine
    if cpus is None:
        holding = [node for node in usable if node.get("GPU", 0) >= gpus]
        cpus = min((node.get("CPU", 0) // max(1, _by_gpus(node, gpus)) for node in holding), default=1.0)
    fitting = [_fitting(node, cpus, gpus) for node in usable]
    least, most = options.engines or (1, max(1, sum(fitting)))
    return Shape(least=least, most=most, cpus=cpus, gpus=gpus, part=max(1, *fitting, 1))


def new_run(key: str) -> str:
    """The name of a run's actors; `key` is that of the run folder."""
    return f"{key}-{uuid.uuid4().hex[:8]}"


def named(run: str, number: int) -> str:
    """The name of an actor."""
    return f"juicecap-{run}-{number}"


def wait_for_others(run: str) -> None:
    """Wait until the actors of earlier drivers of the same run folder are gone: they are not detached, and end with their driver.

    Raises:
        EnvironmentFailure: some stay.
    """
    before = f"juicecap-{run.rpartition('-')[0]}-"
    deadline = time.monotonic() + GONE_WITHIN
    while left := [name for name in _actors() if name.startswith(before) and not name.startswith(named(run, 0)[:-1])]:
        if time.monotonic() > deadline:
            raise EnvironmentFailure(
                f"{len(left)} engines of an earlier driver of this run folder are still there after {GONE_WITHIN:g} seconds: see "
                "`ray list actors`, end its job (`ray job stop`) or restart the cluster; running again resumes"
            )
        time.sleep(0.5)


def _actors() -> list[str]:
    return [each["name"] for each in ray.util.list_named_actors(all_namespaces=True)]


def _gpus_of(models: Iterable[ModelSettings]) -> int:
    """GPUs over which the largest of the models is spread."""
    sizes = [model.engine_params() for model in models]
    return max(int(size.get("tensor_parallel_size") or 1) * int(size.get("pipeline_parallel_size") or 1) for size in sizes)


def _by_gpus(node: Mapping[str, float], gpus: float) -> int:
    return math.floor(node.get("GPU", 0) / gpus) if gpus else 1


def _fitting(node: Mapping[str, float], cpus: float, gpus: float) -> int:
    """How many engines a node holds."""
    by_gpus = math.floor(node.get("GPU", 0) / gpus) if gpus else None
    by_cpus = math.floor(node.get("CPU", 0) / cpus) if cpus else None
    return min((each for each in (by_gpus, by_cpus) if each is not None), default=1)


@contextmanager
def _own_signals() -> Iterator[None]:
    """A block after which signals end the program as before: Ray takes SIGTERM for itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _not_connected(address: str, error: BaseException) -> str:
    where = "this machine is part of no Ray cluster" if address == AUTO else f"there is no Ray cluster at {address}"
    if address == LOCAL:
        where = "Ray cannot be started on this machine"
    how = "start one (`ray start --head`), correct ray.address, or set it to local; running again resumes"
    return f"{where} ({first_line(error)}): {how}"


def _log(data: Mapping[str, Any], *_: Any, **__: Any) -> None:
    for line in data.get("lines", ()):
        logger.debug("ray: {}", line)


def living_nodes() -> dict[str, dict[str, float]]:
    """The nodes that live, by their ids, and what Ray has on each."""
    return {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}
