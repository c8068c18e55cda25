"""A journal that is only read: that of an earlier run, or of a shard. Nothing is locked, and nothing beside it is written.

It is read as the file stands, so any number of machines can read it, on a network file system too. What a process that was killed
left beside the file (`-wal`) is not seen (see `complete`), and a row that does not match its checksum is ignored, as in every
journal.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from loguru import logger

from juicecap.errors import JuicecapError
from juicecap.vlm.journal.errors import FAULTS
from juicecap.vlm.journal.file_signature import check_place
from juicecap.vlm.journal.quarantine import Damaged, file_id
from juicecap.vlm.journal.store import Store, open_store


class EarlierStore(Store):
    """The open file, to be read. One thread uses it."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            Damaged: the file is damaged.
            DataError: it is no journal.
            EnvironmentFailure: it cannot be opened.
        """
        self.path, self._real, self._alone, self._file = path, Path(os.path.realpath(path)), True, file_id(path)
        try:
            check_place(path)
            address = f"{self._real.as_uri()}?mode=ro&immutable=1"
            self._database = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
            self._database.text_factory = bytes
            try:
                self._identify()
            except BaseException:
                self._database.close()
                raise
        except FAULTS as error:
            raise self._translated("be read", error) from error


def complete(path: Path) -> None:
    """Take what a process that was killed left beside a journal into its file, if anything; the caller knows that nobody uses it.

    Raises:
        EnvironmentFailure, DataError: as `open_store`.
    """
    if path.with_name(f"{path.name}-wal").exists():
        open_store(path).close()


def open_earlier(path: Path) -> EarlierStore | None:
    """The journal at `path`; None if there is none, or if it cannot be used, which is logged."""
    if not path.exists():
        return None
    try:
        return EarlierStore(path)
    except (Damaged, JuicecapError) as error:
        logger.warning("{} is not used: {}", path, error)
        return None
