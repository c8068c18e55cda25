"""Parquet, batch by batch, with the types of the columns.

JSON columns are stored as JSON text (Parquet's logical type JSON), which `datasets` and `juicecap` read back as values. A
missing key is null: a table cannot tell them apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from juicecap.data.export.rows import visible_columns
from juicecap.errors import DataError
from juicecap.text import reason_of

if TYPE_CHECKING:
    from datasets import Dataset

ROWS = 2000
"""Rows per row group, and in memory at a time."""


def write(dataset: Dataset, stream: BinaryIO) -> None:
    """Write all rows.

    Raises:
        DataError: Parquet has no such type.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    visible = dataset.select_columns(visible_columns(dataset))
    try:
        with ParquetWriter(stream, visible.features.arrow_schema) as writer:
            for table in visible.with_format("arrow").iter(batch_size=ROWS):
                writer.write_table(table.combine_chunks())
    except pa.ArrowException as error:
        raise DataError(
            f"the dataset cannot be written as Parquet: {reason_of(error)}. Export to .jsonl, or drop that column."
        ) from error


def count(path: Path) -> int:
    """The number of rows in the file."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        return sum(len(batch) for batch in file.iter_batches(columns=[]))
