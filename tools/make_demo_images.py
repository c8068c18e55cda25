"""Make the pictures of the recipes: six small PNG files, the datasets in DataFlow's shape, and the truth for the tests.

    python tools/make_demo_images.py

The true captions go to `tests/demo_images.json`, not into the recipes' input. The seed is one that training never uses.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import synthetic_clips as clips
from PIL import Image

ROOT = Path(__file__).parent.parent
SEED = 20_265
COUNT = 6
SIZES = ((192, 192), (240, 180), (180, 320))


def main() -> None:
    """Every shape twice, three sizes; and the conversations about the clips, which `make_demo_clips.py` makes."""
    rng = np.random.default_rng(SEED)
    folder = ROOT / "recipes" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    rows, truth = [], {}
    for index in range(COUNT):
        while True:
            scene = clips.random_scene(rng)
            if scene.shape == clips.SHAPES[index % 3] and scene.motion == "still":
                break
        name = f"image_{index:02d}.png"
        pixels = clips.render(scene, 0.0, *SIZES[index // 2])
        Image.fromarray(pixels).quantize(64).save(folder / name, optimize=True)
        rows.append({"image": [name], "conversation": [{"from": "human", "value": clips.IMAGE_PROMPT}]})
        truth[name] = {"caption": clips.image_caption(scene), "color": scene.color}
    write(folder / "images.json", rows)
    write(ROOT / "tests" / "demo_images.json", truth)
    films = sorted((ROOT / "recipes" / "clips").glob("*.mp4"))
    asked = [{"video": [film.name], "conversation": [{"from": "human", "value": ""}]} for film in films]
    write(ROOT / "recipes" / "clips" / "conversations.json", asked)
    size = sum(file.stat().st_size for file in folder.glob("*.png"))
    print(f"{COUNT} pictures, {size / 1024:.0f} KiB")


def write(path: Path, value: list | dict) -> None:
    """A JSON file with one record on each line."""
    if isinstance(value, dict):
        body = ",\n".join(f" {json.dumps(key)}: {json.dumps(each)}" for key, each in value.items())
        text = f"{{\n{body}\n}}\n"
    else:
        text = "[\n" + ",\n".join(f" {json.dumps(each)}" for each in value) + "\n]\n"
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
