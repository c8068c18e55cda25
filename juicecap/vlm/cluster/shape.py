"""How many engines a cluster holds, and what Ray reserves for each. Needs no ray."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from juicecap.vlm.base import ModelSettings
from juicecap.vlm.catalog import spec_of
from juicecap.vlm.cluster.options import ClusterOptions


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
