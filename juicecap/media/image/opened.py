"""The door to a picture's decoder: what it is, whether that is read, and how large it is, before its pixels are decoded."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import BinaryIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from juicecap.errors import MediaError
from juicecap.media.access.files import open_file
from juicecap.media.image import heic
from juicecap.media.rules import MediaLimits
from juicecap.sample import display_path
from juicecap.signatures import HEAD, kind_of

_READERS = (
    AvifImagePlugin.AvifImageFile,
    BmpImagePlugin.BmpImageFile,
    GifImagePlugin.GifImageFile,
    IcoImagePlugin.IcoImageFile,
    Jpeg2KImagePlugin.Jpeg2KImageFile,
    JpegImagePlugin.JpegImageFile,
    PngImagePlugin.PngImageFile,
    PpmImagePlugin.PpmImageFile,
    TiffImagePlugin.TiffImageFile,
    WebPImagePlugin.WebPImageFile,
)
"""What is read. Pillow knows more, some of which is a program for another one to run (EPS) or leads to other files."""

_FORMATS = tuple(reader.format for reader in _READERS)
"""Their names in Pillow."""

_NOT_DAMAGE = ("unknown", "unsupported", "not supported", "cannot handle", "not implemented")
"""Words of Pillow's about files that are sound, and of a sort that it does not read."""

_NOTES = (b"eXIf", b"iCCP", b"iTXt", b"tEXt", b"zTXt")
"""Chunks of a PNG without which it is the same picture, in colours that may be a little off."""

_PREFIX = 16
"""Bytes by which Pillow tells formats apart."""


@contextmanager
def opened(path: str, rules: MediaLimits) -> Iterator[Image.Image]:
    """The picture, its pixels not yet decoded; what goes wrong with it, also later on, as a MediaError.

    Raises:
        MediaError: as `read_image`.
        MemoryError: this process may not take as much memory as that needs.
    """
    name = display_path(path)
    with open_file(path, rules) as fd, open(fd, "rb", closefd=False) as file, _bombs_of(rules.max_pixels):
        head = b""
        try:
            head = file.read(HEAD)
            file.seek(0)
            with _reader(name, head, file) as stored:
                _check_size(name, stored, rules.max_pixels)
                yield stored
        except (MediaError, MemoryError):
            raise
        except Image.DecompressionBombError as error:  # Pillow's own limit, met before the size can be asked
            raise MediaError("TOO_LARGE", f"{name} has more than {2 * rules.max_pixels} pixels (media_max_pixels)") from error
        except UnidentifiedImageError as error:
            raise _unidentified(path, head, file) from error
        except Exception as error:  # a foreign decoder's door: Pillow's plugins raise all sorts of errors on damaged data
            raise MediaError("UNDECODABLE", f"{name} is damaged ({display_path(str(error))})") from error


def _reader(name: str, head: bytes, file: BinaryIO) -> Image.Image:
    """The picture by the decoder of its kind. What stands beside a PNG's pixels, such as EXIF and a profile, may be damaged."""
    kind = kind_of(head)
    if kind and kind.name == "HEIC":
        return heic.opened(name, file)
    if not kind or kind.name != "PNG":
        return Image.open(file, formats=_FORMATS)
    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True  # which its pixels may not be, read later
    try:
        return Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError:
        return Image.open(_without_notes(file), formats=_FORMATS)
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _without_notes(file: BinaryIO) -> BinaryIO:
    """A PNG without the chunks that say something beside its pixels."""
    file.seek(0)
    kept = [file.read(8)]
    while len(start := file.read(8)) == 8:  # noqa: PLR2004  (length and name)
        rest = file.read(int.from_bytes(start[:4], "big") + 4)
        if start[4:] not in _NOTES:
            kept += [start, rest]
    return io.BytesIO(b"".join(kept))


@contextmanager
def _bombs_of(max_pixels: int) -> Iterator[None]:
    """Pillow's own limit, which also guards pictures inside of pictures; it warns there, and raises at twice as many pixels.

    Its warnings, of what is odd in a file, are nobody's news. Its limit on one text beside a picture is that on all of them:
    programs that make pictures keep a megabyte of their settings there.
    """
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
    text, PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = before, text


def _check_size(name: str, stored: Image.Image, max_pixels: int) -> None:
    if stored.width * stored.height > max_pixels:
        sizes = f"{stored.width}x{stored.height}, more than {max_pixels} pixels"
        raise MediaError("TOO_LARGE", f"{name} is {sizes} (media_max_pixels)")


def _unidentified(path: str, head: bytes, file: BinaryIO) -> MediaError:
    """Why a file is not read: damaged, of a kind that is not read, or nothing that is known."""
    name = display_path(path)
    if own := next((each for each in _FORMATS if _begins_like(each, head)), None):
        told = _complaint(own, file)
        if any(word in told.lower() for word in _NOT_DAMAGE):
            return MediaError("UNREADABLE", f"{name} is of a kind that is not read: {own} ({told})")
        return MediaError("UNDECODABLE", f"{name} is damaged ({told or 'its header cannot be read'})")
    kind = kind_of(head)
    if kind and kind.holds == "video":
        return MediaError("UNREADABLE", f"{name} is a video ({kind.name}), not a picture")
    if foreign := kind.name if kind else _foreign_format(path, head):
        return MediaError("UNREADABLE", f"{name} is of a kind that is not read: {foreign}")
    return MediaError("UNREADABLE", f"{name} is not a picture that can be read")


def _begins_like(format_: str, head: bytes) -> bool:
    accept = Image.OPEN[format_][1]
    try:
        found = accept(head[:_PREFIX]) if accept else False
    except (IndexError, struct.error):  # of a few bytes only
        return False
    return bool(found) and not isinstance(found, str)  # a text says that Pillow was built without it


def _complaint(format_: str, file: BinaryIO) -> str:
    """What Pillow's reader of this format says of the file; `Image.open` does not pass it on."""
    file.seek(0)
    try:
        Image.OPEN[format_][0](file, "")
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  # the foreign decoder's door, once more
        return display_path(str(error))
    return ""


def _foreign_format(path: str, head: bytes) -> str | None:
    """A format that Pillow knows and that is not read here: by its suffix if its first bytes say nothing, else by these."""
    Image.init()
    by_suffix = Image.registered_extensions().get(PurePath(path).suffix.lower())
    if by_suffix in Image.OPEN and Image.OPEN[by_suffix][1] is None:
        return by_suffix
    return next((each for each in Image.OPEN if each not in _FORMATS and _begins_like(each, head)), None)
