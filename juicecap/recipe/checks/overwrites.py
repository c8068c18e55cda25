"""Checks that a run writes nothing that it reads, and that no two outputs are the same file.

`check` reports such clashes as problems, and a run from Python, which was not checked, looks for them before it changes anything:
a replaced file is lost, whatever `--overwrite` was meant for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from juicecap.data.export import FORMATS
from juicecap.data.export.settings import MediaFolderExport, SidecarExport
from juicecap.data.source import mixture
from juicecap.data.source.options import SourceOptions
from juicecap.plain import kind_at
from juicecap.recipe.problems import Problem
from juicecap.recipe.types import Recipe
from juicecap.recipe.work_dir import FILES, FOLDERS, JOURNAL, is_resolved_recipe
from juicecap.recipe.yaml.values import KeyPath

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


class Output(NamedTuple):
    """A file, or a folder of shards, that a run replaces."""

    trail: KeyPath
    """The key that names it."""
    path: Path
    is_folder: bool


def outputs(recipe: Recipe) -> Iterator[Output]:
    """What a run exports: the table, then the files and folders of `exports`."""
    if recipe.table:
        yield Output(("export_path",), recipe.table, bool(recipe.export_shard_size))
    for index, export in enumerate(recipe.exports):
        for path in export.outputs():
            yield Output(("exports", index, "to"), path, export.replaces_folder)


def clashes(recipe: Recipe) -> Iterator[Problem]:
    """Outputs of a run that would replace its inputs, or each other. May raise OSError or ValueError."""
    for output in outputs(recipe):
        yield from _of_the_output(recipe, output)
    yield from _of_one_place(recipe)
    yield from _of_placed_media(recipe)
    yield from _of_the_journal(recipe)
    yield from _in_the_run_folder(recipe)


def output_at(recipe: Recipe, path: Path) -> str:
    """What of a run a path is, or lies in, or would keep from being made, in words; empty if it is nothing."""
    real, targets = _real(path), [(_real(output.path), output.is_folder) for output in outputs(recipe)]
    if any(real == target or (is_folder and target in real.parents) for target, is_folder in targets):
        return "the export"
    if real in _parts(recipe.journal):
        return "the journal"
    if _place_in(recipe.work_dir, path):
        return "a file of the run folder"
    if any(
        real in (each, *each.parents)
        for each in (_real(recipe.work_dir), *(target.parent for target, _ in targets), _real(recipe.journal).parent)
    ):
        return "a folder of the run"
    in_dataset = _in_dataset(recipe, real)
    return "in the folder of the dataset" if in_dataset else ""


def _of_the_output(recipe: Recipe, output: Output) -> Iterator[Problem]:
    path, trail, key = output.path, output.trail, output.trail[0]
    if not output.is_folder and (kind := kind_at(path, follow=True)):
        yield recipe.source.problem(trail, f"{key}: {path} is {kind}; give the path of a file")
        return
    if what := _read_at(recipe, output):
        yield recipe.source.problem(trail, f"{key}: {path} is {what}; the run would overwrite it")
        return
    if output.is_folder and _real(path) in (_real(recipe.work_dir), *_real(recipe.work_dir).parents):
        yield recipe.source.problem(trail, f"{key}: {path} cannot hold the shards and the run folder too")
    elif inside := _place_in(recipe.work_dir, path):
        message = f"{key}: {path} is where a run keeps its {inside}"
        yield recipe.source.problem(trail, message, hint="give another path, or set work_dir to another folder")


def _of_one_place(recipe: Recipe) -> Iterator[Problem]:
    """Exports that would replace each other."""
    met: list[Output] = []
    for output in outputs(recipe):
        real = _real(output.path)
        for other in met:
            taken = _real(other.path)
            if real == taken or (other.is_folder and taken in real.parents) or (output.is_folder and real in taken.parents):
                message = (
                    f"exports: {output.path} would replace what {_called(other.trail)} writes ({other.path}); give another path"
                )
                yield recipe.source.problem(output.trail, message)
                break
        met.append(output)
    folders: dict[tuple[Path, str], int] = {}
    for index, export in enumerate(recipe.exports):
        if isinstance(export, SidecarExport) and folders.setdefault((_real(export.target), export.suffix), index) != index:
            message = f"exports: another export writes texts with the suffix {export.suffix} into {export.target} too"
            yield recipe.source.problem(("exports", index, "to"), message)


def _of_placed_media(recipe: Recipe) -> Iterator[Problem]:
    """Media and texts in a folder that a run reads, or in which it keeps its own files."""
    for index, export in enumerate(recipe.exports):
        trail = ("exports", index, "to")
        homes = [export.media_home] if isinstance(export, MediaFolderExport) and export.places_media else []
        homes += [export.target] if isinstance(export, SidecarExport) and export.places_media else []
        for home in homes:
            real = _real(home)
            if _in_dataset(recipe, real / "medium"):
                message = f"exports: {home} lies in the folder of the dataset, so the next run would read its media as samples"
                yield recipe.source.problem(trail, message, hint="give another folder, or media: none")
            elif inside := _place_in(recipe.work_dir, home):
                message = f"exports: {home} is where a run keeps its {inside}"
                yield recipe.source.problem(trail, message, hint="give another path, or set work_dir to another folder")


def _called(trail: KeyPath) -> str:
    return "export_path" if trail == ("export_path",) else f"entry {int(trail[1]) + 1} of exports"


def _read_at(recipe: Recipe, output: Output) -> str:
    """What of that which the recipe reads would be lost with a file, or with a folder for shards, in words; empty: nothing."""
    target = output.path
    if not target.exists():
        return ""
    real = _real(target)
    for what, file in inputs(recipe):
        if _same(target, file) or (output.is_folder and os.path.exists(file) and real in _real(file).parents):
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
    if any(_real(output.path) in _parts(path) for output in outputs(recipe)):
        yield recipe.source.problem(trail, f"journal: {path} is the export; give another path")
    elif (inside := _place_in(recipe.work_dir, path)) and inside != JOURNAL:
        yield recipe.source.problem(trail, f"journal: {path} is where a run keeps its {inside}; give another path")


def _in_the_run_folder(recipe: Recipe) -> Iterator[Problem]:
    """A recipe that a run wrote into its folder may be run from there."""
    key_of = {
        "the dataset": "dataset_path",
        "the recipe": "work_dir" if recipe.source.values.get("work_dir") else outputs_key(recipe),
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


def outputs_key(recipe: Recipe) -> str:
    """The key that says where the first output goes, beside which the run folder lies by default."""
    return "export_path" if recipe.export_path else "exports"


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
