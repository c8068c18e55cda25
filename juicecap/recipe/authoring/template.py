"""Recipes to start from: commented texts in `assets/templates`, filled with the paths and columns of a dataset.

A template's `@word@` is replaced; a line whose words are all empty vanishes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import yaml

import juicecap
from juicecap.errors import UsageError
from juicecap.printable import folded
from juicecap.recipe.authoring.guess import guess

ASSETS = Path(juicecap.__file__).parent / "assets"
RECIPE, SCHEMA = "recipe.yaml", "juicecap.schema.json"

TEMPLATES = {
    "demo": "videos, with the bundled demonstration model",
    "vllm": "videos, with Qwen3-VL on vLLM",
    "api": "videos, through an OpenAI-compatible server",
    "images": "images",
    "conversations": "a conversation dataset",
}
"""Name -> what it captions."""

SAMPLES = {
    "images": ("images.json", "image_00.png", "image_01.png"),
    "conversations": ("conversations.json", "clip_05.mp4", "clip_09.mp4"),
}
"""The dataset that comes with a template, and its media; those of the others are `CLIPS`."""

CLIPS = ("clips.jsonl", "clip_05.mp4", "clip_09.mp4")
_COMMENT = 38
"""Column in which comments begin, where what they are about leaves room."""


def samples(template: str) -> list[Path]:
    """The files of the dataset that comes with a template, the dataset first."""
    return [ASSETS / "samples" / name for name in SAMPLES.get(template, CLIPS)]


def recipe_text(folder: str, template: str) -> str:
    """A recipe for the samples of the template, once they lie in `folder`."""
    dataset = os.path.join(folder, samples(template)[0].name)
    words = {"dataset": "two samples; put yours here", "video": "video", "image": "image", "conversation": "conversation"}
    words["output"] = "output" if template == "images" else "caption"
    words |= {"model": "juicecap-demo-vlm", "model_note": "knows coloured shapes and nothing else; try Qwen/Qwen3-VL-8B-Instruct"}
    return _filled(template, folder, dataset, words)


def fitting_recipe(folder: str, template: str | None, dataset: str) -> tuple[str, str]:
    """The name of the template, if none is given one that fits, and a recipe for a dataset.

    Raises:
        DataError: the dataset cannot be read.
        UsageError: the template is for other media than those of the dataset.
    """
    found = guess(dataset)
    fitting = "conversations" if found.conversation else "vllm" if found.video else "images"
    template = template or fitting
    usable = {"images": found.image, "conversations": found.video or found.image}.get(template, found.video)
    if not usable:
        has = f"videos in the column {found.video!r}" if found.video else f"images in the column {found.image!r}"
        raise UsageError(f"the template {template!r} is for {TEMPLATES[template]}, and {dataset} has {has}; try {fitting!r}")
    kind = "media" if found.is_media else "rows"
    words = {
        "dataset": f"{found.rows:,} {kind} looked at; columns: {', '.join(found.columns)}",
        "video": found.video or "video",
        "image": found.image or "image",
        "conversation": found.conversation or "conversation",
        "model": "Qwen/Qwen3-VL-8B-Instruct",
        "model_note": "a name on the Hub, or a local folder",
        "output": _free("output" if template == "images" else "caption", found.columns),
    }
    if template not in ("images", "conversations"):
        keys = [
            ("video_key", found.video, "videos", "column with the paths of the videos"),
            ("text_keys", found.text, "text", "column with the text"),
        ]
        words["columns"] = "\n".join(
            f"{key}: {_yaml(name)}  # {what}" for key, name, usual, what in keys if name and name != usual
        )
        if found.text:
            field = _free("captions", found.columns)
            words["caption_field"] = (
                f"      caption_field: {_yaml(field)}  # a column of their own; {folded(found.text)} stays as it is"
            )
    return template, _filled(template, folder, dataset, words)


def _filled(template: str, folder: str, dataset: str, words: dict[str, str]) -> str:
    text = (ASSETS / "templates" / f"{template}.yaml").read_text(encoding="utf-8")
    whole = {"columns": words.pop("columns", ""), "caption_field": words.pop("caption_field", "")}
    comments = {name: folded(words.pop(name)) for name in ("dataset", "model_note")}
    comments |= {"recipe": folded(os.path.join(folder, RECIPE))}
    values = {"dataset_path": dataset, "export_path": os.path.join(folder, "out", "captions.jsonl"), **words}
    for path in (folder, dataset):
        if path != path.encode(errors="ignore").decode():
            raise UsageError(f"{path} is not UTF-8, and a recipe is: rename it, or give another")
    texts = {**whole, **comments, **{name: _yaml(value) for name, value in values.items()}}
    lines: list[str] = []
    for line in text.splitlines():
        filled = re.sub(r"@(\w+)@", lambda word: texts[word[1]], line)
        if filled or not line:
            lines += filled.splitlines() or [""]
    return "\n".join(map(_aligned, lines)) + "\n"


def _aligned(line: str) -> str:
    """The line with its comment in the usual column, or two spaces behind a value that is too long for that."""
    match = re.fullmatch(r"(\s*[^#\s].*?)\s{2,}(# .*)", line)
    if not match:
        return line
    gap = " " if len(match[1]) < _COMMENT else "  "
    return f"{match[1]:<{_COMMENT - 1}}{gap}{match[2]}"


def _free(name: str, columns: Iterable[str]) -> str:
    """The name, or one like it that no column has."""
    taken = set(columns)
    return next(each for each in (name, *(f"{name}_{number}" for number in range(2, len(taken) + 3))) if each not in taken)


def _yaml(text: str) -> str:
    """A text as a value in a recipe."""
    dumped: str = yaml.safe_dump([text.replace("${", "$${")], allow_unicode=True, width=float("inf"))
    return dumped[len("- ") :].rstrip("\n")
