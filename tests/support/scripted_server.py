"""A local HTTP server that says what a test tells it to, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from juicecap.media.picture import MediaFrames
from juicecap.vlm.backends.openai.backend import OpenAIEngine, describe
from juicecap.vlm.backends.openai.http.breaker import Breaker
from juicecap.vlm.backends.openai.http.retry import RetryPolicy
from juicecap.vlm.base import Backend, Message, ModelSettings, Outcome, Part, Prepared, Request, Sampling, canonical_json

KEY = "sk-very-secret-0123456789"
KEY_NAME = "SCRIPTED_KEY"
QUICK = RetryPolicy(first_wait=0.002, longest_wait=0.01)


@dataclass(frozen=True)
class Reply:
    """What the server does with one request."""

    body: Any = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hang: float = 0.0
    """Seconds of silence first."""
    drip: float = 0.0
    """Seconds between one byte and the next."""
    cut: bool = False
    """Break off in the middle of the body."""
    hang_up: bool = False
    """Close the connection without a word."""
    times: int = 1
    """How often the body is sent, one after the other."""

    def data(self) -> bytes:
        """The body as it goes over the wire."""
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


def choice(text: str | None, finish: str | None = "stop", **message) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}


def said(*texts: str | dict[str, Any] | None, prompt_tokens: int = 50, tokens: int = 12, **more) -> Reply:
    """An answer with these choices."""
    choices = [{"index": number, **(text if isinstance(text, dict) else choice(text))} for number, text in enumerate(texts)]
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": tokens}
    return Reply({"object": "chat.completion", "model": "served-model", "choices": choices, "usage": usage, **more})


def refused(status: int, message: str, headers: dict[str, str] | None = None, **error) -> Reply:
    """An error in OpenAI's form."""
    return Reply({"error": {"message": message, "type": "error", **error}}, status, headers or {})


@dataclass(frozen=True)
class Seen:
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    when: float

    def parts(self) -> list[str]:
        """What the last message consists of: its texts, and the kinds of its other parts."""
        content = self.body["messages"][-1]["content"]
        if isinstance(content, str):
            return [content]
        return [part.get("text", part["type"]) for part in content]


def obliging(body: dict[str, Any]) -> Reply:
    """A good server: prompts with media are longer, every candidate gets its own text."""
    content = body["messages"][-1]["content"]
    media = 0 if isinstance(content, str) else sum(part["type"] != "text" for part in content)
    return said(*(f"caption {number}" for number in range(body.get("n", 1))), prompt_tokens=10 + 30 * media)


class ScriptedServer:
    """Answers chat requests by `script`: a function of the body, or replies one after the other (the last one for good)."""

    def __init__(self, port: int = 0) -> None:
        """Listen at a port; 0: at any that is free."""
        self.script: Callable[[dict[str, Any]], Reply] | list[Reply] = obliging
        self.listened = 0
        """Requests that came, for models and for answers."""
        self.models = Reply({"object": "list", "data": [{"id": "served-model", "object": "model", "owned_by": "me"}]})
        self.seen: list[Seen] = []
        self.most_at_once = 0
        self._now = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._connections: list[socket.socket] = []
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                scripted._connections.append(self.connection)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionResetError:  # the client was killed
                    self.close_connection = True

            def do_GET(self) -> None:
                scripted.listened += 1
                scripted._send(self, scripted.models)

            def do_POST(self) -> None:
                scripted.listened += 1
                length = int(self.headers["content-length"])
                if len(body := self.rfile.read(length)) < length:  # the client was killed
                    self.close_connection = True
                    return
                scripted._answer(self, json.loads(body))

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_port
        self.base = f"http://127.0.0.1:{self.port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def _answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        with self._lock:
            self.seen.append(
                Seen(handler.path, {name.lower(): value for name, value in handler.headers.items()}, body, time.monotonic())
            )
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            script = self.script
            reply = script(body) if callable(script) else script.pop(0) if len(script) > 1 else script[0]
        try:
            self._send(handler, reply)
        finally:
            with self._lock:
                self._now -= 1

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        self._ended.wait(reply.hang)
        handler.close_connection = reply.cut or reply.hang_up or self._ended.is_set()
        if reply.hang_up or self._ended.is_set():
            return
        data = reply.data()
        try:
            handler.send_response(reply.status)
            length = str(len(data) * reply.times)
            for name, value in {"Content-Type": "application/json", "Content-Length": length, **reply.headers}.items():
                if value:
                    handler.send_header(name, value)
            handler.end_headers()
            for _ in range(reply.times - 1):
                handler.wfile.write(data)
            if not reply.drip:
                handler.wfile.write(data[: len(data) // 2] if reply.cut else data)
                return
            for place in range(len(data)):
                handler.wfile.write(data[place : place + 1])
                handler.wfile.flush()
                if self._ended.wait(reply.drip):
                    return
        except OSError:  # the client has gone
            handler.close_connection = True

    def stop(self) -> None:
        """Hear nobody any more."""
        self._ended.set()
        self._http.shutdown()
        self._http.server_close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def settings(self, model: str = "served-model", **params) -> ModelSettings:
        """Settings that lead here. Videos go as images unless told otherwise."""
        params = {"transport": "images", **params}
        return ModelSettings(
            backend="openai", model=model, params=canonical_json(params), api_base=self.base, api_key_env=KEY_NAME
        )

    def described(
        self, *, policy: RetryPolicy = QUICK, breaker: Breaker | None = None, **params
    ) -> AbstractAsyncContextManager[Backend]:
        """A backend that asks this server, and waits no longer than a moment between attempts."""
        policy = replace(policy, max_attempts=params.get("max_attempts", policy.max_attempts))
        return describe(self.settings(**params), policy=policy, breaker=breaker)

    @contextlib.asynccontextmanager
    async def engine(self, **how) -> AsyncIterator[OpenAIEngine]:
        """The same, open."""
        async with self.described(**how) as backend, backend.open() as engine:
            yield engine

    def answers(self, script: Any, *requests: Prepared, at_once: bool = True, **how) -> list[Outcome]:
        """Open a backend, then follow the script; what the requests became. `seen` has only what came after opening."""

        async def all_of_them() -> list[Outcome]:
            async with self.engine(**how) as engine:
                self.script, self.seen, self.most_at_once = script, [], 0
                if at_once:
                    return await engine.generate(requests)
                return [(await engine.generate([request]))[0] for request in requests]

        return asyncio.run(all_of_them())


def picture(frames: int = 3, seconds: float = 0.5, size: int = 32) -> MediaFrames:
    """Frames of one colour each."""
    pixels = np.stack([np.full((size, size, 3), (40 * number, 90, 200 - 40 * number), np.uint8) for number in range(frames)])
    return MediaFrames(pixels=pixels, times=tuple(number * seconds for number in range(frames)), duration=frames * seconds)


def prepared(
    text: str = "Describe it.",
    pictures: Sequence[MediaFrames] | None = None,
    parts: Sequence[Part] | None = None,
    seed: int = 7,
    **request,
) -> Prepared:
    """A request about one video, or about the parts given."""
    pictures = (picture(),) if pictures is None else tuple(pictures)
    parts = (Part("video", "clip.mp4"), Part("text", text)) if parts is None else tuple(parts)
    settings = ModelSettings(backend="openai", model="served-model")
    return Prepared(request=Request(model=settings, messages=(Message("user", parts),), **request), pictures=pictures, seed=seed)


def three(text: str = "Describe it.", **more) -> Prepared:
    """A request for three candidates."""
    return prepared(text, candidates=3, sampling=Sampling(temperature=0.8, top_p=0.9, max_tokens=40), **more)
