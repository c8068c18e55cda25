"""An engine as versions before described it in their keys: by its folder or address, and its files' times.

Journals that they began are looked up under these keys if their own have no answer (`KeyedRequest.legacy`); how a journal shows
that, and how long it is done, is said at `Journal.has_legacy_keys`. Such keys hold where they were made: as long as the model has
its path and its files their times, large media have their times, and a server its address.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from juicecap.vlm.base import Backend, ModelSettings
from juicecap.vlm.catalog import spec_of
from juicecap.vlm.models.names import model_state


@dataclass(frozen=True)
class LegacyEngine:
    """What of an engine was part of keys: its identity, and the sizes and times of a local model's files."""

    identity: str
    model_state: str


async def legacy_engine(backend: Backend, settings: ModelSettings) -> LegacyEngine:
    """What a described engine was called then.

    Raises:
        ModelError: as `model_state`.
    """
    identity = await asyncio.to_thread(backend.legacy_identity) if backend.legacy_identity else backend.identity
    return LegacyEngine(identity, "" if spec_of(settings).is_remote else await asyncio.to_thread(model_state, settings.model))
