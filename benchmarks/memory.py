"""Whether memory grows with the number of samples, or with the length of a video.

    python benchmarks/memory.py [--few N] [--many N] [--seconds N] [--hours N]

Runs the captioning recipe in a process of its own and compares peaks of resident memory: its own and those of the processes
that decode for it, added up. `growth_samples`: the peak for many clips over that for few. `growth_length`: that for a video of
hours over that for one of seconds, at the same `num_frames`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
from common import DEMO_MODEL, clips, conclude, film

DISTINCT, COPIES, FRAMES = 20, 4, 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--many", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--child", nargs=2, metavar=("RECIPE", "SAMPLES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(*options.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        short, long = (_long_clip(Path(folder), seconds) for seconds in (options.seconds, 3600 * options.hours))
        film(Path(folder), DISTINCT, seed=55)
        samples = [_peak(Path(folder), _linked(Path(folder), count)) for count in (options.few, options.many)]
        lengths = [_peak(Path(folder), [clip] * COPIES, num_frames=FRAMES) for clip in (short, long)]
    for count, peak in zip((options.few, options.many), samples, strict=True):
        print(f"{count:6d} samples: peak {peak:.0f} MiB")
    for seconds, peak in zip((options.seconds, 3600 * options.hours), lengths, strict=True):
        print(f"{seconds:6.0f} seconds: peak {peak:.0f} MiB")
    conclude(
        growth_samples=samples[1] / samples[0],
        growth_length=lengths[1] / lengths[0],
        few_mib=samples[0],
        many_mib=samples[1],
        short_mib=lengths[0],
        long_mib=lengths[1],
    )


def _long_clip(folder: Path, seconds: float) -> Path:
    """A scene that is played over and over: 320x240, 10 frames per second, a key frame every 5 seconds."""
    scene, form = clips.random_scene(np.random.default_rng(1)), clips.ClipFormat(320, 240, 10, 50)
    images = list(clips.frames(scene, form, np.random.default_rng(1)))
    path = folder / f"long_{seconds:.0f}.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast", "g": "50", "crf": "40"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        encoded = [packet for image in images for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24"))]
        encoded += stream.encode(None)
        facts = [(bytes(packet), packet.pts, packet.dts, packet.is_keyframe) for packet in encoded]
        for turn in range(max(1, round(seconds / 5))):  # encoded once, muxed many times
            for data, pts, dts, key in facts:
                packet = av.Packet(data)
                packet.stream, packet.time_base = stream, encoded[0].time_base
                shift = round(turn * 5 / encoded[0].time_base)
                packet.pts, packet.dts, packet.is_keyframe = pts + shift, dts + shift, key
                container.mux(packet)
    return path


def _linked(folder: Path, count: int) -> list[Path]:
    """So many clips, each a name of its own."""
    names = [folder / f"run_{count}_{index}.mp4" for index in range(count)]
    for index, name in enumerate(names):
        os.link(folder / f"{index % DISTINCT:05d}.mp4", name)
    return names


def _peak(folder: Path, paths: list[Path], **settings: int) -> float:
    """Peak of resident memory in MiB of a run over these clips, the decoding processes included."""
    name = f"{paths[0].stem}_{len(paths)}"
    (folder / f"{name}.jsonl").write_text("".join(json.dumps({"videos": [str(path)]}) + "\n" for path in paths))
    recipe = folder / f"{name}.yaml"
    op = {"hf_model": DEMO_MODEL, "sampling_params": {"max_tokens": 32}, **settings}
    recipe.write_text(
        json.dumps(
            {
                "dataset_path": str(folder / f"{name}.jsonl"),
                "export_path": str(folder / f"out_{name}.jsonl"),
                "process": [{"video_duration_filter": {}}, {"video_captioning_from_vlm_mapper": op}],
            }
        )
    )
    child = [sys.executable, __file__, "--child", str(recipe), str(len(paths))]
    done = subprocess.run(child, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1]) / 1024


def _child(recipe: str, samples: str) -> None:
    import juicecap
    from juicecap.vlm.pipeline import core

    result = juicecap.run(recipe)
    assert result.rejected == 0
    assert result.samples == int(samples)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    decoders = sum(_peak_of(process) for process in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
    for task in Path("/proc/self/task").iterdir():  # who started a process is its parent thread
        if task.name != str(os.getpid()):
            decoders += sum(_peak_of(process) for process in (task / "children").read_text().split())
    core.close()
    print(own + decoders)


def _peak_of(process: str) -> int:
    """Peak resident memory of a process in KiB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
