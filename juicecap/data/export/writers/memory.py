"""What an export wrote into a folder, by which its next run knows what is its own and what somebody edited.

A text is known by its content, a placed medium by what its link leads to, or by size and time of its file. The memory is
written before the files and after them: in between it has both states of what is about to change, so that an export that was
killed knows each file, whichever of the two it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from juicecap.data.writing.atomic import replacing
from juicecap.errors import DataError
from juicecap.file_state import file_state
from juicecap.plain import TooLarge, read_plain

LARGEST = 2**31
"""Bytes of a memory that are read: that of ten million texts."""

HEAD = {"juicecap": "what an export wrote", "version": 1}


@dataclass(frozen=True, kw_only=True)
class Written:
    """A medium of an export: its text, and the medium as it was placed."""

    source: str
    """The path of the medium, with its fragment."""
    stem: str
    text: str = ""
    """Path of the text, from the export's folder; empty: there is none."""
    texts: tuple[str, ...] = ()
    """Digests of contents that the text may have and be the export's own."""
    medium: str = ""
    """Name of the placed medium in the folder of media; empty: it was not placed."""
    states: tuple[str, ...] = ()
    """States that it may have and be the export's own."""
    source_state: str = ""
    """The state of the source that was placed."""


class Memory:
    """The memory in a file."""

    def __init__(self, file: Path) -> None:
        """Read it; a file that is not there is an empty one.

        Raises:
            DataError: the file cannot be read, or is something else.
        """
        self._file = file
        self.entries: dict[str, Written] = dict(_read(file))

    def stems(self) -> dict[str, str]:
        """The stems that media have, by the paths of the media."""
        return {source: entry.stem for source, entry in self.entries.items()}

    def begin(self, coming: Iterable[Written]) -> None:
        """Note what is about to be written, beside what is there.

        Raises:
            DataError, EnvironmentFailure: that cannot be written.
        """
        for new in coming:
            self.entries[new.source] = _both(self.entries.get(new.source), new)
        self._write()

    def finish(self, left: Mapping[str, Written]) -> None:
        """Note what is there now.

        Raises:
            DataError, EnvironmentFailure: that cannot be written.
        """
        self.entries = dict(left)
        self._write()

    def _write(self) -> None:
        with replacing(self._file, through_links=False) as stream:
            stream.write(json.dumps(HEAD).encode() + b"\n")
            for entry in self.entries.values():
                stream.write(json.dumps(asdict(entry), ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")


def _both(before: Written | None, new: Written) -> Written:
    """What is about to be written, with the states in which it may be until then."""
    if before is None:
        return new
    texts = before.texts if before.text == new.text else ()
    states = before.states if before.medium == new.medium else ()
    return replace(new, texts=tuple(dict.fromkeys((*texts, *new.texts))), states=tuple(dict.fromkeys((*states, *new.states))))


def text_digest(content: bytes) -> str:
    """What tells a text from any other."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def placed_state(path: Path) -> str:
    """What tells a placed medium from any other; empty if nothing is there."""
    if path.is_symlink():
        return f"link {path.readlink()}"
    state = file_state(str(path))
    return f"file {state.size} {state.modified}" if state else ""


def _read(file: Path) -> Iterable[tuple[str, Written]]:
    try:
        head, *lines = read_plain(file, LARGEST).split(b"\n")
    except FileNotFoundError:
        return
    except TooLarge as error:
        raise DataError(f"{file} is too large to be what an export wrote. Move it away, or export to another folder.") from error
    except OSError as error:
        raise DataError(
            f"{file} cannot be read: {error.strerror}. Change its permissions, or export to another folder."
        ) from error
    if _json(head) != HEAD:
        raise DataError(
            f"{file} is not what an export writes, so it is left as it is. Move it away, or export to another folder."
        )
    for line in lines:
        if entry := _entry(_json(line)):
            yield entry.source, entry


def _json(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return None


def _entry(value: Any) -> Written | None:
    """What a line says; None if it is damaged, and what it was about counts as somebody else's."""
    if not isinstance(value, dict) or value.keys() != Written.__dataclass_fields__.keys():
        return None
    lists = {name: value[name] for name in ("texts", "states")}
    texts = [each for name, each in value.items() if name not in lists]
    if not all(isinstance(each, list) for each in lists.values()):
        return None
    if not all(isinstance(each, str) for each in (*texts, *lists["texts"], *lists["states"])):
        return None
    return Written(**{**value, **{name: tuple(each) for name, each in lists.items()}})
