"""Names of backends and where they live: one alphabetical table of lazy references."""

from __future__ import annotations

from dataclasses import dataclass

from juicecap.vlm.backends.libraries import opened
from juicecap.vlm.base import Backend, ModelSettings


@dataclass(frozen=True)
class _Entry:
    module: str
    attribute: str
    libraries: tuple[str, ...]
    """What the backend's extra installs."""
    extra: str


BACKENDS: dict[str, _Entry] = {
    "hf": _Entry("juicecap.vlm.backends.hf.backend", "HFBackend", ("torch", "torchvision", "transformers", "accelerate"), "hf"),
    "openai": _Entry("juicecap.vlm.backends.openai.backend", "OpenAIBackend", ("openai",), "openai"),
    "vllm": _Entry("juicecap.vlm.backends.vllm.backend", "VLLMBackend", ("vllm", "torch", "torchvision", "transformers"), "vllm"),
}


def make_backend(settings: ModelSettings) -> Backend:
    """Import the backend and give it its settings; nothing is loaded yet.

    Raises:
        MissingLibrary: the backend's libraries are not installed.
        EnvironmentFailure: they cannot be opened.
    """
    entry = BACKENDS[settings.backend]
    module = opened(entry.module, entry.libraries, entry.extra)
    backend: Backend = getattr(module, entry.attribute)(settings)
    return backend
