"""A run on a cluster: what it needs on each node, and the site that its requests go to. Ray is opened here, if it is wanted."""

from __future__ import annotations

import itertools
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from juicecap.data.writing.atomic import remove, replacing
from juicecap.errors import SampleError, UsageError
from juicecap.fragment import located
from juicecap.media.rules import DEFAULT_RULES
from juicecap.recipe import Recipe
from juicecap.runner.loading import load
from juicecap.runner.run_folder.folder import RunFolder, make_folder
from juicecap.runner.steps import engines_of
from juicecap.sample import Sample, is_remote, media_paths
from juicecap.vlm.backends.opening import opened
from juicecap.vlm.cluster.engine_status import EngineStatus
from juicecap.vlm.cluster.node_report import NodeReport, Wanted
from juicecap.vlm.cluster.shape import shape_of
from juicecap.vlm.pipeline import core

MEDIA, ROWS = 8, 64
"""Media that each node looks for before a run, and rows of the dataset in which they are."""

SHARED = "seen-by-nodes"
"""A file of the driver's in the run folder's `media`, for the time of the check."""


Look = Callable[[], Sequence[EngineStatus]]
"""Looks at the engines of a cluster; a run on this machine has none."""


@contextmanager
def answering(recipe: Recipe, samples: Iterable[Sample], folder: RunFolder, keys: Sequence[str]) -> Iterator[Look]:
    """A block in which engines are where the recipe wants them. `keys` are the variables that hold keys, which sites get.

    Raises:
        MissingLibrary: Ray is not installed.
        EnvironmentFailure: there is no such cluster, it has no room, or no node can be used.
    """
    if recipe.cluster is None:
        yield tuple
        return
    cluster: Any = opened("juicecap.vlm.cluster.connection", ("ray",), "ray")
    sites: Any = opened("juicecap.vlm.cluster.ray_site", ("ray",), "ray")
    with cluster.connected(recipe.cluster), _shared(recipe, folder) as (file, text):
        run = cluster.new_run(folder.owner)
        cluster.wait_for_others(run)
        models = engines_of(recipe.steps)
        launch = sites.Launch(
            shape=shape_of(recipe.cluster, models, cluster.living_nodes().values()),
            run=run,
            wanted=wanted_on_nodes(recipe, samples, file, text),
            secrets={name: os.environ[name] for name in keys if os.environ.get(name)},
            runtime_env=recipe.cluster.runtime_env,
        )
        site = sites.RaySite(launch)
        with core.answering_at(site):
            yield site.view


@dataclass(frozen=True)
class NodesFound:
    """What `check_cluster` found: a line for each node, and sentences."""

    nodes: list[str]
    problems: list[str]
    warnings: list[str]


def check_cluster(recipe: Recipe) -> NodesFound:
    """Ask all nodes that can hold an engine what they see and have. Nothing is written, and no model is opened.

    Raises:
        UsageError: the recipe runs on no cluster.
        MissingLibrary: Ray is not installed.
        EnvironmentFailure: there is no such cluster, or no node can hold an engine.
        DataError: the dataset cannot be read.
    """
    if recipe.cluster is None:
        raise UsageError("--cluster is for recipes with executor_type: ray; this one runs on this machine")
    cluster: Any = opened("juicecap.vlm.cluster.connection", ("ray",), "ray")
    surveys: Any = opened("juicecap.vlm.cluster.survey", ("ray",), "ray")
    with tempfile.TemporaryDirectory(prefix="juicecap-check-") as scratch:
        folder = RunFolder(Path(scratch))
        dataset = load(recipe, folder.steps, ROWS, folder.media).dataset
        wanted = wanted_on_nodes(recipe, list(dataset))
    with cluster.connected(recipe.cluster):
        shape = shape_of(recipe.cluster, engines_of(recipe.steps), cluster.living_nodes().values())
        reports, problems, warnings = surveys.survey(wanted, shape, recipe.cluster.runtime_env)
    nodes = [f"node {each.node}: {each.cores} cores, Python {each.python}, {_libraries(each)}" for each in reports]
    return NodesFound(nodes, problems, warnings)


def _libraries(report: NodeReport) -> str:
    return ", ".join(f"{name} {version}" for name, version in report.libraries.items())


def wanted_on_nodes(recipe: Recipe, samples: Iterable[Sample], shared_file: str = "", shared_text: str = "") -> Wanted:
    """What each node has to see."""
    limits = [step.op.limits(step.options.batch_size) for step in recipe.steps]
    return Wanted(
        working_directory=str(Path.cwd()),
        media=tuple(itertools.islice(_media(recipe, samples), MEDIA)),
        rules=next((each.media for each in limits if each.media != DEFAULT_RULES), DEFAULT_RULES),
        models=engines_of(recipe.steps),
        shared_file=shared_file,
        shared_text=shared_text,
    )


def _media(recipe: Recipe, samples: Iterable[Sample]) -> Iterator[str]:
    """Media of the first rows, each once, without fragments."""
    columns = dict.fromkeys(column for step in recipe.steps for column in step.op.media_columns())
    seen: set[str] = set()
    for sample in itertools.islice(samples, ROWS):
        for column in columns:
            with suppress(SampleError):
                for path in media_paths(sample, column):
                    whole = located(path)[0]
                    if whole not in seen and not is_remote(whole):
                        seen.add(whole)
                        yield whole


@contextmanager
def _shared(recipe: Recipe, folder: RunFolder) -> Iterator[tuple[str, str]]:
    """A file that each node has to see if ops write clips into the run folder, and its content; else two empty texts."""
    if not any(task.writes for step in recipe.steps for task in step.op.tasks()):
        yield "", ""
        return
    make_folder(folder.media)
    file, text = folder.media / SHARED, secrets.token_hex(16)
    with replacing(file, through_links=False) as stream:
        stream.write(text.encode())
    try:
        yield os.path.abspath(file), text
    finally:
        remove(file)
