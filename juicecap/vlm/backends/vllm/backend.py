"""Answering requests with vLLM's asynchronous engine: each by itself, all candidates of one request together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from juicecap.errors import SampleError
from juicecap.vlm.backends.transformers_common.prompt import let_go
from juicecap.vlm.backends.vllm.engine import Engine
from juicecap.vlm.backends.vllm.engine_config import EngineConfig, make_plan
from juicecap.vlm.backends.vllm.engine_pool import EnginePool
from juicecap.vlm.backends.vllm.inputs import answers_of, prompt_of, sampling_of
from juicecap.vlm.base import Capabilities, ModelSettings, Outcome, Prepared
from juicecap.vlm.outcomes import answered, failed

AHEAD = 1.5
"""Requests under way for each sequence that the engines work on: some are being read while others are answered."""


class VLLMBackend:
    """A `vlm.base.Backend` over vLLM's engines, one for each GPU."""

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._plan: EngineConfig | None = None
        self._fleet: EnginePool | None = None
        self._slots = 0

    async def identify(self, transport_choice: str = "") -> str:
        """Plan what is going to be loaded."""
        del transport_choice
        self._plan = await asyncio.to_thread(make_plan, self._settings)
        return ""

    async def open(self) -> None:
        """Start the engines."""
        if self._plan is None:
            await self.identify()
        self._fleet = EnginePool(self._start, len(self._ready.variables))
        try:
            self._slots = await self._fleet.open()
        except BaseException:
            await self._fleet.close()
            raise

    def identity(self) -> str:
        """Model, weights, dtype, template and parameters, as a digest."""
        return self._ready.identity

    def capabilities(self) -> Capabilities:
        """So many requests that no engine waits for one."""
        together = self._ready.together
        calls = max(1, int(AHEAD * self._slots) // together)
        return Capabilities(sizes=self._ready.sizes, batch_size=together, max_concurrent_calls=calls, context=self._ready.context)

    async def generate(self, batch: Sequence[Prepared]) -> list[Outcome]:
        """Answer each request, in order."""
        return list(await asyncio.gather(*(self._answer(prepared) for prepared in batch)))

    async def close(self) -> None:
        """End the engines' processes."""
        if self._fleet:
            await self._fleet.close()
        if self._plan:
            let_go(self._plan.processor)

    @property
    def _ready(self) -> EngineConfig:
        assert self._plan is not None, "identify() comes first"
        return self._plan

    async def _start(self, number: int) -> Engine:
        return await Engine.start(self._ready.arguments, self._ready.variables[number], self._ready.context)

    async def _answer(self, prepared: Prepared) -> Outcome:
        assert self._fleet is not None, "open() comes first"
        try:
            prompt, sampling = prompt_of(self._ready.processor, self._ready.sizes, prepared), sampling_of(prepared)
            output = await self._fleet.ask(lambda engine: engine.ask(prompt, sampling))
        except SampleError as error:
            return failed(prepared, error)
        return answered(
            prepared,
            answers_of(prepared, output),
            prompt_tokens=len(output.prompt_token_ids or ()),
            revision=self._ready.revision,
        )
