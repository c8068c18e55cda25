"""`juicecap init [DIR]`: writes a commented recipe to start from, and the JSON Schema with which an editor helps."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from juicecap.cli.printing import show
from juicecap.data.writing.outputs import write_new
from juicecap.errors import DataError, JuicecapError, UsageError
from juicecap.naming import unwritable
from juicecap.recipe.authoring.fitting import fitting_recipe
from juicecap.recipe.authoring.schema import recipe_schema
from juicecap.recipe.authoring.template import GOALS, RECIPE, SCHEMA, TEMPLATES, recipe_text, samples
from juicecap.sample import display_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("folder", nargs="?", default="", metavar="DIR", help="where to write it; created if missing (default: .)")
    kinds = "; ".join(f"{name}: {what}" for name, what in TEMPLATES.items())
    parser.add_argument("--template", choices=TEMPLATES, metavar="NAME", help=f"what is captioned, and how ({kinds})")
    kinds = "; ".join(f"{name}: {what}" for name, what in GOALS.items())
    parser.add_argument(
        "--goal", choices=GOALS, default="dataset", metavar="NAME", help=f"what is made ({kinds}; default: dataset)"
    )
    what = "write a recipe that fits this folder of videos or images, or this dataset file"
    parser.add_argument("--from", dest="dataset", metavar="PATH", help=what)


def main(options: argparse.Namespace) -> int:
    """Write the files and print what to do next."""
    folder = os.path.normpath(options.folder) if options.folder else ""
    folder = "" if folder == "." else folder
    for path in (options.folder, options.dataset or ""):
        if why := unwritable(path):
            raise UsageError(f"{display_path(path)} {why}")
    copied: list[Path] = []
    if options.dataset:
        written = fitting_recipe(folder, options.template, options.dataset, options.goal)
    else:
        written = recipe_text(folder, options.template or "demo", options.goal)
        copied = samples(written.template)
    target = Path(folder)
    taken = [str(target / name) for name in (RECIPE, SCHEMA, *(each.name for each in copied)) if os.path.lexists(target / name)]
    if taken:
        raise UsageError(f"{', '.join(taken)} exists, and nothing is overwritten; give another folder: juicecap init DIR")
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder or '.'}: the recipe cannot be written: {error.strerror or error}") from error
    schema = json.dumps(recipe_schema(), ensure_ascii=False) + "\n"
    _write(target, {RECIPE: written.text.encode(), SCHEMA: schema.encode(), **{each.name: each.read_bytes() for each in copied}})
    show(f"{target / RECIPE} written: {TEMPLATES[written.template]}")
    if written.missing:
        show(written.missing)
    show(f"next: juicecap check {target / RECIPE}")
    return 0


def _write(target: Path, files: dict[str, bytes]) -> None:
    """All of the files, or none."""
    written: list[Path] = []
    try:
        for name, content in files.items():
            write_new(target / name, content)
            written.append(target / name)
    except JuicecapError:
        for file in written:
            file.unlink(missing_ok=True)
        raise
