"""Signals that end the program: Ctrl-C, SIGTERM, a closed terminal.

At the first signal a run ends cleanly: what is finished stays, what is half-written is removed. At a second one the process ends
at once, and the next run cleans up.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""Exit code of a program that was asked to end."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ending_in_good_order() -> Iterator[None]:
    """A block in which the first of these signals raises `KeyboardInterrupt` and the second ends the process.

    A signal that the process was started to ignore (`nohup`) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():  # which alone may handle signals
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    handled = [number for number in SIGNALS if before[number] is not signal.SIG_IGN]

    def at_once(_number: int, _frame: FrameType | None) -> None:
        os._exit(INTERRUPTED)

    def in_good_order(_number: int, _frame: FrameType | None) -> None:
        for each in handled:
            signal.signal(each, at_once)
        raise KeyboardInterrupt

    for number in handled:
        signal.signal(number, in_good_order)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])


def ending_with(code: int) -> None:
    """From here on all work is done: a signal ends the process at once, and changes no exit code."""

    def at_once(_number: int, _frame: FrameType | None) -> None:
        os._exit(code)

    _handle(at_once)


def ignored_at_the_end() -> None:
    """Have signals ignored when the interpreter goes down, which would hand them to the system; to be called first of all."""
    atexit.register(_handle, signal.SIG_IGN)  # what is registered later runs before


def _handle(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
