"""A short scan of a dataset: its first rows, their columns, their media, and what the ops would report about them."""

from __future__ import annotations

import functools
import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from juicecap.data import source
from juicecap.data.record import NAMES, Record
from juicecap.data.source import folder, metadata, mixture, several
from juicecap.data.source.options import SourceOptions
from juicecap.data.source.shards import webdataset
from juicecap.data.source.tables.peek import INSIDE, FirstRows
from juicecap.data.source.text import caption_map, csv_table, file_list, json_list, jsonl, line_pairs
from juicecap.errors import MediaError, SampleError
from juicecap.fragment import without_fragment
from juicecap.media.access.picture_folder import is_folder, pictures_in
from juicecap.naming import missing, unnameable
from juicecap.nested import names_in
from juicecap.ops.base import Op
from juicecap.recipe.checks.columns import video_columns
from juicecap.recipe.types import Recipe, Step
from juicecap.sample import ORIGIN, display_path, is_remote, media_paths
from juicecap.vlm.installed import how_to_install, is_installed

READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    "csv": csv_table.records,
    "json": json_list.records,
    "jsonl": jsonl.records,
    "tsv": csv_table.records,
}
"""Formats whose rows are scanned."""

HEIC_SUFFIXES = (".heic", ".heif", ".hif")

SHOWN_FAILURES = 3
"""Media that are reported one by one; the others are only counted."""

SampleHook = Callable[[Op, dict[str, Any], str], None]
"""Gets an op, a row that the op would be given, and where the row stands."""

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
    films: bool = False
    """Whether a folder may be a film of pictures."""
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

    kind: Literal["misfit", "usual", "advice"] = "usual"
    """Whether it is a problem: always, if it applies to all rows, or never."""
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
    passed_over: str = ""
    """A sentence about the files of a folder that are skipped; empty if there are none."""
    elsewhere: list[str] = field(default_factory=list)
    """Datasets that are not here, and so not scanned."""
    all_read: bool = False
    """Whether all rows were scanned that are here."""
    fixed: bool = False
    """Whether every row has the columns of the first one, as in a table with a header."""

    @property
    def complete(self) -> bool:
        """Whether all rows were scanned."""
        return self.all_read and not self.elsewhere


def scan_dataset(
    recipe: Recipe, format_: str, budget: float, *, limit: int | None = None, seen: SampleHook | None = None
) -> DatasetScan:
    """Scan the dataset, or its first `limit` rows, for `budget` seconds, and at least one row.

    `seen` is called with the op, the row and its place for each op that gets the row as it is.

    Raises:
        DataError: it cannot be read from some place on.
    """
    deadline = time.monotonic() + budget
    reader = _RecordReader(recipe, deadline)
    parts = {recipe.dataset_path: format_}
    if format_ == "mixture":
        parts = {part: source.format_of(part, reader.options) for part in mixture.paths_of(recipe.dataset_path)}
    elsewhere = [part for part, kind in parts.items() if kind not in reader.readers]
    local = {part: kind for part, kind in parts.items() if part not in elsewhere}
    columns = dict.fromkeys(column for step in recipe.steps for column in step.op.media_columns())
    films = {column for step in recipe.steps for column in video_columns(step.op)}
    fixed = format_ in ("csv", "tsv", "parquet", "saved") or (format_ == "folder" and not recipe.sidecar_suffixes)
    remote = any(getattr(step.op, "allow_remote", False) for step in recipe.steps)
    scan = DatasetScan(
        elsewhere=elsewhere, fixed=fixed, media={each: MediaCount(each, remote=remote, films=each in films) for each in columns}
    )
    asked = _first_steps(recipe)
    records = itertools.chain.from_iterable(itertools.starmap(reader.records, local.items()))
    for record in itertools.islice(records, limit):
        if scan.rows and time.monotonic() > deadline:
            return scan
        if not scan.rows:
            deadline = time.monotonic() + budget  # a process that reads for us takes its time to start
        scan.rows += 1
        if record.broken:
            scan.broken.count(f"{record.where}: {record.broken}")
            continue
        scan.columns.update(reader.first_rows.columns)
        scan.columns.update(dict.fromkeys(itertools.islice(names_in(record.values), NAMES)))
        sample = {**record.values, ORIGIN: {"id": record.id, "folder": record.folder, "missing": []}}
        for media in scan.media.values() if record.folder else ():  # those of shards are not unpacked for a scan
            _count(sample, record.where, media, deadline)
        for index, step in asked:
            _warn(sample, record.where, index, step, scan)
            if seen and record.folder:
                seen(step.op, sample, record.where)
    scan.all_read = scan.rows == limit or (reader.first_rows.were_all and not reader.cut)
    scan.passed_over = reader.passed.sentence(Path(recipe.dataset_path))
    return scan


class _RecordReader:
    """Reads the records of datasets, and remembers whether it read all of them and which files it skipped."""

    def __init__(self, recipe: Recipe, deadline: float) -> None:
        self._deadline = deadline
        self.cut = False
        names = ("video_key", "image_key", "audio_key", "suffixes", "sidecar_suffixes")
        keys = {name: getattr(recipe, name) for name in names}
        self.options = SourceOptions(**keys)
        self.passed = folder.PassedOver()
        self.first_rows = FirstRows()
        self.readers: dict[str, Callable[[Path], Iterator[Record]]] = {
            **READERS,
            "captions": partial(caption_map.records, options=self.options),
            "files": partial(file_list.records, options=self.options),
            "folder": partial(folder.records, options=self.options, passed=self.passed),
            "metadata": partial(metadata.all_records, options=self.options, first_rows=self.first_rows),
            "pairs": partial(line_pairs.records, options=self.options),
            "parquet": self.first_rows.records,
            "saved": self.first_rows.saved_records,
            "several": self._of_several,
            "webdataset": self._of_shards,
        }

    def records(self, path: str, format_: str) -> Iterator[Record]:
        """The records of one dataset, each with the folder of its paths; empty where its media are not unpacked."""
        location = Path(path).absolute()
        root = str(location if format_ == "folder" and location.is_dir() else location.parent)
        for each in self.readers[format_](Path(path)):
            yield each if each.folder or format_ == "webdataset" else each._replace(folder=root)

    def _of_several(self, path: Path) -> Iterator[Record]:
        files, kind = several.files_of(str(path), self.options)
        read = self.first_rows.records if kind == "parquet" else several.reader_of(kind, files, self.options)
        for file in files:
            for each in read(file):
                yield each if each.folder else each._replace(folder=str(file.absolute().parent))

    def _of_shards(self, path: Path) -> Iterator[Record]:
        for each in webdataset.records(webdataset.shards_of(str(path)), None, self.options, self._is_over):
            if self._is_over():  # the sample may be cut
                self.cut = True
                return
            yield each

    def _is_over(self) -> bool:
        return time.monotonic() > self._deadline


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
    for kind, parameter, sentence in _said_by(step.op, sample):
        key = (index, parameter, sentence if parameter else "")
        warning = scan.sample_warnings.setdefault(key, RowWarning(kind))
        warning.count(where if parameter else f"{where}: {sentence}")


def _said_by(op: Op, sample: dict[str, Any]) -> list[tuple[Literal["misfit", "usual", "advice"], str, str]]:
    """Kind, parameter and sentence of what an op says of a sample."""
    try:
        op.requests(sample)
        return [
            *(("usual", parameter, sentence) for parameter, sentence in op.sample_warnings(sample)),
            *(("advice", parameter, sentence) for parameter, sentence in op.sample_advice(sample)),
        ]
    except SampleError as error:
        if error.code in TOLD_BY_MEDIA:
            return []
        return [("misfit", error.parameter, error.message) if error.parameter else ("usual", "", str(error))]


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
        if not path.endswith(INSIDE) and (why := _fault(path, media)):
            media.failed(f"{where}: {why}")


def _fault(path: str, media: MediaCount) -> str:
    """Why a medium cannot be used; empty if nothing is known against it."""
    path = without_fragment(path)
    name = display_path(path)
    if is_remote(path):
        return "" if media.remote else f"{name} is an address, and remote media are off (allow_remote)"
    if why := unnameable(path):
        return f"{name} {why}"
    if media.films and is_folder(path):
        try:
            pictures_in(path)
        except MediaError as error:
            return error.message
        return ""
    if os.path.isfile(path):
        return _unreadable(path)
    return f"{name} {'is not a file' if os.path.exists(path) else missing(path)}"


def _unreadable(path: str) -> str:
    """Why a file cannot be read here by its name: HEIC pictures need a library."""
    if not path.lower().endswith(HEIC_SUFFIXES) or _reads_heic():
        return ""
    return f"{display_path(path)} is a HEIC picture, which needs pi_heif: {how_to_install('heif')}"


@functools.cache
def _reads_heic() -> bool:
    return is_installed("pi_heif")
