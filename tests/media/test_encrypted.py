"""Encrypted films are refused, and never shown as grey; what is clear of one may be used as far as the limit on damage allows."""

from __future__ import annotations

from pathlib import Path

import pytest
from make_clips import FRAGMENTS, later, number_in, write_clip

from juicecap.errors import MediaError
from juicecap.media.rules import MediaLimits
from juicecap.media.sampling import FrameSampling
from juicecap.media.video.decode import Frames, decode_frames
from juicecap.media.video.probe import probe

KEYS = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "0123456789abcdef" * 2, "encryption_kid": "fedcba9876543210" * 2}
SIX = FrameSampling(num_frames=6)


def decode(path: Path, max_damage: float = 0.5) -> Frames:
    rules = MediaLimits(max_damage=max_damage)
    return decode_frames(str(path), SIX, lambda _, width, height: (width, height), rules=rules)


def partly(folder: Path, clear: int, secret: int) -> Path:
    """So many frames that are clear, and so many that are not."""
    first = write_clip(folder / "clear.mp4", clear, gop=1, muxing=FRAGMENTS)
    second = later(write_clip(folder / "secret.mp4", secret, gop=1, muxing=FRAGMENTS | KEYS), clear / 10)
    path = folder / "partly.mp4"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return path


@pytest.mark.parametrize("muxing", [KEYS, KEYS | FRAGMENTS])
@pytest.mark.parametrize("max_damage", [0.5, 1.0])
def test_an_encrypted_film_is_refused(tmp_path: Path, muxing: dict[str, str], max_damage: float) -> None:
    path = write_clip(tmp_path / "clip.mp4", 30, muxing=muxing)
    for use in (lambda: decode(path, max_damage), lambda: probe(str(path))):
        with pytest.raises(MediaError, match="is encrypted") as caught:
            use()
        assert (caught.value.code, caught.value.message) == ("ENCRYPTED", f"{path} is encrypted")


def test_what_is_clear_of_a_film_is_used_and_told(tmp_path: Path) -> None:
    path = partly(tmp_path, 40, 20)
    frames = decode(path)
    assert [number_in(picture) for picture in frames.pixels] == [0, 8, 16, 24, 32, 39]
    assert frames.info.duration == probe(str(path)).duration == pytest.approx(4.0, abs=0.01)
    assert frames.damage == "a part of it is encrypted; 20 packets cannot be read; 33% of the frames asked for are lost"


def test_a_film_of_which_most_is_encrypted_is_refused_unless_the_limit_allows_it(tmp_path: Path) -> None:
    path = partly(tmp_path, 20, 40)
    with pytest.raises(MediaError, match=r"is encrypted: .*; 67% of the frames .*, more than 50% \(media_max_damage\)") as caught:
        decode(path)
    assert caught.value.code == "ENCRYPTED"
    assert [number_in(picture) for picture in decode(path, 0.7).pixels] == [0, 4, 8, 12, 16, 19]
