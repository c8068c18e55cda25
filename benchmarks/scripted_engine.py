"""An engine without a model, for benchmarks of what is around it: it answers at once, or takes time and no CPU, as a GPU does."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import ModuleType

from juicecap.media.sizes import FrameSizes
from juicecap.vlm import catalog
from juicecap.vlm.base import Answer, Backend, Capabilities, ModelSettings, Outcome, Prepared
from juicecap.vlm.outcomes import answered

ANSWER = "A red ball rolls over the grass."


@dataclass
class Device:
    """What an engine runs on. It works on one call at a time."""

    seconds: float = 0.0
    """How long it takes for a candidate."""
    batch_size: int = 16
    calls: int = 2
    """How many calls keep it busy."""
    busy: float = 0.0
    """How many seconds it has worked."""


class Engine:
    """Says the same sentence for every candidate."""

    def __init__(self, device: Device) -> None:
        self.max_concurrent_calls = device.calls
        self._device, self._free = device, asyncio.Lock()

    async def generate(self, batch: Sequence[Prepared]) -> list[Outcome]:
        """Answer after the time that the device takes."""
        if seconds := self._device.seconds * sum(len(each.seeds) for each in batch):
            async with self._free:
                await asyncio.sleep(seconds)
                self._device.busy += seconds
        return [self._answer(prepared) for prepared in batch]

    def _answer(self, prepared: Prepared) -> Outcome:
        answers = [Answer(text=ANSWER, finish_reason="stop", tokens=8, seed=seed) for seed in prepared.seeds]
        return answered(prepared, answers, prompt_tokens=100, revision="scripted")


def use_the_scripted_engine(device: Device | None = None) -> None:
    """Let `hf` be the scripted engine in this process."""
    on = device or Device()

    @asynccontextmanager
    async def opened() -> AsyncIterator[Engine]:
        yield Engine(on)

    @asynccontextmanager
    async def describe(settings: ModelSettings, transport_choice: str = "") -> AsyncIterator[Backend]:
        del settings, transport_choice
        yield Backend(identity="scripted", capabilities=Capabilities(sizes=FrameSizes(), batch_size=on.batch_size), open=opened)

    module = ModuleType("scripted_backend")
    module.describe = describe
    sys.modules[module.__name__] = module
    catalog.BACKENDS["hf"] = replace(catalog.BACKENDS["hf"], describe="scripted_backend:describe", libraries=())
