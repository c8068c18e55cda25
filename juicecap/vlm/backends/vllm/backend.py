"""Answering requests with vLLM's asynchronous engine: each by itself, all candidates of one request together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from juicecap.errors import SampleError
from juicecap.vlm.backends.transformers_common.marks import special_marks
from juicecap.vlm.backends.transformers_common.prompt import let_go
from juicecap.vlm.backends.vllm.engine_config import EngineConfig, make_config
from juicecap.vlm.backends.vllm.engine_pool import EnginePool
from juicecap.vlm.backends.vllm.engine_process import EngineProcess
from juicecap.vlm.backends.vllm.inputs import answers_of, prompt_of, sampling_of
from juicecap.vlm.base import Backend, Capabilities, ModelSettings, Outcome, Prepared
from juicecap.vlm.outcomes import answered, failed
from juicecap.vlm.reasoning import opens_thought

AHEAD = 1.5
"""Requests under way for each sequence that the engines work on: some are being read while others are answered."""


@asynccontextmanager
async def describe(settings: ModelSettings, transport_choice: str = "") -> AsyncIterator[Backend]:
    """Plan what is going to be loaded (`vlm.base.Describe`)."""
    del transport_choice
    config = await asyncio.to_thread(make_config, settings)
    capabilities = Capabilities(sizes=config.sizes, batch_size=config.together, context=config.context)
    try:
        yield Backend(
            identity=config.identity,
            facts=config.facts,
            legacy_identity=config.legacy_identity,
            capabilities=capabilities,
            open=partial(_open, config),
        )
    finally:
        let_go(config.processor)


@asynccontextmanager
async def _open(config: EngineConfig) -> AsyncIterator[VLLMEngine]:
    """Start the engines' processes, which end on leaving."""

    async def start(number: int) -> EngineProcess:
        return await EngineProcess.start(config.arguments, config.variables[number], config.context)

    pool = EnginePool(start, len(config.variables))
    try:
        yield VLLMEngine(config, pool, await pool.open())
    finally:
        await pool.close()


class VLLMEngine:
    """All engines of one model (`vlm.base.Engine`); `sequences` is how many requests they work on at once, all together."""

    def __init__(self, config: EngineConfig, pool: EnginePool, sequences: int) -> None:
        self._config, self._pool = config, pool
        self.max_concurrent_calls = max(1, int(AHEAD * sequences) // config.together)
        """As many as it takes for no engine to wait for a request."""

    async def generate(self, batch: Sequence[Prepared]) -> list[Outcome]:
        """Answer each request, in order."""
        return list(await asyncio.gather(*map(self._answer, batch)))

    async def _answer(self, prepared: Prepared) -> Outcome:
        config = self._config
        try:
            prompt = prompt_of(config.processor, config.sizes, prepared)
            sampling = sampling_of(prepared, keep_special=bool(special_marks(config.processor.tokenizer)))
            output = await self._pool.ask(lambda engine: engine.ask(prompt, sampling))
        except SampleError as error:
            return failed(prepared, error)
        tokens = len(output.prompt_token_ids or ())
        answers, opened = answers_of(prepared, output), opens_thought(prompt["prompt"])
        return answered(prepared, answers, prompt_tokens=tokens, revision=config.revision, opened=opened)
