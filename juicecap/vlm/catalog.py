"""Names of backends and where they live: one alphabetical table of lazy references."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from juicecap.errors import MissingLibrary
from juicecap.vlm.base import Backend, ModelSettings


@dataclass(frozen=True)
class _Entry:
    module: str
    attribute: str
    libraries: tuple[str, ...]
    """What the backend's extra installs; another missing module is a bug, not a missing extra."""
    extra: str


BACKENDS: dict[str, _Entry] = {
    "hf": _Entry("juicecap.vlm.hf.backend", "HFBackend", ("torch", "torchvision", "transformers", "accelerate"), "hf"),
    "openai": _Entry("juicecap.vlm.openai.backend", "OpenAIBackend", ("openai",), "openai"),
    "vllm": _Entry("juicecap.vlm.vllm.backend", "VLLMBackend", ("vllm", "torch", "torchvision", "transformers"), "vllm"),
}


def make_backend(settings: ModelSettings) -> Backend:
    """Import the backend and give it its settings; nothing is loaded yet.

    Raises:
        MissingLibrary: the backend's libraries are not installed.
    """
    entry = BACKENDS[settings.backend]
    try:
        module = importlib.import_module(entry.module)
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in entry.libraries:
            raise MissingLibrary(error.name.partition(".")[0], entry.extra) from error
        raise
    backend: Backend = getattr(module, entry.attribute)(settings)
    return backend
