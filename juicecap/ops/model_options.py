"""The parameters that every op which asks a vision-language model takes, and how they become a `Request`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from jsonargparse.typing import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from juicecap.media.sampling import FrameSampling
from juicecap.vlm.base import Message, ModelSettings, Request, Sampling, canonical_json
from juicecap.vlm.catalog import BACKENDS
from juicecap.vlm.models import model_state
from juicecap.vlm.sampling_params import parse_sampling


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model, how it samples tokens and how it sees a video. Mixed into ops; the fields are recipe parameters."""

    asks_model: ClassVar[bool] = True

    hf_model: str = "Qwen/Qwen3-VL-8B-Instruct"
    """Hub id or local folder of the model, or juicecap-demo-vlm for the bundled demonstration model."""
    backend: Literal["hf", "vllm", "openai"] = "hf"
    """What runs the model: Hugging Face transformers, vLLM, or an OpenAI-compatible server."""
    enable_vllm: bool = False
    """The same as backend: vllm."""
    model_params: dict[str, Any] | None = field(default=None, hash=False)
    """Passed to from_pretrained or to the engine as they are, such as dtype or revision."""
    sampling_params: dict[str, Any] | None = field(default=None, hash=False)
    """How tokens are drawn: temperature, top_p, top_k, min_p, max_tokens, repetition_penalty, presence_penalty, stop."""
    fps: PositiveFloat = 2.0
    """Frames taken per second of video."""
    num_frames: PositiveInt | None = None
    """Frames taken from each video, evenly spaced; null: as many as fps gives."""
    min_frames: PositiveInt = 4
    """Fewest frames taken by fps, if the video has as many."""
    max_frames: PositiveInt = 768
    """Most frames taken by fps."""
    start: NonNegativeFloat | None = None
    """Second from which frames are taken; null: from the first frame."""
    end: PositiveFloat | None = None
    """Second up to which frames are taken; null: to the last frame."""
    min_pixels: PositiveInt | None = None
    """Smaller frames are enlarged to this many pixels; null: as the model's processor does."""
    max_pixels: PositiveInt | None = None
    """Larger frames are reduced to this many pixels; null: as the model's processor does."""
    seed: NonNegativeInt = 0
    """Seed of everything that is drawn."""

    def model_problems(self, candidates: int) -> list[tuple[str, str]]:
        """What contradicts itself in these parameters, as (parameter, sentence) pairs."""
        found = [("sampling_params", sentence) for sentence in parse_sampling(self.sampling_params, candidates)[1]]
        if not self.hf_model.strip():
            found.append(("hf_model", "hf_model is empty: name a model"))
        if self.enable_vllm and self.backend == "openai":
            found.append(("enable_vllm", "enable_vllm is true and backend is openai: choose one"))
        elif self._backend() not in BACKENDS:
            where = "enable_vllm" if self.enable_vllm else "backend"
            found.append((where, f"backend {self._backend()!r} is not there yet; the backends are {', '.join(BACKENDS)}"))
        if not _is_plain_data(self.model_params):
            found.append(("model_params", "model_params must be plain values, as a recipe can hold them (dtype: bfloat16)"))
        return found + self.frame_sampling().problems()

    def model_state(self) -> str:
        """What `Op.outside_state` says for an op that asks this model."""
        return model_state(self.hf_model)

    def frame_sampling(self) -> FrameSampling:
        """How frames are sampled."""
        return FrameSampling(
            fps=float(self.fps),  # 2 and 2.0 are one question
            num_frames=self.num_frames,
            min_frames=self.min_frames,
            max_frames=self.max_frames,
            start=self.start,
            end=self.end,
            min_pixels=self.min_pixels,
            max_pixels=self.max_pixels,
        )

    def token_sampling(self, candidates: int) -> Sampling:
        """How tokens are drawn."""
        return parse_sampling(self.sampling_params, candidates)[0]

    def question(self, messages: Iterable[Message], candidates: int) -> Request:
        """A request with these parameters."""
        return Request(
            model=ModelSettings(
                backend=self._backend(), model=self.hf_model, params=canonical_json(dict(self.model_params or {}))
            ),
            messages=tuple(messages),
            frames=self.frame_sampling(),
            sampling=self.token_sampling(candidates),
            candidates=candidates,
            seed=self.seed,
        )

    def _backend(self) -> str:
        return "vllm" if self.enable_vllm else self.backend


def _is_plain_data(params: dict[str, Any] | None) -> bool:
    try:
        canonical_json(params)
    except (TypeError, ValueError):
        return False
    return True
