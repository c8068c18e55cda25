"""The limits of media as parameters of ops and keys of recipes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from make_clips import write_clip

from juicecap.errors import SampleError, SettingsError
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.ops import VideoCaptioningFromVLMMapper, VideoDurationFilter, VideoResolutionFilter, VideoToCaptionGenerator
from juicecap.recipe import load_recipe

OPS = [VideoCaptioningFromVLMMapper, VideoDurationFilter, VideoResolutionFilter]


@pytest.mark.parametrize("op", OPS)
def test_the_defaults_are_those_of_the_rules(op: type) -> None:
    assert op().media_rules() == DEFAULT_RULES


def test_each_parameter_is_a_rule(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    op = VideoCaptioningFromVLMMapper(
        media_root=str(tmp_path / "link"),
        media_max_pixels=1,
        media_max_frames=2,
        media_max_seconds=3.0,
        media_max_damage=0.25,
        media_max_mb=4,
        allow_remote=True,
        remote_max_mb=5,
        remote_seconds=6.0,
        decode_memory_mb=7,
    )
    assert op.limits().media == MediaLimits(
        root=os.path.realpath(tmp_path),
        max_pixels=1,
        max_frames=2,
        max_seconds=3.0,
        max_damage=0.25,
        max_bytes=4 << 20,
        allow_remote=True,
        remote_bytes=5 << 20,
        remote_seconds=6.0,
    )
    assert op.limits().decode_bytes == 7 << 20


def test_an_empty_root_is_neither_the_working_directory_nor_everywhere() -> None:
    with pytest.raises(SettingsError, match="media_root must not be empty; null means that it is not set"):
        VideoDurationFilter(media_root="")
    assert VideoDurationFilter(media_root=".").media_rules().root == os.path.realpath(".")


def test_what_decides_about_samples_is_part_of_the_fingerprint() -> None:
    plain = VideoDurationFilter().fingerprint()
    assert VideoDurationFilter(media_root="/data").fingerprint() != plain
    assert VideoDurationFilter(media_max_pixels=9).fingerprint() != plain
    assert VideoDurationFilter(media_max_damage=0.25).fingerprint() != plain
    assert VideoDurationFilter(media_max_damage=0.5).fingerprint() == plain
    assert VideoDurationFilter(remote_seconds=9.0).fingerprint() == plain


def test_the_rate_of_pictures_is_part_of_the_fingerprint_where_it_is_set() -> None:
    plain = VideoDurationFilter()
    assert VideoDurationFilter(picture_fps=2.0).fingerprint() == plain.fingerprint()
    assert VideoDurationFilter(picture_fps=24.0).fingerprint() != plain.fingerprint()
    assert VideoCaptioningFromVLMMapper(picture_fps=24.0).frame_sampling().picture_fps == 24.0


def test_the_columns_of_parts_are_part_of_the_fingerprint_where_they_are_named() -> None:
    plain = VideoDurationFilter()
    assert VideoDurationFilter(start_key=None, end_key=None).fingerprint() == plain.fingerprint()
    assert (
        len({plain.fingerprint(), *(VideoDurationFilter(**{key: "at"}).fingerprint() for key in ("start_key", "end_key"))}) == 3
    )


@pytest.mark.parametrize(
    ("videos", "start", "end", "paths"),
    [
        (["a.mp4"], 1, 2.5, ["a.mp4#t=1,2.5"]),
        ("a.mp4", "0:01:00", None, ["a.mp4#t=60"]),
        (["a.mp4", "b.mp4"], [1.5, None], [2, 0.25], ["a.mp4#t=1.5,2", "b.mp4#t=,0.25"]),
        ('["a.mp4", "b.mp4"]', "[1, 2]", "[]", "column 'stop' has 0 times for 2 videos"),
        ('["a.mp4", "b.mp4"]', '[1, "2"]', "", ["a.mp4#t=1", "b.mp4#t=2"]),
        (["a.mp4", "b.mp4"], 3, float("nan"), ["a.mp4#t=3", "b.mp4#t=3"]),
        (["a.mp4#t=1,2"], None, "", ["a.mp4#t=1,2"]),
        (["a.mp4#t=1,2"], 1, None, "a.mp4#t=1,2 is a part already, of which start_key and end_key name another"),
        ([], [], 3, []),
        (["a.mp4"], [1, 2], None, "column 'from' has 2 times for 1 video"),
        (["a.mp4"], True, None, "column 'from' has True where a time should be"),
        (["a.mp4"], {"at": 1}, None, "column 'from' has {'at': 1} where a time should be"),
        (["a.mp4"], -1, None, "column 'from' has the time -1, and times are from 0 to 1,000,000,000 seconds"),
        (["a.mp4"], None, float("inf"), "column 'stop' has the time inf, and times are from 0 to 1,000,000,000 seconds"),
        (
            ["a.mp4"],
            "soon",
            None,
            "column 'from' has 'soon' where a time should be: write seconds (12.5) or hh:mm:ss.ms (0:00:12.5)",
        ),
    ],
)
def test_columns_name_parts(videos: object, start: object, end: object, paths: list[str] | str) -> None:
    op, sample = VideoDurationFilter(start_key="from", end_key="stop"), {"videos": videos, "from": start, "stop": end}
    if isinstance(paths, list):
        assert op.video_paths(sample, "videos") == paths
        return
    with pytest.raises(SampleError) as caught:
        op.video_paths(sample, "videos")
    assert str(caught.value) == f"BAD_FRAGMENT: {paths}"


@pytest.mark.parametrize("op", [*OPS, VideoToCaptionGenerator])
def test_columns_of_parts_must_be_there(op: type) -> None:
    assert {("start_key", "a"), ("end_key", "b")} <= set(op(start_key="a", end_key="b").columns_required())


def test_a_recipe_sets_them_for_the_ops_that_read_media(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "dataset_path: d.jsonl\nexport_path: o.jsonl\nmedia_root: /data\nmedia_max_mb: 7\nallow_remote: true\n"
        "process:\n- text_length_filter:\n- video_duration_filter:\n- video_resolution_filter:\n    media_max_mb: 8\n"
    )
    _, duration, resolution = (step.op for step in load_recipe(path).steps)
    assert duration.media_rules() == MediaLimits(root="/data", max_bytes=7 << 20, allow_remote=True)
    assert resolution.media_rules() == MediaLimits(root="/data", max_bytes=8 << 20, allow_remote=True)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"media_max_pixels": 6143}, "TOO_LARGE: {} has frames of 96x64, more than 6143 pixels (media_max_pixels)"),
        ({"media_root": "/dev"}, "OUTSIDE_MEDIA_ROOT: {} lies outside of media_root (/dev)"),
    ],
)
def test_a_filter_keeps_to_them(tmp_path: Path, options: dict[str, object], sentence: str) -> None:
    path = str(write_clip(tmp_path / "clip.mp4", 3))
    with pytest.raises(SampleError) as caught:
        VideoDurationFilter(**options)({"videos": [[path]]})
    assert str(caught.value) == sentence.format(f"{path}: {path}")


def test_a_captioner_keeps_to_them(tmp_path: Path, script: object) -> None:
    path = str(write_clip(tmp_path / "clip.mp4", 3))
    batch = {"videos": [[path]], "text": [""]}
    (kept,) = VideoCaptioningFromVLMMapper(hf_model=script.model, media_root=str(tmp_path)).fates(batch)
    assert (kept.kind, kept.failure) == ("kept", None)
    (lost,) = VideoCaptioningFromVLMMapper(hf_model=script.model, media_root="/dev").fates(batch)
    assert str(lost.failure) == f"OUTSIDE_MEDIA_ROOT: {path} lies outside of media_root (/dev)"
