"""A request in the words of the chat interface, its media in one of three ways.

- `frames`: a video is one `video_url` part that lists its frames as JPEG pictures, and the body says at which times they were
  taken. Exact, and what vLLM takes if it was started with `--trust-request-mm-kwargs`. The body has room for the times of one
  video: a request with several videos whose times differ goes as `images`.
- `images`: a video is a row of `image_url` parts. Every server that sees pictures takes this; the model is not told the times.
- `file`: a video is one `video_url` part with the file in it, and the server chooses the frames.

An image is an `image_url` part in all of them.
"""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from juicecap.errors import MediaError
from juicecap.fragment import WHOLE
from juicecap.media.access.files import open_file
from juicecap.media.access.picture_folder import is_folder
from juicecap.media.access.remote import rules_of
from juicecap.media.encode import LONGEST_SIDE, jpeg
from juicecap.media.picture import MediaFrames
from juicecap.media.rules import MediaLimits
from juicecap.notice import say_once
from juicecap.sample import display_path
from juicecap.vlm.backends.openai.control_tokens import neutralised
from juicecap.vlm.backends.openai.options import Transport
from juicecap.vlm.base import Part, Prepared, Request
from juicecap.vlm.models.frame_times import at_least_two, video_metadata

MOST_PICTURES = 64 * 2**20
"""Bytes of the pictures of one request, as they are sent, where `max_pixels: none` sends them in their own size."""

LARGEST_FILE = 64 * 2**20
"""Bytes of a video that is sent as a file; servers refuse far less than what fits into memory here."""

Json = dict[str, Any]


def compose(prepared: Prepared, transport: Transport) -> Json:
    """`messages`, and what else the transport wants in the body.

    Raises:
        MediaError: a file that is to be sent cannot be read, or is too large (`file` only); pictures are too large.
    """
    pictures = iter(prepared.pictures)
    media = [(part, next(pictures)) for part in prepared.request.media()]
    extra: Json = {}
    if transport == "frames":
        told = [video_metadata(at_least_two(picture)) for part, picture in media if part.kind == "video"]
        if any(each != told[0] for each in told):
            say_once("requests with several videos go to the server as images, since it is told the times of one video only")
            transport = "images"
        elif told:
            extra = {"media_io_kwargs": {"video": {"num_frames": -1, "do_sample_frames": False, **told[0]}}}
    encode = _Encoder(MOST_PICTURES if prepared.request.frames.max_pixels == "none" else None)
    parts = iter([_medium(part, picture, transport, prepared.rules, encode) for part, picture in media])
    return {"messages": _messages(prepared.request, parts), **extra}


def _messages(request: Request, media: Iterable[list[Json]]) -> list[Json]:
    media = iter(media)
    said: list[Json] = []
    for message in request.messages:
        content: list[Json] = []
        for part in message.parts:
            content += [{"type": "text", "text": neutralised(part.value)}] if part.kind == "text" else next(media)
        alone = len(content) == 1 and content[0]["type"] == "text"  # some templates take nothing but text from a system
        said.append({"role": message.role, "content": content[0]["text"] if alone else content})
    return said


def _medium(
    part: Part, picture: MediaFrames, transport: Transport, rules: MediaLimits, encode: Callable[[np.ndarray], str]
) -> list[Json]:
    if part.kind == "image" or transport == "images":
        return [_part("image_url", "image/jpeg", encode(pixels)) for pixels in picture.pixels]
    if transport == "frames":
        return [_part("video_url", "video/jpeg", ",".join(map(encode, at_least_two(picture).pixels)))]
    _check_sent_whole(part)
    return [_part("video_url", *_file(part.value, rules_of(part.value, rules)))]


def _check_sent_whole(part: Part) -> None:
    """Refuse a video that is more than its file, of which the server would choose the frames."""
    way = "take transport frames or images"
    if part.frames:
        told = "with transport file the server chooses the frames, so what the conversation says of them cannot be kept"
        raise MediaError("NOT_SENT_AS_FILE", f"{display_path(part.value)}: {told}: leave it out, or {way}")
    if part.span != WHOLE:
        whole = "with transport file the server is sent the whole file, and this is a part of it"
        raise MediaError("NOT_SENT_AS_FILE", f"{display_path(part.value)}#{part.span}: {whole}: {way}")
    if part.pictures or is_folder(part.value):
        raise MediaError("NOT_SENT_AS_FILE", f"{display_path(part.label)}: a film of pictures is not one file: {way}")


def _part(kind: str, content_type: str, data: str) -> Json:
    return {"type": kind, kind: {"url": f"data:{content_type};base64,{data}"}}


class _Encoder:
    """Pictures of one request as JPEG in base64, up to so many bytes of it together; None: any number."""

    def __init__(self, most: int | None) -> None:
        self._most, self._sum = most, 0

    def __call__(self, pixels: np.ndarray) -> str:
        height, width = pixels.shape[:2]
        if max(width, height) > LONGEST_SIDE:
            told = f"a picture of {width}x{height} cannot be sent: no side of a JPEG has more than {LONGEST_SIDE:,} pixels"
            raise MediaError("TOO_LARGE", f"{told}; set max_pixels to a smaller number")
        data = base64.b64encode(jpeg(pixels)).decode()
        self._sum += len(data)
        if self._most is not None and self._sum > self._most:
            told = f"the pictures of this request take more than {self._most >> 20} MB in their own size (max_pixels: none)"
            raise MediaError("TOO_LARGE", f"{told}: set max_pixels to a number, or show fewer of them")
        return data


def _file(path: str, rules: MediaLimits) -> tuple[str, str]:
    name = display_path(path)
    with open_file(path, rules) as fd, open(fd, "rb", closefd=False) as file:
        try:
            content = file.read(LARGEST_FILE + 1)
        except OSError as error:
            raise MediaError("UNREADABLE", f"{name} cannot be read ({error.strerror})", retryable=True) from error
    if len(content) > LARGEST_FILE:
        raise MediaError(
            "TOO_LARGE",
            f"{name} has more than {LARGEST_FILE >> 20} MB, too many to send the file: take transport frames or images",
        )
    guessed = mimetypes.guess_type(path)[0] or ""
    return guessed if guessed.startswith("video/") else "video/mp4", base64.b64encode(content).decode()
