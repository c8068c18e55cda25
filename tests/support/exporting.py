"""A folder of clips and captions that are hard to export, and exports of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

import juicecap
from juicecap.runner import RunResult

NASTY: dict[str, Any] = {
    "clip.mp4": "A red circle moves right.",
    "nested/clip.mp4": "Two\nlines,\r\n  \u2028and a tab\there.",
    "UPPER.MP4": "NA",
    'it\'s "quoted", 🎬.mp4': 'She said "no, <video>", twice.',
    "v1.2.final.mp4": [
        "",
    ],
    "none.mp4": None,
}
"""Captions by the paths of the clips."""


class Exporting:
    """A dataset of clips with captions, and recipes that do nothing but export it."""

    def __init__(self, folder: Path, clip: Path, captions: dict[str, Any] = NASTY) -> None:
        self.folder = folder
        self.captions = dict(captions)
        for number, name in enumerate(self.captions):
            path = folder / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(clip.read_bytes() + bytes([number]))  # a file of its own, which still is the clip
        self.write()

    def write(self, rows: list[dict[str, Any]] | None = None) -> None:
        """Write the dataset: these rows, or one for each clip."""
        rows = rows or [{"videos": [name], "caption": caption} for name, caption in self.captions.items()]
        self.dataset.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def first_captions(self) -> dict[str, str | None]:
        """The first caption of each clip, or None."""
        return {name: each[0] if isinstance(each, list) else each for name, each in self.captions.items()}

    @property
    def dataset(self) -> Path:
        return self.folder / "data" / "data.jsonl"

    def clip(self, name: str) -> Path:
        return self.folder / "data" / name

    def recipe(self, *exports: dict[str, Any], **keys: Any) -> Path:
        """A recipe; places are below the folder."""
        placed = [{**each, **({"to": str(self.folder / each["to"])} if "to" in each else {})} for each in exports]
        path = self.folder / "recipe.yaml"
        settings = {"dataset_path": str(self.dataset), "exports": placed, "process": [], **keys}
        path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
        return path

    def run(self, *exports: dict[str, Any], overwrite: bool = False, overwrite_texts: bool = False, **keys: Any) -> RunResult:
        return juicecap.run(self.recipe(*exports, **keys), overwrite=overwrite, overwrite_texts=overwrite_texts)


def files(folder: Path) -> dict[str, Path]:
    """All files below a folder, by their paths."""
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def texts(folder: Path, suffix: str = ".txt") -> dict[str, str]:
    """The texts in a folder, by their names without the suffix."""
    return {path.name.removesuffix(suffix): path.read_bytes().decode() for path in sorted(folder.glob(f"*{suffix}"))}


def digest(path: Path) -> str:
    """What tells a medium from any other."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]
