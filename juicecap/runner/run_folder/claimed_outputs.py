"""The outputs that a run is going to write: what is there, what may be replaced, and what of it is kept.

Nothing that somebody wrote is lost: an output of this run is replaced as it was written; one that was edited only if its edits
are carried on, or if that is asked for; and then, as with one of somebody else, what was there stays in the run folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.edits.carrying import KeptEdits, carried
from juicecap.data.edits.comparing import Edits, obstacles
from juicecap.data.edits.found_rows import content_digest
from juicecap.data.edits.keeping import keep_copy
from juicecap.data.edits.written_rows import Head, Layout, rows_of, write_rows
from juicecap.data.export.writers.job import Ready
from juicecap.errors import DataError, UsageError
from juicecap.notice import say_once
from juicecap.recipe.edited_outputs import FoundOutput, edited, find_output, what_next
from juicecap.recipe.exports_file import Exports, state_of
from juicecap.recipe.work_dir import REPLACED

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass
class ClaimedOutputs:
    """The outputs of a run that holds its folder."""

    exports: Exports
    found: dict[Path, FoundOutput]
    replaced: Path
    """The folder for copies of what is replaced."""
    scratch: Path
    overwrite: bool = False
    keep_edits: bool = False
    kept: list[KeptEdits] = field(default_factory=list)
    """The edits that were carried on."""
    _tables: dict[Path, tuple[Dataset, Layout]] = field(default_factory=dict)
    """Tables as they are without edits, by their outputs."""

    def ready(self, output: Path) -> Ready:
        """A function for `write_export` to call when the output is whole: it notes it, and keeps what it replaces.

        It raises a UsageError if somebody else wrote the output meanwhile.
        """
        return partial(self._ready, output)

    def with_edits(self, output: Path, dataset: Dataset, layout: Layout) -> Dataset:
        """The table that is written to an output: the dataset, with what somebody changed in the last one if that is kept.

        Raises:
            DataError: an edit belongs to no row.
            EnvironmentFailure: the disk is full.
        """
        self._tables[output] = dataset, layout
        found = self.found[output]
        if not (self.keep_edits and found.whose == "edited" and found.edits):
            return dataset
        made, kept = carried(dataset, layout, output, found.edits, self.scratch)
        self.kept.append(kept)
        return made

    def _ready(self, output: Path, temporary: Path) -> None:
        before, now = self.found[output], state_of(output)
        if now != before.state and not self.overwrite:
            raise UsageError(
                f"{output} was written by somebody else while this run was at work, so it is left as it is; what the run "
                "did is kept: run again with another path, or with --overwrite"
            )
        if now is not None and not (now == before.state and (before.is_as_written or (before.untouched and self.keep_edits))):
            copy = keep_copy(output, self.replaced)
            say_once(f"{output} is replaced; what was there is kept as {copy}")
        self._note_rows(output, temporary)
        self.exports.expect(output, temporary)

    def _note_rows(self, output: Path, temporary: Path) -> None:
        """Keep the rows of a table, as they are without edits."""
        table, state = self._tables.get(output), state_of(temporary)
        if table is None or state is None:
            return
        dataset, layout = table
        edits = next((each for each in self.kept if each.output == output), None)
        counts = {"changed": edits.rows, "deleted": edits.deleted} if edits and (edits.rows or edits.deleted) else {}
        head = Head(layout=layout, rows=len(dataset), content=content_digest(temporary), edited=counts)
        write_rows(self.exports.rows_file(output, state), head, rows_of(dataset, layout))


def find_outputs(
    exports: Exports, outputs: Sequence[Path], known: dict[Path, FoundOutput] | None = None
) -> dict[Path, FoundOutput]:
    """Whose the outputs are; what is `known` of one that was not touched since is not found out again."""
    before = known or {}
    return {
        output: seen if (seen := before.get(output)) and seen.state == state_of(output) else find_output(exports, output)
        for output in outputs
    }


def refuse(found: dict[Path, FoundOutput], work_dir: Path, *, overwrite: bool, keep_edits: bool) -> None:
    """Make sure that all outputs may be written.

    Raises:
        UsageError: one is somebody else's, or was edited, and nothing was said about that.
        DataError: edits cannot be kept.
    """
    for output, each in found.items():
        if each.whose == "foreign" and not overwrite:
            raise UsageError(
                f"{output} exists and was not written by this run; give another path, or --overwrite to replace it, which keeps "
                f"what is there in {work_dir / REPLACED}"
            )
        if each.whose == "edited" and each.edits:
            _refuse_edited(output, each.edits, work_dir, overwrite=overwrite, keep_edits=keep_edits)


def _refuse_edited(output: Path, edits: Edits, work_dir: Path, *, overwrite: bool, keep_edits: bool) -> None:
    said, why = edited(output, edits), obstacles(edits)
    if keep_edits and why and not (overwrite and edits.unknown):
        raise DataError(f"{said}. Nothing was written: {what_next(edits, work_dir)}")
    if not (keep_edits or overwrite):
        raise UsageError(f"{said}. {what_next(edits, work_dir)}")
