"""Names: which of files a process cannot use, which may be those of something on the Hub, and what is invisible in them.

Where a locale is not UTF-8 some files cannot be opened, and the names of others cannot be kept as text.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
"""What a dataset or model on the Hub may be called: `owner/name`."""

_DRIVE = re.compile(r"(?:^|/)([A-Za-z]:)[\\/]")
"""A drive of Windows, also behind the folder against which a path was resolved."""

_INVISIBLE = ("Cc", "Cf", "Zl", "Zp")
"""Categories of Unicode: control characters, formats (zero width, byte order marks), ends of lines and paragraphs."""

_LOCALE = "Set LC_ALL=C.UTF-8 and run again."


def is_utf8_here() -> bool:
    """Whether names of files are UTF-8 in this process, so that none of them depends on the locale."""
    return sys.getfilesystemencoding() == "utf-8"


def unnameable(path: str) -> str:
    """Why nothing can have this path here, as the rest of a sentence that the path begins; empty if something can."""
    if "\0" in path:
        return "cannot be a path: it holds a null character."
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        if is_utf8_here():
            return "cannot be a path: it holds half of a surrogate pair, which stands for no character."
        return f"cannot be a path here, where names of files are written in {sys.getfilesystemencoding()}. {_LOCALE}"
    return ""


def missing(path: str) -> str:
    """Why there is nothing at a path, as the rest of a sentence that the path begins.

    What of it comes from Windows is said, and what is invisible in it.
    """
    *folders, name = path.split("/")
    for what, part in (("the name of the file", name), *(("the name of a folder", folder) for folder in folders)):
        if told := invisible(part):
            return f"does not exist: {what} {told}"
    drive = _DRIVE.search(path)
    if drive:
        return f"does not exist: {drive[1]} is a drive of Windows, and this is another system"
    if "\\" not in path or os.sep == "\\":
        return "does not exist"
    other = os.path.normpath(path.replace("\\", "/"))
    return f"does not exist: backslashes are no separators here; did you mean {other!r}?"


def invisible(name: str) -> str:
    """What is invisible in a name, as the rest of a sentence that the name begins; empty if nothing is."""
    letter = next(filter(unseen, name), "")
    where = "begins with" if name.startswith(letter) else "ends with" if name.endswith(letter) else "holds"
    return f"{where} {unseen(letter)}" if letter else ""


def unseen(letter: str) -> str:
    """What a character is, if it is invisible: `an invisible character U+FEFF`; else empty."""
    is_unseen = letter and unicodedata.category(letter) in _INVISIBLE
    return f"an invisible character U+{ord(letter):04X}" if is_unseen else ""


def quoted(name: str) -> str:
    """A name for a message, in quotes; what is invisible in it is said."""
    told = invisible(name)
    return f"{name!r} (it {told})" if told else repr(name)


def unwritable(path: str) -> str:
    """Why a path cannot be kept in a table or a text, which are UTF-8; the same words, or empty if it can."""
    try:
        path.encode()
    except UnicodeEncodeError:
        if why := unnameable(path):
            return why
    else:
        return ""
    try:
        os.fsencode(path).decode()
    except UnicodeDecodeError:
        return "has a path that is not valid UTF-8. Rename it."
    return f"cannot be read here, where names of files are read as {sys.getfilesystemencoding()}. {_LOCALE}"
