"""What verbs print: a result, which must arrive where it is sent, and sentences for people, which need not.

Texts are shown as they are, and nothing in them makes a terminal do anything; in JSON such characters are escaped.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

from juicecap.errors import EnvironmentFailure
from juicecap.printable import printable, printable_json
from juicecap.secrecy import hidden


def show(text: str) -> None:
    """Print a result for people.

    Raises:
        EnvironmentFailure: it cannot be printed, as on a full disk.
        BrokenPipeError: nobody reads any more.
    """
    _print(printable(text), sys.stdout)


def show_json(value: Any, **options: Any) -> None:
    """Print a result for programs, as one JSON value; `options` as for `json.dumps`.

    Raises:
        EnvironmentFailure, BrokenPipeError: as `show`.
    """
    _print(printable_json(json.dumps(value, **options)), sys.stdout)


def say(text: str) -> None:
    """Tell people on stderr, if they listen: a terminal that is gone changes no exit code. No key of a server is in it."""
    with suppress(OSError, EnvironmentFailure):
        _print(printable(hidden(text)), sys.stderr)


def let_go_of_closed_pipes() -> None:
    """Write what is still buffered, here where a reader who left is no error: at the interpreter's end it would be one."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:  # the reader left, or the disk behind a redirection is full
            os.dup2(nowhere(), stream.fileno())


def nowhere() -> int:
    """A descriptor of what takes all and holds nothing; where there is no such device, of memory."""
    try:
        return os.open(os.devnull, os.O_RDWR)
    except OSError:
        return os.memfd_create("juicecap-nowhere")


def _print(text: str, stream: TextIO | None) -> None:
    if stream is None:  # closed by who started the program; `print` would take another
        return
    try:
        try:
            print(text, file=stream, flush=True)
        except UnicodeEncodeError:
            code = stream.encoding
            print(text.encode(code, "backslashreplace").decode(code), file=stream, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _lost(error) from error


def _lost(error: OSError) -> EnvironmentFailure:
    reason = error.strerror or str(error)
    return EnvironmentFailure(
        f"the result cannot be printed: {reason}. Send it to another place, or free some space, and run again."
    )
