"""Videos and images that are broken, malicious or unusual, each made in a folder by a function of its own."""

from __future__ import annotations

import os
import socket
import struct
import zlib
from pathlib import Path

import av
import numpy as np
from make_clips import corners, packets_of, picture_of, write_clip
from PIL import Image

GREYS = (250, 170, 90, 10)


def empty(folder: Path) -> Path:
    return written(folder / "empty.mp4", b"")


def prose(folder: Path) -> Path:
    return written(folder / "prose.mp4", b"It was a dark and stormy night.\n" * 300)


def playlist(folder: Path) -> Path:
    write_clip(folder / "secret.ts")
    return written(folder / "list.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:3,\nsecret.ts\n#EXT-X-ENDLIST\n")


def series(folder: Path) -> Path:
    """A text whose name FFmpeg would take for that of a series of pictures, which leads elsewhere."""
    Image.fromarray(picture_of(7)).save(folder / "elsewhere.png")
    (folder / "film1.png").symlink_to(folder / "elsewhere.png")
    return written(folder / "film%d.png", b"It was a dark and stormy night.\n" * 300)


def truncated_header(folder: Path) -> Path:
    return written(folder / "header.mp4", write_clip(folder / "whole.mp4").read_bytes()[:40])


def truncated_body(folder: Path) -> Path:
    path = write_clip(folder / "body.mp4", 20, gop=1, muxing={"movflags": "faststart"})
    return written(path, path.read_bytes()[: packets_of(path)[15][0]])


def sound(folder: Path) -> Path:
    path = folder / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 48000
        container.mux([*stream.encode(frame), *stream.encode()])
    return path


def no_frames(folder: Path) -> Path:
    """A header that announces a video, and nothing behind it."""
    path = write_clip(folder / "none.mkv", 1, codec="ffv1")
    return written(path, path.read_bytes()[: path.read_bytes().index(b"\x1f\x43\xb6\x75")])  # up to the first cluster


def sized(name: str, width: int, height: int, codec: str = "ffv1", pix_fmt: str = "yuv444p", count: int = 3) -> object:
    def make(folder: Path) -> Path:
        pictures = [picture_of(number, width, height) for number in range(count)]
        return write_clip(folder / name, pictures, codec=codec, pix_fmt=pix_fmt)

    return make


def announced(name: str, width: int, height: int) -> object:
    """A video whose header says that its pictures are so large; they are not."""

    def make(folder: Path) -> Path:
        path = write_clip(folder / name, 3, codec="ffv1", gop=1)
        content, before = path.read_bytes(), b"\xb0\x81\x60\xba\x81\x40"  # Matroska's width 96 and height 64
        after = b"\xb0\x82" + struct.pack(">H", width) + b"\xba\x82" + struct.pack(">H", height)
        return written(path, content.replace(before, after))

    return make


def png(width: int, height: int) -> bytes:
    """A PNG file whose header says so, with a few pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9999))) + chunk(b"IEND", b"")


def growing(folder: Path) -> Path:
    """VP8 whose pictures say from the fourth on that they are 16383 pixels wide and high; the header does not know."""
    path = write_clip(folder / "growing.webm", 6, codec="libvpx", gop=1)
    content = bytearray(path.read_bytes())
    places = [place for place in range(len(content)) if content[place : place + 3] == b"\x9d\x01\x2a"]
    assert len(places) == 6
    for place in places[3:]:
        content[place + 3 : place + 7] = struct.pack("<HH", 16383, 16383)
    return written(path, content)


def giant_from_the_start(folder: Path) -> Path:
    path = growing(folder)
    content = bytearray(path.read_bytes())
    for place in [place for place in range(len(content)) if content[place : place + 3] == b"\x9d\x01\x2a"]:
        content[place + 3 : place + 7] = struct.pack("<HH", 16383, 16383)
    return written(folder / "giant.webm", content)


def index_bomb(folder: Path) -> Path:
    """An MP4 file of two kilobytes whose table says that it has two thousand million frames."""
    content = bytearray(write_clip(folder / "short.mp4", 2, gop=1).read_bytes())
    stsz = content.index(b"stsz") + 8
    content[stsz : stsz + 8] = struct.pack(">II", 1, 2_000_000_000)
    stts = content.index(b"stts") + 8
    content[stts + 4 : stts + 8] = struct.pack(">I", 2_000_000_000)
    return written(folder / "index.mp4", content)


def endless(folder: Path) -> Path:
    """A header that says that the video lasts for years."""
    return write_clip(folder / "endless.mkv", 2, stamps=[0, 200_000_000])


def variable(folder: Path) -> Path:
    return write_clip(folder / "variable.mp4", 4, stamps=[0, 100, 2000, 3900])


def turned(degrees: int) -> object:
    return lambda folder: write_clip(folder / f"turned{degrees}.mp4", [corners(*GREYS, 96, 64)] * 3, rotation=degrees)


def encoded(name: str, codec: str, pix_fmt: str = "yuv420p", **how: object) -> object:
    return lambda folder: write_clip(folder / name, 8, codec=codec, pix_fmt=pix_fmt, **how)


def transparent(folder: Path) -> Path:
    return write_clip(folder / "transparent.mov", 8, codec="png", pix_fmt="rgba")


def without_timestamps(folder: Path) -> Path:
    return write_clip(folder / "raw.h264", 8)


def backwards(folder: Path) -> Path:
    """Matroska whose blocks say that each picture is shown before the one that was stored before it."""
    path = write_clip(folder / "backwards.mkv", 8, codec="ffv1", gop=1)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        blocks = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    for number, block in enumerate(blocks):
        place = content.index(block)
        content[place - 3 : place - 1] = struct.pack(">h", 100 * (len(blocks) - 1 - number))
    return written(path, content)


def folder_named_mp4(folder: Path) -> Path:
    path = folder / "folder.mp4"
    path.mkdir()
    return path


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp4")
    return folder / "pipe.mp4"


def socket_file(folder: Path) -> Path:
    """With a short name, as sockets need it; it stays when nobody listens."""
    here = Path.cwd()
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("s.mp4")
    finally:
        os.chdir(here)
    return folder / "s.mp4"


def circle(folder: Path) -> Path:
    (folder / "a.mp4").symlink_to(folder / "b.mp4")
    (folder / "b.mp4").symlink_to(folder / "a.mp4")
    return folder / "a.mp4"


def link_to_a_pipe(folder: Path) -> Path:
    (folder / "link.mp4").symlink_to(pipe(folder))
    return folder / "link.mp4"


def dangling(folder: Path) -> Path:
    (folder / "dangling.mp4").symlink_to(folder / "gone.mp4")
    return folder / "dangling.mp4"


def named(name: str) -> object:
    return lambda folder: write_clip(folder / "plain.mp4", 3).rename(folder / name)


def deep(folder: Path) -> Path:
    """A path of nearly 4,000 characters that exists."""
    plain, here = write_clip(folder / "plain.mp4", 3), Path.cwd()
    room = 3990 - len(str(folder))
    try:
        os.chdir(folder)
        for _ in range(room // 200 - 1):
            os.mkdir("d" * 199)
            os.chdir("d" * 199)
        plain.rename("deep.mp4")
    finally:
        os.chdir(here)
    return Path(str(folder) + ("/" + "d" * 199) * (room // 200 - 1) + "/deep.mp4")


def image(name: str, mode: str = "RGB", **how: object) -> object:
    def make(folder: Path) -> Path:
        picture = Image.fromarray(corners(*GREYS, 96, 64))
        (picture.quantize(8) if mode == "P" else picture.convert(mode)).save(folder / name, **how)
        return folder / name

    return make


def deep_grey(folder: Path) -> Path:
    Image.fromarray(corners(*GREYS, 96, 64)[..., 0].astype(np.uint16) * 257).save(folder / "deep.png")
    return folder / "deep.png"


def on_its_side(folder: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    return image("side.jpg", exif=exif)(folder)


def animated(folder: Path) -> Path:
    first, second = (Image.fromarray(corners(*greys, 96, 64)) for greys in (GREYS, GREYS[::-1]))
    first.save(folder / "animated.gif", save_all=True, append_images=[second])
    return folder / "animated.gif"


def cut_image(folder: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    Image.fromarray(noise).save(folder / "cut.png")
    return written(folder / "cut.png", (folder / "cut.png").read_bytes()[:9000])


def content(name: str, given: bytes) -> object:
    return lambda folder: written(folder / name, given)


def gif_bomb() -> bytes:
    """A GIF file whose screen is 65535 pixels wide and high."""
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0)
        + bytes(6)
        + b","
        + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0)
        + b"\x02\x02\x44\x01\x00;"
    )


def tiff_bomb() -> bytes:
    """A TIFF file of one strip whose header says 60000 x 60000."""
    tags = [(256, 60000), (257, 60000), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 60000), (279, 100)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(104)


def zlib_bomb(folder: Path) -> Path:
    """A PNG file of 50 KB with 200 million pixels that are all there."""
    Image.new("1", (20_000, 10_000)).save(folder / "bomb.png")
    return folder / "bomb.png"


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="file:///etc/passwd"/></svg>'

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(/etc/passwd) (r) file\nshowpage\n%%EOF\n"


def written(path: Path, given: bytes | bytearray) -> Path:
    path.write_bytes(given)
    return path
