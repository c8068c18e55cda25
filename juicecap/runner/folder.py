"""The run folder: where a run leaves its steps, its rejections and what it knows about itself."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from juicecap.data.atomic import NO_SPACE, remove, remove_leftovers, replacing, write_error
from juicecap.errors import DataError, UsageError
from juicecap.runner.lock import locked


@dataclass(frozen=True)
class RunFolder:
    """Paths in a run folder. `claim` makes it."""

    root: Path

    @property
    def steps(self) -> Path:
        """Tables that the steps left, one Arrow file each."""
        return self.root / "steps"

    @property
    def rejected(self) -> Path:
        """Who failed, and why."""
        return self.root / "rejected.jsonl"

    @property
    def log(self) -> Path:
        """Log records, one JSON object per line."""
        return self.root / "log.jsonl"

    @property
    def manifest(self) -> Path:
        """What was run with what, and what it gave."""
        return self.root / "manifest.json"

    @property
    def scratch(self) -> Path:
        """What is being made: nothing in it outlives a run."""
        return self.root / "unfinished"

    @property
    def owner(self) -> str:
        """The name of this folder's runs in those of their temporary files elsewhere."""
        return hashlib.blake2b(os.fsencode(os.path.realpath(self.root)), digest_size=8).hexdigest()

    def step_file(self, number: int, op: str, fingerprint: str) -> Path:
        """Where step `number` (from 1) leaves its table."""
        return self.steps / f"{number:02d}-{op}-{fingerprint[:16]}.arrow"

    @contextmanager
    def claimed(self, output: Path, *, overwrite: bool) -> Iterator[Callable[[], None]]:
        """Hold the folder, which is made if missing, for a run that is going to write `output`, and note that as its own.

        An output that exists must be its own already, unless `overwrite` is set. What killed runs left is taken away.
        Gives a function to be called right before the output is written: it raises a UsageError if somebody else wrote it
        meanwhile.

        Raises:
            UsageError: it is not.
            EnvironmentFailure: another run is using the folder, or the disk is full.
            DataError: the folder cannot be made.
        """
        path = os.path.abspath(output)
        if output.exists() and not overwrite and path not in self._read_exports():
            raise UsageError(
                f"{output} exists and was not written by this run; give another export_path, or --overwrite to replace it"
            )
        self._create()
        with locked(self.root):
            before = _state(output)

            def check() -> None:
                if _state(output) != before and not overwrite:
                    raise UsageError(
                        f"{output} was written by somebody else while this run was at work, so it is left as it is; what the run "
                        "did is kept: run again with another export_path, or with --overwrite"
                    )

            own = self._read_exports()
            self._clean(own)
            if path not in own:
                with replacing(self.root / "exports.json") as stream:
                    stream.write(json.dumps([*own, path]).encode("utf-8") + b"\n")
            try:
                yield check
            finally:
                remove(self.scratch)

    def _create(self) -> None:
        try:
            self.steps.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in NO_SPACE:
                raise write_error(self.root, error) from error
            raise DataError(f"the run folder {self.root} cannot be made ({error.strerror}); set work_dir to another") from error

    def _clean(self, outputs: list[str]) -> None:
        """Take away what runs of this folder left that were killed; whoever calls this holds the lock."""
        remove(self.scratch)
        for folder in (self.root, self.steps):
            for left in folder.glob(".juicecap--*.tmp"):
                remove(left)
        for output in outputs:
            remove_leftovers(Path(output), self.owner)
        try:
            self.scratch.mkdir()
        except OSError as error:
            raise write_error(self.scratch, error) from error

    def _read_exports(self) -> list[str]:
        """The outputs of this folder's runs, finished or not."""
        try:
            loaded = json.loads((self.root / "exports.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        return [each for each in loaded if isinstance(each, str)] if isinstance(loaded, list) else []

    def write_manifest(self, facts: Mapping[str, Any]) -> None:
        """Replace the manifest."""
        with replacing(self.manifest) as stream:
            stream.write(json.dumps(facts, indent=2, ensure_ascii=False).encode("utf-8") + b"\n")

    def write_recipe(self, text: str) -> None:
        """Keep the recipe as it was resolved."""
        with replacing(self.root / "recipe.yaml") as stream:
            stream.write(text.encode("utf-8"))


def _state(path: Path) -> tuple[int, int, int] | None:
    """What changes if the file or folder is replaced or written; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
