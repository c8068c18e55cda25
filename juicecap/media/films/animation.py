"""Animated WebP, and AVIF, as films. Pillow reads them: FFmpeg does not put their frames together, nor sees what is transparent.

How long frames are shown is read from a WebP's own chunks and an AVIF's packets, so that nothing is decoded for that. Frames are
decoded from the first one on, laid on white and scaled as pictures are. A WebP's frame that lasts 10 ms or less is shown for
100 ms, as browsers do it.

Not covered: HDR, and colour profiles.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from PIL import AvifImagePlugin, Image, WebPImagePlugin

from juicecap.errors import MediaError
from juicecap.fragment import WHOLE, Span
from juicecap.media.access.files import open_file
from juicecap.media.films.chosen import chosen_frames
from juicecap.media.image.colours import on_white
from juicecap.media.image.orientation import upright, upright_size
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.media.sampling import FrameSampling
from juicecap.media.video.damage import Sampled, damage_of, refusal
from juicecap.media.video.decode import Allocate, Frames, SizeRule, in_memory
from juicecap.media.video.packets import packets
from juicecap.media.video.part import part_of, part_times
from juicecap.media.video.probe import VideoInfo, check_facts, check_size, open_video, probe
from juicecap.sample import display_path

_ANIMATED = 0x02
"""Of the flags of a WebP's VP8X chunk."""

_SHORTEST, _INSTEAD = 10, 100
"""Milliseconds: what nobody means, and what is shown instead."""

_AVIF = (b"avif", b"avis")


@dataclass(frozen=True, kw_only=True)
class Animation:
    """What is known of an animation before it is decoded; `stamps` are the times of its frames from the first one."""

    info: VideoInfo
    stamps: Sequence[float]


def animation_of(path: str, head: bytes, rules: MediaLimits = DEFAULT_RULES, span: Span = WHOLE) -> Animation | None:
    """The facts about an animated WebP or an AVIF; None of other files, as the `head` of the file says. `span` as in `probe`.

    Raises:
        MediaError: as `probe`, if it is one.
    """
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and int.from_bytes(head[20:21], "big") & _ANIMATED:
        return _webp(path, head, rules, span)
    if head[4:8] == b"ftyp" and head[8:12] in _AVIF:
        return _avif(path, rules, span)
    return None


def decode_animation(
    path: str,
    animation: Animation,
    sampling: FrameSampling,
    size: SizeRule,
    *,
    span: Span = WHOLE,
    rules: MediaLimits = DEFAULT_RULES,
    allocate: Allocate = in_memory,
) -> Frames:
    """As `decode_frames`, of an animation."""
    info, stamps = part_of(path, animation.info, span), animation.stamps
    chosen = chosen_frames(info, stamps, sampling, size, span)
    numbers = chosen.numbers
    pixels = allocate(len(numbers), *chosen.size[::-1])
    count = 0
    with _opened(path, rules) as picture:
        for number in numbers:
            frame = _frame(picture, number, needed=not count)
            if frame is None:
                break
            pixels[count] = np.asarray(frame.resize(chosen.size, Image.Resampling.BICUBIC))
            count += 1
    lost = stamps[numbers[count] :] if count < len(numbers) else ()
    sampled = Sampled(
        times=chosen.times,
        on_screen=[stamps[min(number, numbers[count - 1])] - span.start for number in chosen.on_screen],
        lost=[stamp - span.start for stamp in lost],
        encrypted=0,
        unreadable=1 if lost else 0,
        ended=False,
    )
    damage = damage_of(sampled, info, sampling, in_secret=False)
    if error := refusal(path, damage, rules, in_secret=False):
        raise error
    return Frames(
        pixels=pixels[:count],
        times=part_times([stamps[number] for number in numbers[:count]], span),
        info=info,
        unreadable=sampled.unreadable,
        damage=damage.words,
    )


def _webp(path: str, head: bytes, rules: MediaLimits, span: Span) -> Animation:
    width, height = (1 + int.from_bytes(head[at : at + 3], "little") for at in (24, 27))
    stamps, now = [], 0
    with open_file(path, rules) as fd:
        for chunk, body in _chunks(fd):
            if chunk == b"ANMF":
                lasts = int.from_bytes(body[12:15], "little")
                stamps.append(now / 1000)
                now += lasts if lasts > _SHORTEST else _INSTEAD
                if len(stamps) > rules.max_frames:
                    break
    if not stamps:
        raise MediaError("UNDECODABLE", f"{display_path(path)} is damaged (an animation without a frame)")
    info = VideoInfo(
        duration=now / 1000,
        fps=1000 * len(stamps) / now,
        width=width,
        height=height,
        frames=len(stamps),
        codec="webp",
        rotation=0,
    )
    check_facts(path, info, rules, span)
    return Animation(info=info, stamps=stamps)


def _chunks(fd: int) -> Iterator[tuple[bytes, bytes]]:
    """The name and the beginning of each chunk that begins in a WebP file, in order."""
    place, end = 12, os.fstat(fd).st_size
    while place + 8 <= end:
        head = os.pread(fd, 24, place)
        yield head[:4], head[8:]
        size = struct.unpack("<I", head[4:8])[0]
        place += 8 + size + size % 2


def _avif(path: str, rules: MediaLimits, span: Span) -> Animation:
    info = probe(path, rules, span)
    with open_video(path, rules) as (container, stream):
        shown = sorted(packet.pts for packet in packets(container, stream) if packet.size and packet.pts is not None)
        stamps = [float((each - shown[0]) * (stream.time_base or 0)) for each in shown] or [0.0]
    with _opened(path, rules) as picture:
        width, height = upright_size(picture)
        stamps = stamps[: getattr(picture, "n_frames", 1)]
    info = replace(info, width=width, height=height, frames=len(stamps), rotation=0, mirrored=False)
    check_facts(path, info, rules, span)
    return Animation(info=info, stamps=stamps)


@contextmanager
def _opened(path: str, rules: MediaLimits) -> Iterator[Image.Image]:
    """The animation, nothing of it decoded yet; what goes wrong with it, also later on, as a MediaError."""
    with open_file(path, rules) as fd, open(fd, "rb", closefd=False) as file, _without_own_limit():
        try:
            is_webp = file.read(4) == b"RIFF"
            file.seek(0)
            picture = WebPImagePlugin.WebPImageFile(file) if is_webp else AvifImagePlugin.AvifImageFile(file)
            check_size(path, picture.width, picture.height, rules)
            yield picture
        except (MediaError, MemoryError):
            raise
        except Exception as error:  # a foreign decoder's door: Pillow's plugins raise all sorts of errors on damaged data
            raise MediaError("UNDECODABLE", f"{display_path(path)} is damaged ({display_path(str(error))})") from error


@contextmanager
def _without_own_limit() -> Iterator[None]:
    """Sizes are checked here, by the rules; Pillow has a limit of its own."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _frame(picture: Image.Image, number: int, *, needed: bool) -> Image.Image | None:
    """A frame on white, upright; None if it is damaged and not `needed`."""
    try:
        picture.seek(number)
        frame = picture if picture.format == "WEBP" else upright(picture, picture)
        return on_white(frame.convert("RGBA")) if "A" in frame.mode else frame.convert("RGB")
    except MemoryError:
        raise
    except Exception:  # as in `_opened`
        if needed:
            raise
        return None
