"""A `datasets.Json` that gives back what was put in.

Stock `Json` passes values through pandas' ujson: floats are cut to 10 digits when written and may lose their last digit when
read, NaN becomes null, and a string that looks like JSON becomes what it looks like ("007" turns into 7). The feature made
here stores the same Arrow type, text that any reader of `Json` understands, with Python's own json.

`Dataset.map` encodes `Json` columns by itself, with ujson and before any feature is asked. Text that is valid JSON passes
through it untouched, so whatever hands a batch to `map` must call `encode_batch` on it first. Not covered: a bare
`ds.map(f)` that rewrites such a column has the limits of stock `Json` (0.30000000000000004 turns into 0.3 and "7" into 7).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from juicecap.data.record import too_many
from juicecap.sample import MOST_NESTED, Sample, batch_of, nested_too_deeply

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Features

    from juicecap.sample import Batch


def exact_json() -> Any:
    """The feature for a column of JSON values: every int up to 64 bits, float, NaN, string, null and key comes back as it was."""
    return _feature_class()()


def exact(features: Mapping[str, Any]) -> Features:
    """`features` with each `Json`, nested ones too, replaced by `exact_json`: to be done whenever an Arrow file is opened."""
    from datasets import Features

    return Features({name: _exact(feature) for name, feature in features.items()})


def encode_batch(batch: Batch, features: Mapping[str, Any]) -> Batch:
    """The batch as a function given to `Dataset.map` must return it: values of JSON columns as JSON text.

    Call it once, on the last thing before `map`, and pass the same `features` to `map`.
    """
    return {
        name: [_encode(features[name], value) for value in values] if name in features and _has_json(features[name]) else values
        for name, values in batch.items()
    }


def record_batch(rows: Iterable[Sample], features: Features) -> pa.RecordBatch:
    """Rows as a batch of an Arrow file with these features; what a row lacks is null."""
    import pyarrow as pa

    schema = features.arrow_schema
    encoded = encode_batch(batch_of(rows, features), features)
    return pa.RecordBatch.from_arrays([pa.array(encoded[field.name], field.type) for field in schema], schema=schema)


def to_text(value: Any) -> str | None:
    """A JSON value as it is stored: None stays None, so that a null cell is an Arrow null."""
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@functools.cache
def _feature_class() -> Any:
    from datasets import Json

    class ExactJson(Json):  # type: ignore[misc]  # datasets is not typed  # noqa: PLW1641  (features are not hashed)
        # Pickled and hashed as a call, because a class made inside a function cannot be found by its name.
        def __reduce__(self) -> tuple[Any, tuple[()]]:
            return exact_json, ()

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Json)

        def encode_example(self, example_data: Any) -> str | None:
            return to_text(example_data)

        def decode_example(self, example_data: Any, token_per_repo_id: Any = None) -> Any:  # noqa: ARG002  (the signature is that of datasets)
            return None if example_data is None else _decoded(example_data)

    return ExactJson


def _decoded(text: str) -> Any:
    """The value of a JSON text; the text itself where it is none, or one that no reader of records would have let through."""
    if too_many(text):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        # A string that nobody encoded and that ujson took for JSON, as it does "007".
        return text
    return text if text.count("[") + text.count("{") > MOST_NESTED and nested_too_deeply(value) else value


def _exact(feature: Any) -> Any:
    from datasets import Json, LargeList, List

    if isinstance(feature, Json):
        return exact_json()
    if isinstance(feature, dict):
        return {key: _exact(value) for key, value in feature.items()}
    if isinstance(feature, List):
        return List(_exact(feature.feature), length=feature.length)
    if isinstance(feature, LargeList):
        return LargeList(_exact(feature.feature))
    return feature


def _has_json(feature: Any) -> bool:
    from datasets import Json

    if isinstance(feature, dict):
        return any(_has_json(value) for value in feature.values())
    return isinstance(feature, Json) or (hasattr(feature, "feature") and _has_json(feature.feature))


def _encode(feature: Any, value: Any) -> Any:
    from datasets import Json

    if value is None:
        return None
    if isinstance(feature, Json):
        return to_text(value)
    if isinstance(feature, dict):
        return {key: _encode(inner, value.get(key)) for key, inner in feature.items()}
    if hasattr(feature, "feature"):
        return [_encode(feature.feature, item) for item in value]
    return value
