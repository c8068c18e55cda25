"""One text file for each medium, beside it: in a folder of its own with the media, or in the folders of the media.

A text that somebody edited, or that was there before, stays, unless it may be overwritten: then a copy of it is kept. Texts whose
samples are gone are removed with their media if they are as they were written. Each file is whole or not there; an export that
was killed is finished when it is run again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from juicecap.data.edits.keeping import keep_copy
from juicecap.data.export.settings import SidecarExport
from juicecap.data.export.writers.captioned import Medium, caption_column, captioned_rows, check_there
from juicecap.data.export.writers.job import NO_CAPTION, ExportResult, Job
from juicecap.data.export.writers.memory import Memory, Written, text_digest
from juicecap.data.export.writers.names import Names
from juicecap.data.export.writers.placing import Placing, coming, put, remove_placed
from juicecap.data.export.writers.texts import one_line
from juicecap.data.writing.atomic import remove_temporaries, swap_in, sync_folder, write_error
from juicecap.errors import BugError, DataError
from juicecap.plain import kind_at, read_plain
from juicecap.sample import display_path

LONGEST_TEXT = 2**24
"""Bytes of a text that is compared; a longer one is somebody else's."""


@dataclass
class _Pair:
    """A medium and its captions."""

    name: str
    medium: Medium
    captions: list[str] = field(default_factory=list)
    content: bytes = b""
    text: Path = Path()
    own: bool = False
    """Whether a text is there that is the export's own."""
    stays: bool = False
    """Whether a text is there that is somebody else's, and stays."""
    is_there: bool = False
    """Whether the text is there as it is to be."""


def prepare(export: SidecarExport, job: Job) -> PreparedSidecars:
    """Find out which texts and media go where, and which stay.

    Raises:
        DataError: a medium is missing or has no text of its own; a caption is none.
        UsageError: something of somebody else is where a medium goes.
    """
    pairs, left_out = _pairs(export, job)
    return PreparedSidecars(export, job, pairs, left_out)


class PreparedSidecars:
    """Texts that are ready to be written."""

    def __init__(self, export: SidecarExport, job: Job, pairs: list[_Pair], left_out: int) -> None:
        self._export, self._job, self._pairs, self._left_out = export, job, pairs, left_out
        self._root = Path(os.path.abspath(export.target))
        self._memory = Memory(job.memory)
        present = {pair.medium.path for pair in pairs}
        gone = [entry for source, entry in self._memory.entries.items() if source not in present]
        self._orphans = [entry for entry in gone if self._may_be_removed(entry)]
        self._edited = [entry for entry in gone if entry not in self._orphans and self._digest(self._root / entry.text)]
        self._removed = {self._root / entry.text for entry in self._orphans}
        names = Names({entry.source: entry.stem for entry in self._memory.entries.values() if entry not in self._orphans})
        self._placing = (
            Placing(self._root, export.media, self._memory, job, names, self._orphans) if export.places_media else None
        )
        if self._placing:
            self._placing.add([(pair.name, pair.medium) for pair in pairs])
        taken: dict[Path, _Pair] = {}
        for pair in pairs:
            self._settle(pair, taken)

    def write(self) -> ExportResult:
        """Write the texts, place the media, and remove what is left over.

        Raises:
            DataError: something cannot be written, or linked.
            EnvironmentFailure: the disk is full or fails.
            BugError: a text is not there afterwards.
        """
        for folder in {pair.text.parent for pair in self._pairs}:
            remove_temporaries(folder, self._job.owner)
        self._memory.begin(self._coming())
        removed = sum(self._remove(entry) for entry in self._orphans)
        left = {entry.source: entry for entry in self._edited}
        written = 0
        for pair in self._pairs:
            written += not (pair.stays or pair.is_there)
            left[pair.medium.path] = self._write(pair)
        self._verify()
        self._memory.finish(left)
        return ExportResult(
            to=self._export.target,
            kind=self._export.kind,
            preset=self._export.preset,
            rows=len(self._pairs),
            written=written,
            stayed=tuple(str(pair.text) for pair in self._pairs if pair.stays),
            removed=removed,
            edited_orphans=tuple(str(self._root / entry.text) for entry in self._edited),
            left_out={NO_CAPTION: self._left_out} if self._left_out else {},
        )

    def _settle(self, pair: _Pair, taken: dict[Path, _Pair]) -> None:
        """Find out where a text goes, and what is there.

        Raises:
            DataError: another medium's text goes there, or something that is no file is in the way.
        """
        if self._placing:
            place = self._placing.places[pair.medium.path]
            pair.text = place.target.with_name(place.entry.stem + self._export.suffix)
        else:
            pair.text = text_beside(pair.medium, self._export.suffix)
        other = taken.setdefault(pair.text, pair)
        if other is not pair:
            raise DataError(same_text(other.medium.path, pair.medium.path, pair.text))
        try:
            kind = kind_at(pair.text)
        except OSError as error:
            raise write_error(pair.text, error) from error
        if kind and kind != "a symbolic link":
            raise DataError(f"{pair.text} cannot be written: it is {kind}. Move it away, or export to another folder.")
        there, entry = self._digest(pair.text), self._memory.entries.get(pair.medium.path)
        if kind is None or pair.text in self._removed:
            return
        pair.own = entry is not None and there in entry.texts and entry.text == self._named(pair.text)
        pair.is_there = there == text_digest(pair.content)
        pair.stays = not (pair.is_there or pair.own or self._job.overwrite_texts)

    def _coming(self) -> Iterator[Written]:
        placed = {entry.source: entry for entry in coming(self._placing.places)} if self._placing else {}
        for pair in self._pairs:
            entry = placed.get(pair.medium.path) or Written(source=pair.medium.path, stem=pair.text.stem)
            theirs = pair.stays or (pair.is_there and not pair.own)
            digests = () if theirs else (text_digest(pair.content),)
            yield replace(entry, text=self._named(pair.text), texts=digests)

    def _write(self, pair: _Pair) -> Written:
        """Place a medium and write its text; what the memory keeps of them."""
        entry = Written(source=pair.medium.path, stem=pair.text.stem)
        if self._placing:
            entry = put(self._placing.places[pair.medium.path], self._job.owner, self._job.replaced)
        before = self._memory.entries[pair.medium.path]
        if pair.stays or (pair.is_there and not pair.own):  # one that was edited is known again if the edit is undone
            return replace(entry, text=before.text, texts=before.texts)
        if not pair.is_there:
            if not pair.own:
                keep_copy(pair.text, self._job.replaced)
            swap_in(pair.text, pair.content, self._job.owner)
        return replace(entry, text=before.text, texts=(text_digest(pair.content),))

    def _verify(self) -> None:
        """Put what was written on disk, and read it again."""
        written = [pair for pair in self._pairs if not (pair.stays or pair.is_there)]
        for pair in written:
            if self._digest(pair.text) != text_digest(pair.content):
                raise BugError(f"{pair.text} does not hold what was written into it")
        try:
            for pair in written:
                with pair.text.open("rb") as file:
                    os.fsync(file.fileno())
            for folder in {pair.text.parent for pair in written}:
                sync_folder(folder)
        except OSError as error:
            raise write_error(self._root, error) from error

    def _may_be_removed(self, entry: Written) -> bool:
        """Whether the text of a sample that is gone is as it was written, and lies in the export's folder."""
        text = self._root / entry.text
        inside = bool(entry.text) and os.path.realpath(text).startswith(os.path.realpath(self._root) + os.sep)
        return inside and "/" not in entry.medium and (self._digest(text) in (*entry.texts, ""))

    def _remove(self, entry: Written) -> bool:
        text = self._root / entry.text
        was_there = bool(self._digest(text))
        with suppress(OSError):
            text.unlink()
        if entry.medium and self._placing:
            remove_placed(self._root, entry)
        return was_there

    def _named(self, text: Path) -> str:
        """The path of a text from the export's folder."""
        return os.path.relpath(text, self._root)

    @staticmethod
    def _digest(text: Path) -> str:
        """What is in a text; empty if nothing is there, and something that no text has if that is no file."""
        try:
            return text_digest(read_plain(text, LONGEST_TEXT, follow=True))
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except (OSError, ValueError):
            return "unreadable"


def text_beside(medium: Medium, suffix: str) -> Path:
    """The text of a medium in the medium's own folder."""
    file = Path(os.path.abspath(medium.file))
    return file.with_name(file.stem + suffix)


def same_text(path: str, other: str, text: Path) -> str:
    """What is wrong where two media would have one text."""
    return (
        f"{display_path(path)} and {display_path(other)} would both have the text {text}; "
        "give the export a folder (to) and media: link, so that each gets a name of its own"
    )


def _pairs(export: SidecarExport, job: Job) -> tuple[list[_Pair], int]:
    """Each medium once, with all of its captions, and how many have none."""
    column = caption_column(job.dataset, export.caption, job.roles)
    found: dict[str, _Pair] = {}
    for _, several in captioned_rows(job.dataset, job.roles, column):
        for each in several:
            medium = each.medium
            pair = found.setdefault(medium.path, _Pair(each.name, medium))
            pair.captions += [caption for caption in each.captions if caption is not None]
    pairs = [pair for pair in found.values() if pair.captions]
    for pair in pairs:
        check_there([pair.medium], pair.name, "a text beside a medium")
        if not export.places_media and pair.medium.is_part:
            raise DataError(
                f"{pair.name}: {display_path(pair.medium.path)} is a part of a film, beside which no text of its own can stand; "
                "set media to link, and to to a folder, in which the part is a file"
            )
        pair.content = _content(pair.captions, export).encode()
    return pairs, len(found) - len(pairs)


def _content(captions: Sequence[str], export: SidecarExport) -> str:
    if export.captions == "lines":
        return "\n".join(filter(None, map(one_line, captions)))
    return one_line(captions[0]) if export.newlines == "space" else captions[0]
