"""Column types as short specs, and the `datasets.Features` that they stand for.

Ops and readers declare what a column holds with a spec: a name ("text", "texts", "int", "uint", "float", "bool", "json"), a dict
of specs (a struct) or a list with one spec (a list). So they need not import `datasets`, which opens here, late.

"json" is for values that no simple type holds unchanged, such as mixes of int and float or dicts with changing keys.
`exact_json` describes what it promises.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from juicecap.data.exact_json import exact, exact_json
from juicecap.errors import DataError
from juicecap.nested import names_in, split_name
from juicecap.sample import HIDDEN, ORIGIN

if TYPE_CHECKING:
    from datasets import Features

Spec = str | Mapping[str, Any] | list[Any]
"""The type of a column: a name, a dict of specs (struct), or a list with one spec."""

ORIGIN_FEATURE: Mapping[str, Any] = {"id": "text", "folder": "text", "missing": ["text"]}
"""Spec of the hidden column `sample.ORIGIN`."""

LEVELS = 32
"""Levels of nested lists and structs in a column; readers of Arrow files take 64."""

WORDS: Mapping[str, str] = {
    "bool": "bool",
    "float": "float64",
    "int": "int64",
    "text": "string",
    "uint": "uint64",
}


def features_of(declared: Mapping[str, Spec]) -> Features:
    """The `Features` of columns that are declared by specs, in the same order.

    Raises:
        DataError: a spec is not one of the known names.
    """
    from datasets import Features

    return Features({name: _feature(spec, name) for name, spec in declared.items()})


def with_columns(features: Features, declared: Mapping[str, Spec]) -> Features:
    """`features` and the declared columns: a column of the same name keeps its place and gets the declared type.

    One inside of an object (`media.caption`) becomes a field of it; what is no object becomes JSON, which may be one.

    JSON columns are exact in the result, whatever they were. Call `encode_batch` on what goes into such columns by `map`.
    """
    columns: dict[str, Any] = dict(features)
    for name, feature in features_of(declared).items():
        columns = _with_column(columns, name, feature)
    return exact(columns)


def column_names(features: Features) -> list[str]:
    """The names of the user's columns, with those inside of objects (`nested.names_in`)."""
    from datasets import Json

    visible = {name: feature for name, feature in features.items() if name not in HIDDEN}
    return list(names_in(visible, lambda feature: isinstance(feature, Json)))


def origin_features() -> Features:
    """The `Features` of a table that holds the hidden column `sample.ORIGIN` alone."""
    return features_of({ORIGIN: ORIGIN_FEATURE})


def _with_column(columns: Mapping[str, Any], name: str, feature: Any) -> dict[str, Any]:
    key, rest = split_name(name, columns)
    if rest:
        holder = columns[key]
        feature = _with_column(holder, rest, feature) if isinstance(holder, dict) else exact_json()
    return {**columns, key: feature}


def _feature(spec: Spec, name: str) -> Any:
    from datasets import List, Value

    if isinstance(spec, Mapping):
        return {key: _feature(value, f"{name}.{key}") for key, value in spec.items()}
    if isinstance(spec, list) and len(spec) == 1:
        return List(_feature(spec[0], f"{name}[]"))
    if spec == "json":
        return exact_json()
    if spec == "texts":
        return List(Value("string"))
    if isinstance(spec, str) and spec in WORDS:
        return Value(WORDS[spec])
    known = ", ".join(sorted([*WORDS, "json", "texts"]))
    raise DataError(
        f"column {name!r} is declared as {spec!r}, which is no column type. Use one of: {known}; or a dict or list of them."
    )
