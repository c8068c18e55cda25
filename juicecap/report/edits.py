"""The edits that outputs were written with, in words: for the summary of a run, and for `juicecap export`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from juicecap.data.edits.carrying import KeptEdits
from juicecap.report.words import plural

_SHOWN = 3
"""Cells that are named of those that were newly answered."""


def edit_lines(kept: Sequence[KeptEdits]) -> Iterator[str]:
    """For each output its counts, then the cells in which an edit stands in the place of a new answer."""
    for each in kept:
        if each.rows or each.deleted:
            deleted = f", {plural(each.deleted, 'deleted row')} left out" if each.deleted else ""
            yield f"edits     {each.output}: {plural(len(each.cells), 'edited cell')} of {plural(each.rows, 'row')} kept{deleted}"
        if new := each.newly_answered:
            named = ", ".join(f"{cell.id} ({cell.column})" for cell in new[:_SHOWN])
            more = f" and {len(new) - _SHOWN:,} more" if len(new) > _SHOWN else ""
            yield f"          {len(new):,} newly answered, and the edit wins: {named}{more}"
