"""The engine that answers with transformers, and what it does where a call fails.

A batch becomes tensors on one thread and answers on another, so that the next batch is made ready while one generates; the
model is touched by the second thread only. What stands in one call is decided by the order of requests, never by arrival
(`groups`). If a call fails, its group is halved until the request that causes it stands alone, and only that one fails; a model
that answers nothing any more ends the run (`health`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

import torch

from juicecap.errors import SampleError, short_of_memory
from juicecap.vlm.backends.hf.generate import answer
from juicecap.vlm.backends.hf.groups import EncodedRequest, grouped
from juicecap.vlm.backends.hf.health import Health
from juicecap.vlm.backends.hf.inputs import encode
from juicecap.vlm.backends.hf.load import LoadedModel, ModelInfo, inspect_model, load
from juicecap.vlm.backends.transformers_common.processor import panics_as_errors
from juicecap.vlm.backends.transformers_common.prompt import let_go
from juicecap.vlm.base import Backend, Capabilities, ModelSettings, Outcome, Prepared
from juicecap.vlm.outcomes import failed

T = TypeVar("T")

BATCH = 32
"""Requests that are answered together, unless the recipe sets a batch size."""


@asynccontextmanager
async def describe(settings: ModelSettings, transport_choice: str = "") -> AsyncIterator[Backend]:
    """Load the processor, and look at the model's files (`vlm.base.Describe`)."""
    del transport_choice
    info = await asyncio.to_thread(inspect_model, settings)
    capabilities = Capabilities(sizes=info.sizes, batch_size=BATCH, context=info.context)
    try:
        yield Backend(
            identity=info.identity,
            facts=info.facts,
            legacy_identity=info.legacy_identity,
            capabilities=capabilities,
            open=partial(_open, settings, info),
        )
    finally:
        let_go(info.processor)


@asynccontextmanager
async def _open(settings: ModelSettings, info: ModelInfo) -> AsyncIterator[HFEngine]:
    """Load the model. Its memory is free again afterwards, whoever still holds the engine."""
    with (
        ThreadPoolExecutor(1, thread_name_prefix="juicecap-hf-inputs") as encoding,
        ThreadPoolExecutor(1, thread_name_prefix="juicecap-hf-model") as generating,
    ):
        engine = await _on(generating, HFEngine, settings, info, encoding, generating)
        try:
            yield engine
        finally:
            encoding.shutdown()
            generating.shutdown()
            engine.release()


class HFEngine:
    """A model in this process (`vlm.base.Engine`)."""

    max_concurrent_calls = 2
    """While one generates, the next is made ready."""

    def __init__(
        self, settings: ModelSettings, info: ModelInfo, encoding: ThreadPoolExecutor, generating: ThreadPoolExecutor
    ) -> None:
        self._encoding, self._generating = encoding, generating
        self._loaded: LoadedModel = load(settings, info)
        self._health = Health(settings, self._loaded)

    async def generate(self, batch: Sequence[Prepared]) -> list[Outcome]:
        """Answer each request, in order.

        Raises:
            EnvironmentFailure: the model is broken for good.
        """
        members, refused = await _on(self._encoding, self._encoded, batch)
        outcomes = {**refused, **await _on(self._generating, self._answered, members)}
        return [outcomes[place] for place in range(len(batch))]

    def release(self) -> None:
        """Let go of the model's memory; nothing can be asked any more."""
        del self._loaded, self._health
        _empty_cache()

    def _encoded(self, batch: Sequence[Prepared]) -> tuple[list[EncodedRequest], dict[int, Outcome]]:
        """The requests with their tensors; and by their places those that the processor or the model's limits refuse."""
        members, refused = [], {}
        for place, prepared in enumerate(batch):
            try:
                member = EncodedRequest(place, prepared, encode(self._loaded, prepared))
                if self._loaded.context:
                    self._loaded.context.check_length(member.tokens, prepared.request.sampling.max_tokens)
            except SampleError as error:
                refused[place] = failed(prepared, error)
            else:
                members.append(member)
        return members, refused

    def _answered(self, members: list[EncodedRequest]) -> dict[int, Outcome]:
        """Outcomes by the requests' places. The tensors of a group are let go of once it is answered."""
        groups = grouped(members)
        outcomes: dict[int, Outcome] = {}
        members.clear()
        while groups:
            group = groups.pop(0)
            outcomes |= zip([member.place for member in group], self._bisect(group), strict=True)
        self._health.check(self._generate)
        return outcomes

    def _bisect(self, members: list[EncodedRequest]) -> list[Outcome]:
        try:
            with panics_as_errors():
                outcomes = self._generate(members)
        except Exception as error:  # noqa: BLE001  (a foreign model's door; torch.OutOfMemoryError among others)
            full = isinstance(error, torch.OutOfMemoryError) or short_of_memory(error)
            if not full:
                self._health.failed(members, error)
            if len(members) == 1:
                text = f"the model fails with {type(error).__name__}: {error}"
                code = "OUT_OF_MEMORY" if full else "GENERATE_FAILED"
                return [failed(members[0].prepared, SampleError(code, text, retryable=full))]  # others may have held the memory
        else:
            self._health.answered(members)
            return outcomes
        _empty_cache()  # here the error and with it the call's tensors are gone
        middle = len(members) // 2
        return self._bisect(members[:middle]) + self._bisect(members[middle:])

    def _generate(self, members: list[EncodedRequest]) -> list[Outcome]:
        outcomes: list[Outcome] = answer(self._loaded, members)  # untyped behind torch's decorator
        return outcomes


def _empty_cache() -> None:
    """Give memory that no tensor uses back to the GPU, as far as an error that broke it for good lets one."""
    if torch.cuda.is_available():
        with suppress(RuntimeError):
            torch.cuda.empty_cache()


async def _on(thread: ThreadPoolExecutor, work: Callable[..., T], *arguments: object) -> T:
    return await asyncio.get_running_loop().run_in_executor(thread, work, *arguments)
