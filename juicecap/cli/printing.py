"""What verbs print: results, which must arrive, and messages for people, which need not.

Control characters in a text are replaced, so that it cannot control the terminal; in JSON they are escaped.
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
    """Print a message on stderr, without keys of servers. A terminal that is gone changes no exit code."""
    with suppress(OSError, EnvironmentFailure):
        _print(printable(hidden(text)), sys.stderr)


def let_go_of_closed_pipes() -> None:
    """Flush what is still buffered. A reader that is gone is no error here; at the interpreter's end it would be one."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:  # the reader left, or the disk behind a redirection is full
            os.dup2(nowhere(), stream.fileno())


def nowhere() -> int:
    """A descriptor of the null device; where there is none, of a file in memory."""
    try:
        return os.open(os.devnull, os.O_RDWR)
    except OSError:
        return os.memfd_create("juicecap-nowhere")


def _print(text: str, stream: TextIO | None) -> None:
    if stream is None:  # closed by the program's parent; `print` would take another
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
