"""A recipe that fits a dataset: the template for its media, the backend that is installed, and its columns."""

from __future__ import annotations

import os

from juicecap.errors import UsageError
from juicecap.printable import folded
from juicecap.recipe.authoring.exports import exports_text, fitting_export, place_in
from juicecap.recipe.authoring.guess import Guess, guess
from juicecap.recipe.authoring.template import (
    MODELS,
    TEMPLATES,
    Written,
    check_pair,
    free,
    image_key_line,
    key_line,
    op_of,
    written,
)
from juicecap.vlm.installed import first_installed

PREFERRED = ("vllm", "hf", "openai")
"""Backends, the fastest first."""

_EXPORTS = {"csv": ".csv", "json": ".json", "parquet": ".parquet", "tsv": ".csv"}
"""Format of a dataset -> suffix of the export; .jsonl for the others."""


def fitting_recipe(folder: str, template: str | None, dataset: str, goal: str = "dataset") -> Written:
    """A recipe for a dataset; if no template is given, with one that fits and a backend that is installed.

    Raises:
        DataError: the dataset cannot be read.
        UsageError: the template is for other media than those of the dataset, or not for the goal.
    """
    if template:
        check_pair(template, goal)
    found = guess(dataset)
    installed = _model_installed()
    of_media = installed if found.video else "images"
    fitting = "conversations" if found.conversation and goal != "lora" else of_media
    template = template or fitting
    usable = {"images": found.image, "conversations": found.video or found.image}.get(template, found.video)
    if not usable:
        has = f"videos in the column {found.video!r}" if found.video else f"images in the column {found.image!r}"
        raise UsageError(f"the template {template!r} is for {TEMPLATES[template]}, and {dataset} has {has}; try {fitting!r}")
    model = template if template in MODELS else installed
    return written(folder, template, goal, model, found.path, _words(found, folder, template, goal))


def _model_installed() -> str:
    """The piece of the model for the best backend that is installed; where none is, for the one that is easiest to install."""
    backend = first_installed(PREFERRED) or "hf"
    return next(name for name, used in MODELS.items() if used == backend and name != "demo")


def _words(found: Guess, folder: str, template: str, goal: str) -> dict[str, str]:
    kind = "media" if found.is_media else "rows"
    words = {
        "dataset": f"{found.rows:,} {kind} looked at; columns: {', '.join(found.columns)}",
        "video": found.video or "video",
        "image": found.image or "image",
        "conversation": found.conversation or free("conversation", found.columns),
        "export_path": os.path.join(folder, "out", f"captions{_EXPORTS.get(found.format, '.jsonl')}"),
        "mode": "fill_empty" if goal == "vqa" and found.asks else "overwrite",
    }
    op, old = op_of(template, goal), None if op_of(template, goal) == "conversations" else found.old
    words["output"] = old.column if old else free("caption", found.columns)
    if old:
        words["output_note"] = "the new caption, in the place of the old one"
        words["overwrite"] = "      overwrite_output: true"
    elif found.text and op == "videos":
        words["output_note"] = f"a column of its own; {folded(found.text)} stays as it is"
    words["caption_as"] = "list" if found.has_several or (old and old.is_list) else "text"
    entry = fitting_export(found, op, goal, place_in(folder), words["output"])
    words["exports"] = exports_text(entry, op)
    lines = (
        [key_line("sidecar_suffix", found.sidecar, "texts beside the media; each suffix is a column")] if found.sidecar else []
    )
    if entry and op == "images" and found.image and found.image != "images":
        lines.append(image_key_line(found.image))
    if op == "videos":
        keys = [
            ("video_key", found.video, "videos", "column with the paths of the videos"),
            ("text_keys", found.text, "text", "column with the text, which candidates can be compared with"),
        ]
        lines += [key_line(key, name, what) for key, name, usual, what in keys if name and name != usual]
    words["columns"] = "\n".join(lines)
    return words
