"""Captions per second against the usual loop, side by side in one run.

    python benchmarks/caption_throughput.py [--backend hf] [--clips N] [--candidates N] [--videos FOLDER]

The usual loop is what the field's op does, repaired: one sample and one video at a time, decoded and processed once, then
one `generate` call with batch 1 for each candidate, all in one thread. It uses juicecap's own decoder and the same model in
memory, so that only the way of asking differs. Start-up is left out on both sides; both are warmed up; the two take turns.

`ratio` is juicecap's captions per second over the loop's.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import torch
from common import DEMO_MODEL, conclude, film
from datasets import Dataset, disable_progress_bars

from juicecap.media.decode import decode_frames
from juicecap.media.picture import Picture
from juicecap.media.sampling import FrameSampling
from juicecap.ops import VideoCaptioningFromVLMMapper
from juicecap.vlm import core
from juicecap.vlm.base import Prepared, Sampling
from juicecap.vlm.hf import backend as hf_backend
from juicecap.vlm.hf.inputs import encode
from juicecap.vlm.hf.load import Loaded, load

ROUNDS = 3
SAMPLING = {"temperature": 0.7, "top_p": 0.9, "max_tokens": 64}


def main() -> None:
    disable_progress_bars()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backend", choices=["hf"], default="hf")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--candidates", type=int, default=4)
    parser.add_argument("--videos", type=Path, help="measure on the videos of this folder, repeated up to --clips")
    parser.add_argument("--batch-size", type=int, default=VideoCaptioningFromVLMMapper.default_batch_size)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.videos:
            found = sorted(str(path) for path in options.videos.iterdir() if path.suffix == ".mp4")
            paths = (found * options.clips)[: options.clips]
        else:
            paths = [str(clip.path) for clip in film(Path(folder), options.clips, seed=77)]
        _compare(paths, options)


def _compare(paths: list[str], options: argparse.Namespace) -> None:
    op = VideoCaptioningFromVLMMapper(
        hf_model=DEMO_MODEL,
        backend=options.backend,
        caption_num=options.candidates,
        keep_candidate_mode="all",
        keep_original_sample=False,
        sampling_params=SAMPLING,
    )
    loaded = load(op.question([], 1).model)
    clocks = _install_clocks()
    _juicecap(op, paths[:2], options.batch_size)
    _usual_loop(op, loaded, paths[:1], options.candidates)
    clocks.clear()
    loop_seconds, own_seconds = [], []
    for _ in range(ROUNDS):
        own_seconds.append(_timed(lambda: _juicecap(op, paths, options.batch_size)))
        loop_seconds.append(_timed(lambda: _usual_loop(op, loaded, paths, options.candidates)))
    captions = len(paths) * options.candidates
    own, loop = captions / sorted(own_seconds)[ROUNDS // 2], captions / sorted(loop_seconds)[ROUNDS // 2]
    print(f"{len(paths)} clips, {options.candidates} candidates, {ROUNDS} rounds (medians), {torch.get_num_threads()} threads")
    print(f"usual loop: {loop:8.2f} captions/s")
    print(f"juicecap:   {own:8.2f} captions/s, {own / loop:.1f} times as many")
    wall = sum(own_seconds)
    shares = {name: seconds / wall for name, seconds in clocks.items()}
    print("juicecap's time: " + ", ".join(f"{name} {share:.0%}" for name, share in sorted(shares.items())))
    print("(decoding runs beside the rest and on several threads, so the shares can add up to more than the whole)")
    conclude(ratio=own / loop, loop=loop, juicecap=own, **shares)
    core.close()


def _juicecap(op: VideoCaptioningFromVLMMapper, paths: list[str], batch_size: int) -> None:
    op.run(Dataset.from_dict({"videos": [[path] for path in paths]}), batch_size=batch_size)


def _usual_loop(op: VideoCaptioningFromVLMMapper, loaded: Loaded, paths: list[str], candidates: int) -> None:
    """One sample, one candidate, one blocking call at a time, with transformers' own sampling."""
    sampling = Sampling(**SAMPLING)
    for path in paths:
        frames = decode_frames(path, FrameSampling(), loaded.sizes.video.size)
        request = op.requests({"videos": [path]})[0]
        picture = Picture(pixels=frames.pixels, times=frames.times, duration=frames.info.duration)
        row = encode(loaded, Prepared(request=request, pictures=(picture,), seed=0))
        for _ in range(candidates):
            with torch.inference_mode():
                tokens = loaded.model.generate(
                    **row,
                    do_sample=True,
                    temperature=sampling.temperature,
                    top_p=sampling.top_p,
                    max_new_tokens=sampling.max_tokens,
                )
            loaded.processor.decode(tokens[0, row["input_ids"].shape[1] :], skip_special_tokens=True)


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _install_clocks() -> dict[str, float]:
    """Count the seconds that juicecap spends decoding, processing and generating."""
    seconds: dict[str, float] = defaultdict(float)

    def clocked(name: str, function: Callable) -> Callable:
        def run(*arguments, **named):
            began = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                seconds[name] += time.perf_counter() - began

        return run

    running = core._core()
    running._load_picture = clocked("decoding", running._load_picture)
    hf_backend.encode = clocked("processing", hf_backend.encode)
    hf_backend.HFBackend._generate = clocked("generating", hf_backend.HFBackend._generate)
    return seconds


if __name__ == "__main__":
    main()
