"""From a medium to pixels of the size that an engine wants."""

from __future__ import annotations

from juicecap.media.image import read_image
from juicecap.media.picture import MediaFrames
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import FrameSizes
from juicecap.media.video.animation import animation_of, decode_animation
from juicecap.media.video.decode import Allocate, decode_frames, in_memory
from juicecap.media.video.probe import VideoInfo, probe


def load_frames(
    kind: str,
    path: str,
    sampling: FrameSampling,
    sizes: FrameSizes,
    *,
    rules: MediaLimits = DEFAULT_RULES,
    allocate: Allocate = in_memory,
) -> MediaFrames:
    """Decode a video's sampled frames (`kind` is `video`), or an image, into what `allocate` gives (see `decode_frames`).

    Raises:
        MediaError: the medium cannot be used.
        MemoryError: this process may not take as much memory as that needs.
    """
    if kind == "image":
        image = read_image(path, lambda width, height: sizes.size("image", 1, width, height, sampling), rules=rules)
        pixels = allocate(1, *image.shape[:2])
        pixels[0] = image
        return MediaFrames(pixels=pixels)

    def size(count: int, width: int, height: int) -> tuple[int, int]:
        return sizes.size("video", count, width, height, sampling)

    if animation := animation_of(path, rules):
        frames = decode_animation(path, animation, sampling, size, rules=rules, allocate=allocate)
    else:
        frames = decode_frames(path, sampling, size, rules=rules, allocate=allocate)
    return MediaFrames(
        pixels=frames.pixels,
        times=frames.times,
        duration=frames.info.duration,
        unreadable=frames.unreadable,
        damage=frames.damage,
        tone_mapped=frames.tone_mapped,
    )


def video_info(path: str, rules: MediaLimits = DEFAULT_RULES) -> VideoInfo:
    """The facts about a video, an animated picture included.

    Raises:
        MediaError: as `probe`.
    """
    animation = animation_of(path, rules)
    return animation.info if animation else probe(path, rules)
