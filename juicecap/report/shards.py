"""The shards of a run as one table: what `juicecap status` prints of a folder that has some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from juicecap.printable import one_line, printable
from juicecap.report import words
from juicecap.report.status import status_text
from juicecap.runner.reporting.shard_status import ShardStatus, WholeStatus
from juicecap.runner.reporting.status import RunStatus

_HEAD = ("shard", "state", "op", "samples", "captions", "rejected", "ETA", "host")

LONGEST_NAME = 60
"""Characters of an op's or a host's name that are shown."""

_DOING = {"loading": "reading", "running": "at work", "exporting": "at work"}


def whole_text(whole: WholeStatus, width: int, now: datetime | None = None) -> str:
    """The run, and a table of its shards, a line each."""
    texts = [status_text(whole.merged, width, now)] if whole.merged else []
    if whole.shards:
        texts.append(printable("\n".join(words.cut(line, width) for line in _lines(whole.shards))))
    return "\n".join(texts)


def _lines(shards: Sequence[ShardStatus]) -> Iterator[str]:
    states = Counter(_state(each.status) for each in shards)
    known = [each.status for each in shards if each.status]
    samples = sum(status.samples or 0 for status in known)
    counts = ", ".join(f"{count:,} {state}" for state, count in states.items())
    yield f"{'shards':<10}{len(shards):,}: {counts}; {words.plural(samples, 'sample')} in those that have begun"
    rows = [_HEAD, *map(_row, shards)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    for row in rows:
        yield "  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip()


def _row(each: ShardStatus) -> tuple[str, ...]:
    status = each.status
    if status is None:
        return (str(each.shard), "not begun", "", "", "", "", "", "")
    step = status.narrowest or (status.steps[-1] if status.steps else None)
    eta = step.eta_seconds if step and status.at_work else None
    return (
        str(each.shard),
        _state(status),
        f"[{step.number}/{status.step_count}] {one_line(step.op, LONGEST_NAME)}" if step else "",
        f"{step.done:,}/{step.samples:,}" if step else "",
        f"{sum(each.captions for each in status.steps):,}",
        f"{status.rejected:,}",
        words.duration(eta) if eta is not None else "",
        one_line(status.host, LONGEST_NAME),
    )


def _state(status: RunStatus | None) -> str:
    return "not begun" if status is None else _DOING.get(status.state, status.state)
