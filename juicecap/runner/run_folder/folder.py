"""The run folder: a run's steps, its rejections and the facts about it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from juicecap.data.export.settings import Export
from juicecap.data.writing.atomic import NO_SPACE, remove, remove_leftovers, replacing, write_error
from juicecap.data.writing.lines import write_lines
from juicecap.errors import DataError, JuicecapError
from juicecap.plain import read_plain
from juicecap.recipe.exports_file import Exports
from juicecap.recipe.shards import Shard
from juicecap.recipe.work_dir import (
    EDITS,
    EXPORTS,
    FILTERED,
    JOURNAL,
    MEDIA,
    RECIPE,
    REJECTED,
    REPLACED,
    SHARDS,
    WRITTEN,
    claim,
)
from juicecap.runner.run_folder.claimed_outputs import ClaimedOutputs, find_outputs, refuse
from juicecap.runner.run_folder.lock import locked

LARGEST_EDITS = 2**30
"""Bytes of a file of kept edits that are read."""


@dataclass(frozen=True)
class RunFolder:
    """Paths in a run folder. `claimed` makes it, or `held`, if it is that of a shard."""

    root: Path
    whole: Path | None = None
    """The folder of the whole run, if this is the folder of a shard."""

    @property
    def steps(self) -> Path:
        """Tables that the steps left, one Arrow file each."""
        return self.root / "steps"

    @property
    def media(self) -> Path:
        """Media that lay inside of the dataset, or that ops wrote. An export names them, so they stay; shards share them."""
        return (self.whole or self.root) / MEDIA

    @property
    def journal(self) -> Path:
        """The journal, unless the recipe names another."""
        return self.root / JOURNAL

    @property
    def shards(self) -> Path:
        """The folders of shards."""
        return self.root / SHARDS

    def shard(self, shard: Shard) -> RunFolder:
        """The folder of a shard of this run."""
        return RunFolder(self.shards / shard.folder, self.root)

    @property
    def rejected(self) -> Path:
        """The samples that failed, and why."""
        return self.root / REJECTED

    @property
    def filtered(self) -> Path:
        """The samples that ops dropped, and by which values."""
        return self.root / FILTERED

    @property
    def kept_edits(self) -> Path:
        """The cells of outputs in which edits were kept."""
        return self.root / EDITS

    @property
    def log(self) -> Path:
        """Log records, one JSON object per line."""
        return self.root / "log.jsonl"

    @property
    def manifest(self) -> Path:
        """What was run, with which versions and settings, and its counts."""
        return self.root / "manifest.json"

    @property
    def scratch(self) -> Path:
        """Files being written; removed at the end of a run."""
        return self.root / "unfinished"

    def memory(self, export: Export) -> Path:
        """The file of what an export wrote into its folder."""
        digest = hashlib.blake2b(os.fsencode(export.identity), digest_size=16).hexdigest()
        return self.root / WRITTEN / f"{digest}.jsonl"

    @property
    def replaced(self) -> Path:
        """Copies of what a run of this moment replaces that no run of this folder wrote so."""
        return self.root / REPLACED / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")

    @property
    def owner(self) -> str:
        """The name of this folder's runs in the names of their temporary files elsewhere."""
        return hashlib.blake2b(os.fsencode(os.path.realpath(self.root)), digest_size=8).hexdigest()

    def step_file(self, number: int, op: str, fingerprint: str) -> Path:
        """Where step `number` (from 1) leaves its table."""
        return self.steps / f"{number:02d}-{op}-{fingerprint[:16]}.arrow"

    @contextmanager
    def claimed(self, outputs: Sequence[Path], *, overwrite: bool = False, keep_edits: bool = False) -> Iterator[ClaimedOutputs]:
        """Hold the folder, which is made if missing, for a run that is going to write `outputs`.

        An output that exists must say what a run of this folder wrote, unless `overwrite` is set, or `keep_edits` if it was
        edited. Leftovers of killed runs are removed.

        Raises:
            UsageError: it does not.
            EnvironmentFailure: another run is using the folder, or the disk is full.
            DataError: edits cannot be kept; the folder cannot be made; something that no run wrote is in the way there.
        """
        exports, replaced = Exports(self.root / EXPORTS), self.replaced
        found = find_outputs(exports, outputs)
        refuse(found, self.root, overwrite=overwrite, keep_edits=keep_edits)
        make_folder(self.root)
        claim(self.root)
        with locked(self.root):
            make_folder(self.steps)
            self._clean(exports.outputs())
            found = find_outputs(exports, outputs, found)
            refuse(found, self.root, overwrite=overwrite, keep_edits=keep_edits)
            for output in outputs:
                exports.begin(output)
            try:
                yield ClaimedOutputs(
                    exports, found, replaced=replaced, scratch=self.scratch, overwrite=overwrite, keep_edits=keep_edits
                )
            finally:
                with suppress(JuicecapError):  # what is not forgotten now is at the end of the next run
                    for output in outputs:
                        exports.settle(output)
                remove(self.scratch)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder of a shard, which is made if missing; a shard writes no output. The whole run's folder is shared.

        Raises:
            EnvironmentFailure: another run is using one of the folders, or the disk is full.
            DataError: a folder cannot be made, or something that no run wrote is in the way there.
        """
        assert self.whole
        with RunFolder(self.whole).shared():
            make_folder(self.root)
            claim(self.root)
            with locked(self.root):
                make_folder(self.steps)
                self._clean([])
                try:
                    yield
                finally:
                    remove(self.scratch)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the folder of a whole run, which is made if missing, together with its shards.

        Raises:
            EnvironmentFailure, DataError: as `held`.
        """
        make_folder(self.root)
        claim(self.root)
        with locked(self.root, shared=True):
            for folder in (self.steps, self.shards):
                make_folder(folder)
            yield

    def sweep(self) -> None:
        """Remove what killed runs left in this folder; the caller holds a lock that keeps others out."""
        remove(self.scratch)
        for folder in (self.root, self.steps, *([] if self.whole else [self.media, self.shards])):
            for left in folder.glob(".juicecap--*.tmp"):
                remove(left)

    def _clean(self, outputs: list[Path]) -> None:
        """Remove leftovers of killed runs, here and beside the outputs, and make the folder of unfinished files."""
        self.sweep()
        for output in outputs:
            remove_leftovers(output, self.owner)
        try:
            self.scratch.mkdir()
        except OSError as error:
            raise write_error(self.scratch, error) from error

    def write_rejected(self, records: Iterable[Mapping[str, Any]]) -> int:
        """Replace the file of rejected samples; returns their number."""
        return write_lines(self.rejected, records, through_links=False)

    def write_filtered(self, records: Iterable[Mapping[str, Any]]) -> int:
        """Replace the file of filtered samples; returns their number."""
        return write_lines(self.filtered, records, through_links=False)

    def write_kept_edits(self, outputs: ClaimedOutputs) -> None:
        """Write the cells in which edits were kept in place of those of the same outputs; if there are none, there is no file."""
        written = set(map(str, outputs.found))
        others = [cell for cell in _cells(self.kept_edits) if cell.get("output") not in written]
        cells = [*others, *(asdict(cell) for each in outputs.kept for cell in each.cells)]
        if cells:
            write_lines(self.kept_edits, cells, through_links=False)
        else:
            self.kept_edits.unlink(missing_ok=True)

    def write_manifest(self, facts: Mapping[str, Any]) -> None:
        """Replace the manifest."""
        with replacing(self.manifest, through_links=False) as stream:
            stream.write(json.dumps(facts, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")

    def write_recipe(self, text: str) -> None:
        """Write the resolved recipe."""
        with replacing(self.root / RECIPE, through_links=False) as stream:
            stream.write(text.encode("utf-8", "backslashreplace"))


def _cells(file: Path) -> Iterator[dict[str, Any]]:
    """The cells in a file of kept edits; none of what is damaged."""
    try:
        lines = read_plain(file, LARGEST_EDITS).splitlines()
    except OSError:
        return
    for line in lines:
        with suppress(ValueError, RecursionError):
            cell = json.loads(line)
            if isinstance(cell, dict):
                yield cell


def make_folder(folder: Path) -> None:
    """Make a run folder, or one in it, unless it is there.

    Raises:
        EnvironmentFailure: the disk is full.
        DataError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in NO_SPACE:
            raise write_error(folder, error) from error
        raise DataError(f"the run folder {folder} cannot be made ({error.strerror}); set work_dir to another") from error
