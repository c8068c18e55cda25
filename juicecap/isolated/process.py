"""The parent's end of an isolated process: starting it, calling functions in it, killing it.

It is `python -m juicecap.isolated.child`, started at first need and never forked, so it works from bare scripts and notebooks. A
call has three limits: private memory beyond what the child has when the call begins, and CPU seconds, both kept by the system;
and seconds on the clock, kept here, for a call that sleeps. Only JSON travels: nothing that the child sends can run here.
"""

from __future__ import annotations

import json
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from types import TracebackType
from typing import IO, Any, Literal, Self, cast

from juicecap import errors
from juicecap.errors import BugError, EnvironmentFailure, JuicecapError
from juicecap.isolated.limits import environment, signal_name
from juicecap.isolated.messages import READY, last_words, line_of

START_SECONDS = 120.0
"""Time to import the libraries, from a slow network disk of a busy machine."""

LONGEST_REPLY = 1 << 28
"""Bytes."""


class Stopped(Exception):
    """A call did not come to its end: it wanted too much memory or time, or crashed. The caller says what that means."""

    def __init__(self, why: Literal["memory", "time", "crash"], detail: str) -> None:
        super().__init__(detail)
        self.why = why


class IsolatedProcess:
    """Calls functions in a child process, which is started by the first call, and again after one that did not survive.

    A context manager; one call at a time, from any thread.
    """

    def __init__(self, *, memory: int) -> None:
        """A call may take `memory` bytes."""
        self._memory = memory
        self._child: _Child | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def call(self, function: str, argument: Any, *, cpu_seconds: float | None = None, wall_seconds: float | None = None) -> Any:
        """The value of `function` ("package.module:name") for `argument`; both are JSON values. None is no limit.

        Raises:
            Stopped: the call did not come to its end.
            JuicecapError: what the function raises.
            EnvironmentFailure: the process cannot be started, or was killed from outside.
            BugError: the function raises something else.
        """
        with self._lock:
            self._child = child = self._child or _Child()
            try:
                call = {"function": function, "argument": argument, "memory": self._memory, "cpu_seconds": cpu_seconds}
                reply = child.ask(call, wall_seconds)
            except BaseException:
                self._child = None
                child.close()
                raise
        if "error" in reply:
            raise _error(**reply["error"])
        if "memory" in reply:
            raise Stopped("memory", f"it takes more than {self._memory >> 20} MB")
        if "bug" in reply:
            raise BugError(f"{function} failed in its process:\n{reply['bug']}")
        return reply["value"]

    def close(self) -> None:
        """End the child; the next call starts another one."""
        with self._lock:
            child, self._child = self._child, None
            if child:
                child.close()


class _Child:
    """One child process; what it writes goes to a nameless file, never to the terminal."""

    def __init__(self) -> None:
        """Start it.

        Raises:
            EnvironmentFailure: that is not possible.
        """
        try:
            self._output = tempfile.TemporaryFile(prefix="juicecap-")  # noqa: SIM115  (closed by `close`)
            self._channel, theirs = socket.socketpair()
        except OSError as error:
            raise EnvironmentFailure(f"no process can be started ({error.strerror or error}); running again resumes") from error
        self._received = bytearray()
        with theirs:
            try:
                self._process = start_module("juicecap.isolated.child", theirs, self._output)
            except OSError as error:
                self._channel.close()
                self._output.close()
                raise EnvironmentFailure(
                    f"no process can be started ({error.strerror or error}); running again resumes"
                ) from error
        self.close = weakref.finalize(self, _ended, self._process, self._channel, self._output)
        """Kills it, and waits for its end; done by itself where nobody holds it any more."""
        try:
            assert self._receive(time.monotonic() + START_SECONDS) == READY
        except Stopped as stopped:
            self.close()
            raise EnvironmentFailure(f"a process ended at its start ({stopped}); running again resumes") from stopped
        except BaseException:
            self.close()
            raise

    def ask(self, call: dict[str, Any], seconds: float | None) -> dict[str, Any]:
        """The reply to a call.

        Raises:
            Stopped: there is none. The child can only be closed then.
        """
        try:
            self._channel.sendall(line_of(call))
        except OSError:
            raise self._end() from None
        return self._receive(None if seconds is None else time.monotonic() + seconds)

    def _receive(self, deadline: float | None) -> dict[str, Any]:
        while not self._received.endswith(b"\n"):
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._channel], [], [], left)[0]:
                raise Stopped("time", "it takes too long")
            try:
                data = self._channel.recv(1 << 20)
            except OSError:
                data = b""
            if not data or len(self._received) > LONGEST_REPLY:
                raise self._end()
            self._received += data
        message: dict[str, Any] = json.loads(self._received)
        self._received.clear()
        return message

    def _end(self) -> Stopped:
        """How it ended. The socket is closed before the process is gone, so that takes a moment.

        Raises:
            EnvironmentFailure: somebody else killed it, as the system does where the machine has no memory left.
        """
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return Stopped("crash", "its process broke off")
        if status == -signal.SIGKILL:
            raise EnvironmentFailure("a process was killed, as happens for want of memory; running again resumes")
        if status == -signal.SIGPROF:
            return Stopped("time", "it takes too much of the processor")
        how = f"signal {signal_name(-status)}" if status < 0 else f"exit status {status}"
        return Stopped("crash", ": ".join(filter(None, [f"its process crashed ({how})", last_words(self._output.fileno())])))


def start_module(module: str, channel: socket.socket, output: IO[bytes] | int) -> subprocess.Popen[bytes]:
    """Start one of our own modules in a process of its own: it gets the number of `channel`, and writes to `output`.

    Raises:
        OSError: that is not possible.
    """
    return subprocess.Popen(  # noqa: S603  # our own module
        [sys.executable, "-P", "-m", module, str(channel.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=[channel.fileno()],
        env=environment(),
        process_group=0,  # Ctrl-C in the terminal is not meant for it
    )


def _ended(process: subprocess.Popen[bytes], channel: socket.socket, output: IO[bytes]) -> None:
    process.kill()
    process.wait()
    channel.close()
    output.close()


def _error(kind: str, message: str) -> JuicecapError:
    """The error of that name, if it is one that needs a message and nothing else."""
    found: Any = getattr(errors, kind, None)
    plain = isinstance(found, type) and issubclass(found, JuicecapError) and found.__init__ is Exception.__init__
    return cast("JuicecapError", found(message)) if plain else BugError(f"{kind}: {message}")
