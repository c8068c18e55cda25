"""What a writer gets besides its options, and what comes of its work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from juicecap.data.edits.written_rows import Layout
from juicecap.data.export.writers.captioned import Medium, Roles

if TYPE_CHECKING:
    from datasets import Dataset

Ready = Callable[[Path], None]
"""Called with what is about to be renamed to an output (`atomic.replacing`)."""


NO_CAPTION = "without a caption"
"""Why media are left out of what a trainer reads."""


class MediaTools(Protocol):
    """Work on media that writers ask for."""

    def measured(self, names: Sequence[str], media: Sequence[Medium]) -> list[Mapping[str, Any]]:
        """The measures of these names (`settings.MEASURES`) for each medium.

        Raises:
            DataError: a medium cannot be measured; names it.
        """

    def cut(self, media: Sequence[Medium]) -> list[Path]:
        """A file for each part of a film, which stays where it is.

        Raises:
            DataError: one cannot be cut; names it.
        """


@dataclass(frozen=True, kw_only=True)
class Job:
    """A dataset that is exported, and the places and permissions for it."""

    dataset: Dataset
    roles: Roles
    tools: MediaTools
    scratch: Path
    """A folder for temporary tables."""
    memory: Path
    """The file of what the export wrote into its folder."""
    replaced: Path
    """A folder for copies of what is overwritten on demand."""
    owner: str = ""
    """The name of the writer in the names of temporary files."""
    ready: Callable[[Path], Ready | None] = field(default=lambda _: None)
    """The hook of an output."""
    with_edits: Callable[[Path, Dataset, Layout], Dataset] = field(default=lambda _, table, __: table)
    """The table for an output, with the edits that are kept."""
    path_columns: tuple[set[str], set[str]] = (set(), set())
    """Columns of paths, and of conversations, in which an export has paths anew."""
    overwrite: bool = False
    """Whether media of others may be replaced."""
    overwrite_texts: bool = False
    """Whether texts may be replaced that somebody edited, or that were there before."""


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """What an export wrote, and what it left as it was."""

    to: Path
    kind: str
    preset: str = ""
    rows: int
    """Rows, texts, conversations or samples that it has now, texts of others included."""
    written: int = 0
    """Texts that are new or changed."""
    stayed: tuple[str, ...] = ()
    """Texts that stayed, since somebody edited them or they were there before."""
    removed: int = 0
    """Texts whose samples are gone."""
    edited_orphans: tuple[str, ...] = ()
    """Texts whose samples are gone, and that stayed, since somebody edited them."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Media that were left out, by the reason."""
    escaped: int = 0
    """Captions in which a token was broken up."""


class Prepared(Protocol):
    """An export that is ready to be written."""

    def write(self) -> ExportResult:
        """Write it.

        Raises:
            DataError, UsageError: it cannot be written there.
            EnvironmentFailure: the disk is full or fails.
        """
