"""Paths of media in an export, so that they lead to the files from where the export lies.

A path in a dataset is relative to the folder of the file that it stood in; in an export it is relative to that of the export.
`auto` leaves all as it is where these are one folder for all rows, and else writes relative paths anew; absolute ones hold.
Columns of paths are covered, lists and JSON lists in a text too, and the parts of conversations; addresses stay.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from juicecap.data.exact_json import exact, record_batch
from juicecap.data.table import build_once, cached_file, fingerprint_of, rows_at_once, write_arrow
from juicecap.nested import split_name, with_replaced
from juicecap.sample import HIDDEN, ORIGIN, Sample, is_remote, list_in_cell, local_path, samples_of

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset, Features

ExportPaths = Literal["auto", "absolute", "relative", "as_written"]

PARTS = ("image", "image_url", "video", "video_url", "audio", "audio_url", "url", "path")
"""Keys of a part of a conversation that hold paths."""


class _Change(Protocol):
    """What becomes of a column's value, given what becomes of a path."""

    def __call__(self, value: Any, rule: Callable[[str], str]) -> Any: ...


def with_paths(
    dataset: Dataset, columns: Collection[str], conversations: Collection[str], folder: Path, how: ExportPaths, cache: Path | None
) -> Dataset:
    """The dataset with the paths in its columns as an export into `folder` has them; itself if they stay as they are.

    `columns` hold paths, and in `conversations` parts of turns name them; either may be inside of objects.

    The changed columns are kept in the folder `cache`, by default in that of `datasets`.
    """
    from datasets import Dataset, DatasetInfo, Features, concatenate_datasets

    changed: dict[str, _Change] = {**dict.fromkeys(columns, _value), **dict.fromkeys(conversations, _conversation)}
    held = {name: split_name(name, dataset.column_names)[0] for name in changed}
    names = [name for name in dataset.column_names if name in held.values() and name not in HIDDEN]
    if how == "as_written" or not names or ORIGIN not in dataset.column_names:
        return dataset
    if how == "auto" and _folders(dataset) <= {os.path.abspath(folder)}:
        return dataset
    whole = Dataset(dataset.data, info=DatasetInfo(features=dataset.features))
    inside = sorted(name for name, key in held.items() if key in names and key != name)
    fingerprint = fingerprint_of("export paths", dataset._fingerprint, [*names, *inside], how, str(folder))  # noqa: SLF001  (there is no public name for it)
    file = cached_file(cache, fingerprint)
    features = Features({name: dataset.features[name] for name in names})
    made = build_once(
        file, fingerprint, lambda: write_arrow(file, features.arrow_schema, _batches(whole, features, changed, folder, how))
    )
    joined = concatenate_datasets([whole.remove_columns(names), made], axis=1).select_columns(dataset.column_names)
    info = DatasetInfo(features=exact({name: dataset.features[name] for name in dataset.column_names}))
    return Dataset(joined.data, info=info, indices_table=dataset._indices, fingerprint=fingerprint)  # noqa: SLF001  (as above)


def _folders(dataset: Dataset) -> set[str]:
    """The folders that paths of the rows are relative to."""
    from pyarrow import compute

    found: set[str] = set()
    for batch in dataset.select_columns([ORIGIN]).with_format("arrow").iter(batch_size=10_000):
        found.update(compute.unique(compute.struct_field(batch[ORIGIN].combine_chunks(), "folder")).to_pylist())
    return found


def _batches(
    whole: Dataset, features: Features, changed: Mapping[str, _Change], folder: Path, how: ExportPaths
) -> Iterator[pa.RecordBatch]:
    base = os.path.realpath(folder)
    changing = whole.select_columns([*features, ORIGIN])
    for batch in changing.iter(rows_at_once(changing)):
        rules = [path_rule((origin or {}).get("folder") or "", base, how) for origin in batch.pop(ORIGIN)]
        rows = [_rewritten(row, changed, rule) for row, rule in zip(samples_of(batch), rules, strict=True)]
        yield record_batch(rows, features)


def _rewritten(row: Sample, changed: Mapping[str, _Change], rule: Callable[[str], str]) -> Sample:
    for name, change in changed.items():
        row = with_replaced(row, name, partial(change, rule=rule))
    return row


def path_rule(folder: str, base: str, how: ExportPaths) -> Callable[[str], str]:
    """What becomes of a path that is relative to `folder`, in an export into `base`, in whose path is no link."""

    def path(written: str) -> str:
        try:
            entry = local_path(written)
        except ValueError:  # a file on another machine
            return written
        if not entry or is_remote(entry) or entry.startswith("data:") or "\0" in entry:
            return written
        if how == "auto" and entry.startswith("/"):
            return written
        whole = os.path.join(os.path.abspath(folder), entry)
        if ".." in entry.split("/"):  # which may lead through a link
            parent, _, name = whole.rpartition("/")
            whole = os.path.join(os.path.realpath(parent), name)
        whole = os.path.normpath(whole)
        return whole if how == "absolute" else os.path.relpath(whole, base)

    return path


def _value(value: Any, rule: Callable[[str], str]) -> Any:
    """A value of a column of media: a path, a list of them, one as JSON, or media with their paths."""
    listed = _listed(value)
    if listed is not None:
        return json.dumps(_value(listed, rule), ensure_ascii=False)
    return _named(value, rule)


def _conversation(value: Any, rule: Callable[[str], str]) -> Any:
    """A conversation, whose texts stay and whose parts name paths; a list, or one as JSON."""
    listed = _listed(value)
    if listed is not None:
        return json.dumps(_conversation(listed, rule), ensure_ascii=False)
    return [_turn(each, rule) for each in value] if isinstance(value, list | tuple) else value


def _listed(value: Any) -> list[Any] | None:
    """The list that a text holds as JSON."""
    listed = list_in_cell(value, indented=True) if isinstance(value, str) else None
    return listed if isinstance(listed, list) else None


def _turn(turn: Any, rule: Callable[[str], str]) -> Any:
    if not isinstance(turn, dict):
        return turn
    return {
        key: [_part(each, rule) for each in inner] if isinstance(inner, list | tuple) else inner for key, inner in turn.items()
    }


def _part(value: Any, rule: Callable[[str], str]) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _named(inner, rule) if key in PARTS else inner for key, inner in value.items()}


def _named(value: Any, rule: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return rule(value) if value else value
    if isinstance(value, list | tuple):
        return [_named(each, rule) for each in value]
    return _part(value, rule)
