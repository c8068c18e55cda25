"""A table with chosen columns: those of the dataset, captions, media as texts, measures and constants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from juicecap.data.columns import Spec, features_of
from juicecap.data.edits.written_rows import Layout
from juicecap.data.export import FORMATS, format_of
from juicecap.data.export.columns import Column, column_of
from juicecap.data.export.media_paths import with_paths
from juicecap.data.export.settings import TableExport, bytes_of
from juicecap.data.export.writers.captioned import Captioned, caption_column, captioned_rows
from juicecap.data.export.writers.job import NO_CAPTION, ExportResult, Job
from juicecap.data.export.writers.made_table import made_table, write_made
from juicecap.data.export.writers.named_media import NamedMedia
from juicecap.data.export.writers.texts import reads_as_missing
from juicecap.data.table import CHUNK, chunks
from juicecap.errors import DataError
from juicecap.nested import split_name, value_of
from juicecap.notice import say_once
from juicecap.sample import HIDDEN, ORIGIN, Sample

if TYPE_CHECKING:
    from datasets import Dataset

_MEASURED: Mapping[str, Any] = {
    "duration": "float", "fps": "float", "frames": "int", "height": "int", "height_over_width": "float", "pixels": "int",
    "size": {"height": "int", "width": "int"}, "width": "int", "width_over_height": "float",
}  # fmt: skip
"""The types of measures, as specs."""


@dataclass
class _Row:
    """A row that is made: a sample, what of its media it is about, and its captions."""

    sample: Sample
    about: Captioned
    captions: Sequence[str | None]


def prepare(export: TableExport, job: Job) -> PreparedTable:
    """Make the table in a temporary place, and find out which media go where.

    Raises:
        DataError: a column does not exist, a medium is missing or cannot be measured, or a sample has several.
        UsageError: something of somebody else is where a medium goes.
    """
    if not export.columns:
        table = with_paths(job.dataset, *job.path_columns, export.folder.absolute(), export.paths, job.scratch)
        paths = {split_name(name, table.column_names)[0] for name in job.path_columns[0]}
        return PreparedTable(export, job, _with_edits(table, export, job, paths))
    media = NamedMedia(export, job)
    table, left_out = _made(export, job, media)
    columns = {name: column_of(written) for name, written in export.columns.items()}
    paths = {name for name, column in columns.items() if column.kind == "media" and column.value != "kind"}
    return PreparedTable(export, job, _with_edits(table, export, job, paths), media, left_out)


class PreparedTable:
    """A table that is ready to be written."""

    def __init__(self, export: TableExport, job: Job, table: Dataset, media: NamedMedia | None = None, left_out: int = 0) -> None:
        self._export, self._job, self._table, self._media, self._left_out = export, job, table, media, left_out

    def write(self) -> ExportResult:
        """Place the media, then write the table, so that it names nothing that is not there."""
        export = self._export
        if self._media:
            self._media.write()
        if export.format == "lines":
            for name, path in zip(export.columns or (), export.outputs(), strict=True):
                write_made(self._table.select_columns([name]), path, self._job, format="lines")
        else:
            options = {"format": export.format, "shard_size": bytes_of(export.shard_size), "csv_formulas": export.csv_formulas}
            write_made(self._table, export.target, self._job, output=export.outputs()[0], **options)
        left_out = {NO_CAPTION: self._left_out} if self._left_out else {}
        return ExportResult(to=export.target, kind=export.kind, preset=export.preset, rows=len(self._table), left_out=left_out)


def _with_edits(table: Dataset, export: TableExport, job: Job, media: Iterable[str]) -> Dataset:
    """The table with the edits that are kept, if its format is one in which rows are known again."""
    name = format_of(export.target, export.format)
    if name not in FORMATS:
        return table
    layout = Layout.of(table, name, media, csv_formulas=export.csv_formulas)
    return job.with_edits(export.outputs()[0], table, layout)


def _made(export: TableExport, job: Job, media: NamedMedia) -> tuple[Dataset, int]:
    """The table, and how many media are left out."""
    columns = {name: column_of(written) for name, written in (export.columns or {}).items()}
    caption = _caption(columns, export, job)
    features = {name: _feature(name, column, caption, export, job.dataset) for name, column in columns.items()}
    maker = _Maker(columns, caption, export, job, media)
    table = made_table(maker.rows(), features, job)
    if maker.as_missing and (export.format or format_of(export.target)) == "csv":
        say_once(
            f"{export.target}: {maker.as_missing:,} texts such as NA are read as missing by pandas and readers built on it; "
            "export to .parquet or .jsonl, which keep them"
        )
    return table, maker.without_caption


def _caption(columns: Mapping[str, Column], export: TableExport, job: Job) -> str:
    """The column of the captions; empty if no column of the table has any."""
    if any(column.kind == "caption" for column in columns.values()):
        return caption_column(job.dataset, export.caption, job.roles)
    named = [column.value for column in columns.values() if column.kind == "column"]
    wanted = export.caption or ("caption" if "caption" in job.dataset.column_names else job.roles.text_key)
    return wanted if wanted in named else ""


def _feature(name: str, column: Column, caption: str, export: TableExport, dataset: Dataset) -> Any:
    """The type of a column of the table.

    Raises:
        DataError: the dataset has no such column.
    """
    if column.kind == "caption" or (column.kind == "column" and column.value == caption):
        return features_of({name: "texts" if export.captions == "list" else "text"})[name]
    if column.kind == "column":
        return _feature_in(dataset, column.value, name)
    words: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "text"}
    constant = words.get(type(column.value), "json")
    spec: Spec = {"media": "text", "measure": _MEASURED.get(str(column.value), ""), "const": constant}[column.kind]
    return features_of({name: spec})[name]


def _feature_in(dataset: Dataset, column: str, name: str) -> Any:
    """The type of a column of the dataset, which may be inside of an object."""
    has = [each for each in dataset.column_names if each not in HIDDEN]
    features: Any = {each: dataset.features[each] for each in has}
    rest = column
    while rest and isinstance(features, dict):
        key, rest = split_name(rest, features)
        if key not in features:
            raise DataError(f"columns.{name}: the dataset has no column {column!r}; it has {', '.join(has)}")
        features = features[key]
    return features_of({name: "json"})[name] if rest else features


class _Maker:
    """Makes the rows of a table."""

    def __init__(self, columns: Mapping[str, Column], caption: str, export: TableExport, job: Job, media: NamedMedia) -> None:
        self._columns, self._caption, self._export, self._job, self._media = columns, caption, export, job, media
        self._measures = sorted({str(column.value) for column in columns.values() if column.kind == "measure"})
        self._paths = any(column.kind == "media" and column.value != "kind" for column in columns.values())
        self._of_media = self._measures or any(column.kind == "media" for column in columns.values())
        self.without_caption = 0
        """Media that are left out, since a trainer can do nothing with them."""
        self.as_missing = 0
        """Texts that some readers of CSV take for missing values."""

    def rows(self) -> Iterator[dict[str, Any]]:
        """All rows, in order."""
        for some in chunks(filter(self._is_taken, self._about()), CHUNK):
            named = [(row.about.name, row.about.medium) for row in some] if self._of_media else []
            paths: Sequence[str] = self._media.paths(named) if self._paths else [""] * len(some)
            media = [medium for _, medium in named]
            measured = self._job.tools.measured(self._measures, media) if self._measures else [{}] * len(some)
            for row, path, measures in zip(some, paths, measured, strict=True):
                yield self._row(row, path, measures)

    def _is_taken(self, row: _Row) -> bool:
        """Whether a row is written: for a trainer only if it has a caption."""
        taken = not (self._export.preset and self._caption and not any(caption is not None for caption in row.captions))
        self.without_caption += not taken
        return taken

    def _about(self) -> Iterator[_Row]:
        """What the rows are about: a row for each caption, or for each medium."""
        grouped: dict[str, _Row] = {}
        for sample, several in captioned_rows(self._job.dataset, self._job.roles, self._caption):
            for about in several:
                if self._export.captions in ("list", "first") and self._of_media:
                    row = grouped.setdefault(about.medium.path, _Row(sample, about, []))
                    row.captions = [*row.captions, *(each for each in about.captions if each is not None)]
                elif self._caption and self._export.captions in (None, "rows"):
                    yield from (_Row(sample, about, [caption]) for caption in about.captions)
                else:
                    yield _Row(sample, about, about.captions)
        yield from grouped.values()

    def _row(self, row: _Row, path: str, measures: Mapping[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {ORIGIN: row.about.name}
        for name, column in self._columns.items():
            if column.kind == "media" and column.value in ("image", "video") and row.about.medium.kind != column.value:
                continue
            made[name] = self._value(column, row, path, measures)
            self.as_missing += isinstance(made[name], str) and reads_as_missing(made[name])
        return made

    def _value(self, column: Column, row: _Row, path: str, measures: Mapping[str, Any]) -> Any:
        if column.kind == "caption" or (column.kind == "column" and column.value == self._caption):
            if self._export.captions == "list":
                return [caption for caption in row.captions if caption is not None]
            return next((caption for caption in row.captions if caption is not None), None)
        if column.kind == "column":
            return value_of(row.sample, column.value)
        if column.kind == "media":
            return {"kind": row.about.medium.kind, "name": PurePath(path).name}.get(column.value, path)
        return measures[column.value] if column.kind == "measure" else column.value
