"""Single pictures as a film: those of a list in its order, those of a folder by their numbers, at an even rate.

The first picture says how large the film is. A picture of another size, or one that cannot be read, costs the whole film: it
belongs to another film, or a moment is missing that nothing tells of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from juicecap.errors import MediaError
from juicecap.fragment import WHOLE, Span
from juicecap.media.films.chosen import chosen_frames
from juicecap.media.image import image_size, read_image
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.media.sampling import FrameSampling
from juicecap.media.video.decode import Allocate, Frames, SizeRule, in_memory
from juicecap.media.video.part import part_of, part_times
from juicecap.media.video.probe import VideoInfo, check_facts
from juicecap.sample import display_path


@dataclass(frozen=True, kw_only=True)
class PictureFilm:
    """What is known of a film of pictures before they are decoded."""

    path: str
    """What a message calls it."""
    info: VideoInfo
    pictures: Sequence[str]


def film_of(
    path: str, pictures: Sequence[str], rate: float, rules: MediaLimits = DEFAULT_RULES, span: Span = WHOLE
) -> PictureFilm:
    """The film that these files are, `rate` pictures in a second; `span` as in `probe`.

    Raises:
        MediaError: as `image_size` of the first one; `TOO_LARGE`.
    """
    width, height = image_size(pictures[0], rules=rules)
    count = len(pictures)
    info = VideoInfo(duration=count / rate, fps=rate, width=width, height=height, frames=count, codec="pictures", rotation=0)
    check_facts(pictures[0], info, rules, span)
    return PictureFilm(path=path, info=info, pictures=pictures)


def decode_pictures(
    film: PictureFilm,
    sampling: FrameSampling,
    size: SizeRule,
    *,
    span: Span = WHOLE,
    rules: MediaLimits = DEFAULT_RULES,
    allocate: Allocate = in_memory,
) -> Frames:
    """As `decode_frames`, of a film of pictures; only those are opened that are taken.

    Raises:
        MediaError: as `read_image` and `part_of`; `SIZES_DIFFER`.
    """
    info = part_of(film.path, film.info, span)
    stamps = [number / info.fps for number in range(len(film.pictures))]
    chosen = chosen_frames(info, stamps, sampling, size, span)
    pixels = allocate(len(chosen.numbers), *chosen.size[::-1])
    for place, number in enumerate(chosen.numbers):
        path = film.pictures[number]
        pixels[place] = read_image(path, _same_size(path, film, chosen.size), rules=rules)
    times = part_times([stamps[number] for number in chosen.numbers], span)
    return Frames(pixels=pixels, times=times, info=info, unreadable=0)


def _same_size(path: str, film: PictureFilm, wanted: tuple[int, int]) -> Callable[[int, int], tuple[int, int]]:
    """`wanted`, for a picture as large as the first one."""
    expected = film.info.width, film.info.height

    def size(width: int, height: int) -> tuple[int, int]:
        if (width, height) != expected:
            first = f"{display_path(film.pictures[0])}, the first picture of its film, is {expected[0]}x{expected[1]}"
            raise MediaError("SIZES_DIFFER", f"{display_path(path)} is {width}x{height}, and {first}")
        return wanted

    return size
