"""Tables with chosen columns: the right values for the right medium, in every format."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from exporting import NASTY, Exporting, digest, lines
from PIL import Image

import juicecap
from juicecap.errors import DataError, EnvironmentFailure, RecipeError, UsageError
from juicecap.runner.run_folder.folder import RunFolder

MEDIUM, CAPTION = {"media": True}, {"caption": True}


def table(to: str, **options: Any) -> dict[str, Any]:
    return {"to": to, "as": "table", **options}


class TestColumns:
    def test_columns_are_chosen_renamed_and_joined_by_constants(self, exporting: Exporting) -> None:
        exporting.write([{"videos": ["clip.mp4"], "caption": "c", "meta": {"views": 7, "tags": ["a"]}, "n": None}])
        columns = {
            "file": MEDIUM,
            "views": "meta.views",
            "tags": "meta.tags",
            "type": {"const": "video"},
            "w": {"const": 1.5},
            "n": "n",
        }
        exporting.run(table("out/t.jsonl", columns=columns))
        assert lines(exporting.folder / "out" / "t.jsonl") == [
            {"file": "../data/clip.mp4", "views": 7, "tags": ["a"], "type": "video", "w": 1.5, "n": None}
        ]

    def test_without_columns_all_are_there_with_their_paths(self, exporting: Exporting) -> None:
        exporting.run(table("out/all.jsonl"))
        assert lines(exporting.folder / "out" / "all.jsonl") == [
            {"videos": [f"../data/{name}"], "caption": caption} for name, caption in NASTY.items()
        ]

    @pytest.mark.parametrize(
        ("paths", "to", "written"),
        [
            ("auto", "out/t.jsonl", "../data/nested/clip.mp4"),
            ("auto", "data/t.jsonl", "nested/clip.mp4"),
            ("relative", "data/nested/t.jsonl", "clip.mp4"),
            ("absolute", "out/t.jsonl", "{data}/nested/clip.mp4"),
            ("as_written", "out/t.jsonl", "nested/clip.mp4"),
        ],
    )
    def test_paths_lead_to_the_media(self, exporting: Exporting, paths: str, to: str, written: str) -> None:
        exporting.write([{"videos": ["nested/clip.mp4"], "caption": "c"}])
        exporting.run(table(to, columns={"path": MEDIUM}, paths=paths))
        assert lines(exporting.folder / to) == [{"path": written.format(data=exporting.folder / "data")}]

    def test_absolute_paths_and_addresses_stay(self, exporting: Exporting) -> None:
        paths = [str(exporting.clip("clip.mp4")), "https://a.example/b.mp4"]
        exporting.write([{"videos": [path], "caption": "c"} for path in paths])
        exporting.run(table("out/t.jsonl", columns={"path": MEDIUM}))
        assert [row["path"] for row in lines(exporting.folder / "out" / "t.jsonl")] == paths

    def test_measures_are_those_of_the_part_that_is_shown(self, exporting: Exporting) -> None:
        Image.new("RGB", (30, 60)).save(exporting.folder / "data" / "p.png")
        exporting.write(
            [
                {"videos": ["clip.mp4"], "caption": "c"},
                {"videos": ["clip.mp4#t=0.5,1.25"], "caption": "c"},
                {"images": ["p.png"], "caption": "c"},
            ]
        )
        names = ("frames", "fps", "duration", "width", "height", "pixels", "height_over_width", "width_over_height", "size")
        exporting.run(table("out/t.parquet", columns={name: {"measure": name} for name in names}))
        film, part, picture = pq.read_table(exporting.folder / "out" / "t.parquet").to_pylist()
        size = {"width": 96, "height": 64, "pixels": 6144, "height_over_width": 64 / 96, "width_over_height": 1.5}
        assert film == {"frames": 24, "fps": 12.0, "duration": 2.0, **size, "size": {"height": 64, "width": 96}}
        assert part == {**film, "frames": 9, "duration": 0.75}
        assert picture == {
            "frames": 1, "fps": None, "duration": None, "width": 30, "height": 60, "pixels": 1800,
            "height_over_width": 2.0, "width_over_height": 0.5, "size": {"height": 60, "width": 30},
        }  # fmt: skip

    def test_columns_of_one_kind_of_medium(self, exporting: Exporting) -> None:
        Image.new("RGB", (8, 8)).save(exporting.folder / "data" / "p.png")
        exporting.write([{"videos": ["clip.mp4"], "caption": "v"}, {"images": ["p.png"], "caption": "i"}])
        columns = {
            "video_path": {"media": "video"},
            "image_path": {"media": "image"},
            "type": {"media": "kind"},
            "name": {"media": "name"},
        }
        exporting.run(table("out/t.jsonl", columns=columns))
        assert lines(exporting.folder / "out" / "t.jsonl") == [
            {"video_path": "../data/clip.mp4", "type": "video", "name": "clip.mp4"},
            {"image_path": "../data/p.png", "type": "image", "name": "p.png"},
        ]


class TestCaptions:
    ROWS = (
        {"videos": ["clip.mp4"], "caption": ["a", "b"]},
        {"videos": ["UPPER.MP4"], "caption": ["c"]},
        {"videos": ["clip.mp4"], "caption": ["d", None]},
    )

    @pytest.mark.parametrize(
        ("captions", "rows"),
        [
            ("rows", [("clip.mp4", "a"), ("clip.mp4", "b"), ("UPPER.MP4", "c"), ("clip.mp4", "d"), ("clip.mp4", None)]),
            ("list", [("clip.mp4", ["a", "b", "d"]), ("UPPER.MP4", ["c"])]),
            ("first", [("clip.mp4", "a"), ("UPPER.MP4", "c")]),
        ],
    )
    def test_several_captions_of_a_clip(self, exporting: Exporting, captions: str, rows: list) -> None:
        exporting.write(list(self.ROWS))
        exporting.run(table("data/t.jsonl", columns={"path": MEDIUM, "text": "caption"}, captions=captions))
        assert [(row["path"], row["text"]) for row in lines(exporting.folder / "data" / "t.jsonl")] == rows

    def test_several_videos_with_a_caption_each_are_rows(self, exporting: Exporting) -> None:
        exporting.write([{"videos": ["clip.mp4", "UPPER.MP4"], "caption": ["a", "b"]}])
        exporting.run(table("data/t.jsonl", columns={"path": MEDIUM, "text": CAPTION}))
        assert [tuple(row.values()) for row in lines(exporting.folder / "data" / "t.jsonl")] == [
            ("clip.mp4", "a"),
            ("UPPER.MP4", "b"),
        ]

    @pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet"])
    def test_every_caption_survives_the_format(self, exporting: Exporting, suffix: str, said: list[str]) -> None:
        exporting.captions["v1.2.final.mp4"] = "=1+1, \t tab\u2028\x85 and 🎬"
        exporting.write()
        exporting.run(table(f"data/t.{suffix}", columns={"path": MEDIUM, "text": "caption"}))
        path = exporting.folder / "data" / f"t.{suffix}"
        wanted = list(exporting.captions.values())
        match suffix:
            case "jsonl":
                assert [row["text"] for row in lines(path)] == wanted
            case "json":
                assert [row["text"] for row in json.loads(path.read_text())] == wanted
            case "parquet":
                assert pq.read_table(path)["text"].to_pylist() == wanted
                assert [each if isinstance(each, str) else None for each in pd.read_parquet(path)["text"]] == wanted
            case "csv":
                with path.open(newline="", encoding="utf-8") as stream:
                    assert [row["text"] for row in csv.DictReader(stream)] == [each or "" for each in wanted]
                kept = pd.read_csv(path, keep_default_na=False)["text"].tolist()
                assert kept == [each or "" for each in wanted]
        assert [each for each in said if "read as missing by pandas" in each] == (
            [
                f"{path}: 1 texts such as NA are read as missing by pandas and readers built on it; "
                "export to .parquet or .jsonl, which keep them"
            ]
            if suffix == "csv"
            else []
        )


class TestFormats:
    def test_an_object_by_file(self, exporting: Exporting) -> None:
        exporting.write(list(TestCaptions.ROWS))
        exporting.run(
            table("data/captions.json", format="mapping", columns={"file": MEDIUM, "captions": "caption"}, captions="list")
        )
        assert json.loads((exporting.folder / "data" / "captions.json").read_text()) == {
            "clip.mp4": ["a", "b", "d"],
            "UPPER.MP4": ["c"],
        }
        exporting.run(
            table(
                "data/more.json",
                format="mapping",
                columns={"file": MEDIUM, "caption": "caption", "fps": {"measure": "fps"}},
                captions="first",
            )
        )
        assert json.loads((exporting.folder / "data" / "more.json").read_text())["UPPER.MP4"] == {"caption": "c", "fps": 12.0}
        with pytest.raises(DataError, match=r"data\.jsonl:1 cannot be a key: 'clip\.mp4' in column 'file' stands in two rows"):
            exporting.run(table("data/bad.json", format="mapping", columns={"file": MEDIUM, "captions": "caption"}))
        assert not (exporting.folder / "data" / "bad.json").exists()

    def test_lines_beside_each_other(self, exporting: Exporting) -> None:
        exporting.run(table("out/lists", format="lines", columns={"prompts": CAPTION, "videos": MEDIUM}))
        folder = exporting.folder / "out" / "lists"
        assert (folder / "prompts.txt").read_text().splitlines() == [
            "A red circle moves right.", "Two lines, and a tab\there.", "NA", 'She said "no, <video>", twice.', "", "",
        ]  # fmt: skip
        assert [(folder / name).resolve() for name in (folder / "videos.txt").read_text().splitlines()] == [
            exporting.clip(name) for name in exporting.captions
        ]

    def test_shards(self, exporting: Exporting) -> None:
        exporting.run(table("out/t.jsonl", columns={"path": MEDIUM}, shard_size="100B"))
        rows = [row["path"] for file in sorted((exporting.folder / "out" / "t").glob("*.jsonl")) for row in lines(file)]
        assert rows == [f"../../data/{name}" for name in exporting.captions]
        assert len(list((exporting.folder / "out" / "t").glob("*.jsonl"))) > 1

    def test_formulas(self, exporting: Exporting) -> None:
        exporting.write([{"videos": ["clip.mp4"], "caption": "=1+1"}])
        exporting.run(table("out/t.csv", columns={"text": "caption"}, csv_formulas="escape"))
        assert (exporting.folder / "out" / "t.csv").read_text() == "text\n'=1+1\n"


class TestPlaced:
    def test_media_come_beside_the_table(self, exporting: Exporting) -> None:
        columns = {"file_name": MEDIUM, "caption": "caption"}
        exporting.run(table("out/set/metadata.jsonl", columns=columns, media="link", media_folder="clips"))
        folder = exporting.folder / "out" / "set"
        rows = lines(folder / "metadata.jsonl")
        assert [row["caption"] for row in rows] == list(exporting.first_captions().values())
        assert [digest(folder / row["file_name"]) for row in rows] == [
            digest(exporting.clip(name)) for name in exporting.captions
        ]
        assert all(row["file_name"].startswith("clips/") for row in rows)
        assert len({row["file_name"].lower() for row in rows}) == 6

    def test_those_that_are_named_no_more_go(self, exporting: Exporting) -> None:
        entry = table("out/set/metadata.jsonl", columns={"file_name": MEDIUM}, media="copy")
        exporting.run(entry)
        del exporting.captions["UPPER.MP4"]
        exporting.write()
        exporting.run(entry)
        folder = exporting.folder / "out" / "set"
        assert not (folder / "UPPER.mp4").exists()
        assert {path.name for path in folder.glob("*.mp4")} == {row["file_name"] for row in lines(folder / "metadata.jsonl")}

    def test_what_a_killed_run_left_goes(self, exporting: Exporting) -> None:
        entry = table("out/set/metadata.jsonl", columns={"file_name": MEDIUM}, media="copy")
        exporting.run(entry)
        folder = exporting.folder / "out" / "set"
        owner = RunFolder(folder / "metadata.run").owner
        (folder / f".juicecap-{owner}-0123456789abcdef.tmp").write_text("half a clip")
        (folder / ".juicecap-another-0123456789abcdef.tmp").write_text("half of another's")
        exporting.run(entry)
        assert [path.name for path in folder.glob(".juicecap*")] == [".juicecap-another-0123456789abcdef.tmp"]

    def test_parts_are_cut_where_a_file_is_needed(self, exporting: Exporting) -> None:
        exporting.write([{"videos": ["clip.mp4#t=0.5,1.5"], "caption": "c"}, {"videos": ["clip.mp4"], "caption": "d"}])
        exporting.run(table("out/t.jsonl", columns={"path": MEDIUM}, parts="cut", media_folder="parts"))
        assert [row["path"] for row in lines(exporting.folder / "out" / "t.jsonl")] == [
            "parts/clip-t0_5-1_5.mp4",
            "../data/clip.mp4",
        ]
        assert (exporting.folder / "out" / "parts" / "clip-t0_5-1_5.mp4").stat().st_size > 1000
        exporting.run(table("out/kept.jsonl", columns={"path": MEDIUM}))
        assert lines(exporting.folder / "out" / "kept.jsonl")[0]["path"] == "../data/clip.mp4#t=0.5,1.5"


class TestRefused:
    def test_a_column_that_does_not_exist_is_a_problem_with_its_place(self, exporting: Exporting) -> None:
        recipe = exporting.recipe(table("out/t.jsonl", columns={"text": "captoin"}))
        with pytest.raises(RecipeError) as raised:
            exporting.run(table("out/t.jsonl", columns={"text": "captoin"}))
        assert f"{recipe}:" in str(raised.value)
        assert "exports: there is no column 'captoin', which columns.text names; the result has videos, caption" in str(
            raised.value
        )
        assert "did you mean 'caption'?" in str(raised.value)
        assert not (exporting.folder / "out" / "t.jsonl").exists()

    def test_a_medium_that_cannot_be_measured(self, exporting: Exporting) -> None:
        exporting.clip("UPPER.MP4").write_text("no film")
        with pytest.raises(DataError, match=r"UPPER\.MP4 cannot be exported: UNREADABLE: .*Nothing was exported there\."):
            exporting.run(table("out/t.jsonl", columns={"n": {"measure": "fps"}}))
        assert not (exporting.folder / "out" / "t.jsonl").exists()

    def test_one_that_fails_keeps_all_others_from_being_written(self, exporting: Exporting) -> None:
        exporting.clip("UPPER.MP4").unlink()
        good = table("out/good.jsonl", columns={"caption": "caption"})
        with pytest.raises(DataError, match=r"UPPER\.MP4 does not exist"):
            exporting.run(good, table("out/t.jsonl", columns={"path": MEDIUM}))
        assert not (exporting.folder / "out" / "good.jsonl").exists()

    def test_a_table_of_somebody_else(self, exporting: Exporting) -> None:
        (exporting.folder / "out").mkdir()
        (exporting.folder / "out" / "t.jsonl").write_text("precious\n")
        with pytest.raises(
            UsageError, match=r"t\.jsonl exists and was not written by this run; give another path, or --overwrite"
        ):
            exporting.run(table("out/t.jsonl", columns={"path": MEDIUM}))
        assert (exporting.folder / "out" / "t.jsonl").read_text() == "precious\n"
        exporting.run(table("out/t.jsonl", columns={"path": MEDIUM}), overwrite=True)
        exporting.run(table("out/t.jsonl", columns={"path": MEDIUM}))
        assert len(lines(exporting.folder / "out" / "t.jsonl")) == 6

    def test_a_disk_that_is_full(self, exporting: Exporting, disk_of: Callable[[str], Path]) -> None:
        disk = disk_of("64k")
        entry = {"to": "x", "as": "table", "columns": {"path": MEDIUM}, "media": "copy"}
        recipe = exporting.recipe({**entry, "to": str(disk / "set" / "t.jsonl")}, work_dir=str(exporting.folder / "run"))
        clip = exporting.clip("clip.mp4")
        with clip.open("ab") as stream:
            stream.write(bytes(2**17))
        with pytest.raises(EnvironmentFailure, match="no space left"):
            juicecap.run(recipe)
        assert not list((disk / "set").glob("*.jsonl"))
        assert not list((disk / "set").glob(".juicecap*"))
