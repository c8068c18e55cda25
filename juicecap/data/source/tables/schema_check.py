"""The schema of a table that others wrote: what its types may be, and what its description as features of `datasets` may say.

Such a description is text. `datasets` builds objects from it and calls what it names: a type that is a function of pyarrow is
called, and a column that is described as a picture inside of a struct is opened when a row is read, also from an address. So it
is read here, strictly, and only what passed is handed on. Features of media are set not to be decoded.

As soon as `datasets` is imported, pyarrow builds its types of arrays from what a schema says. So a schema is looked at in a
child, where it is not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from juicecap.data.columns import LEVELS
from juicecap.data.record import NAMES, BrokenRecord, decoded, misnamed, parse_object
from juicecap.data.source.tables.foreign import Refusal, foreign
from juicecap.errors import DataError
from juicecap.sample import short_repr

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Features

DTYPES = re.compile(
    r"null|bool|u?int(8|16|32|64)|float(16|32|64)?|double|date(32|64)|time32\[m?s\]|time64\[[un]s\]|duration\[([mun]?s)\]"
    r"|timestamp\[[mun]?s(, ?tz=[A-Za-z0-9/_+:-]{1,64})?\]|decimal(128|256)\(\d{1,2}, ?-?\d{1,2}\)"
    r"|(large_)?(string|binary)|(string|binary)_view|(large_)?utf8|fixed_size_binary\[\d{1,9}\]"
)
"""Types of a value, as `datasets` names them."""

MEDIA = ("Audio", "Image", "Video")
"""Features that become columns of paths where they are a column, or the items of one (see `embedded`)."""

LEFT_AS_STORED = (*MEDIA, "BioSequence", "BioStructure", "Mesh", "Nifti", "Pdf")
"""Features that `datasets` opens when a row is read, unless it is told not to."""

_LISTS = ("LargeList", "List", "Sequence")
_ARRAYS = {f"Array{number}D": number for number in range(2, 6)}
_ARRAY_TYPE = re.compile(r"datasets\.features\.features\.(Array[2-5]D)ExtensionType")
_LONGEST_LIST = 2**31 - 1


class _OddError(ValueError):
    """A description that is not handed on."""


def check_schema(schema: pa.Schema, where: str) -> None:
    """Make sure that no column has a name, a depth or a type that the rest stumbles over.

    Raises:
        DataError: one has.
    """
    fields = 0
    names: set[str] = set()
    for column in schema:
        if column.name in names:
            raise DataError(f"{where}: two columns are named {column.name!r}. Rename one of them.")
        if "\0" in column.name:
            raise DataError(f"{where}: {misnamed(column.name)}")
        names.add(column.name)
        for field, level in _fields(column):
            fields += 1
            if level > LEVELS:
                raise DataError(f"{where}: the column {short_repr(column.name)} has more than {LEVELS} levels. Flatten it.")
            _check_field(field, f"{where}: the column {short_repr(column.name)}")
            if fields > NAMES:
                raise DataError(f"{where}: has more than {NAMES:,} columns, with those inside of columns. Drop some.")


def described(schema: pa.Schema, where: str) -> dict[str, Any]:
    """The columns that the schema describes as features, in the words of `datasets`; only what may be handed on.

    Raises:
        DataError: the description is damaged or odd.
    """
    text = (schema.metadata or {}).get(b"huggingface")
    if text is None:
        return {}
    try:
        info = parse_object(decoded(text, where), where).get("info")
    except BrokenRecord as broken:
        raise DataError(f"{where}: the schema's description of its columns is odd: {broken.reason}") from None
    features = info.get("features") if isinstance(info, dict) else None
    return checked_features(features, where) if features is not None else {}


def features_of(schema: pa.Schema, descriptions: Mapping[str, Any], refuse: Refusal, *, strict: bool = False) -> Features:
    """The features of a schema that passed: as described where that fits the types, else (unless `strict`) by the types alone.

    Raises:
        DataError: `datasets` has no feature for a type, or (if `strict`) a description fits no column.
    """
    from datasets import Features

    with foreign(refuse):
        features = Features.from_arrow_schema(schema.remove_metadata())
        fits = set(descriptions) == set(features)
        for name, description in descriptions.items():
            plain = {name: features[name]} if name in features else {}
            try:
                feature = Features.from_dict({name: description}).reorder_fields_as(Features(plain))
            except ValueError:
                feature = Features()
            if name in feature and feature.arrow_schema.field(name).type == schema.field(name).type:
                features[name] = feature[name]
            else:
                fits = False
    if strict and not fits:
        raise refuse("its columns are described as others than they are")
    return features


def checked_features(features: Any, where: str) -> dict[str, Any]:
    """A description of features, of which only what may be handed on is left.

    Raises:
        DataError: it is odd.
    """
    if not isinstance(features, dict):
        raise DataError(f"{where}: the features are no object, but {short_repr(features)}.")
    checked = {}
    for name, feature in features.items():
        try:
            checked[name] = _checked(feature, 0)
        except _OddError as odd:
            raise DataError(f"{where}: the column {short_repr(name)} is described as {odd}, which no column can be.") from None
    return checked


def _checked(feature: Any, level: int) -> Any:
    """`level` is 0 for a column, 1 for what a column lists, and more for all else."""
    if isinstance(feature, list) and len(feature) == 1:
        feature = {"_type": "List", "feature": feature[0]}
    if not isinstance(feature, dict) or level > LEVELS:
        raise _OddError(short_repr(feature))
    kind = feature.get("_type")
    if kind is None or isinstance(kind, dict):
        return {name: _checked(inner, level + 2) for name, inner in feature.items()}
    if kind in _LISTS:
        return _checked_list(feature, level)
    if kind in LEFT_AS_STORED:
        return {"_type": kind} if kind in MEDIA and level <= 1 else {"_type": kind, "decode": False}
    parameters = _PARAMETERS.get(kind) if isinstance(kind, str) else None
    if parameters is None or not all(is_it(feature.get(name)) for name, is_it in parameters.items()):
        raise _OddError(short_repr(feature))
    if kind in _ARRAYS and not _is_shape(_ARRAYS[kind], feature["shape"]):
        raise _OddError(short_repr(feature))
    return {"_type": kind, **{name: feature[name] for name in parameters}}


def _checked_list(feature: dict[str, Any], level: int) -> dict[str, Any]:
    kind, length = feature["_type"], feature.get("length", -1)
    if type(length) is not int or not -1 <= length <= _LONGEST_LIST:
        raise _OddError(short_repr(feature))
    checked = {"_type": kind, "feature": _checked(feature.get("feature"), level + 1)}
    return checked if kind == "LargeList" else {**checked, "length": length}


def _is_dtype(value: Any) -> bool:
    return isinstance(value, str) and DTYPES.fullmatch(value) is not None


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value) and len(set(value)) == len(value)


def _is_shape(dimensions: int, value: Any) -> bool:
    """Only the first dimension may be open."""
    if not isinstance(value, list) or len(value) != dimensions:
        return False
    return all(type(each) is int and 0 <= each <= _LONGEST_LIST for each in (value if value[0] is not None else value[1:]))


_PARAMETERS: Mapping[str, Mapping[str, Callable[[Any], bool]]] = {
    **{name: {"dtype": _is_dtype, "shape": lambda value: isinstance(value, list)} for name in _ARRAYS},
    "ClassLabel": {"names": _are_names},
    "Json": {},
    "Translation": {"languages": _are_names},
    "TranslationVariableLanguages": {"languages": _are_names},
    "Value": {"dtype": _is_dtype},
}
"""Features, and what may be said of them."""


def _fields(field: pa.Field, level: int = 0) -> Iterator[tuple[pa.Field, int]]:
    """A field and all that it holds, with their levels; not below the last level that there may be."""
    stack = [(field, level)]
    while stack:
        field, level = stack.pop()
        yield field, level
        stored = getattr(field.type, "storage_type", field.type)
        if level <= LEVELS:
            stack.extend((stored.field(number), level + 1) for number in range(stored.num_fields))


def _check_field(field: pa.Field, where: str) -> None:
    import pyarrow as pa

    name, _ = _extension(field)
    if not _is_known(field.type):
        raise DataError(f"{where} has the type {short_repr(str(field.type))}, which no column of a dataset can have. Convert it.")
    if _ARRAY_TYPE.fullmatch(name) and shape_of(field) is None:
        raise DataError(f"{where} is an array of an odd shape or type. Write the file again.")
    if pa.types.is_struct(field.type):
        names = [inner.name for inner in field.type]
        if len(set(names)) < len(names) or any("\0" in each for each in names):
            raise DataError(f"{where} holds two fields of one name, or one with a null character in its name. Rename it.")


def _is_known(type_: pa.DataType) -> bool:
    import pyarrow as pa
    from pyarrow import types

    if isinstance(type_, pa.BaseExtensionType):
        return isinstance(type_, pa.JsonType)
    known = (
        types.is_null, types.is_boolean, types.is_integer, types.is_floating, types.is_decimal128, types.is_decimal256,
        types.is_date, types.is_time, types.is_timestamp, types.is_duration,
        types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary,
        types.is_string, types.is_large_string, types.is_string_view, types.is_dictionary,
        types.is_struct, types.is_list, types.is_large_list, types.is_fixed_size_list,
    )  # fmt: skip
    return any(is_it(type_) for is_it in known)


def shape_of(field: pa.Field) -> list[int | None] | None:
    """The shape of a field that is an array of `datasets`, an extension type; None if it is none, or none that passes."""
    name, facts = _extension(field)
    array = _ARRAY_TYPE.fullmatch(name)
    try:
        shape, dtype = json.loads(facts) if array else (None, None)
    except (ValueError, TypeError, RecursionError):
        return None
    return shape if array and _is_shape(_ARRAYS[array[1]], shape) and _is_dtype(dtype) else None


def _extension(field: pa.Field) -> tuple[str, bytes]:
    """The name of an extension type that is not registered, and what is stored of it."""
    facts: Mapping[bytes, bytes] = field.metadata or {}
    return facts.get(b"ARROW:extension:name", b"").decode(errors="replace"), facts.get(b"ARROW:extension:metadata", b"")
