"""Names of files that are no ASCII where the system knows no other, and names that are no text: a true sentence, no code 70."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from juicecap.naming import unnameable, unwritable

pytestmark = [pytest.mark.process, pytest.mark.slow]

ROOT = Path(__file__).parent.parent.parent
CLIP = ROOT / "juicecap" / "assets" / "samples" / "clip_05.mp4"
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
WRITTEN = "cannot be a path here, where names of files are written in ascii. Set LC_ALL=C.UTF-8 and run again."
READ = "cannot be read here, where names of files are read as ascii. Set LC_ALL=C.UTF-8 and run again."


def command(*arguments: str, cwd: Path, ascii_only: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ASCII and not name.startswith("LC_")}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "HF_DATASETS_CACHE": str(cwd / "cache"),
        **(ASCII if ascii_only else {"LC_ALL": "C.UTF-8"}),
    }
    return subprocess.run(
        [sys.executable, "-m", "juicecap", *arguments],
        cwd=cwd, env=environment, capture_output=True, check=False, encoding="utf-8", errors="surrogateescape",
    )  # fmt: skip


def recipe(folder: Path, name: str = "r.yaml", **keys: object) -> str:
    lines = {"dataset_path": "d.jsonl", "export_path": "out.jsonl", "max_rejected": 5, **keys}
    text = "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in lines.items())
    (folder / name).write_text(f"{text}process:\n  - video_duration_filter:\n", encoding="utf-8")
    return name


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a clip of an ASCII name and one of another."""
    shutil.copy(CLIP, tmp_path / "plain.mp4")
    shutil.copy(CLIP, tmp_path / "clip_ä.mp4")
    rows = ({"videos": [name], "text": "é"} for name in ("clip_ä.mp4", "plain.mp4"))
    (tmp_path / "d.jsonl").write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dataset_path", "dä.jsonl"), ("export_path", "ö.jsonl"), ("work_dir", "wörk"), ("journal", "jö.sqlite"),
        ("include", "ü.yaml"), ("custom_operator_paths", "ö.py"), ("media_root", "wö"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["check", "run"])
def test_a_path_that_cannot_be_named_is_told_by_its_key(place: Path, key: str, value: str, verb: str) -> None:
    done = command(verb, recipe(place, **{key: value}), cwd=place)
    assert (done.returncode, done.stdout) == (1, "")
    line = next(line for line in done.stderr.splitlines() if WRITTEN in line)
    assert line.startswith("r.yaml:")
    assert "does not exist" not in done.stderr


def test_a_clip_that_cannot_be_named_is_tried_again_where_it_can(place: Path) -> None:
    done = command("check", recipe(place), cwd=place)
    assert f"d.jsonl:1: {place}/clip_\\xe4.mp4 {WRITTEN}" in done.stdout
    assert command("run", "r.yaml", "--quiet", cwd=place).returncode == 0
    (line,) = (place / "out.run" / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    told = json.loads(line)
    assert (told["code"], told["retryable"]) == ("UNREADABLE", True)
    assert told["message"] == f"{place}/clip_ä.mp4 {WRITTEN}"
    assert command("run", "r.yaml", "--quiet", cwd=place, ascii_only=False).returncode == 0
    assert len((place / "out.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    assert (place / "out.run" / "rejected.jsonl").read_text() == ""


def test_a_folder_with_such_clips(place: Path) -> None:
    for verb in ("check", "run"):
        done = command(verb, recipe(place, dataset_path="."), cwd=place)
        assert done.returncode == 1
        assert f"'clip_\\udcc3\\udca4.mp4' {READ}" in done.stderr
    (place / "clips").mkdir()
    shutil.copy(CLIP, place / "clips" / "ä.mp4")
    done = command("init", "new", "--from", "clips", cwd=place)
    assert (done.returncode, READ in done.stderr) == (1, True)


@pytest.mark.parametrize(
    "arguments", [("init", "nö"), ("init", "new", "--from", "dä.jsonl"), ("init", "new", "--from", "ä")], ids=" ".join
)
def test_such_names_on_the_command_line(place: Path, arguments: tuple[str, ...]) -> None:
    (place / "ä").mkdir()
    shutil.copy(CLIP, place / "ä" / "a.mp4")
    shutil.copy(place / "d.jsonl", place / "dä.jsonl")
    done = command(*arguments, cwd=place)
    assert (done.returncode, READ in done.stderr, done.stdout) == (2, True, "")
    assert not (place / "new").exists()


def test_results_with_other_characters_are_printed(place: Path) -> None:
    """A caption with accents, where the output has none."""
    (place / "d.jsonl").write_text('{"videos": ["plain.mp4"], "text": "é ü 1"}\n', encoding="utf-8")
    done = command("preview", recipe(place), cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    assert "text: \\xe9 \\xfc 1" in done.stdout


BYTES = os.fsdecode(b"by\xffte")


class TestNoText:
    """Names that no text holds, in a locale that is UTF-8."""

    def test_a_dataset_below_such_a_folder(self, place: Path) -> None:
        inside = place / BYTES
        inside.mkdir()
        shutil.copy(CLIP, inside / "plain.mp4")
        (inside / "d.jsonl").write_text('{"videos": ["plain.mp4"], "text": "a"}\n')
        (inside / "clips").mkdir()
        recipe(inside)
        for arguments in (("check", "r.yaml"), ("run", "r.yaml"), ("plan", "r.yaml"), ("preview", "r.yaml")):
            done = command(*arguments, cwd=inside, ascii_only=False)
            said = "r.yaml:1:15: dataset_path: d.jsonl has a path that is not valid UTF-8"
            assert (done.returncode, said in done.stderr) == (1, True), arguments
        done = command("init", "new", "--from", "d.jsonl", cwd=inside, ascii_only=False)
        assert (done.returncode, "has a path that is not valid UTF-8. Rename it." in done.stderr) == (1, True)

    def test_a_recipe_and_an_output_for_monitors(self, place: Path) -> None:
        name = f"{BYTES}.yaml"
        recipe(place, name)
        done = command("run", name, "--metrics", f"{BYTES}.prom", "--quiet", cwd=place, ascii_only=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads((place / "out.run" / "manifest.json").read_text(encoding="utf-8"))["recipe"] == name
        done = command("run", "out.run/recipe.yaml", "--quiet", cwd=place, ascii_only=False)
        assert (done.returncode, done.stderr) == (0, "")
        done = command("check", name, cwd=place, ascii_only=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert "by\ufffdte.yaml: no problems" in done.stdout

    def test_a_run_folder_below_such_a_folder(self, place: Path) -> None:
        inside = place / BYTES
        inside.mkdir()
        recipe(inside, dataset_path=str(place / "d.jsonl"))
        done = command("run", "r.yaml", "--metrics", "m.prom", "--quiet", cwd=inside, ascii_only=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert (inside / "m.prom").read_text(encoding="utf-8").startswith("# HELP juicecap_run_up")
        done = command("run", "r.yaml", "--metrics", "m.prom", "--quiet", cwd=inside, ascii_only=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert "done before" not in done.stderr
        assert command("status", "out.run", cwd=inside, ascii_only=False).returncode == 0

    @pytest.mark.parametrize("arguments", [("init", BYTES), ("init", "new", "--from", BYTES)], ids=["to", "from"])
    def test_init(self, place: Path, arguments: tuple[str, ...]) -> None:
        (place / BYTES).mkdir()
        done = command(*arguments, cwd=place, ascii_only=False)
        assert (done.returncode, done.stderr) == (2, "by\\udcffte has a path that is not valid UTF-8. Rename it.\n")


@pytest.mark.parametrize(
    ("path", "opened", "kept"),
    [
        ("a/ä.mp4", "", ""),
        (BYTES, "", "has a path that is not valid UTF-8. Rename it."),
        ("\ud800", "cannot be a path: it holds half of a surrogate pair, which stands for no character.", "the same"),
    ],
)
def test_what_is_said_of_a_name(path: str, opened: str, kept: str) -> None:
    assert unnameable(path) == opened
    assert unwritable(path) == (opened if kept == "the same" else kept)
