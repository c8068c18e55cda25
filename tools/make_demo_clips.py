"""Make the clips of the recipes: ten small mp4 files, the dataset that names them, and the truth for the tests.

    python tools/make_demo_clips.py

The true captions go to `tests/demo_clips.json`, not into the recipe's input. The seed is one that training never uses.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import synthetic_clips as clips

ROOT = Path(__file__).parent.parent
SEED = 20_261
COUNT = 10


def main() -> None:
    """Every motion twice, every shape at least three times, ten formats."""
    rng = np.random.default_rng(SEED)
    folder = ROOT / "recipes" / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    rows, truth = [], {}
    for index in range(COUNT):
        while True:
            scene = clips.random_scene(rng)
            if scene.motion == clips.MOTIONS[index % 5] and scene.shape == clips.SHAPES[index % 3]:
                break
        width, height = [(320, 180), (240, 180), (192, 192), (180, 320), (256, 144)][index // 2]
        form = clips.ClipFormat(width, height, fps=int(rng.integers(10, 25)), frames=int(rng.integers(24, 72)))
        name = f"clip_{index:02d}.mp4"
        clips.encode(clips.frames(scene, form, rng), form.fps, folder / name, crf=27, preset="slow")
        rows.append({"id": f"clip_{index:02d}", "videos": [name], "text": "<__dj__video> <|__dj__eoc|>"})
        truth[name] = {"caption": clips.caption(scene), "detail": clips.detailed_caption(scene)}
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "clips.jsonl").write_text(lines, encoding="utf-8")
    (ROOT / "tests" / "demo_clips.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    size = sum(file.stat().st_size for file in folder.glob("*.mp4"))
    print(f"{COUNT} clips, {size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
