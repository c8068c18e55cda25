"""The child: calls one function after the other, for the `IsolatedProcess` that started it.

Calls and replies are lines of JSON on a socket. The process ends when the socket does, also in the middle of a call.

    {"function": "juicecap.data.source.tables.parquet:convert", "argument": {...}, "memory": 2147483648, "cpu_seconds": 60}
    {"value": {...}}

Other replies: `error` (a `JuicecapError`, by class and message), `memory` (there was too little), `bug` (a traceback).
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from juicecap.errors import JuicecapError, causes
from juicecap.isolated.limits import lift_memory, limit_cpu, limit_memory, own_memory, settle_signals
from juicecap.isolated.messages import READY, line_of


def main(fd: int) -> None:
    """Serve until the socket `fd` ends."""
    settle_signals()
    channel = socket.socket(fileno=fd)
    channel.sendall(line_of(READY))
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(channel, calls), daemon=True).start()
    while True:
        reply = answer(json.loads(calls.get()))
        with suppress(BrokenPipeError, ConnectionResetError):
            channel.sendall(line_of(reply))


def answer(call: dict[str, Any]) -> dict[str, Any]:
    """Call the function within its limits, and return its reply, whatever happens."""
    try:
        function = _function(call["function"])  # what it imports is no part of what the call may take
        limit_memory(own_memory() + call["memory"])
        limit_cpu(call["cpu_seconds"] or 0)
        return {"value": function(call["argument"])}
    except JuicecapError as error:
        return {"error": {"kind": type(error).__name__, "message": str(error)}}
    except Exception as error:  # noqa: BLE001  # the door to the parent, which raises it again
        if any(isinstance(each, MemoryError) for each in causes(error)):
            return {"memory": True}
        return {"bug": traceback.format_exc()}
    finally:
        limit_cpu(0)
        lift_memory()  # the next call and this one's reply are no part of what it may take


def _function(name: str) -> Callable[[Any], Any]:
    module, _, attribute = name.partition(":")
    function: Callable[[Any], Any] = getattr(importlib.import_module(module), attribute)
    return function


def _listen(channel: socket.socket, calls: queue.SimpleQueue[bytes]) -> None:
    """Pass calls on; end the process when there is nobody to reply to, whatever the main thread does."""
    try:
        with channel.makefile("rb") as lines:
            for line in lines:
                calls.put(line)
    finally:  # whatever went wrong, nobody waits for a reply that does not come
        os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
