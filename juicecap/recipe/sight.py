"""What can be seen of a dataset in a moment: its first rows, their columns, and whether the media they name exist."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from juicecap.data.record import Record
from juicecap.data.source import csv_table, json_list, jsonl
from juicecap.errors import SampleError
from juicecap.recipe.model import Recipe
from juicecap.sample import ORIGIN, media_paths

READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    "csv": csv_table.records,
    "json": json_list.records,
    "jsonl": jsonl.records,
    "tsv": csv_table.records,
}
"""Formats whose rows are looked at."""


@dataclass
class MediaCount:
    """The media of one column: how many entries were looked at, how many cannot be used, and why the first cannot."""

    column: str
    seen: int = 0
    failures: int = 0
    first: str = ""

    def failed(self, why: str) -> None:
        """Count one that cannot be used."""
        self.failures += 1
        self.first = self.first or why


@dataclass
class Sight:
    """What was seen."""

    rows: int = 0
    columns: dict[str, None] = field(default_factory=dict)
    media: dict[str, MediaCount] = field(default_factory=dict)
    complete: bool = False
    """Whether all rows were looked at."""
    readable: bool = False
    """Whether rows of this format are looked at at all."""
    fixed: bool = False
    """Whether every row has the columns of the first one, as in a table with a header."""


def look(recipe: Recipe, format_: str, budget: float) -> Sight:
    """Look at the dataset for `budget` seconds, and at one row at least.

    Raises:
        DataError: a row cannot be read.
    """
    if format_ == "folder":  # of videos: they are there, and it has no other column
        return Sight(columns={recipe.video_key: None}, complete=True, readable=True, fixed=True)
    if format_ not in READERS:
        return Sight()
    deadline = time.monotonic() + budget
    path = Path(recipe.dataset_path)
    columns = dict.fromkeys(column for step in recipe.steps for column in step.op.media_columns())
    sight = Sight(readable=True, fixed=format_ in ("csv", "tsv"), media={each: MediaCount(each) for each in columns})
    for record in READERS[format_](path):
        if sight.rows and time.monotonic() > deadline:
            return sight
        sight.rows += 1
        sight.columns.update(dict.fromkeys(record.values))
        sample = {**record.values, ORIGIN: {"id": record.id, "folder": str(path.absolute().parent), "missing": []}}
        for media in sight.media.values():
            _count(sample, record.where, media, deadline)
    sight.complete = True
    return sight


def _count(sample: dict[str, Any], where: str, media: MediaCount, deadline: float) -> None:
    try:
        paths = media_paths(sample, media.column)
    except SampleError as error:
        media.seen += 1
        media.failed(f"{where}: {error.message}")
        return
    for path in paths:
        if media.seen and time.monotonic() > deadline:
            return
        media.seen += 1
        if not os.path.isfile(path):
            media.failed(f"{where}: {path} {'is not a file' if os.path.exists(path) else 'does not exist'}")
