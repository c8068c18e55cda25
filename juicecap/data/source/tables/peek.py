"""The first rows of a Parquet file for a look at them: read in a process with limits (see `foreign`), nothing is written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.record import LONGEST, Record
from juicecap.data.source.tables.foreign import Refusal, foreign, in_child, settle_pyarrow
from juicecap.data.source.tables.row_check import RowCheck
from juicecap.data.source.tables.schema_check import check_schema
from juicecap.data.writing.lines import json_text
from juicecap.sample import HIDDEN

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 1000
"""Rows that are looked at."""

INSIDE = "(bytes in the table)"
"""What stands in place of bytes, which are media that lie in the file."""


class FirstRows:
    """Gives the first rows of files, and tells whether those were all."""

    def __init__(self) -> None:
        self.were_all = True

    def records(self, path: Path) -> Iterator[Record]:
        """The first rows of a file.

        Raises:
            DataError: the file is damaged.
            EnvironmentFailure: no process can be started.
        """
        refuse = Refusal(f"{path} cannot be read as Parquet: ", ". Write the file again.")
        with in_child(refuse, size=path.stat().st_size, cached=path.absolute()) as call:
            found = call(f"{__name__}:look", {"path": str(path), "file": str(path.absolute())})
        self.were_all = self.were_all and bool(found["all"])
        for number, row in enumerate(found["rows"], start=1):
            yield Record(f"{path.name}:{number}", f"{path}:{number}", row)


def look(argument: Mapping[str, Any]) -> dict[str, Any]:
    """The first rows as JSON has them: what a child does.

    Raises:
        DataError: the file is damaged, or has columns that no dataset can have.
    """
    from pyarrow.parquet import ParquetFile

    settle_pyarrow()
    refuse = Refusal(*argument["refuse"])
    rows: list[dict[str, Any]] = []
    room = LONGEST
    with foreign(refuse):
        file = ParquetFile(argument["file"], memory_map=True)
        schema = file.schema_arrow
        check_schema(schema, argument["path"])
        checked = RowCheck(schema, refuse)
        for batch in file.iter_batches(batch_size=100, use_threads=False):
            checked.check(batch)
            for row in _rows(batch):
                text = json_text(row)
                room -= len(text)
                if room < 0 or len(rows) == ROWS:
                    return {"rows": rows, "all": False}
                rows.append(json.loads(text))
    return {"rows": rows, "all": True}


def _rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    names = [name for name in batch.schema.names if name not in HIDDEN]
    return [{name: _plain(value) for name, value in row.items()} for row in batch.select(names).to_pylist()]


def _plain(value: Any) -> Any:
    """The value with a word in place of bytes; a medium that lies in the file is that word."""
    if isinstance(value, bytes):
        return INSIDE
    if isinstance(value, dict):
        if value.keys() == {"bytes", "path"}:
            return INSIDE if value["bytes"] is not None else value["path"]
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
