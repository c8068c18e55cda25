"""Clean datasets have no hidden column; files that were written with it can be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

import juicecap
from juicecap.errors import DataError
from juicecap.ops import TextLengthFilter, VideoDurationFilter
from juicecap.sample import HIDDEN, ORIGIN

TURNS = [{"role": "user", "content": [{"type": "video", "video": "a.mp4"}, {"type": "text", "text": "a.mp4?"}]}]
ROWS: list[dict[str, Any]] = [
    {"videos": ["a.mp4", "/b.mp4", "https://c/d.mp4"], "text": "one", "messages": TURNS},
    {"videos": ["sub/../a.mp4"], "text": "two words", "n": None},
    {"videos": [], "n": 3},
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A file in a folder of its own."""
    file = tmp_path / "in" / "data.jsonl"
    file.parent.mkdir()
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


class TestClean:
    def test_paths_are_absolute_and_nothing_is_hidden(self, data: Path) -> None:
        clean = juicecap.load_dataset(str(data), clean=True)
        assert clean.column_names == ["videos", "text", "messages", "n"]
        assert clean["videos"][:] == [[f"{data.parent}/a.mp4", "/b.mp4", "https://c/d.mp4"], [f"{data.parent}/a.mp4"], []]
        assert clean[0]["messages"][0]["content"] == [
            {"type": "video", "video": f"{data.parent}/a.mp4"},
            {"type": "text", "text": "a.mp4?"},
        ]

    def test_columns_of_media_by_other_names(self, tmp_path: Path) -> None:
        (tmp_path / "data.json").write_text(json.dumps([{"video": "a.mp4", "image": ["b.png"], "film": "c.mp4", "id": "d"}]))
        row = juicecap.load_dataset(str(tmp_path / "data.json"), clean=True, video_key="film")[0]
        assert row == {"video": f"{tmp_path}/a.mp4", "image": [f"{tmp_path}/b.png"], "film": f"{tmp_path}/c.mp4", "id": "d"}

    def test_what_an_op_makes_of_it_is_clean_and_samples_have_their_names(self, data: Path) -> None:
        clean = juicecap.load_dataset(str(data), clean=True)
        out = TextLengthFilter(min_len=4).run(TextLengthFilter(min_len=1).run(clean))
        assert (out.column_names, out["text"][:]) == (clean.column_names, ["two words"])
        failed: list[dict[str, Any]] = []
        VideoDurationFilter().run(out, rejected=failed)
        assert [(each["id"], each["source"]) for each in failed] == [("data.jsonl:2", f"{data}:2")]
        assert not {*failed[0]["sample"]} & {*HIDDEN}
        VideoDurationFilter().run(out.filter(lambda row: True), rejected=failed)
        assert failed[1]["id"] == f"{data.parent}/a.mp4"

    def test_files_that_are_written_from_it_are_clean(self, data: Path, tmp_path: Path) -> None:
        clean = juicecap.load_dataset(str(data), clean=True)
        clean.to_json(str(tmp_path / "out.jsonl"))
        first, *_ = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
        assert first["videos"][0] == f"{data.parent}/a.mp4"
        assert {*first} == {*clean.column_names}
        clean.to_parquet(str(tmp_path / "out.parquet"))
        assert Dataset.from_parquet(str(tmp_path / "out.parquet")).column_names == clean.column_names

    def test_the_default_stays(self, data: Path) -> None:
        plain = juicecap.load_dataset(str(data))
        assert ORIGIN in plain.column_names
        assert plain[1]["videos"] == ["sub/../a.mp4"]
        assert ORIGIN in TextLengthFilter(min_len=1).run(plain).column_names

    def test_broken_records_would_not_say_why(self, data: Path) -> None:
        with pytest.raises(DataError, match=r"^a clean dataset has no column that says why .*: leave out clean or keep_broken$"):
            juicecap.load_dataset(str(data), clean=True, keep_broken=True)


class TestReadAgain:
    @pytest.fixture(params=["again.jsonl", "again.json", "again.parquet"])
    def written(self, request: pytest.FixtureRequest, data: Path, tmp_path: Path) -> Path:
        """A file with the hidden column, in another folder."""
        file = tmp_path / "out" / request.param
        file.parent.mkdir()
        dataset = juicecap.load_dataset(str(data))
        if file.suffix == ".parquet":
            dataset.to_parquet(str(file))
        else:
            dataset.to_json(str(file), lines=file.suffix == ".jsonl", orient="records")
        return file

    def test_it_is_what_was_written(self, written: Path, data: Path) -> None:
        before, again = juicecap.load_dataset(str(data)), juicecap.load_dataset(str(written))
        assert again[:] == before[:]
        assert juicecap.load_dataset(str(written), clean=True)[:] == juicecap.load_dataset(str(data), clean=True)[:]

    def test_it_is_the_dataset_of_a_recipe(self, written: Path, data: Path, tmp_path: Path) -> None:
        recipe = tmp_path / "recipe.yaml"
        process = "process:\n  - text_length_filter: {min_len: 1}\n  - video_duration_filter:\n"
        recipe.write_text(f"dataset_path: {written}\nexport_path: {tmp_path}/result.jsonl\nmax_rejected: 1.0\n{process}")
        result = juicecap.run(recipe, limit=2)
        assert (result.samples, result.filtered, result.rejected) == (2, 0, 2)
        rejected = [json.loads(line) for line in (result.work_dir / "rejected.jsonl").read_text().splitlines()]
        assert [each["id"] for each in rejected] == ["data.jsonl:1", "data.jsonl:2"]
        assert rejected[1]["message"] == f"{data.parent}/sub/../a.mp4 does not exist"
        assert "n" not in rejected[0]["sample"]

    @pytest.mark.parametrize("origin", ['"x"', '{"id": "a"}', '{"id": 1, "folder": "", "missing": []}', "null"])
    def test_another_use_of_the_name_is_refused(self, origin: str, tmp_path: Path) -> None:
        file = tmp_path / "data.jsonl"
        file.write_text(f'{{"text": "a", "{ORIGIN}": {origin}}}\n')
        with pytest.raises(DataError, match=f"the name '{ORIGIN}' is reserved by juicecap"):
            juicecap.load_dataset(str(file))
