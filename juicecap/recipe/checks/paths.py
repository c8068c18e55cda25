"""Checks the paths of a recipe: whether the dataset exists, and whether the output can be written."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from juicecap.data import export, source
from juicecap.data.export.shards import check_folder
from juicecap.data.source import sidecar
from juicecap.data.source.options import SourceOptions
from juicecap.errors import DataError
from juicecap.naming import unnameable, unwritable
from juicecap.recipe.checks.overwrites import clashes, outputs, outputs_key
from juicecap.recipe.problems import Problem, suggestion
from juicecap.recipe.types import Recipe
from juicecap.recipe.work_dir import ADVICE, obstacle
from juicecap.recipe.yaml.path_starts import key_start
from juicecap.sample import display_path
from juicecap.text import near
from juicecap.vlm.journal.file_signature import is_journal

MOST_SIBLINGS = 1000
"""Names in a folder among which a near one is looked for."""


def dataset_format(recipe: Recipe) -> tuple[str | None, list[Problem]]:
    """The format of the dataset, or None and why it cannot be read."""
    path = recipe.dataset_path
    if why := unnameable(path) or unwritable(os.path.abspath(path)):
        return None, [recipe.source.problem(("dataset_path",), f"dataset_path: {display_path(path)} {why}")]
    try:
        return _dataset(recipe)
    except (OSError, ValueError) as error:  # no permission, a name too long, a NUL in it
        message = f"dataset_path cannot be looked at: {_reason(error)}"
        return None, [recipe.source.problem(("dataset_path",), message)]


def export_problems(recipe: Recipe) -> list[Problem]:
    """What is wrong with `export_path`, `work_dir` and `journal`."""
    if unnamed := _unnameable(recipe):
        return unnamed
    try:
        return list(_export(recipe))
    except (OSError, ValueError) as error:
        key = outputs_key(recipe)
        return [recipe.source.problem((key,), f"{key} cannot be looked at: {_reason(error)}")]


def overwrite_problems(recipe: Recipe) -> list[Problem]:
    """Outputs that would destroy something, or have impossible names, for a recipe that was not checked."""
    if unnamed := _unnameable(recipe):
        return unnamed
    try:
        return [*clashes(recipe), *_journal(recipe)]
    except (OSError, ValueError) as error:
        key = outputs_key(recipe)
        return [recipe.source.problem((key,), f"{key} cannot be looked at: {_reason(error)}")]


def _unnameable(recipe: Recipe) -> list[Problem]:
    values = recipe.source.values
    paths = {"export_path": recipe.export_path} if recipe.export_path else {}
    paths |= {name: path for name, path in (("work_dir", recipe.work_dir), ("journal", recipe.journal)) if values.get(name)}
    reasons = {name: why for name, path in paths.items() if (why := unnameable(str(path)))}
    return [recipe.source.problem((name,), f"{name}: {display_path(str(paths[name]))} {why}") for name, why in reasons.items()]


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


def _dataset(recipe: Recipe) -> tuple[str | None, list[Problem]]:
    path, trail = recipe.dataset_path, ("dataset_path",)
    if not path.strip():
        message = "dataset_path is missing: a dataset file, a folder of videos, or the name of a dataset on the Hub"
        return None, [recipe.source.problem(trail, message, at="key")]
    folder = Path(path).parent
    try:
        format_ = source.format_of(path, SourceOptions(suffixes=recipe.suffixes))
    except DataError as error:
        return None, [recipe.source.problem(trail, f"dataset_path: {error}", hint=_path_hint(recipe, path))]
    if format_ == "hub" and folder.is_dir():
        message = f"dataset_path: {path} does not exist, and no dataset on the Hub is meant, since {folder} is a folder here"
        return None, [recipe.source.problem(trail, message, hint=_path_hint(recipe, path))]
    unfit = list(_sidecars(recipe, format_))
    return None if unfit else format_, unfit


def _sidecars(recipe: Recipe, format_: str) -> Iterator[Problem]:
    """What is wrong with `sidecar_suffix`."""
    if recipe.sidecar_suffixes and format_ not in ("folder", "mixture", "several"):
        message = f"sidecar_suffix is for texts beside the media of a folder, and {recipe.dataset_path} is a dataset of records"
        yield recipe.source.problem(("sidecar_suffix",), message, at="key")
    options = SourceOptions(video_key=recipe.video_key, image_key=recipe.image_key, audio_key=recipe.audio_key)
    for suffix in recipe.sidecar_suffixes:
        if why := sidecar.unfit(suffix, options):
            yield recipe.source.problem(("sidecar_suffix",), f"sidecar_suffix: {why}")


def _path_hint(recipe: Recipe, path: str) -> str:
    """What may be meant by the path of a dataset that is not there: one from the recipe's folder, or one with a similar name."""
    start = key_start(path, recipe.path.parent)
    return start if "did you mean" in start else _near_path(Path(path)) or start


def _near_path(path: Path) -> str:
    siblings = [each.name for each in itertools.islice(path.parent.iterdir(), MOST_SIBLINGS)] if path.parent.is_dir() else []
    close = near(path.name, siblings)
    return f"did you mean {str(path.parent / close)!r}?" if close else ""


def _export(recipe: Recipe) -> Iterator[Problem]:
    trail, path, written = ("export_path",), recipe.export_path, recipe.source.values.get("export_path")
    if "://" in str(written):
        yield recipe.source.problem(trail, f"export_path: juicecap exports to local paths only, not to {written}")
        return
    if path:
        try:
            export.format_of(path, recipe.export_type)
        except DataError as error:
            hint = suggestion(path.suffix, [f".{each}" for each in export.FORMATS])
            yield recipe.source.problem(trail, f"export_path: {error}", hint=hint)
    clashing = list(clashes(recipe))
    for output in outputs(recipe):
        if output.is_folder and not clashing:
            try:
                check_folder(output.path)
            except DataError as error:
                yield recipe.source.problem(output.trail, f"{output.trail[0]}: {error}")
    yield from clashing
    yield from _run_folder(recipe, already_told=bool(clashing))
    yield from _journal(recipe)


def _journal(recipe: Recipe) -> Iterator[Problem]:
    """A damaged journal is set aside by the run; a file that is not recognised as a journal is a problem."""
    if not recipe.source.values.get("journal"):
        return
    if recipe.journal.is_file() and recipe.journal.stat().st_size:
        if not is_journal(recipe.journal):
            message = f"journal: {recipe.journal} is no journal; give the path of one, or of a new file"
            hint = f"if it was one and is damaged, rename it; the run then begins a new one as {recipe.journal.name}"
            yield recipe.source.problem(("journal",), message, hint=hint)
    elif recipe.journal.exists() and not recipe.journal.is_file():
        yield recipe.source.problem(("journal",), f"journal: {recipe.journal} is not a file; give the path of a file")


def _run_folder(recipe: Recipe, *, already_told: bool) -> Iterator[Problem]:
    """`already_told`: what the run would overwrite is reported already."""
    key = outputs_key(recipe)  # beside which it lies
    folders = {key: recipe.output.parent}
    if recipe.source.values.get("work_dir"):
        key = "work_dir"
        folders[key] = recipe.work_dir
    for name, folder in folders.items():
        blocking = next((each for each in (folder, *folder.parents) if each.exists() and not each.is_dir()), None)
        if blocking:
            yield recipe.source.problem((name,), f"{name}: {blocking} is a file, not a folder")
    if not already_told and (what := obstacle(recipe.work_dir)):
        yield recipe.source.problem((key,), f"{key}: {recipe.work_dir / what}", hint=ADVICE)
