"""Captions per second against the usual loop, and the distance to the floor, side by side in one run.

    python benchmarks/caption_throughput.py [--backend hf|vllm|openai] [--clips N] [--candidates N] [--videos FOLDER]

`ratio` is juicecap's captions per second over those of the usual loop (`usual_loops.py`): one sample, one candidate, one blocking
call at a time. For `openai`, on a local vLLM server that is started for it, it is 32 requests in flight over one in flight.

`efficiency` is floor / wall. The floor is the largest of: the engine alone, fed with the same requests from memory; decoding
alone on the pool; the CPU seconds of both over the number of cores.

Start-up is left out on all sides, all are warmed up, and they take turns; figures are medians of the rounds. The time line
shows when the engine had work.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import DEMO_MODEL, conclude, cpu_seconds, film, vllm_server
from timeline import Timeline

SAMPLING = {"temperature": 0.7, "top_p": 0.9, "max_tokens": 64}


@dataclass
class Turn:
    """Seconds of the rounds of one side: by the clock, and of all cores."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def take(self, work: Callable[[], Any]) -> None:
        cpu, began = cpu_seconds(), time.perf_counter()
        work()
        self.wall.append(time.perf_counter() - began)
        self.cpu.append(cpu_seconds() - cpu)

    def __str__(self) -> str:
        return f"{statistics.median(self.wall):7.3f} s wall, {statistics.median(self.cpu):7.3f} s of the cores"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backend", choices=["hf", "vllm", "openai"], default="hf")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--candidates", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="threads of the engine on a CPU (1 is best for the demo model)")
    parser.add_argument("--workers", type=int, help="processes that decode")
    parser.add_argument("--videos", type=Path, help="measure on the videos of this folder, repeated up to --clips")
    parser.add_argument("--no-loop", action="store_true", help="measure the efficiency alone")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # before torch is imported, here and in the engines' processes
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        _compare(_clips(Path(folder), options), options, stack)


def _clips(folder: Path, options: argparse.Namespace) -> list[str]:
    """Every clip has content of its own: the same twice would be decoded and asked once."""
    if not options.videos:
        return [str(clip.path) for clip in film(folder, options.clips, seed=77)]
    found = sorted(path for path in options.videos.iterdir() if path.suffix == ".mp4")
    return [str(_another(found[index % len(found)], folder / f"{index:05d}.mp4")) for index in range(options.clips)]


def _another(video: Path, copy: Path) -> Path:
    """A copy with other bytes, which show the same: a box of nothing at the end (ISO/IEC 14496-12, `free`)."""
    name = copy.name.encode()
    copy.write_bytes(video.read_bytes() + (8 + len(name)).to_bytes(4, "big") + b"free" + name)
    return copy


def _compare(paths: list[str], options: argparse.Namespace, stack: ExitStack) -> None:
    from datasets import Dataset, disable_progress_bars

    from juicecap.ops import VideoCaptioningFromVLMMapper
    from juicecap.vlm.models.names import model_source
    from juicecap.vlm.pipeline import core

    disable_progress_bars()
    server = (
        {"api_base": stack.enter_context(vllm_server(model_source(DEMO_MODEL))), "max_in_flight": 32}
        if options.backend == "openai"
        else {}
    )
    op = VideoCaptioningFromVLMMapper(
        hf_model=DEMO_MODEL,
        backend=options.backend,
        caption_num=options.candidates,
        keep_candidate_mode="all",
        keep_original_sample=False,
        sampling_params=SAMPLING,
        decode_workers=options.workers,
        **server,
    )
    dataset = Dataset.from_dict({"videos": [[path] for path in paths]})
    op.run(dataset.select(range(2)))
    engine = Engine(op)
    op.run(dataset)  # the second warm-up, from which the engine's requests are kept
    engine.recording = False
    own, alone, decoding, loop = Turn(), Turn(), Turn(), Turn()
    run = None
    if not options.no_loop:
        from usual_loops import usual_loop

        run = stack.enter_context(usual_loop(op))
        run(paths[:2])
    few = paths[: max(1, len(paths) // (4 if options.backend == "hf" else 8))]  # the loop is slow and steady
    for _ in range(options.rounds):
        engine.timeline.intervals.clear()
        began = time.perf_counter()
        own.take(lambda: op.run(dataset))
        ended = time.perf_counter()
        alone.take(engine.replay)
        decoding.take(lambda: _decode(op, paths))
        if run:
            loop.take(lambda: run(few))
    _report(paths, few, options, engine, (began, ended), own, alone, decoding, loop)
    core.close()


def _report(paths, few, options, engine, last, own, alone, decoding, loop) -> None:
    wall = statistics.median(own.wall)
    captions = len(paths) * options.candidates / wall
    cores = len(os.sched_getaffinity(0))
    floors = {
        "engine alone": statistics.median(alone.wall),
        "decoding alone": statistics.median(decoding.wall),
        f"both over {cores} cores": (statistics.median(alone.cpu) + statistics.median(decoding.cpu)) / cores,
    }
    floor = max(floors.values())
    efficiency = floor / statistics.median(own.wall)
    print(
        f"{len(paths)} clips, {options.candidates} candidates, {options.rounds} rounds, {options.threads} threads, {cores} cores"
    )
    print(f"juicecap:       {own}: {captions:.1f} captions/s")
    print(f"engine alone:   {alone}")
    print(f"decoding alone: {decoding}")
    print("floors:         " + ", ".join(f"{name} {seconds:.3f} s" for name, seconds in floors.items()))
    idle = engine.timeline.idle(*last)
    print(f"efficiency:     {efficiency:.3f}; the engine had nothing to do for {idle:.1%} of the last round:")
    print(f"[{engine.timeline.drawn(*last)}]")
    figures = {
        "efficiency": efficiency,
        "idle": idle,
        "juicecap": captions,
        "floor_s": floor,
        "wall_s": statistics.median(own.wall),
    }
    if loop.wall:
        theirs = len(few) * options.candidates / statistics.median(loop.wall)
        print(
            f"usual loop:     {theirs:.1f} captions/s (on {len(few)} clips); juicecap gives {captions / theirs:.1f} times as many"
        )
        figures = {"ratio": captions / theirs, "loop": theirs, **figures}
    conclude(**figures)


class Engine:
    """The op's open engine: remembers what it was asked, notes when it is busy, and can be asked the same again."""

    def __init__(self, op) -> None:
        from juicecap.vlm.pipeline import core

        self._core = core._core()
        self._engine = self._core.resources.local.engines._opened[op.question([], 1).model].result()
        self.timeline, self.recording = Timeline(), True
        self._batches: list[list[Any]] = []
        self._generate = self._engine.generate
        self._engine.generate = self._recorded
        if op.backend == "hf":  # what the model does, without the processor before it
            self._engine._generate = self.timeline.watching(self._engine._generate)
        else:
            self._generate = self.timeline.watching_async(self._generate)

    async def _recorded(self, batch: Sequence[Any]) -> list[Any]:
        if self.recording:
            self._batches.append(list(batch))
        return await self._generate(batch)

    def replay(self) -> None:
        """Ask everything again, from memory, with as many calls at once as in a run."""
        on_loop(self._core, self._replay())

    async def _replay(self) -> None:
        room = asyncio.Semaphore(self._engine.max_concurrent_calls)

        async def one(batch: list[Any]) -> None:
            async with room:
                outcomes = await self._generate(batch)
            assert all(outcome.answers for outcome in outcomes)

        await asyncio.gather(*map(one, self._batches))


def _decode(op, paths: list[str]) -> None:
    """All clips through the pool, and nothing else."""
    from juicecap.vlm.pipeline import core

    running = core._core()
    request = op.question([], 1)
    sizes = running.resources.local.engines._described[request.model].result().backend.capabilities.sizes
    pool = running.resources.local.measurer(op.limits())

    async def all_of_them() -> None:
        room = asyncio.Semaphore(64)

        async def one(path: str) -> None:
            async with room:
                await pool.picture("video", path, request.frames, sizes)

        await asyncio.gather(*map(one, paths))

    on_loop(running, all_of_them())


def on_loop(running, work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run_coroutine_threadsafe(work, running.loop).result()


if __name__ == "__main__":
    main()
