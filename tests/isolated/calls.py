"""Functions for the tests of isolated processes, to be called there."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from typing import Any

from juicecap.errors import DataError, MissingLibrary


def echo(argument: Any) -> Any:
    return argument


def pid(argument: Any) -> int:
    return os.getpid()


def takes(argument: int) -> int:
    return len(bytearray(argument))


def spins(argument: Any) -> None:
    while True:
        pass


def sleeps(argument: Any) -> None:
    time.sleep(600)


def crashes(argument: str) -> None:
    os.write(2, f"{argument}\n".encode())
    ctypes.string_at(0)


def is_killed(argument: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600)


def refuses(argument: str) -> None:
    raise DataError(argument)


def lacks(argument: str) -> None:
    raise MissingLibrary("torch", "pip install it")


def fails(argument: str) -> None:
    raise ZeroDivisionError(argument)


def talks(argument: str) -> str:
    os.write(1, argument.encode())
    os.write(2, argument.encode())
    return argument


def size(argument: str) -> int:
    return len(argument)
