"""The pages of the documentation and their code blocks."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import juicecap

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
OP_PAGES = sorted(path for path in ROOT.glob("docs/ops/*.md") if path.name != "README.md")
TRANSLATION = ROOT / "README.zh.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SAMPLES = Path(juicecap.__file__).parent / "assets" / "samples"
TALK = [{"from": "human", "value": ""}]
ROWS = [
    {"videos": ["a.mp4"], "video": ["a.mp4"], "image": ["a.png"], "title": "A", "conversation": TALK},
    {"videos": ["b.mp4"], "video": ["b.mp4"], "image": ["b.png"], "title": "B", "conversation": TALK},
]


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return [body for found, body in FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def named(page: Path) -> str:
    """A page by its path in the repository."""
    return page.relative_to(ROOT).as_posix()


def furnish(folder: Path) -> None:
    """Put everything that examples name into a working directory."""
    (folder / "recipes").symlink_to(ROOT / "recipes")
    (folder / "my_videos").mkdir()
    for letter, clip, image in (("a", "clip_05.mp4", "image_00.png"), ("b", "clip_09.mp4", "image_01.png")):
        for place in (folder, folder / "my_videos"):
            shutil.copy(SAMPLES / clip, place / f"{letter}.mp4")
        shutil.copy(SAMPLES / image, folder / f"{letter}.png")
        (folder / "my_videos" / f"{letter}.txt").write_text(f"old {letter}", encoding="utf-8")
    times = {"start_time": "0", "end_time": "1.5"}
    (folder / "sample_data.json").write_text(json.dumps([row | times for row in ROWS]), encoding="utf-8")
    (folder / "a.jsonl").write_text(json.dumps(ROWS[0]), encoding="utf-8")
    (folder / "captions.jsonl").write_text(json.dumps(ROWS[0] | {"caption": "A cat."}), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(ROWS[1:]), folder / "b.parquet")
    (folder / "shared").mkdir()
    (folder / "shared/project.yaml").write_text("seed: 1\nexport_path: out/shared.jsonl\n", encoding="utf-8")
    (folder / "shared/model.yaml").write_text("hf_model: juicecap-demo-vlm\n", encoding="utf-8")
