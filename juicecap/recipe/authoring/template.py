"""Recipes to start from, put together of commented pieces in `assets/templates` and filled with paths and columns.

A template says what is captioned and by which model, a goal what is made of it. In a piece `@word@` is replaced; a line whose
words are all empty vanishes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import yaml

import juicecap
from juicecap.errors import UsageError
from juicecap.printable import folded
from juicecap.recipe.authoring.exports import exports_text, pairs, place_in
from juicecap.recipe.yaml.environment import literal
from juicecap.vlm.catalog import find
from juicecap.vlm.installed import install_command, missing_libraries

ASSETS = Path(juicecap.__file__).parent / "assets"
RECIPE, SCHEMA = "recipe.yaml", "juicecap.schema.json"

TEMPLATES = {
    "demo": "videos, with the bundled demonstration model",
    "hf": "videos, with Qwen3-VL on transformers",
    "vllm": "videos, with Qwen3-VL on vLLM",
    "api": "videos, through an OpenAI-compatible server",
    "images": "images",
    "conversations": "a conversation dataset",
}
"""Name -> what it captions."""

GOALS = {
    "dataset": "a table with their captions",
    "lora": "one caption for each, to train a LoRA on",
    "vqa": "conversations of a question and the answer",
}
"""Name -> what is made."""

MODELS: Mapping[str, str] = {"demo": "hf", "hf": "hf", "vllm": "vllm", "api": "openai"}
"""Piece with the parameters of a model -> its backend."""

SAMPLES = {
    "images": ("images.json", "image_00.png", "image_01.png"),
    "conversations": ("conversations.json", "clip_05.mp4", "clip_09.mp4"),
}
"""The dataset that comes with a template, and its media; those of the others are `CLIPS`."""

CLIPS = ("clips.jsonl", "clip_05.mp4", "clip_09.mp4")

_COMMENT = 38
"""Column in which comments begin, where what they are about leaves room."""

_PROMPTS = {
    "video": "Describe the video in one or two plain sentences, with its subject, what happens, the setting and the camera.",
    "image": "Describe the image in one or two plain sentences, with its subject, the setting and the light.",
}
"""What is asked for a LoRA."""

_FRAMES = {
    "api": "      num_frames: 16                  # frames sent for each video, evenly spaced",
    "": "      fps: 2                          # frames taken per second; or num_frames for a fixed number\n      max_frames: 64",
}
"""How frames are taken, by the piece of the model."""

Op = Literal["videos", "images", "conversations"]


class Written(NamedTuple):
    """A recipe to start from."""

    template: str
    text: str
    missing: str
    """A sentence about libraries that are not installed; empty if all are."""


def samples(template: str) -> list[Path]:
    """The files of the dataset that comes with a template, the dataset first."""
    return [ASSETS / "samples" / name for name in SAMPLES.get(template, CLIPS)]


def check_pair(template: str, goal: str) -> None:
    """Make sure that a template can serve a goal.

    Raises:
        UsageError: it cannot; the message names what fits.
    """
    if template == "conversations" and goal == "lora":
        raise UsageError(
            f"--goal lora makes {GOALS[goal]}, and the template 'conversations' answers questions; "
            "try --goal vqa, or another template, such as hf"
        )


def recipe_text(folder: str, template: str, goal: str = "dataset") -> Written:
    """A recipe for the samples of the template, once they lie in `folder`.

    Raises:
        UsageError: the template cannot serve the goal, or `folder` is not UTF-8.
    """
    check_pair(template, goal)
    dataset = os.path.join(folder, samples(template)[0].name)
    entry = pairs(place_in(folder), "caption") if goal == "lora" else None
    words = {
        "dataset": "two samples; put yours here",
        "video": "videos" if template in MODELS else "video",
        "output": "caption",
        "caption_as": "text",
        "exports": exports_text(entry, op_of(template, goal)),
        "columns": image_key_line("image") if entry and template == "images" else "",
    }
    return written(folder, template, goal, template if template in MODELS else "demo", dataset, words)


def written(folder: str, template: str, goal: str, model: str, dataset: str, words: Mapping[str, str]) -> Written:
    """A recipe with these `words`; those that are missing have their defaults.

    Raises:
        UsageError: a path is not UTF-8.
    """
    for path in (folder, dataset):
        if path != path.encode(errors="ignore").decode():
            raise UsageError(f"{path} is not UTF-8, and a recipe is: rename it, or give another")
    op = op_of(template, goal)
    spec = find(MODELS[model])
    known = {
        "image": "image",
        "conversation": "conversation",
        "output_note": "column that receives the caption",
        "export_path": os.path.join(folder, "out", "captions.jsonl"),
        "dataset_path": dataset,
        **words,
    }
    comments = {
        "what": TEMPLATES[template],
        "goal": GOALS[goal],
        "recipe": folded(os.path.join(folder, RECIPE)),
        **{name: folded(known.pop(name)) for name in ("dataset", "output_note")},
    }
    medium = "image" if template == "images" else "video"
    whole = {
        "install": f"# Install what it needs with: {install_command(spec.extra)}",
        "export": _line("export_paths", "absolute", "trainers look for media from a folder of their own", 0)
        if goal == "lora"
        else "",
        **{name: known.pop(name) for name in ("columns", "exports")},
        "prompt": ("" if goal == "lora" and model != "demo" else "# ") + f"prompt: {_yaml(_PROMPTS[medium])}",
        "frames": _FRAMES.get(model, _FRAMES[""]) if medium == "video" else "",
        "caption_as": _line("caption_as", known.pop("caption_as", "text"), "or list: a list with a caption for each video"),
        "provenance": _line("provenance_field", "null", "or a column that records model, prompt and seed")
        if goal == "lora"
        else "",
        "overwrite": known.pop("overwrite", ""),
        "mode": _line("conversation_mode", *_MODES[known.pop("mode", "overwrite")]),
        "medium": medium,
        "max_tokens": "64" if model == "demo" else "256",
        "model": _piece(f"models/{model}").rstrip("\n"),
    }
    values = {name: _yaml(value) for name, value in known.items()}
    body = _filled(_piece(f"ops/{op}"), {**whole, **comments, **values})
    text = _filled(_piece("recipe"), {**whole, **comments, **values, "op": body})
    return Written(template, "\n".join(map(_aligned, text.splitlines())) + "\n", _missing(MODELS[model]))


def op_of(template: str, goal: str) -> Op:
    """Which op captions."""
    if template == "conversations" or goal == "vqa":
        return "conversations"
    return "images" if template == "images" else "videos"


def free(name: str, columns: tuple[str, ...]) -> str:
    """The name, or one like it that no column has."""
    taken = set(columns)
    return next(each for each in (name, *(f"{name}_{number}" for number in range(2, len(taken) + 3))) if each not in taken)


def image_key_line(column: str) -> str:
    """The key that tells exports where images are."""
    return key_line("image_key", column, "column with the paths of the images")


def key_line(key: str, value: str, comment: str) -> str:
    """A key of the recipe, or of a block where `key` is indented."""
    return f"{key}: {_yaml(value)}  # {comment}"


_MODES = {
    "overwrite": ("overwrite", "the prompt becomes the question; fill_empty answers a question that is there"),
    "fill_empty": ("fill_empty", "a question that is there is answered; overwrite asks the prompt in its place"),
}


def _missing(backend: str) -> str:
    spec = find(backend)
    lacking = missing_libraries(spec)
    if not lacking:
        return ""
    verb = "is" if len(lacking) == 1 else "are"
    return f"{', '.join(lacking)} {verb} not installed, which backend {backend} needs: {install_command(spec.extra)}"


def _line(key: str, value: str, comment: str, indent: int = 6) -> str:
    return f"{' ' * indent}{key}: {value}  # {comment}"


def _piece(name: str) -> str:
    return (ASSETS / "templates" / f"{name}.yaml").read_text(encoding="utf-8")


def _filled(text: str, words: Mapping[str, str]) -> str:
    lines: list[str] = []
    for line in text.splitlines():
        filled = re.sub(r"@(\w+)@", lambda word: words[word[1]], line)
        if filled.strip() or not line:
            lines += filled.splitlines() or [""]
    return "\n".join(lines)


def _aligned(line: str) -> str:
    """The line with its comment in the usual column, or two spaces behind a value that is too long for that."""
    match = re.fullmatch(r"(\s*[^#\s].*?)\s{2,}(# .*)", line)
    if not match:
        return line
    gap = " " if len(match[1]) < _COMMENT else "  "
    return f"{match[1]:<{_COMMENT - 1}}{gap}{match[2]}"


def _yaml(text: str) -> str:
    """A text as a value in a recipe."""
    dumped: str = yaml.safe_dump([literal(text)], allow_unicode=True, width=float("inf"))
    return dumped[len("- ") :].rstrip("\n")
