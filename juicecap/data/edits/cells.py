"""What a cell of a table says, however it is spelt: cells with equal digests say the same.

White space and escapes of JSON, the order of an object's keys, `1.0` for `1`, and null for a missing key do not count. In a CSV,
where all is text, a cell is read as its column was written: so `TRUE` is true, `1E+05` is 100000, an empty cell is null, and the
kind of line break in a text does not count. Numbers with a fraction are compared to 15 digits, which spreadsheets keep.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import xxhash

from juicecap.sample import json_in_cell

if TYPE_CHECKING:
    from datasets import Dataset

Kind = Literal["bool", "json", "number", "text"]
"""What the cells of a column are: `json` is all that is none of the others."""

DIGEST = 8
"""Bytes of a digest."""

_EXACT = 10**15
"""Whole numbers below this are the same as a float and as an integer."""

_INTEGER = re.compile(r"[+-]?\d{1,20}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True)

_BREAK = re.compile(r"\r\n?")


def kinds_of(dataset: Dataset, columns: list[str]) -> dict[str, Kind]:
    """The kinds of columns, by their types."""
    return {name: _kind(getattr(dataset.features[name], "dtype", "")) for name in columns}


def value_digest(value: Any, kind: Kind) -> bytes:
    """The digest of a cell of a format that has types."""
    return _digest(_said(value, kind))


def text_digest(text: str, kind: Kind) -> bytes:
    """The digest of a cell of a CSV."""
    value = value_in(text, kind)
    return _digest(_said(None if value == "" else value, kind))


def value_in(text: str, kind: Kind) -> Any:
    """The value of a cell of a CSV; one that is not as its column is stays a text."""
    text = _BREAK.sub("\n", text)
    if kind == "text":
        return text
    bare = text.strip()
    if not bare:
        return None
    if kind == "number" and _INTEGER.fullmatch(bare):
        return int(bare)
    if kind == "number" and _NUMBER.fullmatch(bare):
        return float(bare)
    if kind == "bool" and bare.lower() in ("true", "false"):
        return bare.lower() == "true"
    return _json(text) if kind == "json" else text


def _kind(type_: str) -> Kind:
    if type_ in ("string", "large_string"):
        return "text"
    if type_ == "bool":
        return "bool"
    return "number" if type_.startswith(("int", "uint", "float")) else "json"


def _said(value: Any, kind: Kind) -> str:
    """The value as one text, with a letter for its type in front."""
    if isinstance(value, str):
        value = _json(value) if kind == "json" else value
        if isinstance(value, str):
            return f"s{value}"
    if isinstance(value, float):
        value = _number(value)
    if value is None or isinstance(value, int | float):
        return f"v{value!r}"
    if isinstance(value, list | tuple | Mapping):
        return f"j{_ENCODER.encode(_plain(value))}"
    return f"s{_plain(value)}"


def _plain(value: Any) -> Any:
    """The value as JSON has it, numbers in one spelling."""
    if isinstance(value, str | int) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal | dt.timedelta) else repr(value)


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < _EXACT else float(f"{value:.15g}")


def _json(text: str) -> Any:
    """The list or object that a text holds; else the text."""
    if text.lstrip().startswith(("[", "{")):
        with suppress(ValueError):
            return json_in_cell(text)
    return text


def _digest(said: str) -> bytes:
    return xxhash.xxh3_64_digest(said.encode("utf-8", "surrogatepass"))
