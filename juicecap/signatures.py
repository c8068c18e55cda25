"""What a file is by its first bytes, whatever its name says. Pure functions; the doors to files are elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HEAD = 512
"""Bytes from the start of a file that tell."""


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """A kind of files: what people call it, the suffix of such files, and whether they hold a picture, a video or neither."""

    name: str
    suffix: str
    holds: Literal["picture", "video", "other"]


def _kinds(holds: Literal["picture", "video", "other"], **suffixes: str) -> dict[str, FileKind]:
    return {name: FileKind(name=name.replace("_", " "), suffix=suffix, holds=holds) for name, suffix in suffixes.items()}


_KINDS = {
    **_kinds("picture", AVIF=".avif", BMP=".bmp", GIF=".gif", HEIC=".heic", JPEG=".jpg", JPEG_2000=".jp2", JPEG_XL=".jxl"),
    **_kinds("picture", PNG=".png", PSD=".psd", SVG=".svg", TIFF=".tif", WebP=".webp", CR3=".cr3"),
    **_kinds("video", AVI=".avi", FLV=".flv", Matroska=".mkv", MP4=".mp4", QuickTime=".mov"),
    **_kinds("other", FLAC=".flac", PDF=".pdf", WAV=".wav"),
}

_SIGNS = (
    (0, b"\x89PNG", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"GIF8", "GIF"),
    (8, b"WEBP", "WebP"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG_2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG_2000"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG_XL"),
    (0, b"\xff\x0a", "JPEG_XL"),
    (0, b"8BPS", "PSD"),
    (0, b"\x1aE\xdf\xa3", "Matroska"),
    (8, b"AVI ", "AVI"),
    (0, b"FLV\x01", "FLV"),
    (8, b"WAVE", "WAV"),
    (0, b"fLaC", "FLAC"),
    (0, b"%PDF", "PDF"),
)
"""(offset, bytes, kind)."""

_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF = {b"avif", b"avis"}
_EITHER = {b"mif1", b"mif2", b"msf1", b"miaf", b"MiHB", b"MiHE"}
"""Brands of pictures in whatever codec; those beside them say which."""

_FILMS = {b"hevc", b"hevx", b"hevm", b"hevs", b"msf1", b"avis"}
"""Brands that tell of a row of pictures with times, which is a film too."""


def kind_of(head: bytes) -> FileKind | None:
    """What begins with these bytes (`HEAD` are enough); None if that is not known."""
    if brands := _brands(head):
        return _KINDS[_kind_by_brands(brands)]
    found = next((name for at, sign, name in _SIGNS if head[at : at + len(sign)] == sign), None)
    if found is None and _is_svg(head):
        found = "SVG"
    return None if found is None else _KINDS[found]


def is_still(head: bytes) -> bool:
    """Whether this is a HEIC file that holds pictures and no film, of which video decoders show single tiles."""
    kind = kind_of(head)
    return kind is not None and kind.name == "HEIC" and not _FILMS.intersection(_brands(head))


def _brands(head: bytes) -> list[bytes]:
    """What an ISO media file says it is: the major brand, then those that it is compatible with."""
    if head[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]


def _kind_by_brands(brands: list[bytes]) -> str:
    major = brands[0]
    if major in _AVIF or (major in _EITHER and _AVIF.intersection(brands)):
        return "AVIF"
    if major in _HEIC | _EITHER:
        return "HEIC"
    return {b"qt  ": "QuickTime", b"crx ": "CR3"}.get(major, "MP4")


def _is_svg(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!doctype svg", b"<!--")) and b"<svg" in text)
