"""The key `exports`: what is wrong with an entry is told with its place, before anything is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from make_clips import write_clip

from juicecap.data.export.presets import PRESETS
from juicecap.data.export.settings import KINDS, SidecarExport, TableExport, bytes_of
from juicecap.errors import RecipeError
from juicecap.recipe import check, load_recipe
from juicecap.recipe.authoring.schema import recipe_schema
from juicecap.recipe.load import draft_recipe

TABLE: dict[str, Any] = {"to": "out/t.jsonl", "as": "table"}


def recipe(folder: Path, exports: Any, **keys: Any) -> Path:
    (folder / "data.jsonl").write_text('{"videos": ["a.mp4"], "caption": "c"}\n')
    path = folder / "recipe.yaml"
    settings = {"dataset_path": str(folder / "data.jsonl"), "exports": exports, "process": [], **keys}
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


def problems(folder: Path, exports: Any, **keys: Any) -> str:
    with pytest.raises(RecipeError) as raised:
        load_recipe(recipe(folder, exports, **keys))
    return str(raised.value)


@pytest.mark.parametrize(
    ("entry", "place", "sentence"),
    [
        ("text", "3:3", "an entry must be {to: …, as: …}, not 'text'"),
        ({"to": "x"}, "3:3", "an entry needs as (conversations, sidecar, table, webdataset) or for"),
        ({"to": "x", "as": "tabel"}, "4:7", "as must be one of conversations, sidecar, table, webdataset, not 'tabel'"),
        ({"to": "x", "for": "musubi-tuner"}, "4:8", "for must be one of ai_toolkit,"),
        ({"to": "x", "as": "table", "for": "musubi"}, "5:3", "as and for exclude each other: for chooses the writer too"),
        ({"as": "table"}, "3:3", "an export as table needs to: where it goes"),
        ({**TABLE, "colums": {}}, "5:3", "as: table has no option 'colums'"),
        ({**TABLE, "paths": "abs"}, "5:10", "paths must be auto | absolute | relative | as_written, not 'abs'"),
        ({"to": "out/t.txt", "as": "table"}, "3:7", "to: out/t.txt cannot be written: the suffix '.txt' is unknown."),
        ({"to": "s3://a/t.csv", "as": "table"}, "3:7", "to: juicecap exports to local paths only, not to s3://a/t.csv"),
        ({**TABLE, "columns": {"a": {"mesure": "fps"}}}, "7:7", "columns.a has 'mesure'; it must be media, caption,"),
        ({**TABLE, "columns": {"a": {"measure": "fpss"}}}, "7:7", "Did you mean fps?"),
        ({**TABLE, "columns": {"a": 7}}, "6:8", "columns.a must be a column's name or one of {media: true}"),
        ({**TABLE, "media": "link"}, "5:10", "media needs columns: without them the table has the dataset's own"),
        ({**TABLE, "shard_size": "1 elephant"}, "5:15", "shard_size must be a size such as 500MB or 1GB"),
        ({"to": "x", "as": "webdataset", "shard_size": 0}, "5:15", "shard_size must be at least 1"),
        ({"to": "x", "as": "table", "format": "lines"}, "5:11", "format: lines needs columns"),
        (
            {**TABLE, "columns": {"a": "b"}, "media": "link", "media_folder": "../x"},
            "8:17",
            "media_folder must be a folder beside the file",
        ),
        ({"to": "x", "as": "sidecar", "suffix": "txt"}, "5:11", "suffix must begin with a dot, as .txt does, not be 'txt'"),
        ({"to": "x", "as": "sidecar", "captions": "lines", "newlines": "keep"}, "6:13", "newlines: keep and captions"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_entry(tmp_path: Path, entry: Any, place: str, sentence: str) -> None:
    told = problems(tmp_path, [entry])
    assert sentence in told
    line, column = place.split(":")
    assert f"recipe.yaml:{line}:{int(column)}: exports: " in told, told


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    told = problems(tmp_path, [{**TABLE, "colums": {}}, {"to": "x", "for": "musbi"}, 7], seed="many")
    assert told.count("recipe.yaml:") == 4
    assert "did you mean 'columns'?" in told
    assert "did you mean 'musubi'?" in told
    assert "exports must be a list" in problems(tmp_path, {"to": "x"})


class TestPlaces:
    def test_two_exports_to_one_place(self, tmp_path: Path) -> None:
        exports = [{**TABLE, "to": f"{tmp_path}/t.jsonl"}, {"to": f"{tmp_path}/./t.jsonl", "as": "conversations"}]
        (problem,) = check(load_recipe(recipe(tmp_path, exports))).problems
        assert f"would replace what entry 1 of exports writes ({tmp_path}/t.jsonl); give another path" in problem.message
        assert (problem.line, problem.column) == (5, 7)

    @pytest.mark.parametrize(
        ("entry", "sentence"),
        [
            ({"to": "{}/out.jsonl", "as": "table"}, "would replace what export_path writes"),
            ({"to": "{}/data.jsonl", "as": "table"}, "is the dataset; the run would overwrite it"),
            ({"to": "{}/recipe.yaml", "as": "table", "format": "csv"}, "is the recipe; the run would overwrite it"),
            ({"to": "{}/out.run/manifest.json", "as": "table"}, "is where a run keeps its manifest.json"),
            ({"to": "{}/out.run/media", "as": "sidecar"}, "is where a run keeps its media"),
            ({"to": "{}", "as": "webdataset"}, "the run would overwrite it"),
        ],
    )
    def test_nothing_that_is_needed_is_replaced(self, tmp_path: Path, entry: dict, sentence: str) -> None:
        written = {**entry, "to": entry["to"].format(tmp_path)}
        found = check(load_recipe(recipe(tmp_path, [written], export_path=str(tmp_path / "out.jsonl")))).problems
        assert [each for each in found if sentence in each.message], found

    def test_two_texts_of_one_medium(self, tmp_path: Path) -> None:
        exports = [{"to": f"{tmp_path}/a", "as": "sidecar"}, {"to": f"{tmp_path}/a", "for": "finetrainers"}]
        (problem,) = [each for each in check(load_recipe(recipe(tmp_path, exports))).problems if "another export" in each.message]
        assert problem.message.startswith(f"exports: another export writes texts with the suffix .txt into {tmp_path}/a too")

    @pytest.mark.parametrize("read", [".txt", ["caption", "txt"]])
    def test_texts_that_are_read_are_not_written(self, tmp_path: Path, read: Any) -> None:
        (tmp_path / "clips").mkdir()
        write_clip(tmp_path / "clips" / "a.mp4", 4)
        path = recipe(
            tmp_path,
            [{"as": "sidecar", "media": "none"}, {"as": "sidecar", "media": "none", "suffix": ".new"}],
            dataset_path=str(tmp_path / "clips"),
            sidecar_suffix=read,
        )
        found = [each for each in check(draft_recipe(path).recipe).problems if "what sidecar_suffix reads" in each.message]
        assert [(each.message, each.line) for each in found] == [
            ("exports: texts with the suffix .txt beside the media are what sidecar_suffix reads", 3)
        ]

    @pytest.mark.parametrize(
        ("entry", "run_folder"),
        [
            ({"to": "out/train", "as": "sidecar"}, "out/train.run"),
            ({"to": "out/musubi", "for": "musubi"}, "out/musubi.run"),
            ({"to": "out/t.jsonl", "as": "table"}, "out/t.run"),
        ],
    )
    def test_the_run_folder_lies_beside_the_first(self, tmp_path: Path, entry: dict, run_folder: str) -> None:
        loaded = load_recipe(recipe(tmp_path, [entry, TABLE]))
        assert loaded.export_path is None
        assert loaded.work_dir == Path(run_folder)
        assert loaded.notices == ()

    def test_texts_beside_media_have_the_folder_of_the_dataset_as_their_place(self, tmp_path: Path) -> None:
        (export,) = load_recipe(recipe(tmp_path, [{"as": "sidecar", "media": "none"}])).exports
        assert export == SidecarExport(to=str(tmp_path), media="none")


class TestPresets:
    def test_they_are_in_order_and_nothing_but_options(self) -> None:
        assert list(PRESETS) == sorted(PRESETS)
        for preset in PRESETS.values():
            made = KINDS[preset.kind](to=f"out/{preset.file}", **preset.options)
            assert made.problems() == []

    def test_options_of_an_entry_win(self, tmp_path: Path) -> None:
        (export,) = load_recipe(
            recipe(tmp_path, [{"to": "out/m", "for": "musubi", "captions": "rows", "paths": "relative"}])
        ).exports
        assert isinstance(export, TableExport)
        assert (export.target, export.captions, export.paths, export.preset) == (
            Path("out/m/metadata.jsonl"),
            "rows",
            "relative",
            "musubi",
        )

    @pytest.mark.parametrize(
        ("trainer", "warned"),
        [("musubi", True), ("ltx", True), ("finetrainers", True), ("cogvideo", False), ("simpletuner", False)],
    )
    def test_check_tells_where_several_captions_are_lost(self, tmp_path: Path, trainer: str, warned: bool) -> None:
        op = {
            "video_captioning_from_vlm_mapper": {
                "caption_num": 3,
                "keep_candidate_mode": "all",
                "caption_field": "caption",
                "hf_model": "juicecap-demo-vlm",
                "sampling_params": {"temperature": 1.0},
            }
        }
        path = recipe(tmp_path, [{"to": "out/m", "for": trainer}], process=[op])
        warnings = [each.message for each in check(load_recipe(path)).warnings if "keeps one caption" in each.message]
        assert warnings == (
            [f"exports: {trainer} keeps one caption of a clip, and keep_candidate_mode: all gives 3"] if warned else []
        )


def test_an_edit_of_exports_changes_no_step(tmp_path: Path) -> None:
    one = load_recipe(recipe(tmp_path, [TABLE], process=[{"text_length_filter": {}}]))
    other = load_recipe(recipe(tmp_path, [{**TABLE, "columns": {"a": "caption"}}], process=[{"text_length_filter": {}}]))
    assert [step.op.fingerprint() for step in one.steps] == [step.op.fingerprint() for step in other.steps]


@pytest.mark.parametrize(
    ("text", "size"), [("1GB", 10**9), ("500 mb", 5 * 10**8), ("2k", 2000), (7, 7), ("7", 7), ("1TB", 10**12)]
)
def test_sizes(text: str | int, size: int) -> None:
    assert bytes_of(text) == size


class TestSchema:
    schema = recipe_schema()

    def test_the_entries_of_the_docs_fit(self) -> None:
        text = """
        exports:
          - {to: out/train, as: sidecar, caption: caption, media: link, newlines: space, captions: first, suffix: .txt}
          - {to: out/m/metadata.jsonl, as: table, columns: {video_path: {media: true}, caption: caption}, paths: absolute}
          - {to: out/vlm/train.json, as: conversations, style: llava, token: <video>, media_as: text}
          - {to: out/shards, as: webdataset, shard_size: 1GB}
          - {to: out/musubi2, for: musubi}
        process: []
        """
        jsonschema.validate(yaml.safe_load(text), self.schema)

    @pytest.mark.parametrize(
        "entry", [{"to": "x", "as": "tabel"}, {"to": "x", "for": "nobody"}, {"to": "x", "as": "table", "colums": {}}]
    )
    def test_others_do_not(self, entry: dict) -> None:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"exports": [entry], "process": []}, self.schema)

    def test_it_is_json(self) -> None:
        assert "exports" in json.loads(json.dumps(self.schema))["properties"]
