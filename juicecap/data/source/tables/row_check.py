"""The rows of a table that others wrote, batch by batch, before anything of it is used.

Arrow itself finds offsets that lead outside, and text that is not UTF-8. Beyond that, a row must not become far more than it is:
columns without bytes can claim billions of values, and views and columns that overlap the same bytes many times. And it must
become values of Python at all, which times beyond the year 9999 do not, and arrays that do not have the shape that they claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from juicecap.data.columns import ORIGIN_FEATURE
from juicecap.data.record import LONGEST, VALUES
from juicecap.data.source.tables.foreign import Refusal
from juicecap.data.source.tables.schema_check import shape_of
from juicecap.data.table import CHUNK
from juicecap.sample import ORIGIN, short_repr
from juicecap.text import reason_of

if TYPE_CHECKING:
    import pyarrow as pa


class RowCheck:
    """Looks at the batches of one table, in order."""

    def __init__(self, schema: pa.Schema, refuse: Refusal) -> None:
        import pyarrow as pa

        self._schema, self._refuse = schema, refuse
        self._texts = [field.name for field in schema if not _holds(field.type, _is_bytes)]
        self._times = [field.name for field in schema if _holds(field.type, pa.types.is_temporal)]
        self.keeps_origin = ORIGIN in schema.names and schema.field(ORIGIN).type == _origin_type()
        """Whether the rows say where they come from (`sample.ORIGIN`)."""
        self._row = 0

    def check(self, batch: pa.RecordBatch) -> None:
        """Look at the next batch.

        Raises:
            DataError: it is damaged, or a row takes more than a row may.
        """
        import pyarrow as pa

        try:
            batch.validate(full=True)
        except (pa.ArrowException, ValueError) as error:
            raise self._refuse(reason_of(error)) from error
        for start in range(0, len(batch), CHUNK):
            self._check(batch.slice(start, CHUNK))

    def _check(self, batch: pa.RecordBatch) -> None:
        for rows in _heavy(batch, _values, VALUES):
            raise self._refuse(f"row {self._row + rows} holds more than {VALUES:,} values")
        for rows in _heavy(batch.select(self._texts), bytes_of, LONGEST):
            raise self._refuse(f"row {self._row + rows} holds more than {LONGEST:,} bytes of text")
        for name in self._times:
            self._try(name, batch.column(name))
        for field, column in zip(self._schema, batch.columns, strict=True):
            if not _has_shape(field, column):
                raise self._refuse(f"the column {short_repr(field.name)} holds an array that does not have the shape of all")
        if self.keeps_origin:
            self._check_origin(batch.column(ORIGIN))
        self._row += len(batch)

    def _try(self, name: str, column: pa.Array) -> None:
        try:
            column.to_pylist()
        except MemoryError:
            raise
        except Exception as error:  # odd times fail in many ways
            what = f"the column {short_repr(name)} holds a time that is no value of Python"
            raise self._refuse(f"{what} ({reason_of(error)})") from error

    def _check_origin(self, column: pa.Array) -> None:
        """Where a row comes from is always known."""
        for row, value in enumerate(column.to_pylist(), start=self._row + 1):
            if not value or any(value.get(each) is None for each in ORIGIN_FEATURE):
                raise self._refuse(f"row {row} does not say where it comes from ({ORIGIN})")


def bytes_of(batch: pa.RecordBatch) -> int:
    """Bytes that the values take, whatever they share."""
    return sum(_bytes(column) for column in batch.columns)


def _heavy(batch: pa.RecordBatch, measure: Callable[[pa.RecordBatch], int], most: int, first: int = 1) -> Iterator[int]:
    """The numbers of rows that are more than `most` by themselves; halves are examined only if the whole is."""
    if not len(batch) or measure(batch) <= most:
        return
    if len(batch) == 1:
        yield first
        return
    half = len(batch) // 2
    yield from _heavy(batch.slice(0, half), measure, most, first)
    yield from _heavy(batch.slice(half), measure, most, first + half)


def _values(batch: pa.RecordBatch) -> int:
    return sum(_count(column) for column in batch.columns)


def _count(array: pa.Array) -> int:
    return len(array) + sum(map(_count, _inner(array)))


def _bytes(array: pa.Array) -> int:
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_string_view(array.type) or pa.types.is_binary_view(array.type):
        return int(array.cast(pa.large_binary()).nbytes)
    if pa.types.is_dictionary(array.type):  # most of them are of texts, which need not be put together to be measured
        if _has_lengths(array.type.value_type):
            return int(compute.sum(compute.binary_length(array.dictionary).take(array.indices)).as_py() or 0)
        return _bytes(array.dictionary_decode())
    inner = _inner(array)
    return sum(map(_bytes, inner)) + 8 * len(array) if inner else int(array.nbytes)


def _inner(array: pa.Array) -> list[pa.Array]:
    """The arrays of what an array holds, of its own rows only."""
    import pyarrow as pa

    if pa.types.is_struct(array.type):
        return [array.field(number) for number in range(array.type.num_fields)]
    return [array.flatten()] if hasattr(array, "flatten") else []


def _has_shape(field: pa.Field, array: pa.Array) -> bool:
    """Whether the arrays (of `datasets`) that a field is or holds have the shape that it says."""
    from pyarrow import compute

    shape = shape_of(field)
    if shape is None:
        if not array.type.num_fields:
            return True
        return all(_has_shape(field.type.field(number), inner) for number, inner in enumerate(_inner(array)))
    for length in shape:
        if length is not None and compute.any(compute.not_equal(compute.list_value_length(array), length)).as_py():
            return False
        array = array.flatten()
        if array.null_count and array.type.num_fields:
            return False
    return True


def _holds(type_: pa.DataType, is_it: Callable[[pa.DataType], bool]) -> bool:
    """Whether it is true of a type, or of one that it holds."""
    return is_it(type_) or any(_holds(inner, is_it) for inner in _inner_types(type_))


def _inner_types(type_: pa.DataType) -> list[pa.DataType]:
    import pyarrow as pa

    if isinstance(type_, pa.BaseExtensionType):
        return [type_.storage_type]
    if pa.types.is_dictionary(type_):
        return [type_.value_type]
    return [type_.field(number).type for number in range(type_.num_fields)]


def _is_bytes(type_: pa.DataType) -> bool:
    from pyarrow import types

    kinds = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
    return any(is_it(type_) for is_it in kinds)


def _has_lengths(type_: pa.DataType) -> bool:
    from pyarrow import types

    return any(is_it(type_) for is_it in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary))


def _origin_type() -> pa.DataType:
    import pyarrow as pa

    return pa.struct([(name, pa.string() if spec == "text" else pa.list_(pa.string())) for name, spec in ORIGIN_FEATURE.items()])
