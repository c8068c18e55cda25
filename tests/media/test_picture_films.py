"""Films of single pictures: folders of numbered ones, and lists."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from make_clips import numbers_in, picture_of
from PIL import Image

from juicecap.errors import MediaError
from juicecap.media.access.picture_folder import medium_state, pictures_in
from juicecap.media.digest import content_digest, medium_digest
from juicecap.media.load import load_frames, video_info
from juicecap.media.picture import MediaFrames
from juicecap.media.read_otherwise import READING_VERSION, reading_of
from juicecap.media.rules import MediaLimits
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import FrameSizes
from juicecap.media.workers.pool import DecodePool


def write(path: Path, number: int, **size: int) -> str:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(picture_of(number, **size)).save(path)
    return str(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures, which spell 0 to 11; no zeros stand before their numbers, and one file is hidden."""
    for number in range(12):
        write(tmp_path / "film" / f"shot_{number}.png", number)
    (tmp_path / "film" / ".DS_Store").write_bytes(b"x")
    return tmp_path / "film"


def loaded(path: Path | str, pictures: Sequence[str] = (), rules: MediaLimits | None = None, **sampling: Any) -> MediaFrames:
    return load_frames(
        "video", str(path), FrameSampling(**sampling), FrameSizes(), pictures=pictures, rules=rules or MediaLimits()
    )


def refused(path: Path | str, *pictures: str, rules: MediaLimits | None = None) -> tuple[str, str]:
    with pytest.raises(MediaError) as caught:
        loaded(path, pictures, rules)
    return caught.value.code, caught.value.message


def test_a_folder_is_a_film_in_the_order_of_its_numbers(folder: Path) -> None:
    info = video_info(str(folder))
    assert (info.duration, info.fps, info.frames, info.width, info.height) == (6.0, 2.0, 12, 96, 64)
    frames = loaded(folder)
    assert numbers_in(frames.pixels) == list(range(12))
    assert frames.times == tuple(number / 2 for number in range(12))
    assert (frames.duration, frames.damage, frames.stored_size) == (6.0, "", (96, 64))


def test_it_is_sampled_by_its_rate_as_other_films(folder: Path) -> None:
    assert video_info(str(folder), picture_fps=4.0).duration == 3.0
    frames = loaded(folder, picture_fps=4.0)
    assert numbers_in(frames.pixels) == [0, 2, 4, 7, 9, 11]
    assert frames.times == (0.0, 0.5, 1.0, 1.75, 2.25, 2.75)
    assert numbers_in(loaded(folder, num_frames=3).pixels) == [0, 6, 11]
    assert numbers_in(loaded(folder, start=1.0, end=2.0, min_frames=1).pixels) == [2, 4]


def test_a_list_is_a_film_in_its_own_order(folder: Path) -> None:
    chosen = [str(folder / f"shot_{number}.png") for number in (7, 3, 3, 9)]
    assert numbers_in(loaded(chosen[0], chosen).pixels) == [7, 3, 3, 9]
    assert video_info(chosen[0], pictures=chosen, picture_fps=0.5).duration == 8.0
    assert numbers_in(loaded(chosen[0], chosen[1:2]).pixels) == [3]


def test_the_processes_that_decode_know_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    chosen = ["shot_5.png", "shot_4.png"]

    async def both() -> Any:
        pool = DecodePool(1)
        try:
            named = await pool.picture("video", chosen[0], FrameSampling(), FrameSizes(), pictures=chosen)
            return named, await pool.probe(str(folder), picture_fps=12.0), await pool.probe(chosen[0], pictures=chosen)
        finally:
            await pool.close()

    named, whole, listed = asyncio.run(both())
    assert (numbers_in(named.pixels), whole.duration, listed.duration) == ([5, 4], 1.0, 1.0)


def names(*files: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for name in files:
            write(folder / name, 1)

    return make


def text_beside(folder: Path) -> None:
    names("1.png", "2.png")(folder)
    (folder / "3.txt").write_text("no picture")


def folder_inside(folder: Path) -> None:
    names("1.png")(folder)
    (folder / "2").mkdir()


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (lambda folder: None, "it holds no pictures"),
    "hidden": (names(".1.png"), "it holds no pictures"),
    "mixed": (text_beside, "3.txt is not a picture"),
    "nested": (folder_inside, "it holds the folder 2"),
    "no number": (names("1.png", "cover.png"), "cover.png has no number in its name"),
    "two rows": (names("a1.png", "b2.png"), "a1.png and b2.png differ in more than their numbers"),
    "two kinds": (names("1.png", "2.jpg"), "1.png and 2.jpg differ in more than their numbers"),
    "twice": (names("1.png", "01.png"), "01.png and 1.png have the same number"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_folders_that_are_no_films(tmp_path: Path, name: str) -> None:
    make, why = FAULTS[name]
    folder = tmp_path / "film"
    folder.mkdir()
    make(folder)
    expected = "NOT_A_FILE", f"{folder} is a folder, not a file, and no film either: {why}"
    assert refused(folder) == expected
    with pytest.raises(MediaError, match=f"^NOT_A_FILE: .*{why}$"):
        medium_digest("video", str(folder))


def test_an_image_is_no_folder(folder: Path) -> None:
    with pytest.raises(MediaError, match=f"^NOT_A_FILE: {folder} is a folder, not a file$"):
        load_frames("image", str(folder), FrameSampling(), FrameSizes())
    with pytest.raises(MediaError, match=f"^NOT_A_FILE: {folder} is a folder, not a file$"):
        medium_digest("image", str(folder))


def test_pictures_that_do_not_belong_together(folder: Path) -> None:
    odd = write(folder / "shot_4.png", 4, width=48)
    code, message = refused(folder)
    assert (code, message) == (
        "SIZES_DIFFER",
        f"{odd} is 48x64, and {folder}/shot_0.png, the first picture of its film, is 96x64",
    )


def test_a_picture_that_cannot_be_read_costs_the_film_and_is_named(folder: Path) -> None:
    third = folder / "shot_3.png"
    third.write_bytes(third.read_bytes()[:60])
    assert refused(folder)[1].startswith(f"{third} is damaged")
    third.unlink()
    assert refused(third, str(folder / "shot_1.png"), str(third)) == ("FILE_NOT_FOUND", f"{third} does not exist")


def test_limits_hold_for_each_picture(folder: Path, tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.png", 1)
    (folder / "shot_12.png").symlink_to(secret)
    inside = MediaLimits(root=os.path.realpath(folder))
    outside = ("OUTSIDE_MEDIA_ROOT", f"{folder}/shot_12.png lies outside of media_root ({folder})")
    assert refused(folder, rules=inside) == outside
    assert refused(folder / "shot_1.png", str(folder / "shot_1.png"), str(folder / "shot_12.png"), rules=inside) == outside
    with pytest.raises(MediaError, match=r"^OUTSIDE_MEDIA_ROOT: "):
        medium_digest("video", str(folder), inside)
    assert medium_state(str(folder), inside) is None
    assert medium_state(str(folder)) is not None
    assert refused(folder, rules=MediaLimits(root=str(tmp_path / "else")))[0] == "OUTSIDE_MEDIA_ROOT"
    assert refused(folder, rules=MediaLimits(max_bytes=10))[0] == "TOO_LARGE"
    assert refused(folder, rules=MediaLimits(max_pixels=10))[0] == "TOO_LARGE"
    assert refused(folder, rules=MediaLimits(max_frames=12))[1].endswith("has 13 frames, more than 12 (media_max_frames)")
    assert refused(folder, rules=MediaLimits(max_seconds=6.0))[1].endswith("lasts 6 seconds, more than 6 (media_max_seconds)")


def test_the_digest_is_that_of_names_and_contents_in_order(folder: Path, tmp_path: Path) -> None:
    before = medium_digest("video", str(folder))
    (tmp_path / "moved").symlink_to(folder)
    assert medium_digest("video", str(tmp_path / "moved")) == before
    (folder / "shot_11.png").rename(folder / "shot_12.png")
    renamed = medium_digest("video", str(folder))
    write(folder / "shot_3.png", 30)
    assert len({before, renamed, medium_digest("video", str(folder))}) == 3
    assert medium_digest("video", str(folder / "shot_3.png")) == content_digest(str(folder / "shot_3.png"))


def test_the_state_shows_a_picture_that_was_touched(folder: Path) -> None:
    states = [medium_state(str(folder))]
    write(folder / "shot_3.png", 30)
    states.append(medium_state(str(folder)))
    (folder / "shot_11.png").unlink()
    states.append(medium_state(str(folder)))
    (folder / "cover.jpg").touch()
    states.append(medium_state(str(folder)))
    assert len(set(states)) == 4
    assert None not in states
    assert medium_state(str(folder)) == states[-1]


def test_a_folder_is_read_as_its_pictures_are(folder: Path) -> None:
    assert reading_of(str(folder)) == str(READING_VERSION)
    first = Image.open(folder / "shot_0.png")
    first.save(folder / "shot_0.png", save_all=True, append_images=[first.rotate(90)])
    assert reading_of(str(folder)) == f"{READING_VERSION}+"


def test_numbers_are_compared_one_after_the_other(tmp_path: Path) -> None:
    names("take10_2.png", "take9_10.png", "take9_9.png")(tmp_path / "film")
    assert [Path(each).name for each in pictures_in(str(tmp_path / "film"))] == ["take9_9.png", "take9_10.png", "take10_2.png"]
