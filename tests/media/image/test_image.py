from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from make_clips import corners, corners_in
from PIL import Image

from juicecap.errors import MediaError
from juicecap.media.image import image_size, read_image
from juicecap.media.rules import MediaLimits

GREYS = [250, 170, 90, 10]


def as_stored(width: int, height: int) -> tuple[int, int]:
    return width, height


def refusal(path: Path, **options: MediaLimits) -> str:
    with pytest.raises(MediaError) as caught:
        read_image(str(path), as_stored, **options)
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.bmp", "a.gif", "a.tiff"])
def test_formats(tmp_path: Path, name: str) -> None:
    Image.fromarray(corners(*GREYS, 96, 64)).save(tmp_path / name)
    pixels = read_image(str(tmp_path / name), as_stored)
    assert (pixels.shape, pixels.dtype) == ((64, 96, 3), np.uint8)
    assert corners_in(pixels) == GREYS


def test_the_upright_size_is_asked_and_the_answer_is_kept(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(corners(*GREYS, 96, 64)).save(tmp_path / "a.jpg", exif=exif)
    asked = []
    pixels = read_image(str(tmp_path / "a.jpg"), lambda width, height: asked.append((width, height)) or (20, 40))
    assert asked == [(64, 96)]
    assert pixels.shape == (40, 20, 3)
    assert corners_in(pixels) == [10, 250, 170, 90]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, [250, 170, 90, 10]),
        (2, [170, 250, 10, 90]),
        (3, [90, 10, 250, 170]),
        (4, [10, 90, 170, 250]),
        (5, [250, 10, 90, 170]),
        (6, [10, 250, 170, 90]),
        (7, [90, 170, 250, 10]),
        (8, [170, 90, 10, 250]),
    ],
)
def test_exif_orientation(tmp_path: Path, suffix: str, orientation: int, upright: list[int]) -> None:
    """The tag says which side of the stored picture is the visible top and which the left (EXIF 2.32, 4.6.4 A)."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(corners(*GREYS, 96, 64)).save(path, exif=exif)
    assert corners_in(read_image(str(path), as_stored)) == upright


@pytest.mark.parametrize("orientation", [0, 9, 4711])
def test_an_orientation_that_does_not_exist_is_none(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(corners(*GREYS, 96, 64)).save(tmp_path / "a.jpg", exif=exif)
    assert corners_in(read_image(str(tmp_path / "a.jpg"), as_stored)) == GREYS


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_are_white(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(corners(*GREYS, 96, 64)).convert(mode)
    alpha = np.full((64, 96), 255, np.uint8)
    alpha[:, 48:] = 0
    picture.putalpha(Image.fromarray(alpha))
    picture.save(tmp_path / "a.png")
    assert corners_in(read_image(str(tmp_path / "a.png"), as_stored)) == [250, 260, 260, 10]


def test_a_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    picture = Image.fromarray(corners(0, 1, 2, 3, 96, 64)[..., 0], mode="P")
    picture.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200, 7, 7, 7])
    picture.save(tmp_path / "a.png", transparency=3)
    pixels = read_image(str(tmp_path / "a.png"), as_stored)
    assert [tuple(pixels[y, x]) for y, x in [(5, 5), (5, 90), (60, 90), (60, 5)]] == [
        (200, 0, 0),
        (0, 200, 0),
        (0, 0, 200),
        (255, 255, 255),
    ]


@pytest.mark.parametrize("mode", ["I;16", "I", "F", "1", "CMYK", "YCbCr", "L"])
def test_other_modes_keep_their_greys(tmp_path: Path, mode: str) -> None:
    """Sixteen bits are brought to eight, not cut off at 255."""
    grey = corners(*GREYS, 96, 64)
    expected = GREYS
    if mode == "I;16":
        picture, name = Image.fromarray(grey[..., 0].astype(np.uint16) * 257), "a.png"
    elif mode == "I":
        picture, name = Image.fromarray(grey[..., 0].astype(np.int32) * 257), "a.tiff"
    elif mode == "F":
        picture, name = Image.fromarray(grey[..., 0].astype(np.float32)), "a.tiff"
    elif mode == "1":
        picture, name, expected = Image.fromarray(grey[..., 0] > 127), "a.png", [260, 260, 0, 0]
    else:
        picture, name = Image.fromarray(grey).convert(mode), "a.jpg"
    picture.save(tmp_path / name)
    assert corners_in(read_image(str(tmp_path / name), as_stored)) == expected


def test_only_the_first_picture_of_an_animation_is_read(tmp_path: Path) -> None:
    first, second = (Image.fromarray(corners(*greys, 96, 64)) for greys in (GREYS, GREYS[::-1]))
    first.save(tmp_path / "a.webp", save_all=True, append_images=[second], lossless=True)
    assert corners_in(read_image(str(tmp_path / "a.webp"), as_stored)) == GREYS


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "ico", "tiff"])
def test_a_picture_that_was_cut_off(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert refusal(path).startswith(f"UNDECODABLE: {path} is damaged (")


@pytest.mark.parametrize("content", [b"It was a dark and stormy night.\n" * 9, b"\x89PNG\r\n\x1a\n", bytes(300), b"\xff\xd8\xff"])
def test_what_is_no_picture(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert refusal(path).split(":")[0] in ("UNREADABLE", "UNDECODABLE")
    assert str(path) in refusal(path)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "tiff"])
def test_flipped_bits_give_pixels_or_a_media_error(tmp_path: Path, suffix: str, seed: int) -> None:
    path, draw = tmp_path / f"a.{suffix}", np.random.default_rng(seed)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(corners(*GREYS, 96, 64))
    picture.save(path, **({"exif": exif} if suffix != "gif" else {}))
    content = bytearray(path.read_bytes())
    for place in draw.integers(0, min(200, len(content)), 4):
        content[place] ^= 1 << int(draw.integers(8))
    path.write_bytes(content)
    with suppress(MediaError):
        assert read_image(str(path), lambda *_: (8, 8)).shape == (8, 8, 3)


def test_whatever_a_decoder_raises_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's plugins raise RuntimeError, NotImplementedError and more; which ones depends on how they were built."""
    path = tmp_path / "a.png"
    Image.fromarray(corners(*GREYS, 96, 64)).save(path)
    monkeypatch.setattr(Image.Image, "convert", lambda *_: 1 / 0)
    assert refusal(path) == f"UNDECODABLE: {path} is damaged (division by zero)"


def test_too_large_is_told_from_the_header(tmp_path: Path) -> None:
    """Half of the pixels are missing, and nobody notices."""
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert (
        refusal(path, rules=MediaLimits(max_pixels=6143))
        == f"TOO_LARGE: {path} is 96x64, more than 6143 pixels (media_max_pixels)"
    )


def test_a_bomb_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (20_000, 20_000)).save(path)
    assert refusal(path) == f"TOO_LARGE: {path} has more than 128000000 pixels (media_max_pixels)"


def test_the_size_is_that_of_the_upright_picture(tmp_path):
    path, exif = tmp_path / "p.jpg", Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(path, exif=exif)
    assert image_size(str(path)) == (30, 40)
    path.write_text("no picture")
    with pytest.raises(MediaError, match=r"p\.jpg is not a picture that can be read"):
        image_size(str(path))
