"""Several journals, such as those of shards, as one.

They are read side by side, in the order of their keys, so memory does not grow with them. If several have an entry for one
candidate, an answer beats a failure, and that of the first journal beats the others.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from juicecap.vlm.journal.store import Entry, Store

_INCIDENTAL = ("engine", "frame_sizes", "opened", "path", "seen")
"""Facts about an entry that may differ where the answer is the same."""


class Merged(NamedTuple):
    """The entry that holds, and the places of the journals that have another answer, or a failure instead of it."""

    entry: Entry
    others: tuple[int, ...]


def merged_entries(stores: Sequence[Store]) -> Iterator[Merged]:
    """Each entry of these journals once.

    Raises:
        Damaged, EnvironmentFailure: one of them cannot be read.
    """
    streams = (zip(store.in_order(), itertools.repeat(place), strict=False) for place, store in enumerate(stores))
    ordered = heapq.merge(*streams, key=lambda each: (each[0].key, each[0].candidate, each[1]))
    for _, group in itertools.groupby(ordered, key=lambda each: each[0][:2]):
        found = list(group)
        best, _ = min(found, key=lambda each: (_fails(each[0]), each[1]))
        yield Merged(best, tuple(place for entry, place in found if _says_otherwise(entry, best)))


def _fails(entry: Entry) -> bool:
    return not isinstance(entry.content, dict) or "failure" in entry.content


def _says_otherwise(entry: Entry, best: Entry) -> bool:
    if _fails(entry) or _fails(best):
        return _fails(entry) != _fails(best)
    return _said(entry.content) != _said(best.content)


def _said(content: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in _INCIDENTAL}
