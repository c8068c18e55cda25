"""One pass over records that finds, per column, the narrowest type that holds every value unchanged.

Nothing is converted to make it fit: a column that mixes types, or dicts with changing keys, is "json". Integers of up to 64 bits,
signed or unsigned, are exact; larger ones are refused (see `record`). A column without any value is "text". A column that is
nested too deeply, or that would need too many fields, is "json" too.
"""

from __future__ import annotations

from collections.abc import Iterable

from juicecap.data.columns import LEVELS, Spec
from juicecap.data.record import INT_MAX, NAMES, Record, misnamed
from juicecap.errors import DataError

LONGEST_NAMES = 1 << 20
"""Characters of the names of all columns: each row keeps the names of those that it lacks."""


class Room:
    """How many more fields of structs the columns of a dataset may have."""

    def __init__(self) -> None:
        self.fields = NAMES


class ColumnType:
    """The type of one column, from the values seen so far; memory does not grow with their number."""

    __slots__ = ("_level", "_room", "fields", "high", "items", "kind", "low", "mixed")

    def __init__(self, room: Room | None = None, level: int = 0) -> None:
        self._room, self._level = room or Room(), level
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
            self._add_list(value)
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

    def _add_list(self, value: list[object]) -> None:
        if self._level == LEVELS:
            self.mixed = True
            return
        self.items = self.items or self._inner()
        for item in value:
            self.items.add(item)

    def _add_dict(self, value: dict[str, object]) -> None:
        if self.fields is None and not self.mixed and self._level < LEVELS and len(value) <= self._room.fields:
            self._room.fields -= len(value)
            self.fields = {key: self._inner() for key in value}
        if self.fields is None or list(value) != list(self.fields):
            # Dicts keyed by ids must not pile up in memory.
            self.mixed, self.fields = True, None
            return
        for key, inner in value.items():
            self.fields[key].add(inner)

    def _inner(self) -> ColumnType:
        return ColumnType(self._room, self._level + 1)


def infer_columns(records: Iterable[Record]) -> tuple[dict[str, Spec], int]:
    """The columns of all records, in order of first appearance, and the number of records.

    Raises:
        DataError: a record uses a name that no column can have, or there are too many columns.
    """
    columns: dict[str, ColumnType] = {}
    room, letters = Room(), LONGEST_NAMES
    count = 0
    for record in records:
        count += 1
        for name, value in record.values.items():
            if name not in columns:
                if reason := misnamed(name):
                    raise DataError(f"{record.where}: {reason}")
                letters -= len(name)
                if len(columns) == NAMES or letters < 0:
                    what = f"{NAMES:,} columns" if letters >= 0 else f"{LONGEST_NAMES:,} characters in names of columns"
                    advice = "Put values with changing keys into an object of their own."
                    raise DataError(f"{record.where}: more than {what}. {advice}")
                columns[name] = ColumnType(room)
            columns[name].add(value)
    return {name: column.spec() for name, column in columns.items()}, count
