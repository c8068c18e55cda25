"""The outputs that runs of a folder exported, so that they may replace these and nothing else.

For each output `exports.json` keeps what tells its files from any others: number, size and time of change. It is noted right
before the files get their names, which changes none of these, next to what is there until then. So after a run that was killed in
between, the output is known, whichever of the two it is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from juicecap.data.writing.atomic import replacing
from juicecap.file_state import FileState
from juicecap.plain import read_plain
from juicecap.recipe.work_dir import LARGEST, noted
from juicecap.vlm.base import digest_of

MOST_LOOKED_AT = 100
"""Outputs beside which leftovers of killed runs are searched."""


class Exports:
    """The outputs of a run folder, as its file `exports.json` has them."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def outputs(self) -> list[Path]:
        """The last outputs that were begun: leftovers of killed runs are beside them."""
        return [Path(path) for path in list(self._read())[-MOST_LOOKED_AT:]]

    def wrote(self, output: Path, state: str) -> bool:
        """Whether a run of this folder wrote `output` in this state, and nobody changed it since."""
        return state in self._read().get(_name(output), [])

    def begin(self, output: Path) -> None:
        """Note that there will be temporary files beside `output`.

        Raises:
            DataError: that cannot be written.
            EnvironmentFailure: the disk is full or fails.
        """
        known = self._read()
        if _name(output) not in known:
            self._write({**known, _name(output): []})

    def expect(self, output: Path, temporary: Path) -> None:
        """Note that `temporary`, which is whole and on disk, is going to be renamed to `output`.

        Raises:
            DataError: that cannot be written.
            EnvironmentFailure: the disk is full or fails.
        """
        known, there, new = self._read(), state_of(output), state_of(temporary)
        still = [state for state in known.get(_name(output), []) if state == there]
        self._write({**known, _name(output): [*still, *([new] if new else [])]})

    def _read(self) -> dict[str, list[str]]:
        try:
            loaded = json.loads(read_plain(self._file, LARGEST))
        except (OSError, ValueError, RecursionError):
            return {}
        return noted(loaded)

    def _write(self, known: dict[str, list[str]]) -> None:
        with replacing(self._file, through_links=False) as stream:
            stream.write(json.dumps(known, indent=2).encode("utf-8") + b"\n")


def state_of(path: Path) -> str | None:
    """A text that changes if a file (or one in a folder) is replaced or written, not if it is renamed; None if there is none."""
    try:
        files = {file.name: file.stat() for file in path.iterdir()} if path.is_dir() else {"": path.stat()}
    except OSError:
        return None
    return digest_of([[name, *FileState.of(status)[:-1]] for name, status in sorted(files.items())])


def _name(output: Path) -> str:
    return os.path.abspath(output)
