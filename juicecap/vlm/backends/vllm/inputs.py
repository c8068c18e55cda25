"""A prepared request in vLLM's words, and what vLLM says to it in ours."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image
from vllm import SamplingParams
from vllm.exceptions import VLLMError
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.sampling_params import RequestOutputKind

from juicecap.errors import SampleError
from juicecap.media.picture import MediaFrames
from juicecap.media.sizes import FrameSizes
from juicecap.vlm.backends.transformers_common.prompt import frames_as_images, render
from juicecap.vlm.base import Answer, Prepared
from juicecap.vlm.models.frame_times import SPACING, at_least_two, video_metadata

SMALLEST = 1e-9
"""Seconds between the frames of a still picture; processors divide by it."""


def prompt_of(processor: Any, sizes: FrameSizes, prepared: Prepared) -> dict[str, Any]:
    """Text and frames, as the transformers backend gives them to the same processor.

    Raises:
        SampleError: `PROCESSOR_FAILED`.
        ModelError: the chat template fails over everything.
        EnvironmentFailure: the process that renders it cannot be started.
    """
    request = prepared.request
    as_images = frames_as_images(processor, request)
    videos: list[MediaFrames] = []
    images: list[Image.Image] = []
    counts: list[int] = []
    for part, picture in zip(request.media(), prepared.pictures, strict=True):
        if part.kind == "image" or as_images:
            images += [Image.fromarray(pixels) for pixels in picture.pixels]
            counts += [len(picture.pixels)] if part.kind == "video" else []
        else:
            videos.append(at_least_two(picture))
    prompt: dict[str, Any] = {"prompt": render(processor, request, counts if as_images else None)}
    evenly = SPACING in processor.model_input_names
    media = {"image": images, "video": [(_writable(picture.pixels), _metadata(picture, evenly=evenly)) for picture in videos]}
    fixed = {"image": sizes.image, "video": sizes.video}
    prompt["multi_modal_data"] = {kind: each for kind, each in media.items() if each}
    prompt["mm_processor_kwargs"] = {f"{kind}s_kwargs": {"do_resize": False} for kind in media if media[kind] and fixed[kind]}
    return {name: value for name, value in prompt.items() if value}


def _writable(pixels: np.ndarray) -> np.ndarray:
    """Torch does not know memory that must not be written to, and warns: that is copied."""
    return pixels if pixels.flags.writeable else pixels.copy()


def _metadata(picture: MediaFrames, *, evenly: bool) -> dict[str, Any]:
    """What a processor is told of a video. `evenly`: it asks for the mean spacing of frames, not for the time of each."""
    metadata = {**video_metadata(picture), "do_sample_frames": False}
    if evenly:  # the spacing that it works out is the video's length by the number of frames
        spacing = (picture.times[-1] - picture.times[0]) / (len(picture.times) - 1)
        metadata["total_num_frames"] = max(spacing, SMALLEST) * len(picture.times) * metadata["fps"]
    return metadata


def sampling_of(prepared: Prepared, *, keep_special: bool = False) -> SamplingParams:
    """How tokens are drawn. vLLM adds a candidate's number to the seed by itself.

    `keep_special`: special tokens stay in the answer, where some of them mark reasoning.

    Raises:
        SampleError: `GENERATE_FAILED`: vLLM refuses it.
    """
    wanted = prepared.request.sampling
    try:
        return SamplingParams(
            n=len(prepared.seeds),
            temperature=wanted.temperature,
            top_p=wanted.top_p,
            top_k=wanted.top_k,
            min_p=wanted.min_p,
            max_tokens=wanted.max_tokens,
            repetition_penalty=wanted.repetition_penalty,
            presence_penalty=wanted.presence_penalty,
            stop=list(wanted.stop),
            seed=prepared.seeds[0] if wanted.temperature > 0 else None,
            skip_special_tokens=not keep_special,
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
        seed=prepared.seeds[candidate.index],
    )
