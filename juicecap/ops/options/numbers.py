"""Numbers that recipes take, each with its bounds. They are the types of fields.

`check`, the JSON Schema, `juicecap ops` and the docs read their bounds. A type without an upper bound takes `.inf`, which means
no limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jsonargparse.typing import ClosedUnitInterval, restricted_number_type


def _between(kind: type, low: tuple[str, float], most: int | None = None) -> Any:
    return restricted_number_type(None, kind, [low, ("<=", most)] if most else [low])


_ABOVE_0, _FROM_0 = (">", 0), (">=", 0)

if TYPE_CHECKING:
    Amount = int
    BatchSize = int
    Candidates = int
    Cores = int
    Enlarged = int
    FrameRate = float
    Frames = int
    Length = int
    Megabytes = int
    Moment = float
    Pixels = int
    Requests = int
    Seconds = float
    Seed = int
    Share = float
    Side = int
else:
    Amount = _between(int, _ABOVE_0, 10**12)
    """A number of things that are only counted."""
    BatchSize = _between(int, _ABOVE_0, 10**6)
    """Samples, which are in memory together."""
    Candidates = _between(int, _ABOVE_0, 1000)
    """Answers to one question."""
    Cores = _between(int, _ABOVE_0, 1024)
    """Processes side by side."""
    Enlarged = _between(int, _ABOVE_0, 2**24)
    """Pixels to which a frame is enlarged: 4,096 by 4,096."""
    FrameRate = _between(float, _ABOVE_0, 1000)
    """Frames in a second: cameras take no more."""
    Frames = _between(int, _ABOVE_0, 100_000)
    """Frames that a model is shown of one video: fourteen hours at two a second."""
    Length = _between(int, _FROM_0, 2**31 - 1)
    """Characters of a text, at least: a table holds no longer one."""
    Megabytes = _between(int, _ABOVE_0, 10**9)
    """Up to a petabyte."""
    Moment = _between(float, _FROM_0, 10**9)
    """Seconds from the start of a video, or that it lasts at least: up to thirty years."""
    Pixels = _between(int, _ABOVE_0, 2**32)
    """Pixels of a picture, at most: 65,536 by 65,536."""
    Requests = _between(int, _ABOVE_0, 2**16)
    """Side by side."""
    Seconds = _between(float, (">=", 0.01))
    """After which work is given up, or a video refused. Less would give everything up."""
    Seed = _between(int, _FROM_0, 2**64 - 1)
    Share = ClosedUnitInterval
    """A part of a whole."""
    Side = _between(int, _FROM_0, 10**6)
    """Side of a picture in pixels, at least."""
