"""Records that cannot be read, beside those that can: rows without values, with the reason in a hidden column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from juicecap.data.record import Record
from juicecap.errors import DataError
from juicecap.sample import BROKEN, ORIGIN

if TYPE_CHECKING:
    from datasets import Dataset

BROKEN_FEATURE: Mapping[str, Any] = {"where": "text", "reason": "text", "when": "text"}
"""Type of the column `BROKEN`, as a spec of `columns`; null in rows of records that were read."""


class ReadableRecords:
    """Passes on the readable records, counts the others and remembers the first of those."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = records
        self.broken = 0
        self.first: Record | None = None

    def __iter__(self) -> Iterator[Record]:
        for record in self._records:
            if record.broken:
                self.broken += 1
                self.first = self.first or record
            else:
                yield record

    def refuse(self, *, others: int, keep: bool) -> None:
        """Raise the first reason if a record is broken and is not to be kept, or if there are no others to keep.

        Raises:
            DataError: the first reason.
        """
        if self.first and not keep:
            raise DataError(f"{self.first.where}: {self.first.broken}")
        if self.first and not others:
            count = "The only record" if self.broken == 1 else f"All {self.broken:,} records"
            raise DataError(f"{self.first.where}: {self.first.broken} {count} cannot be read.")


def broken_value(record: Record) -> dict[str, str] | None:
    """The value of the column `BROKEN` for this record."""
    if not record.broken:
        return None
    return {"where": record.where, "reason": record.broken, "when": datetime.now(UTC).isoformat(timespec="seconds")}


def refuse_broken(dataset: Dataset) -> None:
    """Make sure that every record of an Arrow file was read.

    Raises:
        DataError: one was not.
    """
    for row in broken_rows(dataset):
        raise DataError(f"{row[BROKEN]['where']}: {row[BROKEN]['reason']}")


def broken_rows(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """`ORIGIN` and `BROKEN` of each record that could not be read, in order."""
    if BROKEN in dataset.column_names:
        for row in dataset.select_columns([ORIGIN, BROKEN]):
            if row[BROKEN] is not None:
                yield row


def sound_rows(dataset: Dataset, fingerprint: str) -> Dataset:
    """The records that were read, without the column `BROKEN`."""
    if BROKEN not in dataset.column_names:
        return dataset
    batches = dataset.select_columns([BROKEN]).iter(1000)
    reasons = (reason for batch in batches for reason in batch[BROKEN])
    rows = [index for index, reason in enumerate(reasons) if reason is None]
    return dataset.select(rows, keep_in_memory=True, new_fingerprint=fingerprint).remove_columns(
        BROKEN, new_fingerprint=fingerprint
    )
