"""Accepts only entries of the shapes that are written: a file's checksums can be right and its content wrong.

A journal is a file that may come from anybody. An entry of another shape is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

LARGEST = 2**53
"""The largest count."""


def sound(found: Mapping[int, Any]) -> dict[int, Any]:
    """The entries of a request's key that have a valid shape: answers, and a failure."""
    return {number: entry for number, entry in found.items() if _is_of_request(entry, first=number == 0)}


def sound_medium(found: Mapping[int, Any]) -> dict[int, Any]:
    """The entries of a medium's key: that it cannot be used."""
    return {number: entry for number, entry in found.items() if _is_failure(entry) and isinstance(entry.get("path"), str)}


def sound_measurement(found: Mapping[int, Any], accepts: Callable[[Any], bool] | None) -> dict[int, Any]:
    """The entries of a measurement's key: a value that its task `accepts`, and when it was measured."""
    return {number: entry for number, entry in found.items() if _is_measured(entry) and (not accepts or accepts(entry["value"]))}


def _is_measured(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.keys() == {"value", "seen"} and _is_time(entry["seen"])


def _is_time(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_of_request(entry: Any, *, first: bool) -> bool:
    if _is_failure(entry):
        asked = entry.get("asked")
        return isinstance(asked, list | tuple) and all(map(_is_count, asked))
    return isinstance(entry, dict) and _is_answer(entry) and (not first or _is_whole(entry))


def _is_failure(entry: Any) -> bool:
    failure = entry.get("failure") if isinstance(entry, dict) else None
    if not isinstance(failure, dict) or failure.keys() != {"code", "message", "attempts"}:
        return False
    return isinstance(failure["code"], str) and isinstance(failure["message"], str) and _is_count(failure["attempts"])


def _is_answer(entry: dict[str, Any]) -> bool:
    texts = (entry.get("text"), entry.get("finish_reason"), entry.get("reasoning", ""), entry.get("engine", ""))
    return all(isinstance(text, str) for text in texts) and _is_count(entry.get("tokens"))


def _is_whole(entry: dict[str, Any]) -> bool:
    """Whether the first candidate's facts about the request have a valid shape."""
    times = entry.get("frame_times")
    seen = isinstance(times, list | tuple) and all(
        isinstance(each, list | tuple) and all(map(_is_number, each)) for each in times
    )
    unsent, sizes = entry.get("unsent", ()), entry.get("frame_sizes", ())
    return (
        seen
        and isinstance(unsent, list | tuple)
        and all(isinstance(name, str) for name in unsent)
        and isinstance(sizes, list | tuple)
        and all(map(_is_size, sizes))
        and isinstance(entry.get("revision"), str)
        and isinstance(entry.get("damage", ""), str)
        and isinstance(entry.get("tone_mapped", False), bool)
        and isinstance(entry.get("opened"), bool | None)
        and all(_is_count(entry.get(name)) for name in ("prompt_tokens", "unreadable"))
    )


def _is_size(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_count, value))  # noqa: PLR2004


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST
