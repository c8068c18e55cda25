"""What all nodes of a cluster see and have, each asked by a task that takes no resources, for `juicecap check --cluster`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from juicecap.errors import EnvironmentFailure
from juicecap.text import first_line
from juicecap.vlm.cluster.connection import living_nodes, node_name
from juicecap.vlm.cluster.node_report import NodeReport, Wanted, clock_warning, problems_of, report_of
from juicecap.vlm.cluster.shape import Shape

ANSWERED_WITHIN = 120.0
"""Seconds in which a node says what it sees; starting a process there is most of that."""


def survey(wanted: Wanted, shape: Shape, runtime_env: Mapping[str, Any]) -> tuple[list[NodeReport], list[str], list[str]]:
    """The nodes that can hold an engine, what is wrong with them, and warnings; a sentence each.

    Raises:
        EnvironmentFailure: no node can hold one.
    """
    nodes = [node for node, resources in living_nodes().items() if shape.fits(resources)]
    if not nodes:
        raise EnvironmentFailure(
            f"no node of the cluster has {shape.cpus:g} CPUs and {shape.gpus:g} GPUs for an engine: set ray.cpus_per_engine or "
            "gpus_per_engine, or add nodes"
        )
    driver = report_of("driver", wanted)
    reports, problems, warnings = list[NodeReport](), list[str](), list[str]()
    for found in asyncio.run(_asked(nodes, wanted, runtime_env)):
        if isinstance(found, str):
            problems.append(found)
            continue
        report, off = found
        problems += problems_of(report, driver, reports[:1])
        reports.append(report)
        warnings += filter(None, [clock_warning(report, off)])
    return reports, problems, warnings


async def _asked(nodes: Iterable[str], wanted: Wanted, runtime_env: Mapping[str, Any]) -> list[tuple[NodeReport, float] | str]:
    return await asyncio.gather(*(_ask(node, wanted, runtime_env) for node in nodes))


async def _ask(node: str, wanted: Wanted, runtime_env: Mapping[str, Any]) -> tuple[NodeReport, float] | str:
    """What the node says, and by how many seconds its clock is off; or why it says nothing."""
    there = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    task = ray.remote(report_of).options(num_cpus=0, max_retries=0, scheduling_strategy=there, runtime_env=dict(runtime_env))
    reference = task.remote(node_name(node), wanted)
    try:
        async with asyncio.timeout(ANSWERED_WITHIN):
            report: NodeReport = await reference
    except TimeoutError:
        return f"node {node_name(node)} has not answered within {ANSWERED_WITHIN:g} seconds: look at its logs (`ray logs`)"
    except RayError as error:
        return f"node {node_name(node)} cannot run juicecap ({first_line(error)}): install it there, with the same libraries"
    return report, report.clock - time.time()
