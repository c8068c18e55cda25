"""A program on a pseudo-terminal, and what its screen shows: for tests of the display, and for the picture of it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path

import pyte

ROOT = Path(__file__).parent.parent


class Terminal:
    """A pseudo-terminal with a program in it, and what its screen shows."""

    def __init__(self, command: list[str], columns: int, lines: int = 24, folder: Path = ROOT, **environment: str) -> None:
        self.screen = pyte.HistoryScreen(columns, lines, history=1000)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._ours, theirs = pty.openpty()
        self._size(theirs, columns, lines)
        variables = {**os.environ, "TERM": "xterm-256color", "PYTHONUNBUFFERED": "1", **environment}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            variables.pop(name, None)
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=variables, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  (so that Ctrl-C reaches it)
        )  # fmt: skip
        os.close(theirs)

    def _size(self, handle: int, columns: int, lines: int) -> None:
        fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns: int, lines: int) -> None:
        self._size(self._ours, columns, lines)
        self.screen.resize(lines, columns)

    def press(self, key: bytes) -> None:
        os.write(self._ours, key)

    def read(self) -> bool:
        """Take in what was written; False at the end."""
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # the program has ended
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    def until(self, seen: Callable[[], object]) -> None:
        while not seen():
            assert self.read(), self.text()

    def end(self) -> int:
        while self.read():
            pass
        os.close(self._ours)
        return self.process.wait(timeout=60)

    def shown(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]

    def text(self) -> str:
        above = ["".join(line[column].data for column in range(self.screen.columns)).rstrip() for line in self.screen.history.top]
        return "\n".join([*above, *self.shown()])
