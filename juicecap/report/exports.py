"""What exports wrote, in words: for the summary of a run, and for `juicecap export`."""

from __future__ import annotations

from collections.abc import Iterator

from juicecap.data.export.presets import PRESETS
from juicecap.data.export.writers.job import ExportResult
from juicecap.report.words import plural

WIDTH = 80

_UNITS = {"conversations": "conversation", "sidecar": "text", "table": "row", "webdataset": "sample"}

_SHOWN = 3
"""Texts that are named of those that stayed."""


def export_lines(result: ExportResult) -> Iterator[str]:
    """An export: its place and counts, then what stayed and what was left out."""
    new = f", {result.written:,} of them new or changed" if result.kind == "sidecar" else ""
    yield f"export    {result.to}: {plural(result.rows, _UNITS[result.kind])}{new}"
    if result.stayed:
        count = len(result.stayed)
        theirs = "it" if count == 1 else "them"
        yield f"          {plural(count, 'text')} stayed as somebody wrote {theirs}: {_named(result.stayed)}"
    if result.removed:
        yield f"          {plural(result.removed, 'text')} removed: not in the output any more"
    if result.edited_orphans:
        edited = plural(len(result.edited_orphans), "edited text")
        yield f"          {edited} without a sample stayed: {_named(result.edited_orphans)}"
    for reason, count in result.left_out.items():
        if count:
            yield f"          {plural(count, 'sample')} left out: {reason}"
    if result.escaped:
        yield f"          {plural(result.escaped, 'caption')} had a token of a medium or a template, which was broken up"


def preset_table() -> str:
    """The presets, and what the trainers want, in a table."""
    lines = []
    for name, preset in PRESETS.items():
        one = "; one caption of each clip" if preset.one_caption else ""
        lines += [f"{name:<15} as {preset.kind}, {preset.media}{one}", f"{'':<15} {preset.wants}"]
    return "\n".join(lines)


def _named(texts: tuple[str, ...]) -> str:
    more = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
