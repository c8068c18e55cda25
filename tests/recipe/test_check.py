"""A recipe against data and disk."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import Dataset

from juicecap import load_dataset
from juicecap.data.source.tables.peek import ROWS
from juicecap.ops.mapper.video_captioning_from_vlm_mapper import ORIGINAL_STAYS
from juicecap.recipe import Recipe, Report, load_recipe
from juicecap.recipe import check as whole_check
from juicecap.recipe.problems import render

Load = Callable[..., Recipe]
OPS = "  - video_captioning_from_vlm_mapper:\n"


def check(recipe: Recipe, **options: float) -> Report:
    """A report without the advice about originals, which every recipe here gets that leaves the op as it is."""
    report = whole_check(recipe, **options)
    return replace(report, warnings=tuple(each for each in report.warnings if ORIGINAL_STAYS not in each.message))


def recipe_text(*, data: str = "clips.jsonl", export: str = "out/captions.jsonl", ops: str = OPS) -> str:
    return f"dataset_path: {data}\nexport_path: {export}\nprocess:\n{ops}"


def write_rows(path: str, *rows: Mapping[str, object]) -> None:
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))


def problems_of(recipe: Recipe) -> str:
    return render(check(recipe).problems, recipe.source.text)


@pytest.fixture
def clips(load: Load) -> None:
    """Two rows, the media of both at hand."""
    Path("videos").mkdir()
    Path("videos/a.mp4").touch()
    write_rows("clips.jsonl", {"videos": ["videos/a.mp4"], "text": "a"}, {"videos": ["videos/a.mp4"], "caption": "b"})


@pytest.mark.usefixtures("clips")
def test_nothing_is_wrong(load: Load) -> None:
    report = check(load(recipe_text()))
    assert (report.problems, report.warnings, report.unseen) == ((), (), ())
    assert (report.looked_at_rows, report.all_rows_looked_at) == (2, True)
    assert not Path("out").exists()


@pytest.mark.usefixtures("clips")
@pytest.mark.parametrize(
    ("data", "report"),
    [
        (
            "clip.jsonl",
            """\
recipe.yaml:1:15: dataset_path: clip.jsonl does not exist. Give a dataset file, a folder, or a Hub name such as org/name.
    1 | dataset_path: clip.jsonl
      |               ^^^^^^^^^^
   did you mean 'clips.jsonl'?""",
        ),
        (
            "videos/b",
            """\
recipe.yaml:1:15: dataset_path: videos/b does not exist, and no dataset on the Hub is meant, since videos is a folder here
    1 | dataset_path: videos/b
      |               ^^^^^^^^""",
        ),
        (
            "0.5 clips.jsonl 0.5 more.jsonl",
            """\
recipe.yaml:1:15: dataset_path: more.jsonl does not exist. Give a dataset file, a folder, or a Hub name such as org/name.
    1 | dataset_path: 0.5 clips.jsonl 0.5 more.jsonl
      |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^""",
        ),
        (
            '"a\\0b"',
            """\
recipe.yaml:1:15: dataset_path: a\\x00b cannot be a path: it holds a null character.
    1 | dataset_path: "a\\0b"
      |               ^^^^^^""",
        ),
        (
            "a" * 70 * 70,
            f"""\
recipe.yaml:1:15: dataset_path cannot be looked at: File name too long
    1 | dataset_path: {"a" * 106}…
      |               {"^" * 107}""",
        ),
        (
            "",
            """\
recipe.yaml:1:1: dataset_path is missing: a dataset file, a folder of videos, or the name of a dataset on the Hub
    1 | dataset_path: \n      | ^^^^^^^^^^^^""",
        ),
    ],
)
def test_a_dataset_that_is_not_there(data: str, report: str, load: Load) -> None:
    assert problems_of(load(recipe_text(data=data))) == report


@pytest.mark.usefixtures("clips")
@pytest.mark.parametrize(
    ("export", "report"),
    [
        (
            "out/captions.jsnl",
            """\
recipe.yaml:2:14: export_path: out/captions.jsnl cannot be written: the suffix '.jsnl' is unknown. Use one of: csv, json, jsonl, parquet.
    2 | export_path: out/captions.jsnl
      |              ^^^^^^^^^^^^^^^^^
   did you mean '.jsonl'?""",  # noqa: E501  (the report's own lines)
        ),
        (
            "./clips.jsonl",
            """\
recipe.yaml:2:14: export_path: clips.jsonl is the dataset; the run would overwrite it
    2 | export_path: ./clips.jsonl
      |              ^^^^^^^^^^^^^""",
        ),
        (
            "clips.jsonl/captions.jsonl",
            """\
recipe.yaml:2:14: export_path: clips.jsonl is a file, not a folder
    2 | export_path: clips.jsonl/captions.jsonl
      |              ^^^^^^^^^^^^^^^^^^^^^^^^^^""",
        ),
        (
            "s3://bucket/captions.jsonl",
            """\
recipe.yaml:2:14: export_path: juicecap exports to local paths only, not to s3://bucket/captions.jsonl
    2 | export_path: s3://bucket/captions.jsonl
      |              ^^^^^^^^^^^^^^^^^^^^^^^^^^""",
        ),
    ],
)
def test_an_export_that_cannot_be(export: str, report: str, load: Load) -> None:
    assert problems_of(load(recipe_text(export=export))) == report


@pytest.mark.usefixtures("clips")
def test_an_export_in_shards_over_a_folder_with_other_files(load: Load) -> None:
    Path("out").mkdir()
    recipe = recipe_text(export="out.jsonl") + "export_shard_size: 1000\n"
    assert problems_of(load(recipe)) == ""
    Path("out/notes.txt").write_text("mine")
    assert (
        "recipe.yaml:2:14: export_path: out cannot be written: it holds notes.txt, which is no part of an export in shards. "
        "Give another path, or move what is in that folder."
    ) in problems_of(load(recipe))


@pytest.mark.usefixtures("clips")
def test_an_export_over_a_folder(load: Load) -> None:
    Path("out.jsonl").mkdir()
    assert problems_of(load(recipe_text(export="out.jsonl"))) == (
        "recipe.yaml:2:14: export_path: out.jsonl is a folder; give the path of a file\n"
        "    2 | export_path: out.jsonl\n"
        "      |              ^^^^^^^^^"
    )


@pytest.mark.usefixtures("clips")
def test_export_type_stands_in_for_the_suffix(load: Load) -> None:
    assert problems_of(load(recipe_text(export="out/captions.txt") + "export_type: jsonl\n")) == ""


@pytest.mark.usefixtures("clips")
def test_formulas_in_a_csv_are_told_once_unless_the_recipe_says_what_becomes_of_them(load: Load) -> None:
    def told(export: str, more: str = "") -> list[str]:
        report = check(load(recipe_text(export=export) + more))
        assert report.problems == ()
        return [str(each) for each in report.warnings if "formula" in each.message]

    (warning,) = told("out.csv")
    assert warning == (
        "recipe.yaml:2:14: export_path: a spreadsheet runs cells of a CSV that begin with =, +, - or @ as formulas; "
        "export_csv_formulas: escape puts an apostrophe in front of them, and raw leaves them as they are"
    )
    assert told("out.jsonl", "export_type: csv\n") == [warning.replace("out.csv", "out.jsonl")]
    assert told("out.csv", "export_shard_size: 1000\n") == [warning]
    for quiet in (
        told("out.csv", "export_csv_formulas: raw\n"),
        told("out.csv", "export_csv_formulas: escape\n"),
        told("out.jsonl"),
    ):
        assert quiet == []


@pytest.mark.usefixtures("clips")
def test_a_work_dir_that_is_a_file(load: Load) -> None:
    assert problems_of(load(recipe_text() + "work_dir: clips.jsonl\n")) == (
        "recipe.yaml:5:11: work_dir: clips.jsonl is a file, not a folder\n"
        "    5 | work_dir: clips.jsonl\n"
        "      |           ^^^^^^^^^^^"
    )


@pytest.mark.usefixtures("clips")
def test_a_column_that_the_data_lacks(load: Load) -> None:
    assert problems_of(load(recipe_text(ops=OPS + "      prompt_key: txt\n"))) == (
        """\
recipe.yaml:5:19: video_captioning_from_vlm_mapper[1]: the data has no column 'txt', which prompt_key names; it has videos, text, caption
    5 |       prompt_key: txt
      |                   ^^^
   did you mean 'text'?"""  # noqa: E501  (the report's own lines)
    )


@pytest.mark.usefixtures("clips")
def test_a_column_that_the_recipe_names_for_all_ops_is_reported_there(load: Load) -> None:
    assert problems_of(load(recipe_text() + "video_key: video\n")) == (
        """\
recipe.yaml:5:12: video_captioning_from_vlm_mapper[1]: the data has no column 'video', which video_key names; it has videos, text, caption
    5 | video_key: video
      |            ^^^^^
   did you mean 'videos'?"""  # noqa: E501  (the report's own lines)
    )


def test_a_column_by_default_is_reported_at_the_op(load: Load) -> None:
    write_rows("clips.jsonl", {"video": "a.mp4"})
    assert problems_of(load(recipe_text())) == (
        """\
recipe.yaml:4:5: video_captioning_from_vlm_mapper[1]: the data has no column 'videos', which video_key names; it has video
    4 |   - video_captioning_from_vlm_mapper:
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   did you mean 'video'?"""
    )


@pytest.mark.usefixtures("clips", "label_filter")
def test_a_column_that_an_earlier_op_writes_is_there_for_later_ops_only(load: Load) -> None:
    writer, reader = OPS + "      caption_field: captions_of\n", "  - label_filter: {label_key: captions_of}\n"
    assert problems_of(load(recipe_text(ops=writer + reader))) == ""
    assert problems_of(load(recipe_text(ops=reader + writer))).startswith(
        "recipe.yaml:4:31: label_filter[1]: the data has no column 'captions_of', which label_key names"
    )


def test_missing_media_are_a_warning(load: Load) -> None:
    Path("a.mp4").touch()
    Path("folder.mp4").mkdir()
    rows: list[Mapping[str, object]] = [
        {"videos": ["a.mp4", "b.mp4"]},
        {"videos": "folder.mp4"},
        {"videos": 7},
        {"text": "none"},
        {"videos": ["a.mp4"]},
    ]
    write_rows("clips.jsonl", *rows)
    report = check(load(recipe_text()))
    assert report.problems == ()
    assert [str(each) for each in report.warnings] == [
        "3 of 5 entries looked at in column 'videos' cannot be used; "
        f"clips.jsonl:1: {Path.cwd()}/b.mp4 does not exist; clips.jsonl:2: {Path.cwd()}/folder.mp4 is a folder, not a file, "
        "and no film either: it holds no pictures; "
        "clips.jsonl:3: column 'videos' holds 7, not a path or a list of paths. A run rejects such samples."
    ]


def test_a_folder_of_numbered_pictures_is_a_film_and_no_picture(load: Load) -> None:
    Path("film").mkdir()
    for number in range(3):
        Path(f"film/{number}.png").touch()
    write_rows("clips.jsonl", {"videos": ["film"]})
    assert check(load(recipe_text())).warnings == ()
    write_rows("clips.jsonl", {"image": ["film"]})
    ops = "  - image_caption_generator:\n      system_prompt: S\n"
    assert f"clips.jsonl:1: {Path.cwd()}/film is not a file" in problems_of(load(recipe_text(ops=ops)))


def test_a_part_of_a_film_is_no_missing_file(load: Load) -> None:
    Path("a.mp4").touch()
    write_rows("clips.jsonl", *({"videos": [each]} for each in ("a.mp4#t=1,2", "b.mp4#t=1,2", "a.mp4#t=2,1")))
    where = f"{Path.cwd()}/a.mp4#t=2,1"
    assert [each.message for each in check(load(recipe_text())).warnings] == [
        f"1 of 3 entries looked at in column 'videos' cannot be used; clips.jsonl:2: {Path.cwd()}/b.mp4 does not exist. "
        "A run rejects such samples.",
        "video_captioning_from_vlm_mapper[1]: 1 of 3 rows looked at would be rejected; the first: clips.jsonl:3: "
        f"BAD_FRAGMENT: {where} ends before it begins: the second time is not later than the first one",
    ]


def test_of_many_missing_media_the_first_are_told(load: Load) -> None:
    Path("a.mp4").touch()
    write_rows("clips.jsonl", {"videos": ["a.mp4"]}, *({"videos": [f"{number}.mp4"]} for number in range(50)))
    (warning,) = check(load(recipe_text()), budget=10).warnings
    assert warning.message == (
        "50 of 51 entries looked at in column 'videos' cannot be used; "
        f"the first: clips.jsonl:2: {Path.cwd()}/0.mp4 does not exist; clips.jsonl:3: {Path.cwd()}/1.mp4 does not exist; "
        f"clips.jsonl:4: {Path.cwd()}/2.mp4 does not exist; and 47 more. A run rejects such samples."
    )


def test_media_are_relative_to_the_dataset_file(load: Load) -> None:
    Path("data").mkdir()
    Path("data/a.mp4").touch()
    write_rows("data/clips.jsonl", {"videos": ["a.mp4"]})
    assert check(load(recipe_text(data="data/clips.jsonl"))).warnings == ()


def test_csv_and_json_are_looked_into(load: Load) -> None:
    Path("a.mp4").touch()
    Path("clips.csv").write_text("videos,text\na.mp4,x\nb.mp4,y\n")
    Path("clips.json").write_text('[{"videos": ["a.mp4"]}, {"videos": ["c.mp4"]}]')
    for data, name in (("clips.csv", "b.mp4"), ("clips.json", "c.mp4")):
        report = check(load(recipe_text(data=data)))
        assert (report.looked_at_rows, report.all_rows_looked_at, len(report.warnings)) == (2, True, 1)
        assert f"{Path.cwd()}/{name} does not exist" in report.warnings[0].message


def test_a_dataset_without_rows_is_a_problem(load: Load) -> None:
    Path("clips.jsonl").write_text("\n")
    assert problems_of(load(recipe_text())) == (
        "recipe.yaml:1:15: dataset_path: clips.jsonl has no rows\n"
        "    1 | dataset_path: clips.jsonl\n"
        "      |               ^^^^^^^^^^^"
    )


@pytest.mark.usefixtures("clips")
@pytest.mark.parametrize(
    ("export", "message"),
    [
        ('"a\\0b.jsonl"', "export_path: a\\x00b.jsonl cannot be a path: it holds a null character."),
        ("a" * 300 + ".jsonl", "export_path cannot be looked at: File name too long"),
        (".", "export_path: . cannot be written: the suffix '' is unknown. Use one of: csv, json, jsonl, parquet."),
    ],
)
def test_an_export_path_that_no_system_takes(export: str, message: str, load: Load) -> None:
    assert [each.message for each in check(load(recipe_text(export=export))).problems][:1] == [message]


def test_broken_rows_are_a_warning_and_nothing_but_broken_rows_a_problem(load: Load) -> None:
    Path("a.mp4").touch()
    Path("clips.jsonl").write_text('{"videos": ["a.mp4"]}\n{"videos": [}\n')
    report = check(load(recipe_text()))
    assert report.problems == ()
    assert [str(each).partition(":2: ")[0] for each in report.warnings] == [
        "1 of 2 rows looked at cannot be read; the first: clips.jsonl"
    ]
    Path("clips.jsonl").write_text('{"videos": [}\n')
    assert problems_of(load(recipe_text())).startswith(
        "1 of 1 rows looked at cannot be read; the first: clips.jsonl:1: not valid"
    )


def test_what_there_is_no_time_for_is_said_and_proves_nothing(load: Load) -> None:
    write_rows("clips.jsonl", {"videos": ["a.mp4"]}, {"videos": ["b.mp4"], "prompt": "Why?"})
    report = check(load(recipe_text(ops=OPS + "      prompt_key: prompt\n")), budget=0)
    assert report.problems == ()
    assert (report.looked_at_rows, report.all_rows_looked_at) == (1, False)
    assert report.unseen == ("only the first row of clips.jsonl could be looked at in the time there was",)
    assert report.warnings[0].message == (
        "video_captioning_from_vlm_mapper[1]: the data has no column 'prompt', which prompt_key names; it has videos, "
        "going by the first row"
    )
    assert report.warnings[0].line == 5


def test_a_header_tells_the_columns_of_all_rows(load: Load) -> None:
    Path("clips.csv").write_text("videos\na.mp4\nb.mp4\n")
    report = check(load(recipe_text(data="clips.csv", ops=OPS + "      prompt_key: prompt\n")), budget=0)
    assert [each.line for each in report.problems] == [5]


def test_the_budget_is_kept(load: Load) -> None:
    write_rows("clips.jsonl", *({"videos": [f"{number}.mp4"]} for number in range(200_000)))
    recipe = load(recipe_text())
    report = check(recipe, budget=0.05)
    assert 0 < report.looked_at_rows < 200_000
    assert not report.all_rows_looked_at


def test_what_is_not_looked_into_is_said(load: Load) -> None:
    assert check(load(recipe_text(data="org/name"))).unseen == (
        "org/name was not looked at: no such path is here, so it is taken for a dataset on the Hub",
    )


@pytest.mark.usefixtures("clips")
def test_of_a_mixture_what_is_here_is_looked_into(load: Load) -> None:
    recipe = load(recipe_text(data="0.5 clips.jsonl 0.5 org/name", ops=OPS + "      prompt_key: prompt\n"))
    report = check(recipe)
    assert report.unseen == ("org/name was not looked at: no such path is here, so it is taken for a dataset on the Hub",)
    assert (report.looked_at_rows, report.all_rows_looked_at, report.problems) == (2, False, ())
    assert report.warnings[0].message == (
        "video_captioning_from_vlm_mapper[1]: the data has no column 'prompt', which prompt_key names; it has videos, text, "
        "caption, going by the first 2 rows"
    )


@pytest.mark.usefixtures("clips")
def test_a_folder_of_videos_has_one_column(load: Load) -> None:
    ops = OPS + "      prompt_key: prompt\n"
    report = check(load(recipe_text(data="videos")))
    assert (report.problems, report.looked_at_rows, report.unseen) == ((), 1, ())
    assert "has no column 'prompt', which prompt_key names; it has videos" in problems_of(
        load(recipe_text(data="videos", ops=ops))
    )


def test_a_prompt_with_braces_of_an_op_that_takes_it_as_it_is(load: Load) -> None:
    Path("a.mp4").touch()
    write_rows("clips.jsonl", {"videos": ["a.mp4"], "title": "x"})
    report = check(load(recipe_text(ops=OPS + "      prompt: What has {title} to do with it?\n")))
    assert [str(each) for each in report.warnings] == [
        "recipe.yaml:5:15: video_captioning_from_vlm_mapper[1]: prompt is sent as it is, '{title}' too; "
        "prompt_key names a column with a prompt for each sample"
    ]
    assert check(load(recipe_text(ops=OPS + "      prompt: 'Answer as JSON: {\"caption\": …}'\n"))).warnings == ()


def test_some_rows_without_a_text_to_compare_with_are_a_warning(load: Load) -> None:
    Path("a.mp4").touch()
    write_rows("clips.jsonl", {"videos": ["a.mp4"], "text": "a cat"}, {"videos": ["a.mp4"], "text": ""})
    ops = OPS + "      caption_num: 2\n      keep_candidate_mode: similar_one_simhash\n"
    report = check(load(recipe_text(ops=ops)))
    assert report.problems == ()
    assert [str(each) for each in report.warnings] == [
        "recipe.yaml:6:28: video_captioning_from_vlm_mapper[1]: similar_one_simhash has no text to compare captions with "
        "in 1 of 2 rows looked at; the first: clips.jsonl:2"
    ]


def test_frames_that_do_not_fit_in_full_hd_are_a_warning(load: Load) -> None:
    Path("a.mp4").touch()
    write_rows("clips.jsonl", {"videos": ["a.mp4"]})
    ops = OPS + "      hf_model: Qwen/Qwen2.5-VL-7B-Instruct\n      model_params: {cache_dir: none}\n"
    (warning,) = check(load(recipe_text(ops=ops))).warnings
    assert warning.message == (
        "video_captioning_from_vlm_mapper[1]: 768 frames of 1920x1080 have 1,033,344 tokens, and with max_tokens 512 that is "
        "more than the model's 128,000; samples that are too long are rejected. "
        "94 such frames fit: set max_frames or max_pixels"
    )
    assert check(load(recipe_text(ops=ops + "      max_pixels: 200000\n"))).warnings == ()
    assert check(load(recipe_text(ops=ops.replace("2.5", "3")))).warnings == ()


def test_a_parameter_that_may_be_one_of_a_config_which_is_not_here_is_a_doubt(load: Load) -> None:
    Path("a.mp4").touch()
    write_rows("clips.jsonl", {"videos": ["a.mp4"]})
    ops = OPS + "      hf_model: juicecap-tests/no-such-model\n      model_params: {cache_dir: none, dtyp: float32}\n"
    report = check(load(recipe_text(ops=ops)))
    assert report.problems == ()
    assert [each.message for each in report.warnings] == [
        "video_captioning_from_vlm_mapper[1]: model_params: the hf backend has no parameter 'dtyp' (did you mean 'dtype'?)"
    ]


def test_media_for_which_there_is_no_time_are_said_and_prove_nothing(load: Load) -> None:
    write_rows("clips.jsonl", {"videos": [f"{number}.mp4" for number in range(100)]})
    report = check(load(recipe_text()), budget=0)
    assert report.problems == ()
    assert report.unseen == ("only 1 entries of column 'videos' could be looked for in the time there was",)


@pytest.mark.parametrize("allowed", [True, False])
def test_addresses_are_not_looked_for_on_the_disk(tmp_path: Path, allowed: bool) -> None:
    (tmp_path / "d.jsonl").write_text('{"videos": ["https://me:secret@a.test/v.mp4?sig=key", "v.mp4"]}\n')
    (tmp_path / "v.mp4").write_bytes(b"x")
    (tmp_path / "recipe.yaml").write_text(
        f"dataset_path: {tmp_path}/d.jsonl\nexport_path: {tmp_path}/o.jsonl\nallow_remote: {str(allowed).lower()}\n"
        "process:\n- video_duration_filter:\n"
    )
    report = check(load_recipe(tmp_path / "recipe.yaml"))
    said = " ".join(each.message for each in (*report.problems, *report.warnings))
    assert ("https://…a.test/v.mp4?… is an address, and remote media are off (allow_remote)" in said) is not allowed
    assert "secret" not in said


def test_a_key_that_is_not_here_is_a_warning(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.mp4").touch()
    write_rows("clips.jsonl", {"videos": ["a.mp4"]})
    ops = OPS + "      hf_model: gpt\n      backend: openai\n      api_key_env: MY_KEY\n"
    monkeypatch.delenv("MY_KEY", raising=False)
    report = check(load(recipe_text(ops=ops)))
    assert report.problems == ()
    assert [str(each) for each in report.warnings] == [
        "recipe.yaml:7:20: video_captioning_from_vlm_mapper[1]: the environment variable MY_KEY, which api_key_env names, "
        "is not set: put the server's key into it"
    ]
    monkeypatch.setenv("MY_KEY", "sk-1")
    assert check(load(recipe_text(ops=ops))).warnings == ()


def test_it_looks_into_saved_datasets(load: Load) -> None:
    Path("a.mp4").touch()
    Dataset.from_dict({"videos": ["a.mp4", "b.mp4"], "text": ["x", None]}).save_to_disk("saved")
    report = check(load(recipe_text(data="saved")))
    assert (report.problems, report.unseen, report.looked_at_rows, report.all_rows_looked_at) == ((), (), 2, True)
    assert [each.message for each in report.warnings] == [
        f"1 of 2 entries looked at in column 'videos' cannot be used; saved:2: {Path.cwd()}/b.mp4 does not exist. "
        "A run rejects such samples."
    ]
    Dataset.from_dict({"video": ["b.mp4", "c.mp4"]}).save_to_disk("other")
    assert "the data has no column 'videos', which video_key names; it has video" in problems_of(load(recipe_text(data="other")))
    assert "all 2 entries in column 'video' cannot be used; other:1: " in problems_of(
        load(recipe_text(data="other", ops=OPS + "      video_key: video\n"))
    )
    next(Path("saved").glob("*.arrow")).write_bytes(b"x")
    assert "saved is damaged" in problems_of(load(recipe_text(data="saved")))


def test_saved_rows_are_looked_for_where_they_came_from(load: Load) -> None:
    Path("data").mkdir()
    Path("data/a.mp4").touch()
    write_rows("data/clips.jsonl", {"videos": ["a.mp4"], "n": 1}, {"videos": ["a.mp4"], "n": {"x": 2}})
    load_dataset("data/clips.jsonl", cache_folder=Path("cache")).save_to_disk("far/saved")
    report = check(load(recipe_text(data="far/saved", ops=OPS + "      prompt_key: n.x\n")))
    assert (report.problems, report.warnings, report.looked_at_rows) == ((), (), 2)


@pytest.mark.parametrize("save", [Dataset.save_to_disk, Dataset.to_parquet])
def test_columns_in_objects_are_known_beyond_the_first_rows(load: Load, save: Callable[[Dataset, str], object]) -> None:
    rows = [{"media": None}] * ROWS + [{"media": {"video": "a.mp4"}}]
    save(Dataset.from_list(rows[::-1]).select(range(ROWS, -1, -1)), "clips.parquet")
    report = check(load(recipe_text(data="clips.parquet", ops=OPS + "      video_key: media.video\n")))
    assert (report.problems, report.looked_at_rows, report.all_rows_looked_at) == ((), ROWS, False)
    problems = problems_of(load(recipe_text(data="clips.parquet", ops=OPS + "      video_key: media.vide\n")))
    assert "did you mean 'media.video'?" in problems


def test_it_looks_into_metadata_in_parquet(load: Load) -> None:
    Path("data").mkdir()
    Path("data/a.mp4").touch()
    Dataset.from_dict({"clip": ["a.mp4", "b.mp4"]}).to_parquet("data/metadata.parquet")
    report = check(load(recipe_text(data="data")))
    assert (report.problems, report.unseen, report.looked_at_rows, report.all_rows_looked_at) == ((), (), 2, True)
    assert f"data/metadata.parquet:2: {Path.cwd()}/data/b.mp4 does not exist" in report.warnings[0].message
    assert "it has clip, videos" in problems_of(load(recipe_text(data="data", ops=OPS + "      prompt_key: prompt\n")))


def test_it_looks_into_parquet(load: Load) -> None:
    Path("a.mp4").touch()
    rows = {"videos": [["a.mp4"], ["b.mp4"]], "score": [float("nan"), 1.0]}
    Dataset.from_dict(rows).to_parquet("clips.parquet")
    report = check(load(recipe_text(data="clips.parquet")))
    assert (report.problems, report.unseen, report.looked_at_rows, report.all_rows_looked_at) == ((), (), 2, True)
    (warning,) = report.warnings
    assert warning.message == (
        f"1 of 2 entries looked at in column 'videos' cannot be used; clips.parquet:2: {Path.cwd()}/b.mp4 does not exist. "
        "A run rejects such samples."
    )
    Dataset.from_dict({"film": ["a.mp4"]}).to_parquet("other.parquet")
    assert "the data has no column 'videos', which video_key names; it has film" in problems_of(
        load(recipe_text(data="other.parquet"))
    )
    Path("broken.parquet").write_bytes(b"PAR1")
    assert "broken.parquet cannot be read as Parquet" in problems_of(load(recipe_text(data="broken.parquet")))


def test_media_that_lie_in_parquet_are_not_sought_on_the_disk(load: Load) -> None:
    Dataset.from_dict({"videos": [{"bytes": b"film", "path": "a.mp4"}]}).to_parquet("clips.parquet")
    report = check(load(recipe_text(data="clips.parquet")))
    assert (report.problems, report.warnings, report.looked_at_rows) == ((), (), 1)


def test_it_looks_into_shards(load: Load) -> None:
    with tarfile.open("clips.tar", "w") as tar:
        for name in ("a.txt", "b.txt"):
            tar.addfile(tarfile.TarInfo(name))
    assert "the data has no column 'videos', which video_key names; it has __key__, txt" in problems_of(
        load(recipe_text(data="clips.tar"))
    )


def test_samples_that_a_parameter_does_not_fit_are_a_problem(load: Load) -> None:
    for name in "ab":
        Path(f"{name}.mp4").touch()
    write_rows("clips.jsonl", {"videos": ["a.mp4"]}, {"videos": ["a.mp4", "b.mp4"]})
    recipe = load(recipe_text(ops=f"{OPS}      caption_field: caption\n      caption_as: text\n"))
    report = check(recipe)
    assert report.warnings == ()
    assert problems_of(recipe).startswith(
        "recipe.yaml:6:19: video_captioning_from_vlm_mapper[1]: caption_as: text takes samples with one video, and there are "
        "more: set caption_as: list in 1 of 2 rows looked at; the first: clips.jsonl:2\n"
    )


def test_an_old_answer_that_would_stay_is_a_warning(load: Load) -> None:
    Path("a.mp4").touch()
    talk = [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "old"}]
    write_rows("clips.jsonl", {"video": "a.mp4", "conversation": talk})
    recipe = load(recipe_text(ops="  - video_to_caption_generator:\n"))
    assert [each.message.partition(" puts")[0] for each in check(recipe).warnings] == [
        "video_to_caption_generator[1]: the old answer stays behind the new prompt, and a trainer would learn it: "
        "conversation_answer: replace"
    ]
    assert check(recipe).problems == ()


def test_texts_beside_media(load: Load) -> None:
    Path("clips").mkdir()
    for name in "ab":
        Path(f"clips/{name}.mp4").touch()
    Path("clips/a.txt").write_text("What does the cat do?")
    ops = f"{OPS}      prompt_key: txt\n      caption_field: caption\n      caption_as: text\n"
    recipe = load(recipe_text(data="clips", ops=ops) + "sidecar_suffix: .txt\n")
    assert (check(recipe).problems, check(recipe).warnings, check(recipe).unseen) == ((), (), ())
    recipe = load(recipe_text(data="clips", ops=OPS) + "sidecar_suffix: [txt, .caption]\n")
    assert [each.message for each in check(recipe).warnings] == [
        "sidecar_suffix: none of 2 media looked at has a text '.caption' beside it"
    ]
    assert "the data has no column 'txt', which prompt_key names" in problems_of(load(recipe_text(data="clips", ops=ops)))


@pytest.mark.parametrize(
    ("data", "suffix", "message"),
    [
        ("clips", ".mov", "recipe.yaml:5:17: sidecar_suffix: '.mov' is a suffix of media. Give that of the texts, such as .txt."),
        ("clips", "a/b", "recipe.yaml:5:17: sidecar_suffix: '.a/b' is no suffix of a file. Give one such as .txt, .caption or"),
        (
            "clips.jsonl",
            ".txt",
            "recipe.yaml:5:1: sidecar_suffix is for texts beside the media of a folder, and clips.jsonl is a dataset of records",
        ),
    ],
)
def test_what_texts_beside_media_cannot_be(load: Load, data: str, suffix: str, message: str) -> None:
    Path("clips").mkdir()
    Path("clips/a.mp4").touch()
    write_rows("clips.jsonl", {"videos": ["clips/a.mp4"]})
    assert problems_of(load(recipe_text(data=data) + f"sidecar_suffix: {suffix}\n")).startswith(message)


@pytest.mark.usefixtures("clips")
def test_originals_that_stay_are_told_unless_the_recipe_says_so(load: Load) -> None:
    assert [str(each) for each in whole_check(load(recipe_text())).warnings] == [
        f"recipe.yaml:4:5: video_captioning_from_vlm_mapper[1]: {ORIGINAL_STAYS} in 2 of 2 rows looked at; "
        "the first: clips.jsonl:1"
    ]
    for more in ("keep_original_sample: true", "keep_original_sample: false", "caption_field: caption"):
        assert whole_check(load(recipe_text(ops=f"{OPS}      {more}\n"))).warnings == ()
