"""Whether all backends say the same about held-out clips, greedily.

    python benchmarks/backend_agreement.py [--clips N]

Needs vLLM. `hf_vllm` is the share of clips whose captions from transformers and from vLLM are equal, letter for letter; `openai`
that of captions from transformers and from a local vLLM server through the transport that juicecap chooses for it, `frames`.
`images` is the same for pictures without times, which the demonstration model has never been shown. `exact_...` are the shares of
captions that are true.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from common import DEMO_MODEL, Clip, clips, conclude, film, vllm_server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, default=200)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from juicecap.vlm.models.names import model_source

    with tempfile.TemporaryDirectory() as folder:
        filmed = film(Path(folder), options.clips, seed=4242)
        said = {"hf": _captions(filmed, backend="hf"), "vllm": _captions(filmed, backend="vllm")}
        with vllm_server(model_source(DEMO_MODEL)) as address:
            said["frames"] = _captions(filmed, backend="openai", api_base=address)
            said["images"] = _captions(filmed, backend="openai", api_base=address, model_params={"transport": "images"})
    truth = [clips.caption(clip.scene) for clip in filmed]
    exact = {f"exact_{name}": _equal(captions, truth) for name, captions in said.items()}
    agreement = {name: _equal(captions, said["hf"]) for name, captions in said.items() if name != "hf"}
    for name, captions in said.items():
        print(f"{name:7s}: {exact[f'exact_{name}']:.1%} true, {_equal(captions, said['hf']):.1%} as transformers says")
    conclude(hf_vllm=agreement["vllm"], openai=agreement["frames"], images=agreement["images"], **exact)


def _captions(filmed: list[Clip], **settings) -> list[str]:
    from datasets import Dataset

    from juicecap.ops import VideoCaptioningFromVLMMapper
    from juicecap.vlm.pipeline import core

    op = VideoCaptioningFromVLMMapper(
        hf_model=DEMO_MODEL, keep_original_sample=False, caption_field="captions", sampling_params={"max_tokens": 64}, **settings
    )
    captions = [each for (each,) in op.run(Dataset.from_dict({"videos": [[str(clip.path)] for clip in filmed]}))["captions"]]
    core.close()
    return captions


def _equal(left: list[str], right: list[str]) -> float:
    return sum(one == other for one, other in zip(left, right, strict=True)) / len(left)


if __name__ == "__main__":
    main()
