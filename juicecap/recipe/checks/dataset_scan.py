"""A short scan of a dataset: its first rows, their columns, their media, and what the ops would report about them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from juicecap.data.record import Record
from juicecap.data.source import folder, metadata
from juicecap.data.source.options import SourceOptions
from juicecap.data.source.text import csv_table, file_list, json_list, jsonl
from juicecap.errors import SampleError
from juicecap.naming import unnameable
from juicecap.recipe.types import Recipe, Step
from juicecap.sample import ORIGIN, display_path, is_remote, media_paths

READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    "csv": csv_table.records,
    "json": json_list.records,
    "jsonl": jsonl.records,
    "tsv": csv_table.records,
}
"""Formats whose rows are scanned."""

SHOWN_FAILURES = 3
"""Media that are reported one by one; the others are only counted."""

TOLD_BY_MEDIA = ("BAD_MEDIA_COLUMN",)
"""Codes that the scan of the media reports already."""


@dataclass
class MediaCount:
    """The media of one column: how many entries were checked, how many cannot be used, and why the first of those cannot."""

    column: str
    seen: int = 0
    failures: int = 0
    first: list[str] = field(default_factory=list)
    remote: bool = False
    """Whether addresses are downloaded."""
    all_seen: bool = True
    """Whether there was time to check all media of the scanned rows."""

    def failed(self, why: str) -> None:
        """Count a medium that cannot be used."""
        self.failures += 1
        if len(self.first) < SHOWN_FAILURES:
            self.first.append(why)


@dataclass
class RowWarning:
    """A warning of an op about rows: the number of scanned rows that it applies to, and the first of them."""

    rows: int = 0
    first: str = ""

    def count(self, what: str) -> None:
        """Count a row."""
        self.rows += 1
        self.first = self.first or what


@dataclass
class DatasetScan:
    """The result of a scan."""

    rows: int = 0
    columns: dict[str, None] = field(default_factory=dict)
    media: dict[str, MediaCount] = field(default_factory=dict)
    sample_warnings: dict[tuple[int, str, str], RowWarning] = field(default_factory=dict)
    """By the op's position in the recipe's steps, the parameter (empty: the row itself fails) and the sentence."""
    broken: RowWarning = field(default_factory=RowWarning)
    """Rows that cannot be read."""
    complete: bool = False
    """Whether all rows were scanned."""
    readable: bool = False
    """Whether rows of this format are scanned at all."""
    fixed: bool = False
    """Whether every row has the columns of the first one, as in a table with a header."""


def scan_dataset(recipe: Recipe, format_: str, budget: float) -> DatasetScan:
    """Scan the dataset for `budget` seconds, and at least one row.

    Raises:
        DataError: it cannot be read from some place on.
    """
    readers: dict[str, Callable[[Path], Iterator[Record]]] = dict(READERS)
    keys = {name: getattr(recipe, name) for name in ("video_key", "image_key", "audio_key", "suffixes")}
    for name, module in (("files", file_list), ("folder", folder), ("metadata", metadata)):
        readers[name] = partial(module.records, options=SourceOptions(**keys))
    if format_ not in readers:
        return DatasetScan()
    deadline = time.monotonic() + budget
    path = Path(recipe.dataset_path)
    if format_ == "metadata":
        path = metadata.metadata_file(path) or path
    root = str((path if format_ == "folder" and path.is_dir() else path.absolute().parent).absolute())
    columns = dict.fromkeys(column for step in recipe.steps for column in step.op.media_columns())
    fixed = format_ in ("csv", "tsv", "folder")
    remote = any(getattr(step.op, "allow_remote", False) for step in recipe.steps)
    scan = DatasetScan(readable=True, fixed=fixed, media={each: MediaCount(each, remote=remote) for each in columns})
    asked = _first_steps(recipe)
    for record in readers[format_](path):
        if scan.rows and time.monotonic() > deadline:
            return scan
        scan.rows += 1
        if record.broken:
            scan.broken.count(f"{record.where}: {record.broken}")
            continue
        scan.columns.update(dict.fromkeys(record.values))
        sample = {**record.values, ORIGIN: {"id": record.id, "folder": root, "missing": []}}
        for media in scan.media.values():
            _count(sample, record.where, media, deadline)
        for index, step in asked:
            _warn(sample, record.where, index, step, scan)
    scan.complete = True
    return scan


def _first_steps(recipe: Recipe) -> list[tuple[int, Step]]:
    """The steps that get rows as they are in the data: those up to the first one that uses a model or is a user's own code."""
    found = []
    for index, step in enumerate(recipe.steps):
        if step.index != index or not type(step.op).__module__.startswith("juicecap."):
            break
        found.append((index, step))
        if step.op.uses_model():
            break
    return found


def _warn(sample: dict[str, Any], where: str, index: int, step: Step, scan: DatasetScan) -> None:
    try:
        step.op.requests(sample)
        sentences = step.op.sample_warnings(sample)
    except SampleError as error:
        sentences = [] if error.code in TOLD_BY_MEDIA else [("", f"{error.code}: {error.message}")]
    for parameter, sentence in sentences:
        warning = scan.sample_warnings.setdefault((index, parameter, sentence if parameter else ""), RowWarning())
        warning.count(where if parameter else f"{where}: {sentence}")


def _count(sample: dict[str, Any], where: str, media: MediaCount, deadline: float) -> None:
    try:
        paths = media_paths(sample, media.column)
    except SampleError as error:
        media.seen += 1
        media.failed(f"{where}: {error.message}")
        return
    for path in paths:
        if media.seen and time.monotonic() > deadline:
            media.all_seen = False
            return
        media.seen += 1
        if is_remote(path):
            if not media.remote:
                media.failed(f"{where}: {display_path(path)} is an address, and remote media are off (allow_remote)")
        elif why := unnameable(path):
            media.failed(f"{where}: {display_path(path)} {why}")
        elif not os.path.isfile(path):
            media.failed(f"{where}: {display_path(path)} {'is not a file' if os.path.exists(path) else 'does not exist'}")
