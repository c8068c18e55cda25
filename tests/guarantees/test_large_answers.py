"""Servers that answer without end, on the way to a process that has no memory for that."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scripted_server import KEY, KEY_NAME, Reply, ScriptedServer, obliging, said

pytestmark = [pytest.mark.slow, pytest.mark.process]

MIB = 2**20
AT_ONCE = 7

ASK = """
import json, os, resource, sys
from scripted_server import *
server, key_name, key = sys.argv[1:]
os.environ[key_name] = key

async def all_of_them():
    where = {"api_base": server, "api_key_env": key_name, "params": '{"transport": "images"}'}
    settings = ModelSettings(backend="openai", model="served-model", **where)
    async with describe(settings, policy=replace(QUICK, max_attempts=1)) as backend, backend.open() as engine:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcomes = await engine.generate([prepared(f"hostile {number}") for number in range(7)] + [prepared("fine")])
    told = [outcome.failure.message if outcome.failure else outcome.answers[0].text for outcome in outcomes]
    print(json.dumps([told, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024]))

asyncio.run(all_of_them())
"""


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.stop()


def bomb(mib: int) -> bytes:
    """A good answer behind so many mebibytes of spaces, packed."""
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    spaces = b" " * MIB
    return b"".join([*(packing.compress(spaces) for _ in range(mib)), packing.compress(said("A red").data()), packing.flush()])


LARGE = "the server's answer has more than 64 MiB"
VALUES = "the server's answer has more than 1048576 values"
TEXT = "the server's answer has a text of more than 131072 characters"
CHUNKED = {"Transfer-Encoding": "chunked", "Content-Length": ""}
CASES: dict[str, tuple[Callable[[], Reply], str, int]] = {
    "4 GiB": (lambda: Reply(b" " * MIB, times=4096), LARGE, 100),
    "4 GiB of an error": (
        lambda: Reply(b"x" * MIB, 500, times=4096),
        "HTTP 500: " + "x" * 500,
        100,
    ),
    "4 GiB without a length": (lambda: Reply(b"100000\r\n" + b" " * MIB + b"\r\n", 200, CHUNKED, times=4096), LARGE, 300),
    "a bomb": (lambda: Reply(bomb(512), 200, {"Content-Encoding": "gzip"}), LARGE, 300),
    "lists": (lambda: Reply(b"[" + b"[]," * (20 * MIB) + b"0]"), VALUES, 300),
    "choices": (lambda: Reply(b'{"choices": [' + b'{"message":{"content":"A red"}},' * 10**6 + b"0]}"), VALUES, 300),
    "a long text": (lambda: Reply(said("x" * (63 * MIB)).data()), TEXT, 400),
}
"""What comes, what is said of it, and by how many MiB the process may grow at most."""


@pytest.mark.parametrize(("reply", "words", "most"), CASES.values(), ids=CASES)
def test_one_answer_is_in_memory_however_many_come(
    server: ScriptedServer, reply: Callable[[], Reply], words: str, most: int
) -> None:
    """Seven at once, and a good one beside them."""
    hostile = reply()

    def script(body: dict[str, Any]) -> Reply:
        return hostile if "hostile" in json.dumps(body["messages"]) else obliging(body)

    server.script = script
    command = [sys.executable, "-c", ASK, server.base, KEY_NAME, KEY]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=600)
    told, grown = json.loads(done.stdout)
    assert told == [words] * AT_ONCE + ["caption 0"]
    assert grown < most
