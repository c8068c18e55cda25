"""Names of media and texts in a flat folder: readable, unique by their stems whatever their case, and stable from run to run."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from pathlib import PurePath

from juicecap.data.export.writers.captioned import Medium
from juicecap.fragment import split

LONGEST = 180
"""Bytes of a stem; file systems take 255 for a name, and a suffix and the name of a temporary file must fit too."""

_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f/\\\u2028\u2029]")
"""Characters that lists of names cannot hold, or that separate folders."""


class Names:
    """Gives each medium a stem of its own. A medium that had one keeps it, and no other medium ever gets it."""

    def __init__(self, known: Mapping[str, str]) -> None:
        """`known` are the stems that an earlier export gave, by the paths of media."""
        self._known = dict(known)
        self._taken = {_folded(stem) for stem in known.values()}

    def stem(self, medium: Medium) -> str:
        """The medium's stem: that of its file, with a part of a digest of its path where another medium has that."""
        if (known := self._known.get(medium.path)) is not None:
            return known
        plain = _stem(medium)
        digest = hashlib.blake2b(medium.path.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        choices = (plain, *(f"{plain}-{digest[:length]}" for length in (8, 16, 32)))
        stem = next(each for each in choices if _folded(each) not in self._taken)
        self._known[medium.path] = stem
        self._taken.add(_folded(stem))
        return stem


def suffix_of(medium: Medium) -> str:
    """The suffix of a medium's file in lower case; of a part of a film that of a file that is cut."""
    return ".mp4" if medium.is_part else PurePath(medium.file).suffix.lower()


def _stem(medium: Medium) -> str:
    file, fragment = split(medium.path)
    stem = _UNFIT.sub("_", PurePath(file).stem).strip(" .") or "medium"
    times = f"-{fragment.replace('=', '').replace(',', '-').replace('.', '_').replace(':', '_')}" if fragment else ""
    return stem.encode()[: LONGEST - len(times)].decode("utf-8", "ignore") + times


def _folded(stem: str) -> str:
    """What two stems have in common that a file system may take for one."""
    return unicodedata.normalize("NFC", stem).casefold()
