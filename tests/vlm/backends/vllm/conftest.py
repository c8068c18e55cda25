"""Engines on the demo model, shared by tests since each takes half a minute to start."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from running import Running, running

from juicecap.media.load import load_frames
from juicecap.media.sampling import FrameSampling
from juicecap.vlm.base import Backend, Message, ModelSettings, Part, Prepared, Request, Sampling

DEMO = "juicecap-demo-vlm"
PROMPT = "\nDescribe the input video in 1-2 sentences.\n"


def described(**params: Any) -> AbstractAsyncContextManager[Backend]:
    from juicecap.vlm.backends.vllm.backend import describe

    return describe(ModelSettings(backend="vllm", model=DEMO, params=json.dumps(params)))


def processes(running: Running) -> list[Any]:
    """The engines' processes, in the order of the engines."""
    import psutil  # comes with vLLM

    slots = running.engine._pool._berths
    return [psutil.Process(slot.engine._llm.engine_core.resources.engine_manager.processes[0].pid) for slot in slots]


@pytest.fixture(scope="session")
def engine() -> Iterator[Running]:
    with running(described()) as held:
        yield held


@pytest.fixture(scope="session")
def two_frail_engines() -> Iterator[Running]:
    """They read prompts in parts of 256 tokens, and on a CPU each seeded request that is longer than that kills one for real."""
    params = {"data_parallel_size": 2, "enable_chunked_prefill": True, "max_num_batched_tokens": 256, "max_num_seqs": 16}
    with running(described(**params)) as held:
        yield held


@pytest.fixture(scope="session")
def hf() -> Iterator[Running]:
    from juicecap.vlm.backends.hf.backend import describe

    with running(describe(ModelSettings(model=DEMO))) as held:
        yield held


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
        sizes = engine.backend.capabilities.sizes
        pictures = tuple(load_frames(part.kind, part.value, request.frames, sizes) for part in media)
        return Prepared(request=request, pictures=pictures, seed=seed)

    return made
