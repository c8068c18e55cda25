"""Exporting afterwards, without a model: the result of a run, by its folder, or a dataset.

The result is the table of the run's last step, with all that an export file may have lost. What a run wrote is known from its
folder. For a dataset the memory of texts and media lies in the folder of the export, in one hidden file (`HIDDEN_MEMORY`), and
other outputs that exist are not replaced unless that is asked for.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.edits.carrying import KeptEdits
from juicecap.data.edits.keeping import keep_copy
from juicecap.data.export.settings import Export, MediaFolderExport
from juicecap.data.export.writers.captioned import Roles
from juicecap.data.export.writers.job import ExportResult, Job, Ready
from juicecap.data.source import open_source
from juicecap.data.surroundings import check_devices, check_working_directory
from juicecap.data.table import open_cached
from juicecap.errors import DataError, UsageError
from juicecap.notice import say_once
from juicecap.ops.apply.table import fates_of, kept
from juicecap.ops.options.media_options import MediaOptions
from juicecap.plain import read_plain
from juicecap.recipe.authoring.guess import guess
from juicecap.recipe.work_dir import JOURNAL, LARGEST, is_marked
from juicecap.runner.exporting.media_tools import MediaTools
from juicecap.runner.exporting.result_facts import media_options_in, roles_in
from juicecap.runner.exporting.write import prepare_exports, write_prepared
from juicecap.runner.run_folder.folder import RunFolder
from juicecap.sample import HIDDEN
from juicecap.vlm.journal import Journal

if TYPE_CHECKING:
    from datasets import Dataset

HIDDEN_MEMORY = ".juicecap-{kind}.jsonl"
"""The file of what an export of a dataset, of this kind, wrote into its folder."""

HIDDEN_REPLACED = ".juicecap-replaced"
"""The folder beside it with copies of texts that were overwritten on demand."""

OWNER = "export"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What is exported, and what it is for."""

    dataset: Dataset
    roles: Roles
    options: MediaOptions
    path_columns: tuple[set[str], set[str]]


def export_afterwards(
    source: str, export: Export, *, overwrite: bool = False, overwrite_texts: bool = False, keep_edits: bool = False
) -> tuple[ExportResult, tuple[KeptEdits, ...]]:
    """Export the result of a run (`source` is its folder) or a dataset; returns what was written, and which edits were kept.

    Raises:
        UsageError: the output exists and is not the export's own, or was edited, or the run is not finished.
        DataError: the source cannot be read, or as `write_exports`.
        EnvironmentFailure: another run uses the folder, or the disk is full.
    """
    check_devices()
    check_working_directory()
    of_run = is_run_folder(source)
    if keep_edits and not of_run:
        raise UsageError(f"--keep-edits is for the export of a run, which knows what it wrote, and {source} is a dataset")
    kept: list[KeptEdits] = []
    held = (
        _run_job(source, export, kept, overwrite=overwrite, keep_edits=keep_edits)
        if of_run
        else _dataset_job(source, export, overwrite=overwrite)
    )
    with held as (found, places):
        job = Job(
            dataset=found.dataset,
            roles=found.roles,
            path_columns=found.path_columns,
            overwrite=overwrite,
            overwrite_texts=overwrite_texts,
            memory=Path(),
            **places,
        )
        memory = RunFolder(Path(source)).memory if of_run else _hidden_memory
        (result,) = write_prepared(prepare_exports([export], job, memory))
    return result, tuple(kept)


def is_run_folder(source: str) -> bool:
    """Whether a path is that of a run folder."""
    return Path(source).is_dir() and is_marked(Path(source))


def dataset_of_run(source: str) -> str:
    """The path of a run's dataset.

    Raises:
        UsageError: the run is not finished.
    """
    return str(_manifest(RunFolder(Path(source))).get("dataset_path") or "")


@contextmanager
def _run_job(
    source: str, export: Export, kept: list[KeptEdits], *, overwrite: bool, keep_edits: bool
) -> Iterator[tuple[Exported, dict[str, Any]]]:
    """`kept` receives the edits that are kept."""
    folder = RunFolder(Path(source))
    found = result_of(folder.root)
    with (
        folder.claimed(export.outputs(), overwrite=overwrite, keep_edits=keep_edits) as outputs,
        _journal(folder) as journal,
    ):
        yield (
            found,
            {
                "tools": MediaTools(found.options, folder.media, journal),
                "scratch": folder.scratch,
                "replaced": outputs.replaced,
                "owner": folder.owner,
                "ready": outputs.ready,
                "with_edits": outputs.with_edits,
            },
        )
        kept += outputs.kept
        folder.write_kept_edits(outputs)


@contextmanager
def _dataset_job(source: str, export: Export, *, overwrite: bool) -> Iterator[tuple[Exported, dict[str, Any]]]:
    replaced = _home(export) / HIDDEN_REPLACED / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    with tempfile.TemporaryDirectory(prefix="juicecap-", ignore_cleanup_errors=True) as scratch:
        yield (
            _dataset(source, Path(scratch)),
            {
                "tools": MediaTools(MediaOptions(), Path(scratch) / "media", None),
                "scratch": Path(scratch),
                "replaced": replaced,
                "owner": OWNER,
                "ready": partial(_new_output, replaced=replaced, overwrite=overwrite),
            },
        )


def result_of(work_dir: Path) -> Exported:
    """The result of the run in this folder, with hidden columns.

    Raises:
        UsageError: the run is not finished.
        DataError: its table is gone or damaged.
    """
    folder = RunFolder(work_dir)
    facts = _manifest(folder).get("result")
    if not isinstance(facts, dict):
        raise UsageError(
            f"{folder.root} is the folder of a run of an earlier version; run its recipe again, which asks nothing anew"
        )
    name = facts.get("table")
    if not isinstance(name, str) or "/" in name:
        raise UsageError(f"{folder.root}: the run has no op, so its result is its dataset; export that: juicecap export DATASET")
    table = open_cached(folder.steps / name, name)
    if table is None:
        raise DataError(f"{folder.steps / name}, the result of the run, is gone or damaged; run the recipe again")
    try:
        options = media_options_in(facts["media"])
        paths = {str(each) for each in facts["paths"]}, {str(each) for each in facts["conversations"]}
        roles = roles_in(facts["roles"], options)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{folder.manifest} is damaged; run the recipe again") from error
    return Exported(dataset=kept(table, fates_of(table)), roles=roles, options=options, path_columns=paths)


def _manifest(folder: RunFolder) -> Mapping[str, Any]:
    try:
        manifest = json.loads(read_plain(folder.manifest, LARGEST))
    except FileNotFoundError:
        raise UsageError(f"{folder.root}: the run is not finished; run its recipe again, which resumes") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{folder.manifest} cannot be read; run the recipe again") from error
    return manifest if isinstance(manifest, dict) else {}


def _dataset(source: str, scratch: Path) -> Exported:
    """A dataset, whose columns are known by their names, or by what is in its first rows."""
    roles = Roles()
    dataset = open_source(source, cache_folder=scratch, media_home=_media_home(source))
    if not {roles.video_key, roles.image_key} & set(dataset.column_names):
        found = guess(source)
        roles = Roles(
            video_key=found.video or roles.video_key,
            image_key=found.image or roles.image_key,
            text_key=found.text or roles.text_key,
        )
    paths = {name for name in (roles.video_key, roles.image_key) if name in dataset.column_names}
    conversations = {name for name in ("conversations", "messages") if name in dataset.column_names and name not in HIDDEN}
    return Exported(dataset=dataset, roles=roles, options=MediaOptions(), path_columns=(paths, conversations))


def _media_home(source: str) -> Path:
    """Where media go that lie inside of a dataset: an export may name them, so they stay."""
    return Path(f"{os.path.abspath(source)}.media")


def _journal(folder: RunFolder) -> AbstractContextManager[Journal | None]:
    file = folder.root / JOURNAL
    return Journal(file) if file.exists() else nullcontext()


def _home(export: Export) -> Path:
    """The folder in which the export writes single texts and media."""
    return export.media_home if isinstance(export, MediaFolderExport) else export.target


def _hidden_memory(export: Export) -> Path:
    return _home(export) / HIDDEN_MEMORY.format(kind=export.kind)


def _new_output(output: Path, *, replaced: Path, overwrite: bool) -> Ready | None:
    """Make sure that an output is new, or may be replaced; then what is there is kept.

    Raises:
        UsageError: it exists.
    """
    if not os.path.lexists(output):
        return None
    if not overwrite:
        raise UsageError(f"{output} exists; give another path, or --overwrite to replace it, which keeps it in {replaced.parent}")

    def keep(_: Path) -> None:
        copy = keep_copy(output, replaced)
        say_once(f"{output} is replaced; what was there is kept as {copy}")

    return keep
