"""Several datasets as one: their rows one after the other, with the columns of all.

A row lacks the columns that only others have, which its hidden column says, so that an export leaves them out. A column whose
types differ is one of JSON values. Rows are not copied: only columns that change are written anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.columns import ORIGIN_FEATURE, features_of
from juicecap.data.exact_json import exact, to_text
from juicecap.data.table import build_once, cached_file, fingerprint_of, rows_at_once, write_arrow
from juicecap.sample import HIDDEN, ORIGIN

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset


def joined(parts: Sequence[Dataset], key: object, cache: Path | None) -> Dataset:
    """The datasets as one; `key` tells what they were made from."""
    from datasets import Dataset, DatasetInfo, concatenate_datasets

    fingerprint = fingerprint_of("joined", key, [part._fingerprint for part in parts])  # noqa: SLF001  (there is no public name for it)
    names = dict.fromkeys(name for part in parts for name in part.column_names)
    mixed = [name for name in names if name not in HIDDEN and _types_differ(parts, name)]
    fitted = [_fitted(part, [each for each in names if each not in part.column_names], mixed, cache) for part in parts]
    whole = concatenate_datasets(fitted).select_columns(list(names)) if len(fitted) > 1 else fitted[0]
    info = DatasetInfo(features=exact(whole.features))
    return Dataset(whole.data, info=info, indices_table=whole._indices, fingerprint=fingerprint)  # noqa: SLF001  (as above)


def first_parts(parts: Iterable[Dataset], limit: int | None) -> list[Dataset]:
    """The parts that have the first `limit` rows, the last one cut; no more are opened."""
    found: list[Dataset] = []
    left = limit
    for part in parts:
        if left is not None:
            part = part.select(range(min(left, len(part))))  # noqa: PLW2901  (the part, cut)
            left -= len(part)
        found.append(part)
        if left == 0:
            break
    return found


def _types_differ(parts: Sequence[Dataset], name: str) -> bool:
    first, *others = [part.features[name] for part in parts if name in part.column_names]
    return any(each != first for each in others)


def _fitted(part: Dataset, lacking: Sequence[str], mixed: Sequence[str], cache: Path | None) -> Dataset:
    """The dataset with its columns `mixed` as JSON, and with what it lacks in its hidden column."""
    from datasets import concatenate_datasets

    lacking = [name for name in lacking if name not in HIDDEN]
    specs: dict[str, Any] = {name: "json" for name in mixed if name in part.column_names}
    if lacking:
        specs[ORIGIN] = ORIGIN_FEATURE
    if not specs:
        return part
    fingerprint = fingerprint_of("fitted", part._fingerprint, list(specs), lacking)  # noqa: SLF001  (as above)
    path = cached_file(cache, fingerprint)
    schema = features_of(specs).arrow_schema
    made = build_once(path, fingerprint, lambda: write_arrow(path, schema, _batches(part, schema, lacking)))
    order = part.column_names
    return concatenate_datasets([part.remove_columns(list(specs)), made], axis=1).select_columns(order)


def _batches(part: Dataset, schema: pa.Schema, lacking: Sequence[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    changing = part.select_columns(schema.names)
    for batch in changing.iter(rows_at_once(changing)):
        arrays = []
        for field in schema:
            values = batch[field.name]
            if field.name == ORIGIN:
                values = [{**each, "missing": [*each["missing"], *lacking]} for each in values]
            else:
                values = list(map(to_text, values))
            arrays.append(pa.array(values, field.type))
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
