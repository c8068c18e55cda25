"""Why a sample was dropped: what an op returns in place of samples, and the line that `filtered.jsonl` has of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from juicecap.data.fate_rows import of_kind, rows_where
from juicecap.sample import sample_name, short_repr, source_position
from juicecap.text import valid

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Dropped:
    """What an op may return to drop a sample, in place of no samples, with what it was judged by."""

    measured: Mapping[str, Any] = field(default_factory=dict)
    """JSON values by name (`{"duration": 3.2}`)."""
    duplicate_of: str = ""
    """The name of the sample that stays in its place."""

    def to_text(self) -> str | None:
        """As a step's table has it, JSON; None: nothing is known."""
        known = {name: value for name, value in vars(self).items() if value}
        return valid(json.dumps(known, ensure_ascii=False, default=_plain)) if known else None


def filtered_samples(
    table: Dataset, op: str, wanted: Mapping[str, Any], media_keys: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """A `filtered.jsonl` record for each dropped sample of a step's table, in order. `wanted` are the limits of the op.

    Tables of before do not have the measured values; nor do the records of their samples.
    """
    limits = {"wanted": dict(wanted)} if wanted else {}
    for _, sample, told in rows_where(table, of_kind("filtered"), ["dropped"]):
        facts = {"id": sample_name(sample, media_keys), "source": source_position(sample), "op": op}
        yield {**facts, **(json.loads(told["dropped"]) if told["dropped"] else {}), **limits}


def _plain(value: object) -> Any:
    """A number of NumPy's as Python's; anything else that JSON does not have as it is shown."""
    try:
        return value.item()  # type: ignore[attr-defined]  # as numbers of NumPy have it
    except (AttributeError, ValueError):
        return short_repr(value)
