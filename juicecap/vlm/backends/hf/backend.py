"""The engine that answers with transformers, and what it does where a call fails.

A batch becomes tensors on one thread and answers on another, so that the next batch is made ready while one generates; the
model is touched by the second thread only. What stands in one call is decided by the order of requests, never by arrival
(`groups`). If a call fails, its group is halved until the request that causes it stands alone, and only that one fails; a model
that answers nothing any more ends the run (`health`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
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
from juicecap.vlm.base import Capabilities, ModelSettings, Outcome, Prepared
from juicecap.vlm.outcomes import failed

T = TypeVar("T")

BATCH = 32
"""Requests that are answered together, unless the recipe sets a batch size."""


class HFBackend:
    """A `vlm.base.Backend` that generates with a model of transformers in this process."""

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._encoding = ThreadPoolExecutor(1, thread_name_prefix="juicecap-hf-inputs")
        self._generating = ThreadPoolExecutor(1, thread_name_prefix="juicecap-hf-model")
        self._known: ModelInfo | None = None
        self._loaded: LoadedModel | None = None
        self._health: Health | None = None

    async def identify(self, transport_choice: str = "") -> str:
        """Load the processor, and look at the model's files."""
        del transport_choice
        self._known = await _on(self._generating, inspect_model, self._settings)
        return ""

    async def open(self) -> None:
        """Load the model."""
        if self._known is None:
            await self.identify()
        self._loaded = await _on(self._generating, load, self._settings, self._known)
        self._health = await _on(self._encoding, Health, self._settings, self._loaded)

    async def generate(self, batch: Sequence[Prepared]) -> list[Outcome]:
        """Answer each request, in order.

        Raises:
            EnvironmentFailure: the model is broken for good.
        """
        members, refused = await _on(self._encoding, self._encoded, batch)
        outcomes = {**refused, **await _on(self._generating, self._answered, members)}
        return [outcomes[place] for place in range(len(batch))]

    async def close(self) -> None:
        """Let go of the model's memory."""
        self._encoding.shutdown()
        self._generating.shutdown()
        if self._known:
            let_go(self._known.processor)
        self._loaded = self._health = None
        _empty_cache()

    def identity(self) -> str:
        """Model, weights, dtype, template and parameters, as a digest."""
        return self._identified.identity

    def capabilities(self) -> Capabilities:
        """Batches of `BATCH`; while one generates, the next is made ready."""
        return Capabilities(
            sizes=self._identified.sizes, batch_size=BATCH, max_concurrent_calls=2, context=self._identified.context
        )

    @property
    def _identified(self) -> ModelInfo:
        assert self._known is not None, "identify() comes first"
        return self._known

    @property
    def _ready(self) -> LoadedModel:
        assert self._loaded is not None, "open() comes first"
        return self._loaded

    def _encoded(self, batch: Sequence[Prepared]) -> tuple[list[EncodedRequest], dict[int, Outcome]]:
        """The requests with their tensors; and by their places those that the processor or the model's limits refuse."""
        members, refused = [], {}
        for place, prepared in enumerate(batch):
            try:
                member = EncodedRequest(place, prepared, encode(self._ready, prepared))
                if self._ready.context:
                    self._ready.context.check_length(member.tokens, prepared.request.sampling.max_tokens)
            except SampleError as error:
                refused[place] = failed(prepared, error)
            else:
                members.append(member)
        return members, refused

    def _answered(self, members: list[EncodedRequest]) -> dict[int, Outcome]:
        """Outcomes by the requests' places. The tensors of a group are let go of once it is answered."""
        assert self._health is not None, "open() comes first"
        groups = grouped(members)
        outcomes: dict[int, Outcome] = {}
        members.clear()
        while groups:
            group = groups.pop(0)
            outcomes |= zip([member.place for member in group], self._bisect(group, self._health), strict=True)
        self._health.check(self._generate)
        return outcomes

    def _bisect(self, members: list[EncodedRequest], health: Health) -> list[Outcome]:
        try:
            with panics_as_errors():
                outcomes = self._generate(members)
        except Exception as error:  # noqa: BLE001  (a foreign model's door; torch.OutOfMemoryError among others)
            full = isinstance(error, torch.OutOfMemoryError) or short_of_memory(error)
            if not full:
                health.failed(members, error)
            if len(members) == 1:
                text = f"the model fails with {type(error).__name__}: {error}"
                code = "OUT_OF_MEMORY" if full else "GENERATE_FAILED"
                return [failed(members[0].prepared, SampleError(code, text, retryable=full))]  # others may have held the memory
        else:
            health.answered(members)
            return outcomes
        _empty_cache()  # here the error and with it the call's tensors are gone
        middle = len(members) // 2
        return self._bisect(members[:middle], health) + self._bisect(members[middle:], health)

    def _generate(self, members: list[EncodedRequest]) -> list[Outcome]:
        outcomes: list[Outcome] = answer(self._ready, members)  # untyped behind torch's decorator
        return outcomes


def _empty_cache() -> None:
    """Give memory that no tensor uses back to the GPU, as far as an error that broke it for good lets one."""
    if torch.cuda.is_available():
        with suppress(RuntimeError):
            torch.cuda.empty_cache()


async def _on(thread: ThreadPoolExecutor, work: Callable[..., T], *arguments: object) -> T:
    return await asyncio.get_running_loop().run_in_executor(thread, work, *arguments)
