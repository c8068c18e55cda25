"""One pass over records that finds, per column, the narrowest type that holds every value unchanged.

Nothing is converted to make it fit: a column that mixes types, or dicts with changing keys, is "json". Integers of up to
64 bits, with or without a sign, are held whole; larger ones are not read (see `record`). A column without any value is
"text".
"""

from __future__ import annotations

from collections.abc import Iterable

from juicecap.data.columns import Spec
from juicecap.data.record import INT_MAX, Record, misnamed
from juicecap.errors import DataError


class ColumnType:
    """What was seen of one column; memory does not grow with the number of values."""

    def __init__(self) -> None:
        self.kind: type | None = None
        self.mixed = False
        self.low = self.high = 0
        self.items: ColumnType | None = None
        self.fields: dict[str, ColumnType] | None = None

    def add(self, value: object) -> None:
        """Take one value into account."""
        if value is None:
            return
        if self.kind is None:
            self.kind = type(value)
        elif self.kind is not type(value):
            self.mixed = True
        if type(value) is int:
            self.low, self.high = min(self.low, value), max(self.high, value)
        elif isinstance(value, list):
            self.items = self.items or ColumnType()
            for item in value:
                self.items.add(item)
        elif isinstance(value, dict):
            self._add_dict(value)

    def spec(self) -> Spec:
        """The narrowest spec (see `columns`) that holds all values added so far."""
        if self.mixed or (self.low < 0 and self.high > INT_MAX):
            return "json"
        if self.items is not None:
            inner = self.items.spec()
            return "json" if inner == "json" else [inner]
        if self.fields is not None:
            inners = {key: field.spec() for key, field in self.fields.items()}
            plain = inners and "json" not in inners.values() and "\0" not in "".join(inners)
            return inners if plain else "json"
        if self.kind is int:
            return "uint" if self.high > INT_MAX else "int"
        if self.kind is float:
            return "float"
        return "bool" if self.kind is bool else "text"

    def _add_dict(self, value: dict[str, object]) -> None:
        if self.fields is None and not self.mixed:
            self.fields = {key: ColumnType() for key in value}
        if self.fields is None or list(value) != list(self.fields):
            # Dicts keyed by ids must not pile up in memory.
            self.mixed, self.fields = True, None
            return
        for key, inner in value.items():
            self.fields[key].add(inner)


def infer_columns(records: Iterable[Record]) -> tuple[dict[str, Spec], int]:
    """The columns of all records, in order of first appearance, and the number of records.

    Raises:
        DataError: a record uses a name that no column can have.
    """
    columns: dict[str, ColumnType] = {}
    count = 0
    for record in records:
        count += 1
        for name, value in record.values.items():
            if name not in columns and (reason := misnamed(name)):
                raise DataError(f"{record.where}: {reason}")
            columns.setdefault(name, ColumnType()).add(value)
    return {name: column.spec() for name, column in columns.items()}, count
