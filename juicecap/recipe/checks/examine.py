"""Checks a recipe against its data and the disk, in about a quarter of a second and without opening a model or `datasets`.

On demand the libraries are looked for that it needs, and the headers of media are read for a second.

Problems would stop a run or make it overwrite something. Warnings do not stop a run: samples that it would reject, settings that
do nothing. Rows are read from the start for `BUDGET` seconds; `unseen` lists what was not checked. Of Parquet files and saved
datasets the first rows are read, in a process of their own. Rows of Hub datasets are not read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from juicecap.data import export
from juicecap.data.source import sidecar
from juicecap.errors import DataError
from juicecap.hidden import Hidden
from juicecap.recipe.checks.columns import missing_columns, problem_of, taken_columns
from juicecap.recipe.checks.dataset_scan import DatasetScan, MediaCount, RowWarning, scan_dataset
from juicecap.recipe.checks.edited import edited_outputs
from juicecap.recipe.checks.exports import export_columns, lost_captions, text_clashes, texts_read_and_written
from juicecap.recipe.checks.libraries import Library, libraries_of, missing_libraries
from juicecap.recipe.checks.media_probe import MediaProbe, ProbedMedia
from juicecap.recipe.checks.model_check import check_models
from juicecap.recipe.checks.paths import dataset_format, export_problems
from juicecap.recipe.load import draft_recipe
from juicecap.recipe.problems import Problem, in_order
from juicecap.recipe.types import Recipe, Step

BUDGET = 0.2
"""Seconds for reading rows and checking their media."""

NAMED_MEDIA = 20
"""Broken media that are reported one by one; the others are only counted."""

_COLUMN = re.compile(r"\{[A-Za-z_]\w*\}")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `check` found."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    looked_at_rows: int
    all_rows_looked_at: bool
    unseen: tuple[str, ...]
    """What was not checked, a sentence each."""
    libraries: tuple[Library, ...] = ()
    """Those that the recipe needs, if they were looked for."""
    media: ProbedMedia | None = None
    """What the headers of media say, if they were read."""


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much a check looks at."""

    budget: float = BUDGET
    """Seconds for reading rows."""
    limit: int | None = None
    """Rows that a run would use; None: all."""
    libraries: bool = False
    """Whether it is looked for the libraries that the recipe needs: one that is missing is a problem."""
    media: bool = False
    """Whether headers of media are read."""


_USUAL = Extent()


@dataclass
class _Findings:
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


def examine(path: str | os.PathLike[str], overrides: Sequence[str] = (), extent: Extent = _USUAL) -> tuple[Recipe, Report]:
    """Read a recipe and check it: the problems of its text and those of comparing it with data and disk, together.

    Use the recipe only if there are no problems.

    Raises:
        RecipeError: the file is no recipe at all.
        UsageError: an override is not `KEY=VALUE`, or leads nowhere.
    """
    draft = draft_recipe(path, overrides)
    report = _checked(draft.recipe, extent)
    told_places = {each.place for each in draft.problems}
    more = (each for each in report.problems if not each.line or each.place not in told_places)
    return draft.recipe, replace(report, problems=tuple(in_order([*draft.problems, *more])))


def check(recipe: Recipe, *, budget: float = BUDGET) -> Report:
    """Compare the recipe with its data and with what is on the disk. Nothing is written."""
    return _checked(recipe, Extent(budget=budget))


def _checked(recipe: Recipe, extent: Extent) -> Report:
    with recipe.hidden.in_errors():
        report = _compared(recipe, extent)
    hidden = recipe.hidden
    return replace(
        report,
        problems=tuple(_named(each, hidden) for each in report.problems),
        warnings=tuple(_named(each, hidden) for each in report.warnings),
        unseen=tuple(map(hidden.text, report.unseen)),
        media=report.media and _hidden_media(report.media, hidden),
    )


def _named(problem: Problem, hidden: Hidden) -> Problem:
    """The problem with variables by their names, also where it has no place in the recipe."""
    return replace(problem, message=hidden.text(problem.message), hint=hidden.text(problem.hint))


def _hidden_media(media: ProbedMedia, hidden: Hidden) -> ProbedMedia:
    broken = (replace(each, source=hidden.text(each.source), message=hidden.text(each.message)) for each in media.broken)
    return replace(media, broken=tuple(broken))


def _compared(recipe: Recipe, extent: Extent) -> Report:
    found = _Findings()
    format_, problems = dataset_format(recipe)
    found.problems += [*problems, *export_problems(recipe), *(missing_libraries(recipe) if extent.libraries else ())]
    unfit, doubtful = check_models(recipe)
    found.problems += unfit
    found.warnings += [*doubtful, *_literal_prompts(recipe), *_formulas(recipe), *lost_captions(recipe)]
    found.warnings += edited_outputs(recipe)
    scan, probe = DatasetScan(), MediaProbe()
    limit = extent.limit if recipe.max_sample_num is None else None  # the first rows are those of a draw
    if format_ is not None:
        try:
            scan = scan_dataset(recipe, format_, extent.budget, limit=limit, seen=probe.see if extent.media else None)
        except DataError as error:
            found.problems.append(Problem(file="", message=str(error)))
        else:
            found.problems += [*text_clashes(recipe, format_), *texts_read_and_written(recipe)]
            _judge(recipe, format_, scan, found)
    media = probe.read() if extent.media else None
    if media:
        _broken_media(recipe, media, scan, found)
    return Report(
        problems=tuple(found.problems),
        warnings=tuple(found.warnings),
        looked_at_rows=scan.rows,
        all_rows_looked_at=scan.complete,
        unseen=tuple(found.unseen),
        libraries=tuple(libraries_of(recipe)) if extent.libraries else (),
        media=media,
    )


def _broken_media(recipe: Recipe, media: ProbedMedia, scan: DatasetScan, found: _Findings) -> None:
    """A problem if there is nothing but broken media, else a warning for each of the first ones."""
    if media.broken and scan.complete and len(media.broken) == media.media:
        what = "the one medium is" if media.media == 1 else f"all {media.media:,} media are"
        message = f"dataset_path: {what} broken; the first: {media.broken[0]}"
        found.problems.append(recipe.source.problem(("dataset_path",), message))
        return
    found.warnings += [Problem(file="", message=str(each)) for each in media.broken[:NAMED_MEDIA]]
    if (more := len(media.broken) - NAMED_MEDIA) > 0:
        found.warnings.append(Problem(file="", message=f"{more:,} more media are broken"))


def _judge(recipe: Recipe, format_: str, scan: DatasetScan, found: _Findings) -> None:
    found.unseen.extend(_unseen(recipe, scan))
    found.warnings.extend(_unread_sidecars(recipe, scan))
    _columns(recipe, format_, scan, found)
    if scan.broken.rows:
        what = f"{scan.broken.rows:,} of {scan.rows:,} rows looked at cannot be read; the first: {scan.broken.first}"
        all_broken = scan.complete and scan.broken.rows == scan.rows
        (found.problems if all_broken else found.warnings).append(Problem(file="", message=what))
    for media in scan.media.values():
        none_usable = media.failures == media.seen and scan.complete and media.all_seen
        if media.failures and none_usable and not recipe.cluster:
            found.problems.append(recipe.source.problem(("dataset_path",), _none_usable(media), hint=_WHERE_MEDIA))
        elif media.failures:
            found.warnings.append(Problem(file="", message=_media_warning(media, on_cluster=recipe.cluster is not None)))
    for (index, parameter, sentence), warning in scan.sample_warnings.items():
        step, whole = recipe.steps[index], scan.complete and warning.rows == scan.rows
        if not parameter and not _columns_fit(step, scan):
            continue  # that is reported already
        problem = problem_of(recipe, step, parameter, _warning_text(sentence, warning, scan))
        is_problem = warning.kind == "misfit" or (whole and warning.kind == "usual")
        (found.problems if is_problem else found.warnings).append(problem)


def _columns_fit(step: Step, scan: DatasetScan) -> bool:
    required = all(column in scan.columns for _, column in step.op.columns_required())
    return required and not any(column in scan.columns for _, column in step.op.columns_refused())


def _unseen(recipe: Recipe, scan: DatasetScan) -> Iterator[str]:
    for path in scan.elsewhere:
        yield f"{path} was not looked at: no such path is here, so it is taken for a dataset on the Hub"
    if scan.rows and not scan.all_read:
        yield f"only {_first(scan.rows)} of {recipe.dataset_path} could be looked at in the time there was"
    if scan.passed_over:
        yield scan.passed_over
    for media in scan.media.values():
        if not media.all_seen:
            yield f"only {media.seen:,} entries of column {media.column!r} could be looked for in the time there was"


def _columns(recipe: Recipe, format_: str, scan: DatasetScan, found: _Findings) -> None:
    """Columns that are missing; only a warning if rows that were not read may have them."""
    if scan.complete and not scan.columns and not scan.broken.rows:
        what = "has no videos and no pictures" if format_ == "folder" else "has no rows"
        found.problems.append(recipe.source.problem(("dataset_path",), f"dataset_path: {recipe.dataset_path} {what}"))
    if not scan.columns:
        return
    found.problems.extend(taken_columns(recipe, scan.columns))
    if scan.complete or scan.fixed:
        found.problems.extend(export_columns(recipe, scan.columns))
    for problem in missing_columns(recipe, scan.columns):
        if scan.complete or scan.fixed:
            found.problems.append(problem)
        else:
            message = f"{problem.message}, going by {_first(scan.rows)}"
            found.warnings.append(replace(problem, message=message))


def _unread_sidecars(recipe: Recipe, scan: DatasetScan) -> Iterator[Problem]:
    """Suffixes of texts that no medium has beside it."""
    for suffix in recipe.sidecar_suffixes:
        if scan.columns and sidecar.column_of(suffix) not in scan.columns:
            rows = f"{scan.rows:,} media looked at"
            yield recipe.source.problem(("sidecar_suffix",), f"sidecar_suffix: none of {rows} has a text {suffix!r} beside it")


def _literal_prompts(recipe: Recipe) -> Iterator[Problem]:
    """Prompts that look as if a column should be put into them, of ops that take a prompt as it is."""
    for step in recipe.steps:
        prompt = getattr(step.op, "prompt", None)
        if isinstance(prompt, str) and hasattr(step.op, "prompt_key") and (name := _COLUMN.search(prompt)):
            message = f"prompt is sent as it is, {name[0]!r} too; prompt_key names a column with a prompt for each sample"
            yield problem_of(recipe, step, "prompt", message)


def _formulas(recipe: Recipe) -> Iterator[Problem]:
    """That captions in a CSV may be formulas, unless the recipe says what is to become of them."""
    if not recipe.export_path:
        return
    try:
        format_ = export.format_of(recipe.export_path, recipe.export_type)
    except DataError:  # which is reported already
        return
    if format_ == "csv" and recipe.source.values.get("export_csv_formulas") is None:
        message = (
            "export_path: a spreadsheet runs cells of a CSV that begin with =, +, - or @ as formulas; "
            "export_csv_formulas: escape puts an apostrophe in front of them, and raw leaves them as they are"
        )
        yield recipe.source.problem(("export_path",), message)


def _warning_text(sentence: str, warning: RowWarning, scan: DatasetScan) -> str:
    rows = f"{warning.rows:,} of {scan.rows:,} rows looked at"
    if sentence:
        return f"{sentence} in {rows}; the first: {warning.first}"
    return f"{rows} would be rejected; the first: {warning.first}"


_WHERE_MEDIA = "paths of media start at the folder of the dataset file"


def _first(rows: int) -> str:
    return "the first row" if rows == 1 else f"the first {rows:,} rows"


def _none_usable(media: MediaCount) -> str:
    what = "the one entry" if media.seen == 1 else f"all {media.seen:,} entries"
    return f"dataset_path: {what} in column {media.column!r} cannot be used; {_told(media)}"


def _media_warning(media: MediaCount, *, on_cluster: bool) -> str:
    what = f"{media.failures:,} of {media.seen:,} entries looked at in column {media.column!r} cannot be used"
    unless = ", unless the nodes of the cluster see them (check --cluster)" if on_cluster else ""
    return f"{what}; {_told(media)}. A run rejects such samples{unless}."


def _told(media: MediaCount) -> str:
    more = media.failures - len(media.first)
    listed = "; ".join(media.first) + (f"; and {more:,} more" if more else "")
    return listed if len(media.first) == 1 else f"the first: {listed}" if more else listed
