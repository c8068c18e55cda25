"""`juicecap check` as a command. What it finds stands in `tests/recipe/test_check_broken.py`."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
from make_clips import write_clip
from scripted import Clips

from juicecap.cli import main
from juicecap.ops.filter.video_duration_filter import VideoDurationFilter
from juicecap.recipe import check, load_recipe
from juicecap.recipe.checks import dataset_scan
from juicecap.recipe.checks.media_probe import MediaProbe
from juicecap.vlm import catalog
from juicecap.vlm.installed import install_command

ROOT = Path(__file__).parent.parent.parent


def test_json_of_a_recipe_without_problems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data.jsonl").write_text('{"text": "a", "videos": ["no.mp4"]}\n{"text": "b"}\n')
    Path("recipe.yaml").write_text(
        "dataset_path: data.jsonl\nexport_path: out.jsonl\nnp: 8\nprocess:\n  - video_duration_filter:\n  - text_length_filter:\n"
    )
    assert main(["check", "recipe.yaml", "--json", "--set", "max_rejected=1.0", "--set", "text_length_filter.min_len=1"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [each["message"] for each in found["problems"]] == [
        f"dataset_path: the one entry in column 'videos' cannot be used; data.jsonl:1: {tmp_path}/no.mp4 does not exist"
    ]
    Path("no.mp4").touch()
    assert main(["check", "recipe.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "recipe": "recipe.yaml",
        "ok": True,
        "problems": [],
        "warnings": [],
        "notices": ["'np' has no effect: decoding uses every core, and the other ops run in this process"],
        "ops": ["video_duration_filter", "text_length_filter"],
        "rows": 2,
        "all_rows": True,
        "libraries": [],
    }


def test_json_of_what_is_no_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], [each["message"] for each in found["problems"]]) == (False, ["is a folder, not a recipe"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the recipe is empty"),
        (b"- 1\n", "the recipe is a list"),
        (b"a: " + b"x" * 10_000_000, "is larger than 1,000,000 bytes; that is no recipe"),
        (b"dataset_path: caf\xe9\n", "the byte 0xe9 is not UTF-8"),
        (b"a: &a [*a]\n", "this value contains itself through an alias"),
    ],
)
@pytest.mark.parametrize("verb", ["check", "plan", "preview", "run"])
def test_no_verb_shows_a_traceback_for_what_is_no_recipe(
    content: bytes, said: str, verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.yaml").write_bytes(content)
    assert main([verb, str(tmp_path / "recipe.yaml")]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.yaml"]


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_recipes_have_no_problems_and_are_checked_in_a_moment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    began = time.process_time()
    report = check(load_recipe(path))
    assert (report.problems, report.warnings) == ((), ())
    assert time.process_time() - began < 0.7


@pytest.fixture
def no_such_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend hf needs a library that nobody has, beside one that is here."""
    spec = catalog.BACKENDS["hf"]
    monkeypatch.setitem(catalog.BACKENDS, "hf", replace(spec, libraries=("numpy", "no_such_library", "nor_this_one")))


@pytest.fixture
def captions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clips: Clips) -> Path:
    """A recipe about two clips that are whole, one that is none, and one that is not there."""
    monkeypatch.chdir(tmp_path)
    Path("broken.mp4").write_bytes(b"this is no film")
    rows = [clips.paths[0], "broken.mp4", clips.paths[1], "gone.mp4"]
    Path("data.jsonl").write_text("".join(json.dumps({"videos": [path]}) + "\n" for path in rows))
    Path("recipe.yaml").write_text(
        "dataset_path: data.jsonl\nexport_path: out/captions.jsonl\nprocess:\n"
        "  - video_captioning_from_vlm_mapper:\n      hf_model: juicecap-demo-vlm\n      keep_original_sample: false\n"
    )
    return tmp_path


@pytest.mark.usefixtures("captions", "no_such_library")
def test_all_libraries_that_are_missing_are_a_problem_with_their_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "recipe.yaml"]) == 1
    assert capsys.readouterr().err == (
        "recipe.yaml:4:5: video_captioning_from_vlm_mapper[1]: no_such_library, nor_this_one are not installed, "
        "which backend hf needs\n"
        "    4 |   - video_captioning_from_vlm_mapper:\n"
        "      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        f"   install what is missing: {install_command('hf')}\n"
    )
    assert main(["check", "recipe.yaml", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [(each["line"], each["hint"]) for each in found["problems"]] == [
        (4, f"install what is missing: {install_command('hf')}")
    ]
    assert found["libraries"] == [
        {"name": "numpy", "needed_by": "backend hf", "installed": True, "version": metadata.version("numpy")},
        {"name": "no_such_library", "needed_by": "backend hf", "installed": False, "version": ""},
        {"name": "nor_this_one", "needed_by": "backend hf", "installed": False, "version": ""},
    ]


@pytest.mark.usefixtures("captions", "no_such_library")
def test_a_plan_needs_no_library_of_a_backend(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "recipe.yaml"]) == 0
    assert "no_such_library" not in capsys.readouterr().out


@pytest.mark.usefixtures("captions", "no_such_library")
def test_on_a_cluster_the_backends_libraries_are_needed_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "recipe.yaml", "--json", "--set", "executor_type=ray"])
    assert [each["name"] for each in json.loads(capsys.readouterr().out)["libraries"]] == ["ray"]


@pytest.mark.usefixtures("captions")
def test_broken_media_are_named_with_their_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "recipe.yaml", "--media"]) == 0
    out = capsys.readouterr().out
    (broken,) = [line for line in out.splitlines() if "UNREADABLE" in line]
    assert broken.startswith(f"note: data.jsonl:2: UNREADABLE: {Path.cwd()}/broken.mp4 ")
    assert out.endswith("recipe.yaml: no problems (1 ops, 4 rows looked at, 3 of 3 media looked into, 1 broken)\n")
    assert main(["check", "recipe.yaml", "--media", "--json"]) == 0
    media = json.loads(capsys.readouterr().out)["media"]
    assert (media["looked_into"], media["media"]) == (3, 3)
    assert [(each["source"], each["code"]) for each in media["broken"]] == [("data.jsonl:2", "UNREADABLE")]


@pytest.mark.usefixtures("captions")
def test_without_media_no_header_is_read(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MediaProbe, "read", lambda *_: pytest.fail("a header was read"))
    assert main(["check", "recipe.yaml"]) == 0
    assert "UNREADABLE" not in capsys.readouterr().out


@pytest.mark.usefixtures("captions")
def test_only_broken_media_are_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data.jsonl").write_text('{"videos": ["broken.mp4"]}\n')
    assert main(["check", "recipe.yaml", "--media"]) == 1
    assert "dataset_path: the one medium is broken; the first: data.jsonl:1: UNREADABLE: " in capsys.readouterr().err


@pytest.mark.usefixtures("captions")
def test_a_limit_leaves_the_first_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "recipe.yaml", "--limit", "1", "--media"]) == 0
    out = capsys.readouterr().out
    assert "note:" not in out
    assert out.endswith("recipe.yaml: no problems (1 ops, 1 rows looked at, 1 of 1 media looked into, 0 broken)\n")
    Path("data.jsonl").write_text('{"videos": ["gone.mp4"]}\n{"videos": ["gone too.mp4"]}\n')
    assert main(["check", "recipe.yaml", "--limit", "1"]) == 1
    assert "the one entry in column 'videos' cannot be used" in capsys.readouterr().err


def test_media_for_which_there_is_no_time_are_not_called_whole(clips: Clips) -> None:
    probe, op = MediaProbe(), VideoDurationFilter()
    for number, path in enumerate(clips.paths):
        probe.see(op, {"videos": [path]}, f"data.jsonl:{number + 1}")
        probe.see(op, {"videos": [path]}, "named again")
    found = probe.read(seconds=0)
    assert 1 <= found.looked_into < len(clips.paths)
    assert (found.media, found.broken) == (len(clips.paths), ())


def test_a_film_that_lacks_more_of_its_end_than_allowed_is_damaged(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "cut.mp4", 200, muxing={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    probe = MediaProbe()
    for op, row in ((VideoDurationFilter(), "data.jsonl:1"), (VideoDurationFilter(media_max_damage=0.9), "data.jsonl:2")):
        probe.see(op, {"videos": [str(path)]}, row)
    found = probe.read()
    (broken,) = found.broken
    assert (broken.source, broken.code, found.looked_into) == ("data.jsonl:1", "DAMAGED", 2)
    assert re.search(r"cut.mp4 is damaged: \d\d% of its frames are missing at the end, more than 50% ", broken.message)


def test_heic_pictures_without_their_library_cannot_be_used(
    captions: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset_scan, "_reads_heic", lambda: False)
    Path("a.heic").touch()
    Path("b.png").touch()
    Path("data.jsonl").write_text('{"images": ["a.heic"], "chat": []}\n{"images": ["b.png"], "chat": []}\n')
    Path("recipe.yaml").write_text(
        "dataset_path: data.jsonl\nexport_path: out.jsonl\nprocess:\n"
        "  - image_caption_generator: {hf_model: juicecap-demo-vlm, system_prompt: '', input_modal_key: images, "
        "input_conversation_key: chat}\n"
    )
    main(["check", "recipe.yaml", "--json"])
    (said,) = [each["message"] for each in json.loads(capsys.readouterr().out)["warnings"] if "HEIC" in each["message"]]
    assert f"{captions}/a.heic is a HEIC picture, which needs pi_heif: install what is missing: {install_command('heif')}" in said
