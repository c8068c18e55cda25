"""The task of `overlap.py`: CPU work on every second of a film."""

from juicecap.media.sampling import FrameSampling
from juicecap.media.tasks.medium import Medium


def brightness(medium: Medium, *, fps: float) -> list[float]:
    """The mean brightness of so many frames of each second."""
    return [float(frame.mean()) for frame in medium.frames(FrameSampling(fps=fps)).pixels]
