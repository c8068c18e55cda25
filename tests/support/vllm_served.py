"""A real vLLM server that serves the demo model."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from juicecap.vlm.backends.openai.backend import describe
from juicecap.vlm.base import ModelSettings, Outcome, Prepared, canonical_json
from juicecap.vlm.models.names import model_source

KEY = "sk-the-key-of-the-test-server"
KEY_NAME = "TEST_SERVER_KEY"
READY_WITHIN = 300


@dataclass(frozen=True)
class Served:
    """A server that is up, and where it is."""

    base: str
    process: subprocess.Popen

    def settings(self, model: str = "demo", **params) -> ModelSettings:
        """Settings that lead there."""
        return ModelSettings(
            backend="openai", model=model, params=canonical_json(params), api_base=self.base, api_key_env=KEY_NAME
        )

    def answers(self, requests: list[Prepared], **params) -> list[Outcome]:
        """What the backend makes of the requests, all at once."""

        async def all_of_them() -> list[Outcome]:
            async with describe(self.settings(**params)) as backend, backend.open() as engine:
                return await engine.generate(requests)

        return asyncio.run(all_of_them())

    def kill(self) -> None:
        """As if its machine were gone: with all its processes, and without a word."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def serving(*flags: str) -> Iterator[Served]:
    """A server that is started with these flags, until it is ready, and ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", model_source("juicecap-demo-vlm"), "--served-model-name", "demo"),
        *("--host", "127.0.0.1", "--port", str(port), "--api-key", KEY),
        *("--max-model-len", "2048", "--enforce-eager", "--dtype", "float32"),
        *("--limit-mm-per-prompt", '{"video": 4, "image": 32}'),
        *flags,
    ]
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1", **os.environ}
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        try:
            deadline = time.monotonic() + READY_WITHIN
            while not _healthy(port):
                if server.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    pytest.fail(f"the server does not start:\n{log.read().decode(errors='replace')[-5000:]}")
                time.sleep(0.5)
            yield Served(f"http://127.0.0.1:{port}/v1", server)
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
