"""The pool's end of one worker: starting it, asking it, killing it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from contextlib import suppress
from typing import Any

from juicecap.errors import EnvironmentFailure
from juicecap.isolated.limits import signal_name
from juicecap.isolated.messages import READY, last_words, line_of
from juicecap.isolated.process import START_SECONDS, start_module
from juicecap.media.workers.shared_frames import nameless_file

_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class WorkerEnded(Exception):
    """A worker ended in the middle of a job, with `status` as `Popen.returncode`; None if that is not known."""

    def __init__(self, status: int | None, last_words: str) -> None:
        what = f"signal {signal_name(-status)}" if status is not None and status < 0 else f"exit status {status}"
        super().__init__(f"{what}: {last_words}" if last_words else what)
        self.status = status


class WorkerProcess:
    """A worker from its start on; what it writes goes to a nameless file, never to the terminal.

    Raises:
        EnvironmentFailure: it cannot be started.
    """

    def __init__(self) -> None:
        self.media = 0
        """Media that it has read, which the pool counts."""
        self._received, self._fds = b"", list[int]()
        try:
            self._output = nameless_file()
            self._channel, theirs = socket.socketpair()
        except OSError as error:
            raise EnvironmentFailure(f"no process can be started to decode videos in ({error})") from error
        self._channel.setblocking(False)
        try:
            self._process = start_module("juicecap.media.workers.worker", theirs, self._output)
        except OSError as error:
            self._close()
            raise EnvironmentFailure(f"no process can be started to decode videos in ({error})") from error
        finally:
            theirs.close()

    async def ready(self) -> None:
        """Wait until it has started.

        Raises:
            EnvironmentFailure: it did not.
        """
        try:
            async with asyncio.timeout(START_SECONDS):
                message, _ = await self._receive()
            assert message == READY
        except TimeoutError as error:
            raise EnvironmentFailure(f"a process to decode videos in did not start within {START_SECONDS:g} s") from error
        except WorkerEnded as end:
            raise EnvironmentFailure(f"a process to decode videos in ended at its start ({end})") from end

    async def ask(self, job: dict[str, Any]) -> tuple[dict[str, Any], int | None]:
        """The reply to a job, and the descriptor that came with it, which is the caller's now.

        Raises:
            WorkerEnded: there is no reply. After this, or if the call is given up, the worker can only be killed.
        """
        os.lseek(self._output, 0, os.SEEK_SET)  # which is the worker's place in the file as well
        os.ftruncate(self._output, 0)
        try:
            await asyncio.get_running_loop().sock_sendall(self._channel, line_of(job))
        except OSError:
            raise await self._end() from None
        return await self._receive()

    def kill(self) -> None:
        """Kill it, without waiting for its end (see `gone`). A caller that waits for its reply gets `WorkerEnded`."""
        self._process.kill()
        with suppress(OSError):  # it has ended before
            self._channel.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Kill it and let go of all descriptors; for when nobody waits for its reply."""
        self._process.kill()
        self._close()

    def gone(self) -> bool:
        """Whether the process has ended; if so, the system has forgotten it."""
        return self._process.poll() is not None

    async def _receive(self) -> tuple[dict[str, Any], int | None]:
        while not self._received.endswith(b"\n"):
            await self._readable()
            try:
                data, fds, _, _ = socket.recv_fds(self._channel, 2**16, 1, _CLOSE_ON_EXEC)
            except OSError:
                data, fds = b"", []
            self._fds += fds
            self._received += data
            if not data:
                raise await self._end()
        message, self._received = json.loads(self._received), b""
        return message, self._fds.pop() if self._fds else None

    async def _readable(self) -> None:
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._channel, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._channel)

    async def _end(self) -> WorkerEnded:
        """How it ended. The socket is closed before the process is gone, so that takes a moment."""
        for _ in range(1000):
            if self.gone():
                break
            await asyncio.sleep(0.002)
        return WorkerEnded(self._process.returncode, last_words(self._output))

    def _close(self) -> None:
        self._channel.close()
        for fd in (*self._fds, self._output):
            os.close(fd)
