"""Stand-ins: small clips with what is true of them, and a backend without a model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from juicecap.media.sizes import FrameSizes, PixelBudget
from juicecap.media.workers import pool
from juicecap.vlm import catalog
from juicecap.vlm.base import Answer, Backend, Capabilities, Describe, Engine, Failure, ModelSettings, Outcome, Prepared
from juicecap.vlm.pipeline import core

SIXTEEN = PixelBudget(factor=16, shortest=256, longest=256)
"""Frames of 16x16 pixels, if they are square."""


@dataclass(frozen=True)
class Clips:
    """Clips of 64x64 pixels, 24 frames, 12 frames per second: their paths, and what is true of them."""

    folder: Path
    paths: list[str]
    captions: list[str]
    details: list[str]

    def text(self, *numbers: int) -> str:
        """One chunk with the captions of these clips."""
        return "".join(f"<__dj__video> {self.captions[number]} " for number in numbers) + "<|__dj__eoc|>"


def prompt_of(prepared: Prepared) -> str:
    """The last text of a request."""
    return [part.value for message in prepared.request.messages for part in message.parts if part.kind == "text"][-1]


@dataclass
class Script:
    """A backend without a model: answers with what its request shows, and notes what it is asked.

    A request whose text part is a key of `answers` gets those (an exception there is raised); one whose text is a key of
    `gates` is answered once that is set; `trouble`, if set, is raised by the next `open`.
    """

    answers: dict[str, Sequence[str] | Failure | BaseException] = field(default_factory=dict)
    trouble: BaseException | None = None
    choose: Callable[[str], str] = lambda before: ""
    """The choice that a backend comes to, which may depend on the one of before."""
    legacy_identity: Callable[[ModelSettings], str] | None = None
    """What versions before called the engine."""
    described: list[ModelSettings] = field(default_factory=list)
    opened: list[ModelSettings] = field(default_factory=list)
    closed: list[ModelSettings] = field(default_factory=list)
    batches: list[list[Prepared]] = field(default_factory=list)
    model: str = ""
    together: int = 16
    calls: int = 1
    takes_files: bool = False
    sizes: FrameSizes = field(default_factory=lambda: FrameSizes(video=SIXTEEN, image=SIXTEEN))
    gates: dict[str, threading.Event] = field(default_factory=dict)
    delay: Callable[[], float] | None = None
    """Seconds that the next call takes."""
    opens_in: float = 0.0
    """Seconds that opening the engine takes."""
    under_way: int = 0
    most_under_way: int = 0

    def answer(self, prepared: Prepared) -> Outcome:
        """What the backend says to one request."""
        asked = prompt_of(prepared)
        texts = self.answers.get(asked, [f"{asked} {number}" for number in range(prepared.request.candidates)])
        if isinstance(texts, BaseException):
            raise texts
        if isinstance(texts, Failure):
            return Outcome(failure=texts, seed=prepared.seed)
        answers = tuple(
            Answer(text=text, finish_reason="stop", tokens=1, seed=prepared.seed + index) for index, text in enumerate(texts)
        )
        return Outcome(answers=answers[prepared.first :], seed=prepared.seed, prompt_tokens=5, revision="scripted")


def describe_of(known: Script) -> Describe:
    """How a backend describes itself that does what the script says."""

    @asynccontextmanager
    async def describe(settings: ModelSettings, transport_choice: str = "") -> AsyncIterator[Backend]:
        known.described.append(settings)
        yield Backend(
            identity=settings.model.partition("-")[0],
            capabilities=Capabilities(sizes=known.sizes, batch_size=known.together, takes_files=known.takes_files),
            open=partial(opened, settings),
            transport_choice=known.choose(transport_choice),
            legacy_identity=partial(known.legacy_identity, settings) if known.legacy_identity else None,
        )

    @asynccontextmanager
    async def opened(settings: ModelSettings) -> AsyncIterator[Engine]:
        trouble, known.trouble = known.trouble, None
        if trouble:
            raise trouble
        await asyncio.sleep(known.opens_in)
        known.opened.append(settings)
        yield ScriptedEngine()
        known.closed.append(settings)

    class ScriptedEngine:
        @property
        def max_concurrent_calls(self) -> int:
            return known.calls

        async def generate(self, batch: Sequence[Prepared]) -> list[Outcome]:
            known.batches.append(list(batch))
            known.under_way += 1
            known.most_under_way = max(known.most_under_way, known.under_way)
            try:
                for gate in [known.gates[text] for text in map(prompt_of, batch) if text in known.gates]:
                    assert await asyncio.to_thread(gate.wait, 30)
                if known.delay:
                    await asyncio.sleep(known.delay())
                return [known.answer(each) for each in batch]
            finally:
                known.under_way -= 1

    return describe


def counted_decoding(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of media that are decoded from now on."""
    decoded: list[str] = []
    real = pool.DecodePool.picture

    async def picture(self: pool.DecodePool, kind: str, path: str, *rest: Any) -> Any:
        decoded.append(path)
        return await real(self, kind, path, *rest)

    monkeypatch.setattr(pool.DecodePool, "picture", picture)
    return decoded


def stands_in_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """All backends are the one that the fixture `script` knows, whatever model a recipe names."""
    core.close()
    spec = {"describe": "scripted_backend:describe", "libraries": (), "tries_first": False}
    for name in ("hf", "openai", "vllm"):
        monkeypatch.setitem(catalog.BACKENDS, name, replace(catalog.BACKENDS[name], **spec))
