"""The run folder: a run's steps, its rejections and the facts about it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from juicecap.data.export.settings import Export
from juicecap.data.export.writers.job import Ready
from juicecap.data.writing.atomic import NO_SPACE, remove, remove_leftovers, replacing, write_error
from juicecap.data.writing.lines import write_lines
from juicecap.errors import DataError, UsageError
from juicecap.recipe.shards import Shard
from juicecap.recipe.work_dir import FILTERED, JOURNAL, MEDIA, RECIPE, REJECTED, REPLACED, SHARDS, WRITTEN, claim
from juicecap.runner.run_folder.exports import Exports, state_of
from juicecap.runner.run_folder.lock import locked


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
        """Copies of texts that a run of this moment overwrites on demand."""
        return self.root / REPLACED / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")

    @property
    def owner(self) -> str:
        """The name of this folder's runs in the names of their temporary files elsewhere."""
        return hashlib.blake2b(os.fsencode(os.path.realpath(self.root)), digest_size=8).hexdigest()

    def step_file(self, number: int, op: str, fingerprint: str) -> Path:
        """Where step `number` (from 1) leaves its table."""
        return self.steps / f"{number:02d}-{op}-{fingerprint[:16]}.arrow"

    @contextmanager
    def claimed(self, outputs: Sequence[Path], *, overwrite: bool) -> Iterator[Callable[[Path], Ready]]:
        """Hold the folder, which is made if missing, for a run that is going to write `outputs`.

        An output that exists must be as a run of this folder left it, unless `overwrite` is set. Leftovers of killed runs are
        removed. Yields a function that gives for each output a function for `write_export` to call when it is `ready`: it records
        the output as this folder's own, and raises a UsageError if somebody else wrote it meanwhile.

        Raises:
            UsageError: it is not.
            EnvironmentFailure: another run is using the folder, or the disk is full.
            DataError: the folder cannot be made, or something that no run wrote is in the way there.
        """
        exports = Exports(self.root / "exports.json")

        def found() -> dict[Path, str | None]:
            states = {output: state_of(output) for output in outputs}
            for output, state in states.items():
                if state and not overwrite and not exports.wrote(output, state):
                    raise UsageError(
                        f"{output} exists and was not written by this run; give another path, or --overwrite to replace it"
                    )
            return states

        found()
        make_folder(self.root)
        claim(self.root)
        with locked(self.root):
            make_folder(self.steps)
            self._clean(exports.outputs())
            before = found()
            for output in outputs:
                exports.begin(output)

            def ready(output: Path, temporary: Path) -> None:
                if state_of(output) != before[output] and not overwrite:
                    raise UsageError(
                        f"{output} was written by somebody else while this run was at work, so it is left as it is; what the run "
                        "did is kept: run again with another path, or with --overwrite"
                    )
                exports.expect(output, temporary)

            try:
                yield lambda output: partial(ready, output)
            finally:
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

    def write_manifest(self, facts: Mapping[str, Any]) -> None:
        """Replace the manifest."""
        with replacing(self.manifest, through_links=False) as stream:
            stream.write(json.dumps(facts, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")

    def write_recipe(self, text: str) -> None:
        """Write the resolved recipe."""
        with replacing(self.root / RECIPE, through_links=False) as stream:
            stream.write(text.encode("utf-8", "backslashreplace"))


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
