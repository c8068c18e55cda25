"""Engines on the demo model, shared by tests since each takes half a minute to start."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import pytest

from juicecap.media.load import load_frames
from juicecap.media.sampling import FrameSampling
from juicecap.vlm.base import Backend, Message, ModelSettings, Outcome, Part, Prepared, Request, Sampling

DEMO = "juicecap-demo-vlm"
PROMPT = "\nDescribe the input video in 1-2 sentences.\n"


class Running:
    """A backend on an event loop of its own, in a thread that is not the main one, as in the core."""

    def __init__(self, backend: Backend) -> None:
        self.backend: Any = backend
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.begin(work).result(120)

    def begin(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def answers(self, batch: Sequence[Prepared]) -> list[Outcome]:
        """Each request by itself, all at once, as the core asks."""
        return self.do(self.answering(batch))

    async def answering(self, batch: Sequence[Prepared]) -> list[Outcome]:
        return [outcome for (outcome,) in await asyncio.gather(*(self.backend.generate([each]) for each in batch))]

    def processes(self) -> list[Any]:
        """The engines' processes, in the order of the engines."""
        import psutil  # comes with vLLM

        berths = self.backend._fleet._berths
        return [psutil.Process(berth.engine._llm.engine_core.resources.engine_manager.processes[0].pid) for berth in berths]


def backend(**params: Any) -> Backend:
    from juicecap.vlm.backends.vllm.backend import VLLMBackend

    return VLLMBackend(ModelSettings(backend="vllm", model=DEMO, params=json.dumps(params)))


def opened(made: Backend) -> Iterator[Running]:
    running = Running(made)
    running.do(made.open())
    try:
        yield running
    finally:
        running.do(made.close())
        running.loop.call_soon_threadsafe(running.loop.stop)


@pytest.fixture(scope="session")
def engine() -> Iterator[Running]:
    yield from opened(backend())


@pytest.fixture(scope="session")
def two_frail_engines() -> Iterator[Running]:
    """They read prompts in parts of 256 tokens, and on a CPU each seeded request that is longer than that kills one for real."""
    yield from opened(backend(data_parallel_size=2, enable_chunked_prefill=True, max_num_batched_tokens=256, max_num_seqs=16))


@pytest.fixture(scope="session")
def hf() -> Iterator[Running]:
    from juicecap.vlm.backends.hf.backend import HFBackend

    yield from opened(HFBackend(ModelSettings(model=DEMO)))


@pytest.fixture
def prepared(engine: Running) -> Callable[..., Prepared]:
    """A request that is ready for any backend: `prepared("a.mp4", "b.png", text="What is this?", seed=3, temperature=1.0)`.

    What is no parameter of `made` is for `Sampling`.
    """

    def made(
        *parts: str, seed: int = 7, candidates: int = 1, frames: FrameSampling | None = None, text: str = PROMPT, **sampling: Any
    ) -> Prepared:
        media = [Part("image" if path.endswith(".png") else "video", path) for path in parts]
        request = Request(
            model=ModelSettings(backend="vllm", model=DEMO),
            messages=(Message("user", (*media, Part("text", text))),),
            frames=frames or FrameSampling(),
            sampling=Sampling(**sampling),
            candidates=candidates,
        )
        sizes = engine.backend.capabilities().sizes
        pictures = tuple(load_frames(part.kind, part.value, request.frames, sizes) for part in media)
        return Prepared(request=request, pictures=pictures, seed=seed)

    return made
