"""What a node of the cluster sees and has, and in what it differs from the others. Needs no ray."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import juicecap
from juicecap.media.access.picture_folder import medium_state
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.media.workers.pool import usable_cores
from juicecap.vlm.base import ModelSettings
from juicecap.vlm.catalog import spec_of
from juicecap.vlm.installed import version_of

LIBRARIES = ("av", "numpy", "pillow")
"""Libraries whose versions can change an answer of any model; those of its backend are added."""

MOST_CLOCK_SECONDS = 5.0
"""By which clocks of two nodes may differ: files that were written just now are told apart by their times."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a run needs on each node. `media` are some of its media, and relative paths start at `working_directory`."""

    working_directory: str
    media: tuple[str, ...] = ()
    rules: MediaLimits = DEFAULT_RULES
    models: tuple[ModelSettings, ...] = ()
    shared_file: str = ""
    """A file that the driver wrote into the folder into which tasks write; empty: none do."""
    shared_text: str = ""
    """What that file holds."""

    @property
    def has_relative_paths(self) -> bool:
        """Whether something is looked for below the working directory."""
        folders = [model.model for model in self.models if _is_folder(model)]
        return not all(Path(path).is_absolute() for path in (*self.media, *filter(None, [self.rules.root]), *folders))

    @property
    def libraries(self) -> list[str]:
        """Libraries whose versions can change an answer."""
        return sorted({*LIBRARIES, *(library for model in self.models for library in spec_of(model).libraries)})


@dataclass(frozen=True, kw_only=True)
class NodeReport:
    """What was found on a node. Paths are as they were asked for."""

    node: str
    python: str
    juicecap: str
    libraries: dict[str, str] = field(default_factory=dict)
    cores: int = 1
    clock: float = 0.0
    """Seconds since 1970, when it was asked."""
    unseen: tuple[str, ...] = ()
    """What is not there, a few words each."""


def report_of(node: str, wanted: Wanted) -> NodeReport:
    """Look at this machine. Relative paths start at the working directory that is wanted, from now on."""
    unseen: list[str] = []
    clock = time.time()
    try:
        os.chdir(wanted.working_directory)
    except OSError as error:
        if wanted.has_relative_paths:
            unseen.append(f"the working directory {wanted.working_directory} ({error.strerror}), where relative paths start")
    if wanted.rules.root and not os.path.isdir(wanted.rules.root):
        unseen.append(f"media_root {wanted.rules.root}")
    missing = [path for path in wanted.media if medium_state(path, wanted.rules) is None]
    if missing:
        unseen.append(f"{len(missing)} of {len(wanted.media)} media that were looked for, such as {missing[0]}")
    unseen += [f"the model {model.model}" for model in wanted.models if _is_folder(model) and not os.path.isdir(model.model)]
    if wanted.shared_file and _text(wanted.shared_file) != wanted.shared_text:
        unseen.append(f"the folder {Path(wanted.shared_file).parent}, into which clips are written")
    return NodeReport(
        node=node,
        python=platform.python_version(),
        juicecap=juicecap.__version__,
        libraries=_versions(wanted.libraries),
        cores=usable_cores(),
        clock=clock,
        unseen=tuple(unseen),
    )


def problems_of(report: NodeReport, driver: NodeReport, others: Sequence[NodeReport] = ()) -> list[str]:
    """Why a node cannot work in a run, a sentence each: what it does not see, and versions that differ from the driver's.

    A library that the driver does not have is compared with `others`.
    """
    return [*_unseen(report), *_differing(report, driver, others)]


def clock_warning(report: NodeReport, seconds: float) -> str:
    """A sentence if the node's clock is that much off; else nothing."""
    if abs(seconds) <= MOST_CLOCK_SECONDS:
        return ""
    way = "behind" if seconds < 0 else "ahead of"
    return (
        f"node {report.node}: its clock is {abs(seconds):.0f} seconds {way} this machine's: files that were written just now may "
        "be read again; set the clocks by NTP"
    )


def _unseen(report: NodeReport) -> Iterator[str]:
    if report.unseen:
        yield f"node {report.node} does not see {'; '.join(report.unseen)}: mount it there under the same path"


def _differing(report: NodeReport, driver: NodeReport, others: Sequence[NodeReport]) -> Iterator[str]:
    if report.juicecap != driver.juicecap:
        yield f"node {report.node} has juicecap {report.juicecap}, the driver {driver.juicecap}: install the same version there"
    if _minor(report.python) != _minor(driver.python):
        yield f"node {report.node} has Python {report.python}, the driver {driver.python}: run the same version there"
    for name in sorted({*report.libraries, *driver.libraries}):
        own = report.libraries.get(name)
        for other, whose in [(driver, "the driver"), *((each, f"node {each.node}") for each in others)]:
            theirs = other.libraries.get(name)
            if theirs and own != theirs:
                yield f"node {report.node} has {_named(name, own)}, {whose} {theirs}: install the same version there"
                break


def _named(library: str, version: str | None) -> str:
    return f"{library} {version}" if version else f"no {library}"


def _minor(version: str) -> str:
    return version.rpartition(".")[0]


def _versions(libraries: Sequence[str]) -> dict[str, str]:
    return {name: version for name in libraries if (version := version_of(name))}


def _is_folder(model: ModelSettings) -> bool:
    """Whether it is the path of a folder; a name of the Hub may be downloaded."""
    return not spec_of(model).is_remote and (Path(model.model).is_absolute() or model.model.startswith("."))


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
