"""Fuzz the reading of servers' answers: whatever comes, it is an answer of the right shape or a `CallFailed` of one short line.

    python fuzz/server_answers.py -max_total_time=600

The first byte is the status, the second says how many candidates are asked for, the lines up to an empty one are headers, and
the rest is the content. Each is answered to two chat requests and to the question for models, over connections that are made up.
Options are libFuzzer's; the last line of a finding names the file that reproduces it, which can be given in place of options.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import gzip
import json
import os
from collections.abc import Iterator
from typing import Any

import atheris

with atheris.instrument_imports(include=["juicecap.vlm.backends.openai", "juicecap.secrecy"]):
    import httpx2
    from fuzzing import fuzz

    from juicecap.vlm.backends.openai.answers import Reply
    from juicecap.vlm.backends.openai.http.server import CallFailed, Server
    from juicecap.vlm.backends.openai.options import options_of
    from juicecap.vlm.base import ModelSettings

KEY = "sk-fuzz-0123456789"
STATUSES = (200, 201, 204, 206, 301, 302, 307, 308, 400, 401, 404, 408, 409, 413, 422, 429, 500, 502, 503, 529)
LONGEST = 600
"""Characters of a failure: 500 of the server's words, and ours around them."""


class Connections(httpx2.AsyncBaseTransport):
    """Answers every request alike."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: list[tuple[bytes, bytes]] = []
        self.content = b""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        for name, value in request.headers.raw:  # as the real one writes them
            assert name.isascii()
            assert b"\n" not in value
        pieces = [self.content[place : place + 1000] for place in range(0, len(self.content), 1000)]
        return httpx2.Response(self.status, headers=self.headers, stream=Pieces(pieces), request=request)


class Pieces(httpx2.AsyncByteStream):
    """A content as it comes."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> Any:
        for piece in self._pieces:
            yield piece


connections, runner = Connections(), asyncio.Runner()


def answer(data: bytes) -> None:
    """One answer."""
    asked = 1 + (data[1] % 4 if len(data) > 1 else 0)
    connections.status = STATUSES[data[0] % len(STATUSES)] if data else 200
    head, _, connections.content = data[2:].partition(b"\n\n")
    lines = [line.partition(b":")[::2] for line in head.split(b"\n")[:20]]
    named = [(name.strip(), value.strip(b" \r\0")) for name, value in lines]
    connections.headers = [(name, value) for name, value in named if name.replace(b"-", b"").isalnum()]
    runner.run(_asked(asked))


async def _asked(asked: int) -> None:
    server = _server()
    server._client._client.cookies.clear()
    body = {"model": "m", "messages": [{"role": "user", "content": "?"}], "max_tokens": 16, "n": asked}
    for _ in range(2):
        try:
            reply = await server.chat(body)
        except CallFailed as failed:
            _is_said_well(failed)
        else:
            _is_well_formed(reply, asked)
    try:
        assert all(isinstance(each, dict) for each in await server.models())
    except CallFailed as failed:
        _is_said_well(failed)


@functools.cache
def _server() -> Server:
    server = Server(options_of(ModelSettings(model="m", api_base="http://server/v1", backend="openai"))[0])
    server._client._client._transport = connections
    return server


def _is_said_well(failed: CallFailed) -> None:
    assert "\n" not in failed.message
    assert len(failed.message) <= LONGEST
    assert failed.wait is None or failed.wait >= 0
    _holds_no_key(failed.message, failed.code, failed.param)


def _is_well_formed(reply: Reply, asked: int) -> None:
    assert 0 < len(reply.candidates) <= asked
    assert reply.prompt_tokens >= 0
    for each in reply.candidates:
        assert each.tokens >= 0
        assert each.finish_reason in ("stop", "length", "content_filter")
        _holds_no_key(each.text, each.refusal)
    _holds_no_key(reply.revision)


def _holds_no_key(*texts: str) -> None:
    for text in texts:
        text.encode()
        assert KEY not in text
        assert base64.b64encode(KEY.encode()).decode().strip("=") not in text


def seeds() -> Iterator[bytes]:
    """Answers and errors as servers send them."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "A red circle."}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 4}
    good = {"id": "1", "model": "m", "system_fingerprint": "fp", "choices": [choice], "usage": usage}
    parts = {"content": [{"type": "text", "text": "A"}, {"type": "text", "text": " circle."}]}
    several = {**good, "choices": [choice, {**choice, "index": 1, "message": parts}, {"message": {"refusal": "no"}}]}
    error = {"error": {"message": f"the key {KEY} is wrong", "code": "invalid_api_key", "param": None, "type": "x"}}
    for content in (good, several, error, {"data": [{"id": "m", "max_model_len": 4096}]}, {"detail": ["é", {"x": 1e400}]}):
        text = json.dumps(content).encode()
        yield b"\0\3Content-Type: application/json\n\n" + text
        yield b"\x0f\0Retry-After: 3\nSet-Cookie: a=\xc3\xa9; Path=/\n\n" + text
        yield b"\0\0Content-Encoding: gzip\n\n" + gzip.compress(text, mtime=0)
        yield b"\x06\0Location: http://server/v1/chat\nContent-Length: 3\n\n" + text
    yield b"\0\0\n\n" + json.dumps(good).encode("utf-16")
    yield b"\x08\0\n\n<html>" + base64.b64encode(KEY.encode())


def main() -> None:
    """Fuzz, from answers of the usual kinds on."""
    os.environ["OPENAI_API_KEY"] = KEY
    words = (
        "choices message content refusal finish_reason length usage completion_tokens index error Retry-After Location "
        f"Set-Cookie Content-Encoding Content-Length \ud800 1e999 // {KEY}"
    ).split()
    fuzz(answer, seeds(), words, "-timeout=10", "-rss_limit_mb=1024")


if __name__ == "__main__":
    main()
