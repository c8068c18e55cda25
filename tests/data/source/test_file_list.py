"""Bare lists of files, folders of pictures, and folders with metadata."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest

from juicecap.data.source import format_of, open_source
from juicecap.errors import DataError
from juicecap.ops import ImageCaptionGenerator, VideoToCaptionGenerator
from juicecap.sample import ORIGIN, media_paths

IMAGES = Path(__file__).parents[3] / "recipes" / "images"
TRUTH = json.loads((Path(__file__).parents[2] / "demo_images.json").read_text())


def rows(path: Path, tmp_path: Path, **options: object) -> list[dict]:
    dataset = open_source(str(path), cache_folder=tmp_path / "cache", **options)
    return [{key: value for key, value in row.items() if key != ORIGIN} for row in dataset]


class TestLists:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("files.txt", "a.mp4\n\n  b c.mkv \r\nd.bin"),
            ("files.txt", "\ufeffa.mp4\nb c.mkv\nd.bin\n"),
            ("files.json", ' [ "a.mp4", "b c.mkv",\n "d.bin"]'),
            ("files.jsonl", '"a.mp4"\n"b c.mkv"\n\n"d.bin"\n'),
        ],
    )
    def test_each_entry_is_a_sample(self, tmp_path, name, text):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        assert format_of(str(file)) == "files"
        assert rows(file, tmp_path) == [{"videos": ["a.mp4"]}, {"videos": ["b c.mkv"]}, {"videos": ["d.bin"]}]

    def test_entries_are_told_by_their_suffix(self, tmp_path):
        file = tmp_path / "files.txt"
        file.write_text("a.mp4\nb.PNG\nc.wav\n")
        assert rows(file, tmp_path, video_key="v", image_key="i", audio_key="a") == [
            {"v": ["a.mp4"], "i": None, "a": None},
            {"v": None, "i": ["b.PNG"], "a": None},
            {"v": None, "i": None, "a": ["c.wav"]},
        ]

    def test_parts_of_films_are_told_by_the_suffix_of_the_film(self, tmp_path):
        (tmp_path / "files.txt").write_text("a.mp4#t=1,2\nb.wav#t=3\n")
        assert rows(tmp_path / "files.txt", tmp_path, audio_key="a") == [
            {"videos": ["a.mp4#t=1,2"], "a": None},
            {"videos": None, "a": ["b.wav#t=3"]},
        ]

    def test_kinds_of_pictures_are_no_videos(self, tmp_path):
        names = ["a.heic", "b.HEIF", "c.avif", "d.jfif", "e.jp2", "f.ico"]
        (tmp_path / "files.txt").write_text("\n".join(names))
        assert rows(tmp_path / "files.txt", tmp_path, image_key="i") == [{"i": [name]} for name in names]

    def test_a_packed_list(self, tmp_path):
        file = tmp_path / "files.txt.gz"
        file.write_bytes(gzip.compress(b"a.mp4\n"))
        assert rows(file, tmp_path) == [{"videos": ["a.mp4"]}]

    def test_paths_are_relative_to_the_list(self, tmp_path):
        file = tmp_path / "files.txt"
        file.write_text("a.mp4\n/abs/b.mp4\n")
        dataset = open_source(str(file), cache_folder=tmp_path / "cache")
        assert [media_paths(row, "videos") for row in dataset] == [[f"{tmp_path}/a.mp4"], ["/abs/b.mp4"]]
        assert [row[ORIGIN]["id"] for row in dataset] == ["files.txt:1", "files.txt:2"]

    @pytest.mark.parametrize(("name", "text"), [("x.json", '["a.mp4", 7]'), ("x.jsonl", '"a.mp4"\n7\n')])
    def test_what_is_no_path(self, tmp_path, name, text):
        file = tmp_path / name
        file.write_text(text)
        with pytest.raises(DataError, match=rf"{name}:2: holds 7, not a path"):
            rows(file, tmp_path)

    def test_json_that_is_not_valid(self, tmp_path):
        file = tmp_path / "x.json"
        file.write_text('["a.mp4", ')
        with pytest.raises(DataError, match=r"x\.json: not valid JSON"):
            rows(file, tmp_path)

    def test_objects_are_no_list_of_files(self, tmp_path):
        for name, text in (("x.json", "[{}]"), ("x.jsonl", "{}"), ("y.json", "[]")):
            (tmp_path / name).write_text(text)
            assert format_of(str(tmp_path / name)) == name[2:]


class TestFolders:
    def test_pictures_where_there_is_no_video(self, tmp_path):
        folder = shutil.copytree(IMAGES, tmp_path / "pictures")
        found = rows(folder, tmp_path, image_key="image")
        assert found == [{"image": [name]} for name in sorted(TRUTH)]
        out = ImageCaptionGenerator(hf_model="juicecap-demo-vlm", system_prompt="You are a helpful assistant.").run(
            open_source(str(folder), cache_folder=tmp_path / "cache", image_key="image")
        )
        assert out["output"][:] == [TRUTH[name]["caption"] for name in sorted(TRUTH)]

    def test_pictures_beside_videos_are_passed_over(self, tmp_path):
        for name in ("a.mp4", "a.jpg"):
            (tmp_path / "in").mkdir(exist_ok=True)
            (tmp_path / "in" / name).write_bytes(b"x")
        assert rows(tmp_path / "in", tmp_path) == [{"videos": ["a.mp4"]}]
        assert rows(tmp_path / "in", tmp_path, suffixes=["jpg", "mp4"]) == [
            {"images": ["a.jpg"], "videos": None},
            {"images": None, "videos": ["a.mp4"]},
        ]

    def test_one_picture(self, tmp_path):
        assert rows(IMAGES / "image_00.png", tmp_path) == [{"images": ["image_00.png"]}]


class TestMetadata:
    @pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
    @pytest.mark.parametrize("as_file", [False, True])
    def test_rows_get_their_path(self, tmp_path, name, as_file):
        folder = tmp_path / "in"
        (folder / "deep").mkdir(parents=True)
        table = "file_name,note\na.mp4,007\ndeep/b.png,\n"
        lines = '{"file_name": "a.mp4", "note": "007"}\n{"file_name": "deep/b.png", "note": ""}\n'
        (folder / name).write_text(table if name.endswith("csv") else lines)
        (folder / "without_a_row.mp4").write_bytes(b"x")
        path = folder / name if as_file else folder
        assert format_of(str(path)) == "metadata"
        assert rows(path, tmp_path) == [
            {"file_name": "a.mp4", "note": "007", "videos": ["a.mp4"], "images": None},
            {"file_name": "deep/b.png", "note": "", "videos": None, "images": ["deep/b.png"]},
        ]
        dataset = open_source(str(path), cache_folder=tmp_path / "cache")
        assert media_paths(dataset[1], "images") == [f"{folder}/deep/b.png"]

    def test_a_column_that_is_there_stays(self, tmp_path):
        (tmp_path / "metadata.csv").write_text("file_name,videos\na.mp4,b.mp4\n")
        assert rows(tmp_path / "metadata.csv", tmp_path) == [{"file_name": "a.mp4", "videos": "b.mp4"}]

    def test_metadata_of_another_kind(self, tmp_path):
        (tmp_path / "metadata.csv").write_text("name\nx\n")
        assert format_of(str(tmp_path)) == "several"
        (tmp_path / "a.mp4").touch()
        assert format_of(str(tmp_path)) == "folder"
        assert format_of(str(tmp_path / "metadata.csv")) == "csv"

    def test_clips_with_metadata_are_captioned(self, tmp_path, clips):
        folder = shutil.copytree(clips.folder, tmp_path / "in")
        names = [Path(path).name for path in clips.paths[:3]]
        (folder / "metadata.csv").write_text("file_name,n\n" + "".join(f"{name},{name[:2]}\n" for name in names))
        dataset = open_source(str(folder), cache_folder=tmp_path / "cache", video_key="video")
        out = VideoToCaptionGenerator(hf_model="juicecap-demo-vlm").run(dataset)
        assert out["caption"][:] == clips.details[:3]
        assert out["n"][:] == ["00", "01", "02"]
