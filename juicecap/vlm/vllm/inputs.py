"""A prepared request in vLLM's words, and what vLLM says to it in ours."""

from __future__ import annotations

from typing import Any

from PIL import Image
from vllm import SamplingParams
from vllm.exceptions import VLLMError
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.sampling_params import RequestOutputKind

from juicecap.errors import SampleError
from juicecap.media.sizes import FrameSizes
from juicecap.vlm.base import Answer, Prepared
from juicecap.vlm.frame_times import at_least_two, video_metadata
from juicecap.vlm.hf.prompt import render


def prompt_of(processor: Any, sizes: FrameSizes, prepared: Prepared) -> dict[str, Any]:
    """Text and frames. Pictures that were decoded to the processor's own size are not scaled again.

    Raises:
        SampleError: `PROCESSOR_FAILED`.
    """
    media: dict[str, list[Any]] = {}
    for part, picture in zip(prepared.request.media(), prepared.pictures, strict=True):
        if part.kind == "image":
            media.setdefault("image", []).append(Image.fromarray(picture.pixels[0]))
        else:
            shown = at_least_two(picture)
            metadata = {**video_metadata(shown), "do_sample_frames": False}
            media.setdefault("video", []).append((shown.pixels, metadata))
    try:
        prompt: dict[str, Any] = {"prompt": render(processor, prepared.request)}
    except Exception as error:  # a foreign template's door: whatever it raises concerns this sample alone
        raise SampleError("PROCESSOR_FAILED", f"the model's chat template fails with {type(error).__name__}: {error}") from error
    if media:
        prompt["multi_modal_data"] = media
    fixed = {"image": sizes.image, "video": sizes.video}
    as_they_are = {f"{kind}s_kwargs": {"do_resize": False} for kind in media if fixed[kind] is not None}
    if as_they_are:
        prompt["mm_processor_kwargs"] = as_they_are
    return prompt


def sampling_of(prepared: Prepared) -> SamplingParams:
    """How tokens are drawn. vLLM adds a candidate's number to the seed by itself.

    Raises:
        SampleError: `GENERATE_FAILED`: vLLM refuses it.
    """
    wanted = prepared.request.sampling
    try:
        return SamplingParams(
            n=prepared.request.candidates,
            temperature=wanted.temperature,
            top_p=wanted.top_p,
            top_k=wanted.top_k,
            min_p=wanted.min_p,
            max_tokens=wanted.max_tokens,
            repetition_penalty=wanted.repetition_penalty,
            presence_penalty=wanted.presence_penalty,
            stop=list(wanted.stop),
            seed=prepared.seed if wanted.temperature > 0 else None,
            skip_special_tokens=True,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
    except (ValueError, VLLMError) as error:
        raise SampleError("GENERATE_FAILED", f"vLLM refuses the sampling parameters: {error}") from error


def answers_of(prepared: Prepared, output: RequestOutput) -> list[Answer]:
    """One answer per candidate, in order."""
    return [_answer(prepared, candidate) for candidate in sorted(output.outputs, key=lambda candidate: candidate.index)]


def _answer(prepared: Prepared, candidate: CompletionOutput) -> Answer:
    return Answer(
        text=candidate.text.strip(),
        finish_reason=str(candidate.finish_reason),
        tokens=len(candidate.token_ids),
        seed=prepared.seed + candidate.index,
    )
