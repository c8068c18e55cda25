"""Temporary tables of rows that an export makes, which are written as any dataset is."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from juicecap.data.columns import ORIGIN_FEATURE, features_of
from juicecap.data.exact_json import exact, record_batch
from juicecap.data.export import write_export
from juicecap.data.export.writers.job import Job
from juicecap.data.table import CHUNK, chunks, open_arrow, origin, write_arrow
from juicecap.sample import ORIGIN, Sample

if TYPE_CHECKING:
    from pathlib import Path

    from datasets import Dataset


def made_table(rows: Iterable[Sample], columns: Mapping[str, Any], job: Job) -> Dataset:
    """The rows as a dataset on disk, with the features `columns`. A key that a row lacks stays away in formats that can do that.

    A row may have the name of its sample under `ORIGIN`.

    Raises:
        DataError, EnvironmentFailure: it cannot be written.
    """
    features = exact({**columns, **features_of({ORIGIN: ORIGIN_FEATURE})})
    name = secrets.token_hex(8)
    file = job.scratch / f"export-{name}.arrow"
    numbered = ({**row, ORIGIN: _origin(row.get(ORIGIN) or f"row {number}", row, columns)} for number, row in enumerate(rows, 1))
    write_arrow(file, features.arrow_schema, (record_batch(some, features) for some in chunks(numbered, CHUNK)))
    return open_arrow(file, name)


def write_made(dataset: Dataset, path: Path, job: Job, *, output: Path | None = None, **options: Any) -> None:
    """Write a dataset to an output of the job, by default `path` itself; `options` as for `write_export`.

    Raises:
        DataError, EnvironmentFailure, UsageError, BugError: as `write_export`.
    """
    write_export(dataset, path, owner=job.owner, ready=job.ready(output or path), **options)


def _origin(name: str, row: Sample, columns: Iterable[str]) -> dict[str, Any]:
    """The origin of a made row: its name, and the keys that it does not have."""
    return origin(name, "", (name for name in columns if name not in row))
