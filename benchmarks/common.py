"""What the benchmarks share: clips to measure on, and the last line that programs read."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import synthetic_clips as clips  # noqa: E402  (found through the line above)

DEMO_MODEL = "juicecap-demo-vlm"


@dataclass(frozen=True)
class Clip:
    """A filmed scene."""

    path: Path
    scene: clips.Scene


def film(folder: Path, count: int, seed: int, *, backwards: bool = False) -> list[Clip]:
    """Film random scenes as h264 files in random formats; `backwards` plays the same frames in reverse order."""
    made = []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        scene, form = clips.random_scene(rng), clips.random_format(rng)
        images = clips.frames(scene, form, rng)
        path = folder / f"{index:05d}.mp4"
        clips.encode(list(images)[::-1] if backwards else images, form.fps, path)
        made.append(Clip(path, scene.backwards() if backwards else scene))
    return made


def conclude(**figures: float) -> None:
    """Print the figures as one JSON object, the last line of every benchmark."""
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))
