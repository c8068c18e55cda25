"""Make the pictures of a preview's page for the docs: a wide and light one, and a narrow and dark one.

    python tools/make_preview_pictures.py

The page is that of two prompts to the demo model about one of the demo clips. Needs Debian's `chromium` and
`.ci/browser/requirements.txt`.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from juicecap.recipe import load_recipe
from juicecap.report.page import preview_page
from juicecap.runner.estimate.preview import run_preview
from juicecap.vlm.pipeline import core

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
COLOURS = 160
"""Colours of the palette, so that the files stay small."""

RECIPE = f"""
project_name: two_prompts
dataset_path: {ROOT}/recipes/clips/clips.jsonl
export_path: FOLDER/captions.jsonl
process:
  - video_duration_filter:
      min_duration: 0.5
  - video_captioning_from_vlm_mapper:
      hf_model: juicecap-demo-vlm
      caption_field: caption
      caption_as: text
      keep_original_sample: false
  - video_captioning_from_vlm_mapper:
      hf_model: juicecap-demo-vlm
      prompt: Please describe the video in detail.
      caption_field: details
      caption_as: text
      keep_original_sample: false
"""

PICTURES = (("preview_wide.png", 1180, 900, "light", 1), ("preview_narrow.png", 390, 844, "dark", 2))
"""Name, width, height, colours and pixels per pixel of each."""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        page = Path(name) / "preview.html"
        page.write_text(made(Path(name)), encoding="utf-8")
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"))
            for picture in PICTURES:
                taken(browser, page, *picture)
            browser.close()


def made(folder: Path) -> str:
    """The page."""
    recipe = folder / "two_prompts.yaml"
    recipe.write_text(RECIPE.replace("FOLDER", str(folder)), encoding="utf-8")
    try:
        preview = run_preview(load_recipe(recipe), 1, ids=["clips.jsonl:4"])
    finally:
        core.close()
    return preview_page(preview).replace(f"{folder}/", "")


def taken(browser: Browser, page: Path, name: str, width: int, height: int, scheme: str, scale: int) -> None:
    """One picture."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=scale,
        color_scheme="dark" if scheme == "dark" else "light",
    )
    window = context.new_page()
    window.goto(page.as_uri())
    image = Image.open(io.BytesIO(window.screenshot())).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    context.close()
    image.save(IMAGES / name, optimize=True)
    print(f"docs/images/{name}: {image.width}x{image.height}, {(IMAGES / name).stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
