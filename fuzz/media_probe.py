"""Fuzz the probe: whatever the bytes of a file, it is a video with sane facts or refused as `probe` promises.

    python fuzz/media_probe.py -max_total_time=600

Options are libFuzzer's; the last line of a finding names the file that reproduces it, which can be given in place of options.
Coverage guides through juicecap's own code; FFmpeg comes without it, and its part is found by chance.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["juicecap.media"]):
    import av.logging
    from fuzzing import ROOT, fuzz

    from juicecap.errors import MediaError
    from juicecap.media.video.probe import probe

sys.path.insert(0, str(ROOT / "tests" / "support"))
from make_clips import picture_of, write_clip

FORMATS = {
    "a.mp4": "libx264",
    "b.mkv": "libx264",
    "c.webm": "libvpx",
    "d.avi": "mpeg4",
    "e.ts": "mpeg2video",
    "f.flv": "flv1",
    "g.gif": "gif",
    "h.mov": "mjpeg",
    "i.ogv": "libtheora",
    "j.mpg": "mpeg1video",
    "k.wmv": "wmv2",
    "l.y4m": "wrapped_avframe",
}
"""Containers and codecs of the first clips; those that this FFmpeg cannot write are left out."""

video = Path("video")


def look(data: bytes) -> None:
    """One file."""
    video.write_bytes(data)
    try:
        info = probe(str(video))
    except MediaError as error:
        assert str(error).encode()
    except MemoryError:  # promised as well: a decoding process, whose memory is bounded, answers it with a rejection
        pass
    else:
        assert info.width > 0
        assert info.height > 0
        assert 0 < info.fps < math.inf
        assert 0 < info.duration < math.inf


def clips() -> Iterator[bytes]:
    """Three pictures of 16x16 pixels each, a turned one among them."""
    with tempfile.TemporaryDirectory() as folder:
        for name, codec in FORMATS.items():
            path = Path(folder, name)
            try:
                write_clip(path, (picture_of(number, 16, 16) for number in range(3)), codec=codec, fps=25, **_needs(codec))
            except (av.error.FFmpegError, ValueError) as error:
                print(f"{name} is left out: {error}")
            else:
                yield path.read_bytes()
        yield write_clip(Path(folder, "turned.mp4"), 2, rotation=90).read_bytes()
        yield write_clip(Path(folder, "live.webm"), 2, codec="libvpx", muxing={"live": "1"}).read_bytes()


def _needs(codec: str) -> dict[str, str]:
    return {"pix_fmt": {"gif": "rgb8", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")}


def main() -> None:
    """Fuzz, from small clips of many kinds on."""
    av.logging.set_level(None)
    words = [
        "moov",
        "mdat",
        "trak",
        "mdhd",
        "stts",
        "ctts",
        "stsd",
        "elst",
        "tkhd",
        "avc1",
        "RIFF",
        "idx1",
        "DURATION",
        "09:59:59",
    ]
    fuzz(look, clips(), words, "-timeout=20", "-rss_limit_mb=2048", "-max_len=16384")


if __name__ == "__main__":
    main()
