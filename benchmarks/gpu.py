"""Captions per second on one GPU against the usual loop, with a model of a real size and random weights.

    python benchmarks/gpu.py [--backend hf|vllm] [--size 8b|3b|demo] [--clips N] [--candidates N] [--tokens N]

The model has the architecture of Qwen3-VL at the size of its 8B version (or about 3B, or that of the demonstration model, with
which this also runs on a CPU). Its weights are made on the device; what it says means nothing, and each answer has the
same length, since a random model does not end by itself. Clips are 640x360, 10 seconds.

`ratio` is juicecap's captions per second over those of the usual loop (`usual_loops.py`); `busy` the share of juicecap's time in
which the GPU computed (as nvidia-smi tells), or without a GPU the share in which the engine had work.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from common import DEMO_MODEL, clips, conclude
from timeline import Timeline

SIZES = {
    "8b": {
        "text": {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32},
        "vision": {"hidden_size": 1152, "intermediate_size": 4304, "depth": 27, "deepstack_visual_indexes": [8, 16, 24]},
    },
    "3b": {
        "text": {"hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16},
        "vision": {"hidden_size": 1024, "intermediate_size": 4096, "depth": 24, "deepstack_visual_indexes": [5, 11, 17]},
    },
}
"""Dimensions of the published configurations of Qwen3-VL; the 3B text model is that of Qwen2.5-VL."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backend", choices=["hf", "vllm"], default="hf")
    parser.add_argument("--size", choices=[*SIZES, "demo"], default="8b")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--loop-clips", type=int, default=4, help="clips for the usual loop, which is slow and steady")
    parser.add_argument("--candidates", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=64, help="length of each answer")
    parser.add_argument("--batch-size", type=int)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder) / "model", options.size)
        _measure(model, _film(Path(folder), options.clips), options)


def make_model(folder: Path, size: str) -> str:
    """A folder like that of a model of this size, without weights."""
    from juicecap.vlm.models.names import model_source

    if size == "demo":
        return DEMO_MODEL
    folder.mkdir()
    for file in Path(model_source(DEMO_MODEL)).iterdir():
        if file.suffix != ".safetensors":
            shutil.copy(file, folder)
    text, vision = SIZES[size]["text"], SIZES[size]["vision"]
    config = json.loads((folder / "config.json").read_text())
    config["dtype"] = "bfloat16"
    config["text_config"] |= {**text, "dtype": "bfloat16", "head_dim": 128, "num_key_value_heads": 8, "vocab_size": 151936}
    config["text_config"] |= {"tie_word_embeddings": size != "8b", "max_position_embeddings": 262144}
    config["text_config"]["rope_parameters"] |= {"mrope_section": [24, 20, 20], "rope_theta": 5_000_000.0}
    config["tie_word_embeddings"] = size != "8b"
    config["vision_config"] |= {**vision, "dtype": "bfloat16", "num_heads": 16, "patch_size": 16, "num_position_embeddings": 2304}
    config["vision_config"]["out_hidden_size"] = text["hidden_size"]
    (folder / "config.json").write_text(json.dumps(config))
    processors = json.loads((folder / "processor_config.json").read_text())
    for kind, longest in (("image", 16_777_216), ("video", 25_165_824)):
        processors[f"{kind}_processor"] |= {"patch_size": 16, "size": {"shortest_edge": 4096, "longest_edge": longest}}
    processors["video_processor"]["cap_pixels_per_frame"] = False
    (folder / "processor_config.json").write_text(json.dumps(processors))
    return str(folder)


def _film(folder: Path, count: int) -> list[str]:
    """Clips of 640x360, 10 seconds; four scenes, each file with bytes of its own."""
    paths = [folder / f"{index:05d}.mp4" for index in range(count)]
    for index, path in enumerate(paths):
        if index < 4:
            rng = np.random.default_rng(index)
            images = clips.frames(clips.random_scene(rng), clips.ClipFormat(640, 360, 24, 240), rng)
            clips.encode(images, 24, path)
        else:
            path.write_bytes(paths[index % 4].read_bytes() + bytes([8 + index % 200, 0, 0, 0, *b"free", *bytes(index % 200)]))
    return [str(path) for path in paths]


def _measure(model: str, paths: list[str], options: argparse.Namespace) -> None:
    from juicecap.ops import VideoCaptioningFromVLMMapper
    from juicecap.ops.apply.stream import Stage, Stream
    from juicecap.vlm.pipeline import core
    from juicecap.vlm.pipeline.resources.engine_stats import EngineStats

    params = {} if options.size == "demo" else {"load_format": "dummy"} if options.backend == "vllm" else {}
    op = VideoCaptioningFromVLMMapper(
        hf_model=model,
        backend=options.backend,
        caption_num=options.candidates,
        model_params={"max_model_len": 16384, **params} if options.backend == "vllm" else params,
        sampling_params={"temperature": 1.0, "max_tokens": options.tokens},
    )
    if options.size != "demo" and options.backend == "hf":
        _make_weights_instead_of_loading()
    from usual_loops import usual_loop

    def run(some: list[str]) -> tuple[float, int]:
        began = time.perf_counter()
        stats = EngineStats()
        with Stream([Stage(op, op.limits(options.batch_size), stats=stats)], ({"videos": [path]} for path in some)) as stream:
            for _ in stream:
                pass
        return time.perf_counter() - began, stats.read().answers.completion_tokens

    run(paths[:4])
    backend = core._core().resources.local.engines._opened[op.question([], 1).model].result()
    timeline = Timeline()
    backend.generate = timeline.watching_async(backend.generate)
    with _gpu_load() as load:
        began = time.perf_counter()
        seconds, tokens = run(paths)
        busy = sum(load) / len(load) / 100 if load else 1 - timeline.idle(began, began + seconds)
    if options.backend == "vllm":
        core.close()  # a second engine beside it would not fit into one GPU
    own = len(paths) * options.candidates / seconds
    print(
        f"juicecap:   {len(paths) / seconds:.2f} clips/s, {own:.2f} captions/s, {tokens / seconds:.0f} tokens/s, busy {busy:.0%}"
    )
    with usual_loop(op) as loop:
        loop(paths[:1])
        began = time.perf_counter()
        loop(paths[: options.loop_clips])
        theirs = options.loop_clips * options.candidates / (time.perf_counter() - began)
    print(f"usual loop: {theirs / options.candidates:.2f} clips/s, {theirs:.2f} captions/s")
    conclude(ratio=own / theirs, clips_per_s=len(paths) / seconds, tokens_per_s=tokens / seconds, busy=busy, loop=theirs)
    core.close()


def _make_weights_instead_of_loading() -> None:
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    from juicecap.vlm.backends.hf import load

    class Random:
        @staticmethod
        def from_pretrained(source: str, *, dtype: str, **_) -> torch.nn.Module:
            with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
                config = AutoConfig.from_pretrained(source)
                return AutoModelForImageTextToText.from_config(config, dtype=getattr(torch, dtype), attn_implementation="sdpa")

    load.AutoModelForImageTextToText = Random


@contextmanager
def _gpu_load() -> Iterator[list[float]]:
    """Percent of the time in which the GPU computes, every 100 ms; stays empty without a GPU."""
    load: list[float] = []
    if not shutil.which("nvidia-smi"):
        yield load
        return
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "100"]
    watcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    reading = threading.Thread(target=lambda: load.extend(float(line) for line in watcher.stdout if line.strip().isdigit()))
    reading.start()
    try:
        yield load
    finally:
        watcher.terminate()
        reading.join()


if __name__ == "__main__":
    sys.exit(main())
