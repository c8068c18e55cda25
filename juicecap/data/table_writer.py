"""Writing a step's table row by row, and giving rows back as the table will give them.

The next op of a stream gets samples before the table is complete. They are encoded and decoded all the same, so that what it gets
is what it would get from the table: lists for tuples, null for missing values, floats for ints, and nothing shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.exact_json import encode_batch
from juicecap.data.table import CHUNK, HEAVY
from juicecap.data.writing.atomic import write_error
from juicecap.sample import FATE, HIDDEN, Sample, batch_of, samples_of

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Features


class TableWriter:
    """A table at `path` while it is written. `features` are those of its columns, with `sample.FATE` among them."""

    def __init__(self, path: Path, features: Features) -> None:
        """Open the file.

        Raises:
            DataError, EnvironmentFailure: it cannot be written.
        """
        import pyarrow as pa
        from datasets.formatting import get_formatter

        self.path, self._features = path, features
        self._schema = features.arrow_schema
        self._plain = {name for name, feature in features.items() if name in HIDDEN or _is_plain(feature)}
        self._formatter = get_formatter(None, features=without_fates(features))
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        try:
            self._file = path.open("wb")
            self._stream = pa.ipc.new_stream(self._file, self._schema)
        except OSError as error:
            raise write_error(path, error) from error

    def add(self, rows: Sequence[Sample], kept: Sequence[int]) -> list[Sample]:
        """Write rows; returns those with the numbers `kept` as they will be read, without their fates.

        Raises:
            EnvironmentFailure: the disk is full.
        """
        table = self._encoded(rows)
        self._waiting += table.to_batches()
        self._rows, self._bytes = self._rows + len(rows), self._bytes + table.nbytes
        if self._rows >= CHUNK or self._bytes >= HEAVY:
            self._write()
        if not kept:
            return []
        output = table.drop_columns([FATE])
        return samples_of(self._formatter(output if len(kept) == len(rows) else output.take(kept), query_type="batch"))

    def close(self) -> None:
        """Write what waits, and end the file.

        Raises:
            EnvironmentFailure: the disk is full.
        """
        self._write()
        try:
            self._stream.close()
            self._file.close()
        except OSError as error:
            raise write_error(self.path, error) from error

    def _encoded(self, rows: Sequence[Sample]) -> pa.Table:
        import pyarrow as pa

        batch = encode_batch(batch_of(rows, list(self._features)), self._features)
        return pa.Table.from_arrays([self._array(name, batch[name]) for name in self._features], schema=self._schema)

    def _array(self, name: str, values: list[Any]) -> pa.Array:
        """The values of a column as `Dataset.map` would write them, but fast where they are of the right types already."""
        import pyarrow as pa
        from datasets.arrow_writer import OptimizedTypedSequence

        if name in self._plain:
            try:
                return pa.array(values, self._schema.field(name).type)
            except (pa.ArrowException, TypeError, OverflowError):  # numbers in a column of texts, say
                pass
        return pa.array(OptimizedTypedSequence(values, type=self._features[name], col=name))

    def _write(self) -> None:
        import pyarrow as pa

        if not self._waiting:
            return
        table = pa.Table.from_batches(self._waiting, self._schema).combine_chunks()
        self._waiting, self._rows, self._bytes = [], 0, 0
        try:
            for batch in table.to_batches(max_chunksize=CHUNK):
                self._stream.write_batch(batch)
        except OSError as error:
            raise write_error(self.path, error) from error


def _is_plain(feature: Any) -> bool:
    """Whether values of this feature lose nothing where Arrow makes an array of them: others may be objects with unknown keys."""
    from datasets import Json, List, Value

    return isinstance(feature, Value | Json) or (isinstance(feature, List) and _is_plain(feature.feature))


def without_fates(features: Features) -> Features:
    """The features of a table's output samples."""
    from datasets import Features

    return Features({name: feature for name, feature in features.items() if name != FATE})
