"""Checks that a run writes nothing that it reads, and that no two outputs are the same file.

`check` reports such clashes as problems, and a run from Python, which was not checked, looks for them before it changes anything:
a replaced file is lost, whatever `--overwrite` was meant for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from juicecap.data.export import FORMATS, export_target
from juicecap.data.source import mixture
from juicecap.data.source.options import SourceOptions
from juicecap.plain import kind_at
from juicecap.recipe.problems import Problem
from juicecap.recipe.types import Recipe
from juicecap.recipe.work_dir import FILES, FOLDERS, JOURNAL, is_resolved_recipe

OF_DATASETS = ("dataset_dict.json", "dataset_info.json", "metadata.csv", "metadata.jsonl", "state.json")
"""Names of files that belong to a dataset's folder, though an export could have such a suffix."""

JOURNAL_PARTS = ("", "-journal", "-shm", "-wal")
"""Ends of the names of a journal's files."""


def inputs(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """The recipe's inputs: a description and the path of each."""
    for path in mixture.paths_of(recipe.dataset_path):
        yield "the dataset", path
    yield "the recipe", str(recipe.path)
    for path in recipe.source.included:
        yield "a file that the recipe includes", path
    for path in recipe.custom_operator_paths:
        yield "the file of an op", path


def clashes(recipe: Recipe) -> Iterator[Problem]:
    """Outputs of a run that would replace its inputs, or each other. May raise OSError or ValueError."""
    yield from _of_the_export(recipe)
    yield from _of_the_journal(recipe)
    yield from _in_the_run_folder(recipe)


def output_at(recipe: Recipe, path: Path) -> str:
    """What of a run a path is, or lies in, or would keep from being made, in words; empty if it is nothing."""
    target, real = _real(export_target(recipe.export_path, recipe.export_shard_size)), _real(path)
    if real == target or (recipe.export_shard_size and target in real.parents):
        return "the export"
    if real in _parts(recipe.journal):
        return "the journal"
    if _place_in(recipe.work_dir, path):
        return "a file of the run folder"
    if any(real in (each, *each.parents) for each in (_real(recipe.work_dir), target.parent, _real(recipe.journal).parent)):
        return "a folder of the run"
    in_dataset = _in_dataset(recipe, real)
    return "in the folder of the dataset" if in_dataset else ""


def _of_the_export(recipe: Recipe) -> Iterator[Problem]:
    path, trail = recipe.export_path, ("export_path",)
    target = export_target(path, recipe.export_shard_size)
    if not recipe.export_shard_size and (kind := kind_at(path, follow=True)):
        yield recipe.source.problem(trail, f"export_path: {path} is {kind}; give the path of a file")
        return
    if what := _read_at(recipe, target):
        yield recipe.source.problem(trail, f"export_path: {target} is {what}; the run would overwrite it")
        return
    if recipe.export_shard_size and _real(target) in (_real(recipe.work_dir), *_real(recipe.work_dir).parents):
        yield recipe.source.problem(trail, f"export_path: {target} cannot hold the shards and the run folder too")
    elif inside := _place_in(recipe.work_dir, target):
        message = f"export_path: {target} is where a run keeps its {inside}"
        yield recipe.source.problem(trail, message, hint="give another path, or set work_dir to another folder")


def _read_at(recipe: Recipe, target: Path) -> str:
    """What of that which the recipe reads would be lost with a file, or with a folder for shards, in words; empty: nothing."""
    if not target.exists():
        return ""
    real = _real(target)
    for what, file in inputs(recipe):
        if _same(target, file) or (recipe.export_shard_size and os.path.exists(file) and real in _real(file).parents):
            return what
    if any(_real(each) in real.parents for each in recipe.custom_operator_paths) and target.suffix == ".py":
        return "the file of an op"
    if _in_dataset(recipe, real):
        known = target.suffix.lower().removeprefix(".") in FORMATS and target.name not in OF_DATASETS
        return "" if known or target.is_dir() else "a part of the dataset"
    return "a medium" if target.is_file() and SourceOptions().media_column(target.name) else ""


def _in_dataset(recipe: Recipe, real: Path) -> bool:
    return any(path and _real(path) in real.parents for path in mixture.paths_of(recipe.dataset_path))


def _of_the_journal(recipe: Recipe) -> Iterator[Problem]:
    if not recipe.source.values.get("journal"):
        return
    path, trail = recipe.journal, ("journal",)
    if _real(export_target(recipe.export_path, recipe.export_shard_size)) in _parts(path):
        yield recipe.source.problem(trail, f"journal: {path} is the export; give another path")
    elif (inside := _place_in(recipe.work_dir, path)) and inside != JOURNAL:
        yield recipe.source.problem(trail, f"journal: {path} is where a run keeps its {inside}; give another path")


def _in_the_run_folder(recipe: Recipe) -> Iterator[Problem]:
    """A recipe that a run wrote into its folder may be run from there."""
    key_of = {
        "the dataset": "dataset_path",
        "the recipe": "work_dir" if recipe.source.values.get("work_dir") else "export_path",
        "a file that the recipe includes": "include",
        "the file of an op": "custom_operator_paths",
    }
    for what, path in inputs(recipe):
        if not os.path.exists(path) or is_resolved_recipe(Path(path)):
            continue
        taken = any(_same(path, recipe.work_dir / name) for name in FILES)
        if taken or _place_in(recipe.work_dir, Path(path)) == "unfinished":
            key = key_of[what]
            message = f"{key}: the run would overwrite {path}, which lies in its run folder"
            yield recipe.source.problem((key,), message, hint="copy it, or set work_dir to another folder")


def _place_in(root: Path, path: Path) -> str:
    """The file or folder of a run folder that a path is, or lies in; empty if it is none."""
    real, top = _real(path), _real(root)
    if top not in real.parents:
        return ""
    first, *below = real.relative_to(top).parts
    return first if (first in FILES and not below) or first in FOLDERS else ""


def _parts(journal: Path) -> list[Path]:
    return [_real(journal.with_name(journal.name + part)) for part in JOURNAL_PARTS]


def _real(path: str | Path) -> Path:
    return Path(os.path.realpath(path))


def _same(path: str | Path, other: str | Path) -> bool:
    """Whether both are names of the same existing file."""
    return os.path.exists(path) and os.path.exists(other) and Path(path).samefile(other)
