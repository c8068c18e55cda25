"""Hostile and unusual media through the processes that decode: each gives its pixels, or its code and its sentence."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import make_hostile_media as made
import numpy as np
import pytest
from make_clips import corners_in, number_in, write_clip

from juicecap.errors import MediaError
from juicecap.media.access.files import check_file
from juicecap.media.picture import MediaFrames
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import FrameSizes
from juicecap.media.video import decode
from juicecap.media.video.decode import decode_frames
from juicecap.media.video.probe import VideoInfo, probe
from juicecap.media.workers.pool import DecodePool
from juicecap.ops import VideoCaptioningFromVLMMapper
from juicecap.recipe import load_recipe
from juicecap.runner.estimate.compute import make_plan
from juicecap.runner.estimate.preview import run_preview
from juicecap.sample import display_path
from juicecap.vlm.journal import Journal

Maker = Callable[[Path], Path]

ALL = FrameSampling(num_frames=20)

NO_VIDEO = "UNREADABLE: {} is not a video that can be read (Invalid data found when processing input)"
NO_PICTURE = "UNREADABLE: {} is not a picture that can be read"
NOT_READ = "UNREADABLE: {} is of a kind that is not read: %s"
GIANT = "TOO_LARGE: {} has frames of %s, more than 64000000 pixels (media_max_pixels)"
ADDRESS = "REMOTE_NOT_ALLOWED: {} is an address, and remote media are off (allow_remote)"
GONE = "FILE_NOT_FOUND: {} does not exist"
INVISIBLE = f"{GONE}: the name of the file holds an invisible character U+000A"
NO_PATH = "FILE_NOT_FOUND: {} cannot be a path: it holds a null character"
TOO_LONG = "FILE_NOT_FOUND: {} is longer than a path can be"
BOMB = "TOO_LARGE: {} has more than 128000000 pixels (media_max_pixels)"

REFUSED: dict[str, tuple[str, Maker, str]] = {
    "empty file": ("video", made.empty, "UNREADABLE: {} is empty"),
    "text named mp4": ("video", made.prose, NO_VIDEO),
    "playlist named mp4": ("video", made.playlist, NO_VIDEO),
    "text named like a series of pictures": ("video", made.series, NO_VIDEO),
    "truncated header": ("video", made.truncated_header, NO_VIDEO),
    "sound alone": ("video", made.sound, "NO_VIDEO_STREAM: {} has no video stream"),
    "no frames": ("video", made.no_frames, "UNREADABLE: {} is not a video that can be read (End of file)"),
    "frames of 16384x16384": ("video", made.announced("large.mkv", 16384, 16384), GIANT % "16384x16384"),
    "gigapixels": ("video", made.announced("giga.mkv", 60000, 60000), GIANT % "60000x60000"),
    "gigapixels, which only its pictures tell": ("video", made.giant_from_the_start, GIANT % "16383x16383"),
    "picture of gigapixels as a video": ("video", made.content("a.mp4", made.png(60000, 60000)), GIANT % "60000x60000"),
    "two thousand million frames": (
        "video", made.index_bomb, "TOO_LARGE: {} has 2000000000 frames, more than 10000000 (media_max_frames)",
    ),
    "two days": ("video", made.endless, "TOO_LARGE: {} lasts 200000 seconds, more than 86400 (media_max_seconds)"),
    "folder": (
        "video", made.folder_named_mp4, "NOT_A_FILE: {} is a folder, not a file, and no film either: it holds no pictures",
    ),
    "pipe": ("video", made.pipe, "NOT_A_FILE: {} is a named pipe, not a file"),
    "link to a pipe": ("video", made.link_to_a_pipe, "NOT_A_FILE: {} is a named pipe, not a file"),
    "socket": ("video", made.socket_file, "NOT_A_FILE: {} is a socket, not a file"),
    "device": ("video", lambda _: Path("/dev/zero"), "NOT_A_FILE: {} is a device, not a file"),
    "links in a circle": ("video", made.circle, "FILE_NOT_FOUND: {} is a symbolic link that leads in a circle"),
    "link to nothing": ("video", made.dangling, GONE),
    "line breaks and escapes in a name": ("video", lambda folder: folder / "a\nb\x1b[2J\u202egp4", INVISIBLE),
    "NUL in a name": ("video", lambda folder: folder / "a\0b", NO_PATH),
    "name of 4,000 characters": ("video", lambda folder: folder / ("x" * 4000), TOO_LONG),
    "address": ("video", lambda _: "https://me:secret@a.test/v.mp4?sig=key", ADDRESS),
    "address of a bucket": ("image", lambda _: "s3://a/b.png", ADDRESS),
    "image: empty file": ("image", made.empty, "UNREADABLE: {} is empty"),
    "image: text": ("image", made.content("a.jpg", b"It was a dark and stormy night.\n" * 9), NO_PICTURE),
    "image: SVG": ("image", made.content("a.jpg", made.SVG), NOT_READ % "SVG"),
    "image: EPS, which is a program": ("image", made.content("a.eps", made.EPS), NOT_READ % "EPS"),
    "image: PNG of gigapixels": ("image", made.content("a.png", made.png(60000, 60000)), BOMB),
    "image: PNG with 200 million pixels": ("image", made.zlib_bomb, BOMB),
    "image: GIF of gigapixels": ("image", made.content("a.gif", made.gif_bomb()), BOMB),
    "image: TIFF of gigapixels": ("image", made.content("a.tiff", made.tiff_bomb()), BOMB),
    "image: just too large": (
        "image", made.content("a.png", made.png(8001, 8000)),
        "TOO_LARGE: {} is 8001x8000, more than 64000000 pixels (media_max_pixels)",
    ),
    "image: cut off": ("image", made.cut_image, "UNDECODABLE: {} is damaged (image file is truncated)"),
    "image: folder": ("image", made.folder_named_mp4, "NOT_A_FILE: {} is a folder, not a file"),
    "image: pipe": ("image", made.pipe, "NOT_A_FILE: {} is a named pipe, not a file"),
    "image: links in a circle": ("image", made.circle, "FILE_NOT_FOUND: {} is a symbolic link that leads in a circle"),
}  # fmt: skip
"""Kind, maker, and code and message with the path as it is shown."""

GREYS = list(made.GREYS)
EIGHT = list(range(8))

READ: dict[str, tuple[str, Maker, list[int], tuple[int, int]]] = {
    "truncated body": ("video", made.truncated_body, list(range(15)), (64, 96)),
    "one frame": ("video", made.sized("one.mkv", 96, 64, count=1), [0], (64, 96)),
    "odd size": ("video", made.sized("odd.mp4", 97, 63, codec="libx264"), [0, 1, 2], (63, 97)),
    "variable frame rate": ("video", made.variable, [0, 1, 2, 3], (64, 96)),
    "10-bit HDR": ("video", made.encoded("a.mkv", "libx265", "yuv420p10le"), EIGHT, (64, 96)),
    "4:4:4": ("video", made.encoded("a.mp4", "libx264", "yuv444p"), EIGHT, (64, 96)),
    "alpha": ("video", made.transparent, EIGHT, (64, 96)),
    "missing timestamps": ("video", made.without_timestamps, EIGHT, (64, 96)),
    "pictures that grow": ("video", made.growing, [0, 1, 2], (64, 96)),
    "HEVC": ("video", made.encoded("a.mp4", "libx265"), EIGHT, (64, 96)),
    "VP9": ("video", made.encoded("a.webm", "libvpx-vp9"), EIGHT, (64, 96)),
    "AV1": ("video", made.encoded("a.mp4", "libsvtav1"), EIGHT, (64, 96)),
    "MPEG-4": ("video", made.encoded("a.avi", "mpeg4"), EIGHT, (64, 96)),
    "emoji and line breaks": ("video", made.named("📼\nb.mp4"), [0, 1, 2], (64, 96)),
    "path of nearly 4,000 characters": ("video", made.deep, [0, 1, 2], (64, 96)),
}
"""Kind, maker, the numbers that the frames spell, and (height, width)."""

QUARTERS: dict[str, tuple[str, Maker, list[int]]] = {
    "rotation 90": ("video", made.turned(90), [170, 90, 10, 250]),
    "rotation 180": ("video", made.turned(180), [90, 10, 250, 170]),
    "rotation 270": ("video", made.turned(270), [10, 250, 170, 90]),
    "image: animated, of which the first": ("image", made.animated, GREYS),
    "image: CMYK": ("image", made.image("a.jpg", "CMYK"), GREYS),
    "image: palette": ("image", made.image("a.png", "P"), GREYS),
    "image: 16 bit": ("image", made.deep_grey, GREYS),
    "image: EXIF rotation": ("image", made.on_its_side, [10, 250, 170, 90]),
}
"""Kind, maker, and the greys of the four quarters."""


@dataclass
class Met:
    """What came of an entry."""

    path: str
    picture: MediaFrames | Exception
    info: VideoInfo | Exception
    seconds: float


def meet(tables: list[dict[str, Any]], folder: Path) -> dict[str, Met]:
    """All entries of the tables through one pool."""

    async def main() -> dict[str, Met]:
        pool, met = DecodePool(2, cpu_seconds=20, wall_seconds=30), {}
        try:
            for table in tables:
                for number, (name, (kind, make, *_)) in enumerate(table.items()):
                    own = folder / f"{len(met)}-{number}"
                    own.mkdir()
                    path, began = os.fspath(make(own)), time.monotonic()
                    picture, info = await asyncio.gather(
                        pool.picture(kind, path, ALL, FrameSizes()), pool.probe(path), return_exceptions=True
                    )
                    met[name] = Met(path, picture, info, time.monotonic() - began)
        finally:
            await pool.close()
        return met

    return asyncio.run(main())


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Met]:
    missing = {name for name in ("libsvtav1", "libx265", "libvpx-vp9") if name not in av.codecs_available}
    assert not missing, f"this PyAV lacks {missing}"
    return meet([REFUSED, READ, QUARTERS], tmp_path_factory.mktemp("met"))


@pytest.mark.parametrize("name", REFUSED)
def test_refused(met: dict[str, Met], name: str) -> None:
    kind, _, sentence = REFUSED[name]
    found, expected = met[name], sentence.format(display_path(met[name].path))
    assert isinstance(found.picture, MediaError), found.picture
    assert str(found.picture) == expected
    assert found.picture.message.isprintable()
    assert len(found.picture.message) < 500
    assert "secret" not in expected
    assert "key" not in expected
    assert not found.picture.retryable
    assert found.seconds < 10
    if kind == "video":
        assert str(found.info) == expected


@pytest.mark.parametrize("name", READ)
def test_read(met: dict[str, Met], name: str) -> None:
    _, _, numbers, shape = READ[name]
    picture, info = met[name].picture, met[name].info
    assert isinstance(picture, MediaFrames), picture
    assert [number_in(pixels) for pixels in picture.pixels] == numbers
    assert picture.pixels.shape[1:3] == shape
    assert isinstance(info, VideoInfo), info
    assert (info.height, info.width) == shape


@pytest.mark.parametrize("name", QUARTERS)
def test_upright(met: dict[str, Met], name: str) -> None:
    picture = met[name].picture
    assert isinstance(picture, MediaFrames), picture
    assert corners_in(picture.pixels[0]) == QUARTERS[name][2]


def test_a_video_of_one_pixel(tmp_path: Path) -> None:
    path = made.sized("tiny.mkv", 1, 1)(tmp_path)
    assert (probe(str(path)).width, probe(str(path)).height) == (1, 1)
    frames = decode_frames(str(path), ALL, lambda *_: (2, 2))
    assert (frames.pixels.shape, frames.times) == ((3, 2, 2, 3), pytest.approx((0.0, 0.1, 0.2)))


def test_times_that_go_back_give_frames_whose_times_go_forward(tmp_path: Path) -> None:
    frames = decode_frames(str(made.backwards(tmp_path)), ALL, lambda _, width, height: (width, height))
    assert (frames.times[0], number_in(frames.pixels[0])) == (0.0, 0)
    assert list(frames.times) == sorted(set(frames.times))


def test_what_became_too_large_is_counted_as_damage(met: dict[str, Met]) -> None:
    picture = met["pictures that grow"].picture
    assert isinstance(picture, MediaFrames)
    assert picture.unreadable == 3


def test_frames_that_grow_beyond_the_limit_but_not_far_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "clip.mp4", 4)
    rules = MediaLimits(max_pixels=96 * 64 - 1)
    monkeypatch.setattr("juicecap.media.video.probe.oversize", lambda *_: None)
    monkeypatch.setattr("juicecap.media.video.probe._check_stream", lambda path, stream, rules: None)
    with pytest.raises(MediaError) as caught:
        decode_frames(str(path), ALL, lambda *_: (8, 8), rules=rules)
    assert str(caught.value) == f"TOO_LARGE: {path} has frames of 96x64, more than 6143 pixels (media_max_pixels)"


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.webm"])
def test_bits_that_flip_at_200_places(tmp_path: Path, name: str) -> None:
    whole = write_clip(tmp_path / name, 12, codec="libvpx" if "webm" in name else "libx264").read_bytes()
    draw = np.random.default_rng(4)
    paths = []
    for number, place in enumerate(draw.integers(0, len(whole), 50)):
        content = bytearray(whole)
        content[place] ^= 1 << int(draw.integers(8))
        paths.append(str(made.written(tmp_path / f"{number}-{name}", content)))

    async def main() -> list[Any]:
        pool = DecodePool(2, cpu_seconds=20, wall_seconds=30)
        try:
            asked = (pool.picture("video", path, ALL, FrameSizes()) for path in paths)
            return await asyncio.gather(*asked, return_exceptions=True)
        finally:
            await pool.close()

    results = asyncio.run(main())
    codes = {"UNREADABLE", "UNDECODABLE", "TOO_LARGE", "NO_VIDEO_STREAM", "TOO_NARROW"}
    for path, found in zip(paths, results, strict=True):
        if isinstance(found, MediaFrames):
            assert 0 < len(found.pixels) == len(found.times) <= 20
            assert list(found.times) == sorted(found.times)
        else:
            assert isinstance(found, MediaError), found
            assert found.code in codes, found
            assert path in found.message or found.code == "TOO_NARROW"
    assert sum(isinstance(found, MediaFrames) for found in results) > 25


def test_memory_is_limited_and_its_want_costs_one_medium(tmp_path: Path) -> None:
    large = str(made.sized("large.mkv", 4000, 4000, count=1)(tmp_path))
    small = str(write_clip(tmp_path / "small.mp4", 3))

    async def main(memory: int) -> list[Any]:
        pool = DecodePool(1, memory=memory)
        try:
            asked = (pool.picture("video", path, ALL, FrameSizes()) for path in (large, small))
            return await asyncio.gather(*asked, return_exceptions=True)
        finally:
            await pool.close()

    lost, kept = asyncio.run(main(32 << 20))
    need = "reading it takes more memory than there is, or more than 32 MB (decode_memory_mb)"
    assert isinstance(lost, MediaError), lost
    assert (str(lost), lost.retryable) == (f"TOO_LARGE: {large}: {need}", True)
    assert [number_in(pixels) for pixels in kept.pixels] == [0, 1, 2]
    assert all(isinstance(picture, MediaFrames) for picture in asyncio.run(main(512 << 20)))


def test_a_file_that_is_removed_while_it_is_read_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, plain = write_clip(tmp_path / "clip.mp4", 12), decode.target_times

    def removed(*given: Any, **named: Any) -> Any:
        path.unlink(missing_ok=True)
        return plain(*given, **named)

    monkeypatch.setattr(decode, "target_times", removed)
    frames = decode_frames(str(path), FrameSampling(num_frames=12), lambda _, width, height: (width, height))
    assert [number_in(picture) for picture in frames.pixels] == list(range(12))
    with pytest.raises(MediaError, match=f"^FILE_NOT_FOUND: {path} does not exist$"):
        probe(str(path))


def test_a_file_that_is_cut_off_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, plain = write_clip(tmp_path / "clip.mkv", 60, codec="rawvideo"), decode.target_times

    def cut(*given: Any, **named: Any) -> Any:
        os.truncate(path, path.stat().st_size // 2)
        return plain(*given, **named)

    monkeypatch.setattr(decode, "target_times", cut)
    frames = decode_frames(str(path), FrameSampling(num_frames=60), lambda _, width, height: (width, height))
    numbers = [number_in(picture) for picture in frames.pixels]
    assert 10 < len(numbers) < 60
    assert numbers == list(range(len(numbers)))


class TestRules:
    """Each limit, a little above and a little below."""

    @pytest.mark.parametrize(
        ("field", "enough", "sentence"),
        [
            ("max_pixels", 6144, "has frames of 96x64, more than 6143 pixels (media_max_pixels)"),
            ("max_frames", 30, "has 30 frames, more than 29 (media_max_frames)"),
            ("max_seconds", 3.0, "lasts 3 seconds, more than 2 (media_max_seconds)"),
        ],
    )
    def test_limits(self, tmp_path: Path, field: str, enough: float, sentence: str) -> None:
        path = str(write_clip(tmp_path / "clip.mp4", 30))
        assert probe(path, replace(DEFAULT_RULES, **{field: enough})).frames == 30
        with pytest.raises(MediaError) as caught:
            probe(path, replace(DEFAULT_RULES, **{field: enough - 1}))
        assert str(caught.value) == f"TOO_LARGE: {path} {sentence}"

    def test_bytes(self, tmp_path: Path) -> None:
        path = str(write_clip(tmp_path / "clip.mp4"))
        size = os.path.getsize(path)
        check_file(path, MediaLimits(max_bytes=size))
        with pytest.raises(MediaError) as caught:
            check_file(path, MediaLimits(max_bytes=size - 1))
        assert str(caught.value) == f"TOO_LARGE: {path} has {size} bytes, more than {size - 1} (media_max_mb)"

    def test_a_sparse_file_of_a_terabyte(self, tmp_path: Path) -> None:
        path = str(made.empty(tmp_path))
        os.truncate(path, 2**40)
        with pytest.raises(MediaError, match=r"TOO_LARGE: .* has 1099511627776 bytes, more than 68719476736"):
            probe(path)

    def test_frames_that_no_header_counts(self, tmp_path: Path) -> None:
        path = str(write_clip(tmp_path / "clip.webm", 30, codec="libvpx", muxing={"live": "1"}))
        assert probe(path, MediaLimits(max_frames=30)).frames is None
        with pytest.raises(MediaError, match=r"has 30 frames, more than 29 \(media_max_frames\)"):
            probe(path, MediaLimits(max_frames=29))


class TestRoot:
    """`media_root` confines."""

    def refused(self, path: Path, root: Path) -> str:
        with pytest.raises(MediaError) as caught:
            probe(str(path), MediaLimits(root=os.path.realpath(root)))
        assert not caught.value.retryable
        return str(caught.value)

    def test_inside(self, tmp_path: Path) -> None:
        root, real = tmp_path / "root", tmp_path / "real"
        real.mkdir()
        root.symlink_to(real)
        path = write_clip(real / "clip.mp4", 3)
        (real / "link.mp4").symlink_to("clip.mp4")
        for name in (path, root / "clip.mp4", root / "link.mp4", real / ".." / "real" / "clip.mp4"):
            assert probe(str(name), MediaLimits(root=os.path.realpath(root))).frames == 3

    def test_outside(self, tmp_path: Path) -> None:
        root = tmp_path / "root"
        root.mkdir()
        outside = write_clip(tmp_path / "root-too.mp4", 3)
        (root / "link.mp4").symlink_to(outside)
        (root / "folder").symlink_to(tmp_path)
        for path in (
            outside,
            root / "link.mp4",
            root / ".." / outside.name,
            root / "folder" / outside.name,
            tmp_path / "gone.mp4",
        ):
            assert self.refused(path, root) == f"OUTSIDE_MEDIA_ROOT: {path} lies outside of media_root ({root})"

    def test_a_link_that_is_turned_after_the_first_look(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        root = tmp_path / "root"
        root.mkdir()
        outside, inside = write_clip(tmp_path / "outside.mp4", 3), write_clip(root / "inside.mp4", 3)
        link, plain = root / "link.mp4", os.open
        link.symlink_to(inside)

        def turned(*given: Any, **named: Any) -> int:
            link.unlink(missing_ok=True)
            link.symlink_to(outside)
            return plain(*given, **named)

        monkeypatch.setattr(os, "open", turned)
        assert self.refused(link, root) == f"OUTSIDE_MEDIA_ROOT: {link} lies outside of media_root ({root})"

    def test_a_pipe_that_takes_the_files_place_holds_nobody_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path, plain = write_clip(tmp_path / "clip.mp4", 3), os.open

        def swapped(*given: Any, **named: Any) -> int:
            path.unlink()
            os.mkfifo(path)
            return plain(*given, **named)

        monkeypatch.setattr(os, "open", swapped)
        with pytest.raises(MediaError, match=f"^NOT_A_FILE: {path} is a named pipe, not a file$"):
            check_file(str(path))


@pytest.mark.parametrize("within", [False, True])
def test_paths_that_no_file_can_have_among_good_ones(tmp_path: Path, script: Any, within: bool) -> None:
    """Through the whole of a run: digests, a journal, decoding."""
    good = str(write_clip(tmp_path / "clip.mp4", 3))
    odd = {
        "\ud800.mp4": "cannot be a path: it holds half of a surrogate pair, which stands for no character",
        "a\0b.mp4": "cannot be a path: it holds a null character",
        "a/" * 100_000: "is longer than a path can be",
        "~/a.mp4": "does not exist",
        "": "BAD",
    }
    op = VideoCaptioningFromVLMMapper(hf_model=script.model, media_root=str(tmp_path) if within else None)
    samples = [{"videos": [path], "text": ""} for path in (good, *odd, good)]
    with Journal(tmp_path / "journal.sqlite") as journal:
        first, *others, last = op.stream(samples, journal=journal)
    assert (first.kind, last.kind) == ("kept", "kept")
    for (path, why), fate in zip(odd.items(), others, strict=True):
        assert fate.failure is not None
        if why == "BAD":
            assert fate.failure.code == "BAD_MEDIA_COLUMN"
        elif within and path == "~/a.mp4":
            assert fate.failure.code == "OUTSIDE_MEDIA_ROOT"
        else:
            assert str(fate.failure) == f"FILE_NOT_FOUND: {display_path(path)} {why}"


def test_plan_and_preview_show_nothing_of_what_a_run_would_refuse(tmp_path: Path, script: Any) -> None:
    root, secret = tmp_path / "root", write_clip(tmp_path / "secret.mp4", 3)
    root.mkdir()
    write_clip(root / "good.mp4", 3)
    (root / "link.mp4").symlink_to(secret)
    rows = [{"videos": [name], "text": ""} for name in ("good.mp4", "link.mp4")]
    (root / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"dataset_path: {root}/data.jsonl\nexport_path: {tmp_path}/out/a.jsonl\nmedia_root: {root}\n"
        f"process:\n- video_captioning_from_vlm_mapper: {{hf_model: {script.model}}}\n"
    )
    sentence = f"OUTSIDE_MEDIA_ROOT: {root}/link.mp4 lies outside of media_root ({root})"
    assert make_plan(load_recipe(path)).unreadable == [sentence]
    preview = run_preview(load_recipe(path), 2)
    (good,), (refused,) = (seen[0].questions for seen in preview.samples.values())
    assert isinstance(good.seen[0][1], MediaFrames)
    assert str(refused.seen[0][1]) == sentence
