"""Columns inside of objects, which are named with a dot: `media.video` is what the object in column `media` has under `video`.

A column whose very name has the dot wins. Of several keys that a name begins with, the longest is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any

from juicecap.errors import SampleError


def split_name(name: str, keys: Container[str]) -> tuple[str, str]:
    """The one of `keys` that holds a column, and the column's name inside of it; the name and nothing if it is no such column."""
    end = len(name)
    while end > 0 and name[:end] not in keys:
        end = name.rfind(".", 0, end)
    rest = name[end + 1 :] if end > 0 else ""
    return (name[:end], rest) if rest else (name, "")


def value_of(sample: Mapping[str, Any], name: str) -> Any:
    """The value in a column, also in one inside of an object; None if there is none."""
    key, rest = split_name(name, sample)
    value = sample.get(key)
    if not rest:
        return value
    return value_of(value, rest) if isinstance(value, Mapping) else None


def with_value(sample: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """The sample with a value in a column. It goes into an object where a column of the sample begins the name.

    Raises:
        SampleError: `BAD_OBJECT` if something else than an object is there.
    """
    key, rest = split_name(name, sample)
    if not rest:
        return {**sample, key: value}
    holder = {} if sample[key] is None else sample[key]
    if not isinstance(holder, Mapping):
        raise SampleError("BAD_OBJECT", f"{name!r} cannot be written, since {key!r} holds no object")
    return {**sample, key: with_value(holder, rest, value)}


def placed(output: dict[str, Any], names: Iterable[str], sample: Mapping[str, Any]) -> dict[str, Any]:
    """What an op made of `sample`, with the columns `names` inside of the objects that they name.

    Raises:
        SampleError: as `with_value`.
    """
    for name in names:
        if "." in name and name in output and name not in sample:
            others = {key: value for key, value in output.items() if key != name}
            output = with_value(others, name, output[name])
    return output


def with_replaced(sample: dict[str, Any], name: str, replace: Callable[[Any], Any]) -> dict[str, Any]:
    """The sample with another value in a column; itself if it has no such column."""
    key, rest = split_name(name, sample)
    if key not in sample:
        return sample
    value = sample[key]
    if not rest:
        return {**sample, key: replace(value)}
    return {**sample, key: with_replaced(value, rest, replace)} if isinstance(value, dict) else sample


def names_in(holder: Mapping[str, Any], is_open: Callable[[Any], bool] = lambda _: False) -> Iterator[str]:
    """The names of all columns, those inside of objects too; `media.*` stands for whatever is inside of one that `is_open`."""
    for key, value in holder.items():
        yield key
        if isinstance(value, Mapping):
            yield from (f"{key}.{name}" for name in names_in(value, is_open))
        elif is_open(value):
            yield f"{key}.*"


def is_among(name: str, names: Container[str]) -> bool:
    """Whether a column is one of `names`, as `names_in` gives them."""
    if name in names:
        return True
    return any(f"{name[:at]}.*" in names for at, letter in enumerate(name) if letter == ".")
