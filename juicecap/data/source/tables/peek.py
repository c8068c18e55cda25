"""A look at the first rows of a Parquet file or a saved dataset: in a process with limits (see `foreign`), nothing is written."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.record import LONGEST, Record
from juicecap.data.source.tables import parquet, saved
from juicecap.data.source.tables.foreign import Refusal, foreign, in_child, settle_pyarrow
from juicecap.data.source.tables.row_check import RowCheck
from juicecap.data.source.tables.schema_check import check_schema
from juicecap.data.writing.lines import json_text
from juicecap.nested import names_in
from juicecap.sample import HIDDEN, ORIGIN, json_in_cell

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 1000
"""Rows that are looked at."""

_AT_ONCE = 100
"""Rows in memory at a time."""

INSIDE = "(bytes in the table)"
"""What stands in place of bytes, which are media that lie in the file."""


class FirstRows:
    """Gives the first rows of files, and tells whether those were all, and which columns the files have."""

    def __init__(self) -> None:
        self.were_all = True
        self.columns: dict[str, None] = {}

    def records(self, path: Path) -> Iterator[Record]:
        """The first rows of a Parquet file.

        Raises:
            DataError: the file is damaged.
            EnvironmentFailure: no process can be started.
        """
        yield from self._of_files(path, "parquet", [path], parquet.refusal(path))

    def saved_records(self, path: Path) -> Iterator[Record]:
        """The first rows of a folder that `Dataset.save_to_disk` wrote.

        Raises:
            DataError, EnvironmentFailure: as `records`.
        """
        refuse = saved.refusal(path)
        yield from self._of_files(path, "arrow", saved.files_of(path, refuse), refuse)

    def _of_files(self, path: Path, kind: str, files: Sequence[Path], refuse: Refusal) -> Iterator[Record]:
        size = sum(file.stat().st_size for file in files)
        argument = {"path": str(path), "kind": kind, "files": [str(file.absolute()) for file in files]}
        with in_child(refuse, size=size, cached=path.absolute()) as call:
            found = call(f"{__name__}:look", argument)
        self.were_all = self.were_all and bool(found["all"])
        self.columns.update(dict.fromkeys(found["columns"]))
        for number, row in enumerate(found["rows"], start=1):
            origin = row.pop(ORIGIN, {"id": f"{path.name}:{number}", "folder": ""})
            yield Record(origin["id"], f"{path}:{number}", row, folder=origin["folder"])


def look(argument: Mapping[str, Any]) -> dict[str, Any]:
    """The first rows as JSON has them: what a child does.

    Raises:
        DataError: a file is damaged, or has columns that no dataset can have.
    """
    settle_pyarrow()
    refuse = Refusal(*argument["refuse"])
    rows: list[dict[str, Any]] = []
    tree: dict[str, Any] = {}
    room = LONGEST
    with foreign(refuse):
        for file in argument["files"]:
            schema, batches = _OPENED[argument["kind"]](file)
            check_schema(schema, argument["path"])
            checked = RowCheck(schema, refuse)
            tree |= _tree(schema)
            for batch in _small(batches):
                checked.check(batch)
                for row in _rows(batch, keeps_origin=checked.keeps_origin):
                    text = json_text(row)
                    room -= len(text)
                    if room < 0 or len(rows) == ROWS:
                        return {"rows": rows, "all": False, "columns": list(names_in(tree, _is_json))}
                    rows.append(json.loads(text))
    return {"rows": rows, "all": True, "columns": list(names_in(tree))}


def _parquet(file: str) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    from pyarrow.parquet import ParquetFile

    opened = ParquetFile(file, memory_map=True)
    return opened.schema_arrow, opened.iter_batches(batch_size=_AT_ONCE, use_threads=False)


def _arrow(file: str) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    import pyarrow as pa

    reader = pa.ipc.open_stream(pa.memory_map(file))
    return reader.schema, iter(reader)


_OPENED: Mapping[str, Callable[[str], tuple[pa.Schema, Iterator[pa.RecordBatch]]]] = {"arrow": _arrow, "parquet": _parquet}


def _tree(fields: Iterable[pa.Field]) -> dict[str, Any]:
    """The columns by their names: objects as such trees again, all else as their types."""
    from pyarrow import types

    return {
        field.name: _tree(field.type) if types.is_struct(field.type) else field.type
        for field in fields
        if field.name not in HIDDEN
    }


def _is_json(type_: Any) -> bool:
    import pyarrow as pa

    return isinstance(type_, pa.JsonType)


def _small(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield from (batch.slice(start, _AT_ONCE) for start in range(0, len(batch), _AT_ONCE))


def _rows(batch: pa.RecordBatch, *, keeps_origin: bool) -> list[dict[str, Any]]:
    names = [name for name in batch.schema.names if name not in HIDDEN or (name == ORIGIN and keeps_origin)]
    decoded = [name for name in names if _is_json(batch.schema.field(name).type)]
    rows = [{name: _plain(value) for name, value in row.items()} for row in batch.select(names).to_pylist()]
    for row, name in itertools.product(rows, decoded):
        with suppress(ValueError, TypeError):
            row[name] = json_in_cell(row[name])
    return rows


def _plain(value: Any) -> Any:
    """The value with a word in place of bytes; a medium that lies in the file is that word."""
    if isinstance(value, bytes):
        return INSIDE
    if isinstance(value, dict):
        if value.keys() == {"bytes", "path"}:
            return INSIDE if value["bytes"] is not None else value["path"]
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
