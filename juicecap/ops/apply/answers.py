"""The journal of an op that is applied by hand (`Op.run`).

It is a run's journal, so what was asked in a recipe is not asked again here, and the other way round. Failures are neither read
from it nor written: who applies an op again wants another try, and a run finds out for itself which samples are to blame.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from juicecap.errors import DataError
from juicecap.vlm.journal import HeldFailures, Journal
from juicecap.vlm.journal.file_signature import NAME, is_journal
from juicecap.vlm.journal.store import Entry, Record

if TYPE_CHECKING:
    from juicecap.ops.base import Op

SUFFIXES = (".db", ".sqlite", ".sqlite3")
"""Of a journal that is named as a file. Any other path is a folder, unless there is a file."""


class AnswerJournal(Journal):
    """A journal of answers alone."""

    def __init__(self, path: Path) -> None:
        """As `Journal`."""
        super().__init__(path, retry_rejected=True)

    @override
    def append(self, records: Sequence[Record], held: HeldFailures | None = None) -> None:
        super().append([each for each in records if not (isinstance(each, Entry) and "failure" in each.content)], held)


def answers_in(place: str | Path | None, op: Op) -> AbstractContextManager[Journal | None]:
    """The journal at a path, open for the block; None if no path is given, or if the op asks nothing that takes long.

    Raises:
        DataError: what is there is no journal.
        EnvironmentFailure: it cannot be opened.
    """
    if place is None or not op.asks() or op.headers_only:
        return nullcontext()
    path = Path(place)
    is_file = path.is_file() or (path.suffix.lower() in SUFFIXES and not path.is_dir())
    if is_file:
        _refuse_others(path)
    return AnswerJournal(path if is_file else path / NAME)


def _refuse_others(path: Path) -> None:
    """Refuse a file that is no journal, which would be set aside as a damaged one."""
    try:
        is_other = path.exists() and path.stat().st_size > 0 and not is_journal(path)
    except OSError as error:
        raise DataError(f"journal={str(path)!r} cannot be read: {error.strerror or error}") from error
    if is_other:
        raise DataError(f"journal={str(path)!r} is a file of something else, and stays as it is; give another path, or a folder")
