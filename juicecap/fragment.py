"""Parts of films: a path with a fragment in time, as the W3C's Media Fragments URI 1.0 spells it (`film.mp4#t=12.5,20`).

Times are seconds or `hh:mm:ss.ms` (section 4.2.1, Normal Play Time): `t=12.5,20`, `t=12.5` (to the end), `t=,20` (from the
beginning), `t=npt:0:00:12.5,0:00:20`. A part holds what is shown from its start on and before its end. Not covered: SMPTE and
wall-clock times, and the other dimensions (`xywh`, `track`, `id`).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from decimal import Decimal
from math import inf

from juicecap.errors import SampleError
from juicecap.sample import display_path

_MARK = "#t="

_TIME = re.compile(r"(?:(?:(\d{1,6}):)?([0-5]?\d):([0-5]?\d)|(\d{1,10}))(\.\d{0,20})?", re.ASCII)
"""Hours, minutes and seconds, or seconds alone; then a fraction."""

_LATEST = 10**9
"""Seconds, thirty years: no film lasts longer."""

_DECIMALS = 9
"""Of a second."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """A part of a film: seconds from its first frame, from `start` on and before `end`; None: to the end of the film."""

    start: float = 0.0
    end: float | None = None

    def seconds(self, duration: float) -> float:
        """How long the part of a film that lasts `duration` is; not above 0 if it lies behind its end."""
        end = min(duration, inf if self.end is None else self.end)
        return round(end - self.start, _DECIMALS) if self.start else end  # 9.3 - 8.1 is 1.2

    def __str__(self) -> str:
        """Its fragment, spelled in one way only."""
        end = "" if self.end is None else f",{_seconds(self.end)}"
        return f"t={_seconds(self.start) if self.start or not end else ''}{end}"


WHOLE = Span()
"""All of a film."""


def split(path: str) -> tuple[str, str]:
    """A path without its fragment, and the fragment; empty if it has none. A file with that very name wins."""
    file, mark, fragment = path.rpartition(_MARK)
    if not (file and mark) or "#" in fragment or "/" in fragment or os.path.lexists(path):
        return path, ""
    return file, mark[1:] + fragment


def without_fragment(path: str) -> str:
    """The path of the film of which a path may name a part."""
    return split(path)[0]


def located(path: str) -> tuple[str, Span]:
    """The path of a film, and the part of it that a path names.

    Raises:
        SampleError: `BAD_FRAGMENT`.
    """
    file, fragment = split(path)
    try:
        return file, span_of(fragment) if fragment else WHOLE
    except ValueError as error:
        raise SampleError("BAD_FRAGMENT", f"{display_path(file)}#{display_path(fragment)} {error}") from None


def with_span(path: str, start: float | None, end: float | None) -> str:
    """The path of the part of a film between two times; None is its beginning, or its end.

    Raises:
        SampleError: `BAD_FRAGMENT`: the path names a part already.
    """
    if start is None and end is None:
        return path
    if split(path)[1]:
        raise SampleError("BAD_FRAGMENT", f"{display_path(path)} is a part already, of which start_key and end_key name another")
    return f"{path}#{Span(start=start or 0.0, end=end)}"


def span_of(fragment: str) -> Span:
    """The part that a fragment (`t=12.5,20`) names.

    Raises:
        ValueError: it names none; the message is the rest of a sentence.
    """
    start, comma, end = fragment.removeprefix("t=").removeprefix("npt:").partition(",")
    if not (start or end) or (comma and not end):
        raise ValueError("names no time: write #t=12.5,20, #t=12.5 or #t=,20")
    span = Span(start=time_of(start) if start else 0.0, end=time_of(end) if end else None)
    if span.end is not None and span.end <= span.start:
        raise ValueError("ends before it begins: the second time is not later than the first one")
    return span


def time_of(text: str) -> float:
    """Seconds, from a text that is a number of them or `hh:mm:ss.ms`.

    Raises:
        ValueError: it is no time; the message is the rest of a sentence.
    """
    found = _TIME.fullmatch(text)
    if not found:
        raise ValueError(f"has {display_path(text)!r} where a time should be: write seconds (12.5) or hh:mm:ss.ms (0:00:12.5)")
    hours, minutes, seconds, alone, fraction = found.groups()
    whole = int(alone) if alone else 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds)
    return checked_time(float(whole + Decimal(f"0{fraction or ''}")))


def checked_time(seconds: float) -> float:
    """Seconds to the nanosecond.

    Raises:
        ValueError: no film has such a time; the message is the rest of a sentence.
    """
    if not 0 <= seconds <= _LATEST:
        raise ValueError(f"has the time {seconds}, and times are from 0 to {_LATEST:,} seconds")
    return round(float(seconds), _DECIMALS)


def _seconds(time: float) -> str:
    """A time in digits, as short as possible."""
    digits = format(Decimal(repr(time)), "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
