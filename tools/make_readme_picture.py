"""Make the picture of the README: frames of one demo clip side by side, and its true caption beneath.

    python tools/make_readme_picture.py

The frames come from the product's own decoder, the caption from `tests/demo_clips.json`; a test of the demo model holds that
the model says it.
"""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from juicecap.media.sampling import FrameSampling
from juicecap.media.video.decode import decode_frames

ROOT = Path(__file__).parent.parent
CLIP = "clip_05.mp4"
PICTURE = ROOT / "docs" / "images" / "captioned_clip.png"
FRAMES, SIDE, GAP, LINE = 5, 144, 6, 26
INK, PALE, PAPER = (30, 30, 30), (110, 110, 110), (255, 255, 255)
COLOURS = 64
"""Colours of the palette, so that the file stays small."""


def main() -> None:
    image = draw()
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    image.save(PICTURE, optimize=True)
    print(f"{PICTURE.relative_to(ROOT)}: {image.width}x{image.height}, {PICTURE.stat().st_size / 1024:.0f} KiB")


def caption() -> str:
    """What is true of the clip."""
    truth = json.loads((ROOT / "tests" / "demo_clips.json").read_text(encoding="utf-8"))
    text: str = truth[CLIP]["caption"]
    return text


def draw() -> Image.Image:
    """The picture."""
    clip = decode_frames(
        str(ROOT / "recipes" / "clips" / CLIP), FrameSampling(num_frames=FRAMES), lambda _, width, height: _fit(width, height)
    )
    height, width = clip.pixels.shape[1:3]
    sheet = Image.new("RGB", (FRAMES * (width + GAP) + GAP, GAP + height + 2 * LINE + GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    for index, (pixels, time) in enumerate(zip(clip.pixels, clip.times, strict=True)):
        left = GAP + index * (width + GAP)
        sheet.paste(Image.fromarray(pixels), (left, GAP))
        middle = (left + width / 2, GAP + height + LINE / 2)
        pen.text(middle, f"{time:.1f} s", fill=PALE, font=ImageFont.load_default(13), anchor="mm")
    middle = (sheet.width / 2, GAP + height + 1.5 * LINE)
    pen.text(middle, caption(), fill=INK, font=ImageFont.load_default(19), anchor="mm")
    return sheet.quantize(COLOURS, dither=Image.Dither.NONE)


def _fit(width: int, height: int) -> tuple[int, int]:
    return max(2, round(width * SIDE / height)), SIDE


if __name__ == "__main__":
    main()
