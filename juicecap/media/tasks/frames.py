"""How many frames a video has, counted packet by packet: a header may be wrong, and of a part of a film it says nothing."""

from __future__ import annotations

from juicecap.media.load import frame_times
from juicecap.media.sampling import PICTURE_FPS, TIME_TOLERANCE
from juicecap.media.tasks.medium import Medium


def frames(medium: Medium, *, picture_fps: float = PICTURE_FPS) -> int:
    """How many frames of the medium's part are shown; the one that is on screen where the part begins is one of them.

    Raises:
        MediaError: as `video_info`.
    """
    film = {"pictures": medium.pictures, "picture_fps": picture_fps, "span": medium.span}
    times = frame_times(medium.path, medium.rules, **film)  # type: ignore[arg-type]
    start, end = medium.span.start, medium.span.end
    over = sum(time < end - TIME_TOLERANCE for time in times) if end is not None else len(times)
    begun = sum(time <= start + TIME_TOLERANCE for time in times) if start else 0
    return over - max(0, begun - 1)
