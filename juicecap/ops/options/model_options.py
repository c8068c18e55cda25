"""The parameters of every op that uses a vision-language model, and how they become a `Request`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from jsonargparse.typing import PositiveFloat

from juicecap.errors import SampleError
from juicecap.media.sampling import FrameSampling
from juicecap.ops.options import dataflow_aliases as serving_names
from juicecap.ops.options.groups import FRAMES, LIMITS, MODEL
from juicecap.ops.options.media_options import MediaOptions
from juicecap.ops.options.numbers import Cores, Enlarged, FrameRate, Frames, Megabytes, Moment, Pixels, Requests, Seconds, Seed
from juicecap.ops.options.run_options import IGNORED, RUN_ONLY
from juicecap.sample import LONGEST_TEXT, short_repr
from juicecap.text import valid
from juicecap.vlm import catalog, model_params
from juicecap.vlm import sampling_params as sampling
from juicecap.vlm.base import TEMPLATE_KWARGS, Limits, Message, ModelSettings, Part, Request, Sampling, canonical_json
from juicecap.vlm.models.names import model_state
from juicecap.vlm.sampling_params import parse_sampling

if TYPE_CHECKING:
    BackendName = str
else:
    BackendName = Literal[catalog.names()]

_ENABLED = "vllm"
"""The backend that `enable_vllm` selects."""


@dataclass(frozen=True, kw_only=True)
class ModelOptions(MediaOptions):
    """Which model, how it samples tokens and how it sees a video. Mixed into ops; the fields are recipe parameters."""

    hf_model: str = field(
        default="Qwen/Qwen3-VL-8B-Instruct", metadata={**MODEL, "aliases": ["hf_model_name_or_path", "model_name"]}
    )
    """Hub id or local folder of the model, or juicecap-demo-vlm for the bundled demonstration model."""
    backend: BackendName = field(default="hf", metadata=MODEL)
    """What runs the model: Hugging Face transformers, vLLM, or an OpenAI-compatible server."""
    sampling_params: dict[str, Any] | None = field(
        default=None,
        hash=False,
        metadata={
            **MODEL,
            "parts": serving_names.SAMPLING_PARTS,
            "entries": sampling.JSON_TYPES,
            "whole": sampling.WHOLE,
        },
    )
    """How tokens are drawn: temperature, top_p, top_k, min_p, max_tokens, repetition_penalty, presence_penalty, stop, seed."""
    api_base: str | list[str] | None = field(default=None, hash=False, metadata={**MODEL, "aliases": ["api_url"]})
    """Address of the server, or a list of servers of the same model, for backend: openai; null: OpenAI's own."""
    api_key_env: str | None = field(default=None, metadata={**MODEL, "aliases": ["key_name_of_api_key"]})
    """Name of the environment variable that holds the server's key; null: OPENAI_API_KEY, if it is set."""
    model_params: dict[str, Any] | None = field(default=None, hash=False, metadata={**MODEL, "parts": serving_names.MODEL_PARTS})
    """Passed to from_pretrained or to the engine as they are, such as dtype or tensor_parallel_size."""
    seed: Seed = field(default=0, metadata=MODEL)
    """Seed of everything that is drawn."""
    enable_vllm: bool = field(default=False, metadata=MODEL)
    """The same as backend: vllm."""
    fps: FrameRate = field(default=2.0, metadata=FRAMES)
    """Frames taken per second of video."""
    num_frames: Frames | None = field(default=None, metadata=FRAMES)
    """Frames taken from each video, evenly spaced; null: as many as fps gives."""
    max_frames: Frames = field(default=768, metadata=FRAMES)
    """Most frames taken by fps."""
    min_frames: Frames = field(default=4, metadata=FRAMES)
    """Fewest frames taken by fps, if the video has as many."""
    max_pixels: Pixels | Literal["none"] | None = field(default=None, metadata=FRAMES)
    """Larger pictures are reduced to this many pixels; null: as the model's processor does (1048576 if unknown); none: never."""
    min_pixels: Enlarged | None = field(default=None, metadata=FRAMES)
    """Smaller frames are enlarged to this many pixels; null: as the model's processor does."""
    start: Moment | None = field(default=None, metadata=FRAMES)
    """Second from which frames are taken; null: from the first frame."""
    end: PositiveFloat | None = field(default=None, metadata=FRAMES)
    """Second up to which frames are taken; null or .inf: to the last frame."""
    decode_seconds: Seconds = field(default=300.0, metadata={**RUN_ONLY, **LIMITS})
    """CPU seconds that reading one video may take, by the clock ten times as many; .inf: no limit."""
    decode_memory_mb: Megabytes = field(default=4096, metadata={**RUN_ONLY, **LIMITS})
    """Megabytes of memory that reading one medium may take, besides the frames that are taken."""
    max_in_flight: Requests | None = field(default=None, metadata={**RUN_ONLY, "aliases": ["max_workers"]})
    """Requests at the engine (at each server) at once; null: as many as keep it busy. The output does not depend on it."""
    decode_workers: Cores | None = field(default=None, metadata=RUN_ONLY)
    """Processes that decode videos; null: one for each core. The output does not depend on it."""
    frame_memory_mb: Megabytes | None = field(default=None, metadata=RUN_ONLY)
    """Megabytes of decoded frames in memory at once; null: an eighth of the machine's memory."""

    ignored_parameters: ClassVar[Mapping[str, str]] = {**IGNORED, **serving_names.IGNORED}

    def candidates(self) -> int:
        """How many answers each request of the op gets."""
        return 1

    def shared_problems(self) -> list[tuple[str, str]]:
        """What contradicts itself in these parameters, as (parameter, sentence) pairs."""
        found = []
        if not self.hf_model.strip():
            found.append(("hf_model", "hf_model is empty: name a model"))
        if self.enable_vllm and self.backend not in (_ENABLED, type(self).backend):
            found.append(("enable_vllm", f"enable_vllm is true and backend is {self.backend}: choose one"))
        found += self._server_problems() + self._sampling_problems(self.candidates())
        if not _is_plain_data(self.model_params):
            found.append(("model_params", "model_params must be plain values, as a recipe can hold them (dtype: bfloat16)"))
        else:
            told = model_params.problems(self._backend(), self.model_params or {})
            found += [("model_params", f"model_params: {sentence}") for sentence in told]
        return found + self.frame_sampling().problems()

    def _sampling_problems(self, candidates: int) -> list[tuple[str, str]]:
        sampling, sentences = parse_sampling(self.sampling_params, candidates)
        if not sentences:
            sentences = [f"sampling_params: {lack}" for lack in self._spec().sampling_problems(self._backend(), sampling)]
        own = (self.sampling_params or {}).get("seed")
        if not sentences and own is not None and self.seed not in (0, own):
            sentences = [f"sampling_params: seed is {own} and the op's seed is {self.seed}: set one of them"]
        return [("sampling_params", sentence) for sentence in sentences]

    def _server_problems(self) -> list[tuple[str, str]]:
        found = [
            (name, f"{name} is for backend: openai, and the backend is {self._backend()}")
            for name in ("api_base", "api_key_env")
            if getattr(self, name) is not None and not self._spec().is_remote
        ]
        found += [("api_base", sentence) for sentence in self._address_problems()]
        if self.api_key_env is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.api_key_env):
            found.append(("api_key_env", "api_key_env must be the name of an environment variable, not the key itself"))
        return found

    def _address_problems(self) -> list[str]:
        if self.api_base == []:
            return ["api_base is an empty list: name a server, or leave it out"]
        wrong = [each for each in self._addresses() if not isinstance(each, str) or not re.fullmatch(r"https?://[^\s/].*", each)]
        return [f"api_base must be an address such as http://localhost:8000/v1, not {each!r}" for each in wrong]

    def _addresses(self) -> tuple[str, ...]:
        if self.api_base is None:
            return ()
        return (self.api_base,) if isinstance(self.api_base, str) else tuple(self.api_base)

    def key_name(self) -> str:
        """The variable that holds the server's key; empty: the backend's default."""
        return self.api_key_env or ""

    def external_fingerprint(self) -> str:
        """The state of a local model's files, so that a step is not reused after its model was replaced."""
        return "" if self._spec().is_remote else model_state(self.hf_model)

    def engines(self) -> Sequence[ModelSettings]:
        """The one engine that these settings name."""
        return (self._model(),)

    def max_tokens(self) -> int:
        """Of `sampling_params`."""
        return self.token_sampling(1).max_tokens

    def limits(self, batch_size: int | None = None) -> Limits:
        """The limits that these settings set."""
        return Limits(
            batch_size=batch_size,
            in_flight=self.max_in_flight,
            frame_bytes=self.frame_memory_mb and self.frame_memory_mb * 2**20,
            workers=self.decode_workers,
            decode_seconds=self.decode_seconds,
            decode_bytes=self.decode_memory_mb << 20,
            media=self.media_rules(),
        )

    def frame_sampling(self) -> FrameSampling:
        """How frames are sampled."""
        return FrameSampling(
            fps=float(self.fps),  # 2 and 2.0 are the same request
            num_frames=self.num_frames,
            min_frames=self.min_frames,
            max_frames=self.max_frames,
            start=self.start,
            end=self.end,
            min_pixels=self.min_pixels,
            max_pixels=self.max_pixels,
            picture_fps=float(self.picture_fps),
        )

    def token_sampling(self, candidates: int) -> Sampling:
        """How tokens are drawn."""
        return parse_sampling(self.sampling_params, candidates)[0]

    def question(self, messages: Iterable[Message], candidates: int) -> Request:
        """A request with these parameters.

        Raises:
            SampleError: `BAD_TEXT` if a text cannot be written down, `TOO_LONG` if no model could hold it; as `Part.located`.
        """
        messages = tuple(Message(message.role, tuple(part.located() for part in message.parts)) for message in messages)
        for part in (part for message in messages for part in message.parts if part.kind == "text"):
            if len(part.value) > LONGEST_TEXT:
                raise SampleError("TOO_LONG", f"the prompt has {len(part.value):,} characters, more than {LONGEST_TEXT:,}")
            if valid(part.value) != part.value:
                told = f"the prompt {short_repr(part.value)} has half of a surrogate pair, which is no character"
                raise SampleError("BAD_TEXT", told)
        return Request(
            model=self._model(),
            messages=messages,
            frames=self.frame_sampling(),
            sampling=self.token_sampling(candidates),
            candidates=candidates,
            seed=self.seed if (own := (self.sampling_params or {}).get("seed")) is None else own,
            named=self._named(),
        )

    def prompts(self) -> Mapping[str, str]:
        """What the op says to the model where rows say nothing else, by the parameter that sets it. Only told, never sent."""
        texts = {name: getattr(self, name, None) for name in ("system_prompt", "prompt", "prompt_template")}
        return {name: text for name, text in texts.items() if isinstance(text, str) and text}

    def prompt_columns(self) -> Mapping[str, str]:
        """The columns from which prompts come, where they hold any, by the parameter that names them."""
        columns = {name: getattr(self, name, None) for name in ("prompt_key", "input_conversation_key")}
        return {name: column for name, column in columns.items() if isinstance(column, str) and column}

    def usual_request(self) -> Request:
        """A request like those of the op, about nothing."""
        return self.question([Message("user", (Part("text", "?"),))], self.candidates())

    def _named(self) -> tuple[str, ...]:
        """What the recipe sets by name of how tokens are drawn."""
        return tuple(sorted({*sampling.named(self.sampling_params), *(["seed"] if self.seed else [])}))

    def _model(self) -> ModelSettings:
        addresses = self._addresses()
        return ModelSettings(
            backend=self._backend(),
            model=self.hf_model,
            params=canonical_json(self._engine_params()),
            api_base=addresses if len(addresses) > 1 else "".join(addresses),
            api_key_env=self.key_name(),
        )

    def _engine_params(self) -> dict[str, Any]:
        params = dict(self.model_params or {})
        for name, own in self._spec().renamed.items():
            if name in params:
                params.setdefault(own, params.pop(name))
        if not params.get(TEMPLATE_KWARGS):
            params.pop(TEMPLATE_KWARGS, None)  # nothing is told
        return params

    def _backend(self) -> str:
        return _ENABLED if self.enable_vllm else self.backend

    def _spec(self) -> catalog.BackendSpec:
        return catalog.find(self._backend())


def _is_plain_data(params: dict[str, Any] | None) -> bool:
    try:
        canonical_json(params)
    except (TypeError, ValueError):
        return False
    return True
