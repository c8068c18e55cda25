"""What juicecap is compared with: the loop that people write, one blocking call at a time.

Each takes the paths of clips and asks for all candidates of each, decoding in between. They use juicecap's own decoder and the
same model, processor and prompt, so that only the way of asking differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from common import DEMO_MODEL

from juicecap.media.load import load_frames
from juicecap.ops import VideoCaptioningFromVLMMapper
from juicecap.vlm.base import Prepared, Sampling
from juicecap.vlm.models.names import model_source

Loop = Callable[[Sequence[str]], None]


@contextmanager
def usual_loop(op: VideoCaptioningFromVLMMapper) -> Iterator[Loop]:
    """The loop for the op's backend, with its model loaded."""
    loops = {"hf": _transformers, "vllm": _vllm, "openai": _server}
    with loops[op.backend](op) as loop:
        yield loop


def prepared(op: VideoCaptioningFromVLMMapper, path: str, sizes) -> Prepared:
    """Decode in this thread, now."""
    request = op.requests({"videos": [path]})[0]
    return Prepared(request=request, pictures=(load_frames("video", path, request.frames, sizes),), seed=0)


@contextmanager
def _transformers(op: VideoCaptioningFromVLMMapper) -> Iterator[Loop]:
    """`generate` with a batch of one, once for each candidate, with transformers' own sampling."""
    import torch

    from juicecap.vlm.backends.hf.inputs import encode
    from juicecap.vlm.backends.hf.load import load

    loaded = load(op.question([], 1).model)
    sampling = op.token_sampling(op.caption_num)

    def run(paths: Sequence[str]) -> None:
        for path in paths:
            row = encode(loaded, prepared(op, path, loaded.sizes))
            for _ in range(op.caption_num):
                with torch.inference_mode():
                    tokens = loaded.model.generate(
                        **row, do_sample=True, **_drawing(sampling), max_new_tokens=sampling.max_tokens
                    )
                loaded.processor.decode(tokens[0, row["input_ids"].shape[1] :], skip_special_tokens=True)

    yield run


@contextmanager
def _vllm(op: VideoCaptioningFromVLMMapper) -> Iterator[Loop]:
    """`LLM.generate` with one request, once for each candidate."""
    from vllm import LLM, SamplingParams

    from juicecap.vlm.backends.transformers_common.processor import frame_sizes, load_processor
    from juicecap.vlm.backends.vllm.engine_config import make_config
    from juicecap.vlm.backends.vllm.inputs import prompt_of

    settings = op.question([], 1).model
    processor = load_processor(settings)
    sizes, sampling = frame_sizes(processor), op.token_sampling(op.caption_num)
    llm = LLM(**{**make_config(settings).arguments, "model": model_source(DEMO_MODEL)})
    params = SamplingParams(**_drawing(sampling), max_tokens=sampling.max_tokens)

    def run(paths: Sequence[str]) -> None:
        for path in paths:
            prompt = prompt_of(processor, sizes, prepared(op, path, sizes))
            for _ in range(op.caption_num):
                assert llm.generate([prompt], params, use_tqdm=False)[0].outputs[0].text

    yield run


@contextmanager
def _server(op: VideoCaptioningFromVLMMapper) -> Iterator[Loop]:
    """The same op with one request in flight."""
    from dataclasses import replace

    from datasets import Dataset

    alone = replace(op, max_in_flight=1)
    yield lambda paths: alone.run(Dataset.from_dict({"videos": [[path] for path in paths]}))


def _drawing(sampling: Sampling) -> dict[str, float]:
    return {"temperature": sampling.temperature, "top_p": sampling.top_p}
