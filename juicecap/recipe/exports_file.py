"""The outputs that runs of a folder exported, so that they may replace these and nothing else.

For each output `exports.json` keeps what tells its files from any others: number, size and time of change. It is noted right
before the files get their names, which changes none of these, next to what is there until then. So after a run that was killed in
between, the output is known, whichever of the two it is. In `written/` each table has a file with its rows as they were written
(`data.edits.written_rows`), which is named by the output and its state.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from juicecap.data.writing.atomic import replacing
from juicecap.file_state import FileState
from juicecap.plain import read_plain
from juicecap.recipe.work_dir import LARGEST, WRITTEN, noted
from juicecap.vlm.base import digest_of

MOST_LOOKED_AT = 100
"""Outputs beside which leftovers of killed runs are searched."""


MOST_STATES = 8
"""States of an output that are kept, one for each run that was killed before `settle`, and the last."""


class Exports:
    """The outputs of a run folder, as its file `exports.json` has them."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def outputs(self) -> list[Path]:
        """The last outputs that were begun: leftovers of killed runs are beside them."""
        return [Path(path) for path in list(self._read())[-MOST_LOOKED_AT:]]

    def states(self, output: Path) -> list[str]:
        """The states in which runs of this folder left an output, the latest last; none if none did."""
        return self._read().get(_name(output), [])

    def rows_file(self, output: Path, state: str) -> Path:
        """The file of the rows of an output in this state."""
        return self._file.parent / WRITTEN / f"{digest_of(_name(output))}-{state[:16]}.rows"

    def settle(self, output: Path) -> None:
        """Forget the states in which an output was before, and their rows, once it is as a run of this folder left it.

        Raises:
            DataError: that cannot be written.
            EnvironmentFailure: the disk is full or fails.
        """
        known, there = self._read(), state_of(output)
        states = known.get(_name(output), [])
        if there in states and len(states) > 1:
            self._write({**known, _name(output): [there]})
            for state in states:
                if state != there:
                    self.rows_file(output, state).unlink(missing_ok=True)

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
        """Note that `temporary`, which is whole and on disk, is going to be renamed to `output`; `settle` follows.

        Raises:
            DataError: that cannot be written.
            EnvironmentFailure: the disk is full or fails.
        """
        known, new = self._read(), state_of(temporary)
        states = [state for state in known.get(_name(output), []) if state != new]
        self._write({**known, _name(output): [*states, *([new] if new else [])][-MOST_STATES:]})

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
