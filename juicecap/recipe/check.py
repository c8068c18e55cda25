"""A recipe against its data and the disk, in about a quarter of a second and without opening a model or `datasets`.

Problems would stop a run or make it overwrite something. Warnings are things that a run survives: samples that it would
reject. Rows are read from the start for `BUDGET` seconds; what was not looked at is said in `unseen`. Hub datasets,
Parquet files and saved datasets are not looked into.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from juicecap.data import export, source
from juicecap.data.source.options import Options
from juicecap.errors import DataError
from juicecap.recipe.model import Recipe, Step
from juicecap.recipe.problems import Problem, near, suggestion
from juicecap.recipe.sight import MediaCount, Sight, look

BUDGET = 0.2
"""Seconds in which rows are read and their media looked for."""

SHOWN_COLUMNS = 8
"""Columns that a message lists."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `check` found."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    looked_at_rows: int
    all_rows_looked_at: bool
    unseen: tuple[str, ...]
    """What was not looked at, a sentence each."""


@dataclass
class _Findings:
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


def check(recipe: Recipe, *, budget: float = BUDGET) -> Report:
    """Compare the recipe with its data and with what is on the disk. Nothing is written."""
    found = _Findings()
    format_ = None
    try:
        format_ = _dataset(recipe, found)
    except (OSError, ValueError) as error:  # no permission, a name too long, a NUL in it
        found.problems.append(recipe.source.problem(("dataset_path",), f"dataset_path cannot be looked at: {_reason(error)}"))
    try:
        _export(recipe, found)
    except (OSError, ValueError) as error:
        found.problems.append(recipe.source.problem(("export_path",), f"export_path cannot be looked at: {_reason(error)}"))
    sight = Sight(complete=False)
    if format_ is not None:
        try:
            sight = look(recipe, format_, budget)
        except DataError as error:
            found.problems.append(Problem(file="", message=str(error)))
        else:
            found.unseen.extend(_unseen(recipe, format_, sight))
            _columns(recipe, sight, found)
            found.warnings.extend(_media_warning(media) for media in sight.media.values() if media.failures)
    return Report(
        problems=tuple(found.problems),
        warnings=tuple(found.warnings),
        looked_at_rows=sight.rows,
        all_rows_looked_at=sight.complete,
        unseen=tuple(found.unseen),
    )


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


def _dataset(recipe: Recipe, found: _Findings) -> str | None:
    """The format of the dataset, or None if there is nothing to look at."""
    path, trail = recipe.dataset_path, ("dataset_path",)
    if not path:
        message = "dataset_path is missing: a dataset file, a folder of videos, or the name of a dataset on the Hub"
        found.problems.append(recipe.source.problem(trail, message, at="key"))
        return None
    first, _, rest = path.partition(" ")
    if rest and not Path(path).exists() and first.replace(".", "", 1).isdecimal():
        message = "dataset_path is one path; juicecap does not mix datasets by weight"
        found.problems.append(recipe.source.problem(trail, message))
        return None
    folder = Path(path).parent
    try:
        format_ = source.format_of(path, Options(suffixes=recipe.suffixes))
    except DataError as error:
        hint = _near_path(Path(path))
        found.problems.append(recipe.source.problem(trail, f"dataset_path: {error}", hint=hint))
        return None
    if format_ == "hub" and folder.is_dir():
        message = f"dataset_path: {path} does not exist, and no dataset on the Hub is meant, since {folder} is a folder here"
        hint = _near_path(Path(path))
        found.problems.append(recipe.source.problem(trail, message, hint=hint))
        return None
    return format_


def _near_path(path: Path) -> str:
    siblings = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    close = near(path.name, siblings)
    return f"did you mean {str(path.parent / close)!r}?" if close else ""


def _export(recipe: Recipe, found: _Findings) -> None:
    trail, path, written = ("export_path",), recipe.export_path, recipe.source.values.get("export_path")
    if "://" in str(written):
        found.problems.append(
            recipe.source.problem(trail, f"export_path: juicecap exports to local paths only, not to {written}")
        )
        return
    try:
        export.format_of(path, recipe.export_type)
    except DataError as error:
        hint = suggestion(path.suffix, [f".{each}" for each in export.FORMATS])
        found.problems.append(recipe.source.problem(trail, f"export_path: {error}", hint=hint))
    data = recipe.dataset_path
    if path.is_dir():
        found.problems.append(recipe.source.problem(trail, f"export_path: {path} is a folder; give the path of a file"))
    elif os.path.exists(data) and os.path.realpath(path) == os.path.realpath(data):
        found.problems.append(recipe.source.problem(trail, f"export_path: {path} is the dataset; the run would overwrite it"))
    folders = {"export_path": path.parent}
    if recipe.source.values.get("work_dir"):  # else it lies beside the export
        folders["work_dir"] = recipe.work_dir
    for name, folder in folders.items():
        blocking = next((each for each in (folder, *folder.parents) if each.exists() and not each.is_dir()), None)
        if blocking:
            found.problems.append(recipe.source.problem((name,), f"{name}: {blocking} is a file, not a folder"))


def _unseen(recipe: Recipe, format_: str, sight: Sight) -> Iterator[str]:
    path = recipe.dataset_path
    if format_ == "hub":
        yield f"{path} was not looked at: no such path is here, so it is taken for a dataset on the Hub"
    elif format_ == "folder":
        yield f"the videos of {path} were not looked at"
    elif not sight.readable:
        yield f"the rows of {path} were not looked at; only those of .jsonl, .json, .csv and .tsv files are"
    elif not sight.complete:
        yield f"only {_first(sight.rows)} of {path} could be looked at in the time there was"


def _columns(recipe: Recipe, sight: Sight, found: _Findings) -> None:
    """Columns that are missing; only a warning where rows that were not looked at may have them."""
    if sight.readable and sight.complete and not sight.columns:
        message = f"dataset_path: {recipe.dataset_path} has no rows"
        found.problems.append(recipe.source.problem(("dataset_path",), message))
    if not sight.columns:
        return
    found.problems.extend(taken_columns(recipe, sight.columns))
    for problem in missing_columns(recipe, sight.columns):
        if sight.complete or sight.fixed:
            found.problems.append(problem)
        else:
            message = f"{problem.message}, going by {_first(sight.rows)}"
            found.warnings.append(replace(problem, message=message))


def missing_columns(recipe: Recipe, columns: Iterable[str]) -> list[Problem]:
    """A problem for each column that an op needs and that neither the data (`columns`) has nor an op before it writes."""
    present = dict.fromkeys(columns)
    problems = []
    for step in recipe.steps:
        for parameter, column in step.op.columns_required():
            if column not in present:
                problem = recipe.source.problem(_trail(recipe, step, parameter), _lacks(step, parameter, column, present))
                problems.append(replace(problem, hint=suggestion(column, present)))
        present.update(dict.fromkeys(step.op.columns_written()))
    return problems


def taken_columns(recipe: Recipe, columns: Iterable[str]) -> list[Problem]:
    """A problem for each column that an op would overwrite and that the data (`columns`) has, or an op before it writes."""
    present = set(columns)
    problems = []
    for step in recipe.steps:
        for parameter, column in step.op.columns_refused():
            if column in present:
                message = f"{step.name}: there is a column {column!r} already, which {parameter} names"
                hint = f"name another one, or set overwrite_output: true  (juicecap ops {step.name})"
                problems.append(recipe.source.problem(_trail(recipe, step, parameter), message, hint=hint))
        present.update(step.op.columns_written())
    return problems


def _trail(recipe: Recipe, step: Step, parameter: str) -> tuple[str | int, ...]:
    """Where the parameter was set: in the op's block, else at the top level, else nowhere (the op's name)."""
    own = ("process", step.index, step.name)
    if parameter in step.settings:
        return (*own, parameter)
    top = "text_keys" if parameter == "text_key" else parameter
    return (top,) if top in recipe.source.values else own


def _lacks(step: Step, parameter: str, column: str, present: dict[str, None]) -> str:
    have = ", ".join(list(present)[:SHOWN_COLUMNS]) + (", …" if len(present) > SHOWN_COLUMNS else "")
    return f"{step.name}: the data has no column {column!r}, which {parameter} names; it has {have}"


def _first(rows: int) -> str:
    return "the first row" if rows == 1 else f"the first {rows:,} rows"


def _media_warning(media: MediaCount) -> Problem:
    what = f"{media.failures:,} of {media.seen:,} entries looked at in column {media.column!r} cannot be used"
    return Problem(file="", message=f"{what}; the first: {media.first}. A run rejects such samples.")
