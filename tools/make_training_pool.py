"""Make training clips that went the whole way: filmed, encoded as h264, decoded and scaled as the product does it.

    python tools/make_training_pool.py --out pool --clips 6000

Clips of one shape are stored together, with their timestamps and scenes, for `train_demo_vlm.Pool`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

import numpy as np
import synthetic_clips as clips
from train_demo_vlm import CELL, FRAME_PIXELS

from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import PixelBudget
from juicecap.media.video.decode import Frames, decode_frames

BUDGET = PixelBudget(
    factor=CELL, shortest=64 * 64, longest=64 * FRAME_PIXELS, whole_video=True, frame_tokens=FRAME_PIXELS // CELL**2
)
FEWEST = 4
"""Shapes with fewer clips are left out: a batch wants a few."""


def film(scene: clips.Scene, rng: np.random.Generator, path: Path) -> Frames:
    """Encode a scene in a random format and quality and decode it again."""
    form, preset = clips.random_format(rng), str(rng.choice(["ultrafast", "veryfast"]))
    clips.encode(clips.frames(scene, form, rng), form.fps, path, crf=int(rng.integers(18, 32)), preset=preset)
    return decode_frames(str(path), FrameSampling(), BUDGET.size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    groups: dict[tuple[int, ...], list[tuple[Frames, clips.Scene]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for index in range(options.clips):
            scene = clips.random_scene(rng)
            frames = film(scene, rng, Path(folder) / "clip.mp4")
            groups[frames.pixels.shape].append((frames, scene))
            if index % 200 == 0:
                print(f"{index} clips, {len(groups)} shapes", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    for shape, members in groups.items():
        if len(members) >= FEWEST:
            _store(options.out / ("x".join(map(str, shape[:3])) + ".npz"), members)


def _store(path: Path, members: list[tuple[Frames, clips.Scene]]) -> None:
    """An odd last frame is doubled, as the processor doubles it."""
    videos = np.stack([frames.pixels for frames, _ in members]).transpose(0, 1, 4, 2, 3)
    times = np.array([frames.times for frames, _ in members])
    if videos.shape[1] % 2:
        videos = np.concatenate([videos, videos[:, -1:]], axis=1)
        times = np.concatenate([times, times[:, -1:]], axis=1)
    np.savez(path, frames=videos, times=times, scenes=json.dumps([asdict(scene) for _, scene in members]))


if __name__ == "__main__":
    main()
