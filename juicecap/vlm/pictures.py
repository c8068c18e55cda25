"""From a request's medium to pixels of the size that the backend wants."""

from __future__ import annotations

from juicecap.media.decode import decode_frames
from juicecap.media.image import read_image
from juicecap.media.sampling import FrameSampling
from juicecap.vlm.base import Backend, Part, Picture


def load_picture(part: Part, sampling: FrameSampling, backend: Backend) -> Picture:
    """Decode a video's sampled frames, or an image.

    Raises:
        MediaError: the medium cannot be used.
    """
    if part.kind == "image":
        pixels = read_image(part.value, lambda width, height: backend.frame_size("image", 1, width, height, sampling))
        return Picture(pixels=pixels[None])
    frames = decode_frames(
        part.value, sampling, lambda count, width, height: backend.frame_size("video", count, width, height, sampling)
    )
    return Picture(pixels=frames.pixels, times=frames.times, duration=frames.info.duration, unreadable=frames.unreadable)
