"""The result of a run as a notebook shows it: a table of the ops, and pictures with their captions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Self

from typing_extensions import override

from juicecap.data.export.media_paths import with_paths
from juicecap.data.remembered import without_origins
from juicecap.data.source import open_source
from juicecap.errors import JuicecapError, UsageError
from juicecap.notebook.pictures import picture_strip
from juicecap.printable import printable
from juicecap.report.summary import summary
from juicecap.report.words import plural
from juicecap.runner import RunResult
from juicecap.runner.exporting.afterwards import Exported, result_of

if TYPE_CHECKING:
    from datasets import Dataset

MOST_WARNINGS = 10
"""Warnings that are shown."""

_TABLE = '<table style="font-variant-numeric:tabular-nums">'
_LEFT, _RIGHT = ' style="text-align:left"', ' style="text-align:right"'


@dataclass(frozen=True, kw_only=True, repr=False)
class Result(RunResult):
    """What `juicecap.run` returns: counts and paths, and in a notebook a table and pictures. `print` shows the summary."""

    warnings: tuple[str, ...] = ()
    """What was warned of during the run, each once; `log.jsonl` in `work_dir` has all."""

    @classmethod
    def of(cls, result: RunResult, warnings: Sequence[str]) -> Self:
        """The result of the runner with its warnings."""
        return cls(**{each.name: getattr(result, each.name) for each in fields(RunResult)}, warnings=tuple(warnings))

    def dataset(self) -> Dataset:
        """The rows of the output as a `datasets.Dataset`: with absolute paths of media, and no hidden column.

        Raises:
            UsageError: there is no output yet (`next` says what comes first).
            DataError: it is gone or damaged.
        """
        if self.next:
            raise UsageError(f"there is no output yet: {self.next}")
        found = None if self.edits else self._exported()  # edits are in the file alone
        if found is None:  # or the recipe has no op
            return open_source(str(self.export_path), clean=True)
        paths, conversations = found.path_columns
        return without_origins(with_paths(found.dataset, paths, conversations, Path(), "absolute", None))

    @override
    def __repr__(self) -> str:
        return printable("\n".join([summary(self), *(f"warning   {each}" for each in self._warned())]))

    def _repr_html_(self) -> str:
        return "".join(self._html())

    def _html(self) -> Iterator[str]:
        yield f"{_TABLE}<thead><tr>"
        yield "".join(f"<th{_RIGHT if number else _LEFT}>{name}</th>" for number, name in enumerate(_COLUMNS))
        yield "</tr></thead><tbody>"
        for step in self.steps:
            counts = step.counts
            cells = [counts.taken, counts.given, counts.filtered, counts.rejected, counts.captions, step.answers.replayed]
            numbers = "".join(f"<td{_RIGHT}>{number:,}</td>" for number in cells)
            time = "done before" if step.finished_before else f"{step.seconds:.1f} s"
            yield f"<tr><td{_LEFT}>{_text(step.op)}</td>{numbers}<td{_RIGHT}>{time}</td></tr>"
        yield "</tbody></table>"
        told = f"{plural(self.samples, 'sample')} in, {self.exported:,} out, {self.seconds:.1f} s"
        yield f"<div>{told}; {_text(self.next) if self.next else f'<code>{_text(str(self.export_path))}</code>'}</div>"
        if self.rejected:
            yield f"<div>{self.rejected:,} rejected: <code>{_text(str(self.work_dir / 'rejected.jsonl'))}</code></div>"
        yield from (f"<div>⚠ {_text(each)}</div>" for each in self._warned())
        yield "" if self.next else self._pictures()

    def _pictures(self) -> str:
        """The picture strip; empty if the output is gone, which is no reason not to show the table."""
        try:
            found = self._exported()
            return picture_strip(found) if found else ""
        except JuicecapError:
            return ""

    def _exported(self) -> Exported | None:
        try:
            return result_of(self.work_dir)
        except UsageError:
            return None

    def _warned(self) -> list[str]:
        more = len(self.warnings) - MOST_WARNINGS
        return [*self.warnings[:MOST_WARNINGS], *([f"{more:,} more are in log.jsonl"] if more > 0 else [])]


_COLUMNS = ("op", "in", "out", "filtered", "rejected", "captions", "replayed", "time")


def _text(text: str) -> str:
    return escape(printable(text))
