"""From a medium to pixels of the size that an engine wants."""

from __future__ import annotations

from collections.abc import Sequence

from juicecap.errors import MediaError
from juicecap.fragment import WHOLE, Span
from juicecap.media.access.files import open_file
from juicecap.media.access.picture_folder import is_folder, pictures_in
from juicecap.media.films.animation import Animation, animation_of, decode_animation
from juicecap.media.films.pictures import PictureFilm, decode_pictures, film_of
from juicecap.media.image import read_image
from juicecap.media.picture import MediaFrames
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.media.sampling import PICTURE_FPS, FrameSampling
from juicecap.media.sizes import FrameSizes
from juicecap.media.video.decode import Allocate, decode_frames, in_memory
from juicecap.media.video.part import part_of
from juicecap.media.video.probe import VideoInfo, packet_times, probe
from juicecap.sample import display_path
from juicecap.signatures import HEAD, is_still


def load_frames(
    kind: str,
    path: str,
    sampling: FrameSampling,
    sizes: FrameSizes,
    *,
    pictures: Sequence[str] = (),
    span: Span = WHOLE,
    rules: MediaLimits = DEFAULT_RULES,
    allocate: Allocate = in_memory,
) -> MediaFrames:
    """Decode a video's sampled frames (`kind` is `video`), or an image, into what `allocate` gives (see `decode_frames`).

    A video is a film of the `pictures`, if there are any; of any film the `span` counts, as if it were one.

    Raises:
        MediaError: the medium cannot be used.
        MemoryError: this process may not take as much memory as that needs.
    """
    stored = (0, 0)

    def wanted(count: int, width: int, height: int) -> tuple[int, int]:
        nonlocal stored
        stored = width, height
        return sizes.size(kind, count, width, height, sampling)

    if kind == "image":
        image = read_image(path, lambda width, height: wanted(1, width, height), rules=rules)
        pixels = allocate(1, *image.shape[:2])
        pixels[0] = image
        return MediaFrames(pixels=pixels, stored_size=stored)
    if film := _picture_film(path, pictures, sampling.picture_fps, rules, span):
        frames = decode_pictures(film, sampling, wanted, span=span, rules=rules, allocate=allocate)
    elif animation := _animation(path, rules, span):
        frames = decode_animation(path, animation, sampling, wanted, span=span, rules=rules, allocate=allocate)
    else:
        frames = decode_frames(path, sampling, wanted, span=span, rules=rules, allocate=allocate)
    return MediaFrames(
        pixels=frames.pixels,
        times=frames.times,
        duration=frames.info.duration,
        unreadable=frames.unreadable,
        damage=frames.damage,
        tone_mapped=frames.tone_mapped,
        stored_size=stored,
    )


def video_info(
    path: str,
    rules: MediaLimits = DEFAULT_RULES,
    *,
    pictures: Sequence[str] = (),
    picture_fps: float = PICTURE_FPS,
    span: Span = WHOLE,
) -> VideoInfo:
    """The facts about a video, an animated picture and a film of pictures (see `load_frames`) included; about its `span`.

    Raises:
        MediaError: as `probe` and `part_of`; `NO_VIDEO_STREAM`: it is a HEIC picture.
    """
    film = _picture_film(path, pictures, picture_fps, rules, span) or _animation(path, rules, span)
    return part_of(path, film.info if film else probe(path, rules, span), span)


def frame_times(
    path: str,
    rules: MediaLimits = DEFAULT_RULES,
    *,
    pictures: Sequence[str] = (),
    picture_fps: float = PICTURE_FPS,
    span: Span = WHOLE,
) -> list[float]:
    """The times of all frames of a video, in seconds from its first one and in order; nothing is decoded. `span` as in `probe`.

    Raises:
        MediaError: as `video_info`.
    """
    if film := _picture_film(path, pictures, picture_fps, rules, span):
        return [number / film.info.fps for number in range(len(film.pictures))]
    animation = _animation(path, rules, span)
    return list(animation.stamps) if animation else packet_times(path, rules)


def _picture_film(path: str, pictures: Sequence[str], rate: float, rules: MediaLimits, span: Span) -> PictureFilm | None:
    """The film that `pictures`, or those of a folder, are; None of other films."""
    if not pictures and is_folder(path):
        pictures = pictures_in(path, rules)
    return film_of(path, pictures, rate, rules, span) if pictures else None


def _animation(path: str, rules: MediaLimits, span: Span) -> Animation | None:
    """The facts about an animated picture; None of other films. A HEIC picture is none: FFmpeg would open one of its tiles.

    Raises:
        MediaError: as `open_file` and `animation_of`; `NO_VIDEO_STREAM`.
    """
    with open_file(path, rules) as fd, open(fd, "rb", closefd=False) as file:
        try:
            head = file.read(HEAD)
        except OSError as error:
            raise MediaError("UNREADABLE", f"{display_path(path)} cannot be read ({error.strerror})", retryable=True) from error
    if is_still(head):
        raise MediaError("NO_VIDEO_STREAM", f"{display_path(path)} is a HEIC picture, not a video")
    return animation_of(path, head, rules, span)
