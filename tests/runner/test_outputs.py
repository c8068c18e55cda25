"""What a verb writes: a new file, or one that it wrote itself. Nothing that a recipe reads is replaced, whatever is allowed."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

import juicecap
from juicecap.cli import main
from juicecap.data.export import write_export
from juicecap.data.export.shards import check_folder
from juicecap.data.source import open_source
from juicecap.data.writing.atomic import replacing, swap_in
from juicecap.errors import DataError, JuicecapError, RecipeError, UsageError
from juicecap.recipe import check, load_recipe
from juicecap.runner import SilentProgress
from juicecap.runner.reporting.status import RunStatus

PRECIOUS = "precious\n"


def made(path: Path, kind: str) -> Path:
    """Something at a path; of a link what it leads to stands beside it."""
    beside = path.with_name("beside")
    match kind:
        case "a file":
            path.write_text(PRECIOUS)
        case "an empty file":
            path.touch()
        case "a folder":
            path.mkdir()
        case "a named pipe":
            os.mkfifo(path)
        case "a socket":
            with socket.socket(socket.AF_UNIX) as server:
                here = Path.cwd()
                os.chdir(path.parent)  # a socket's path must be short
                server.bind(path.name)
                os.chdir(here)
        case "a device":
            try:
                os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
            except PermissionError:
                pytest.skip("only root may make a device")
        case "a link that leads nowhere":
            path.symlink_to(beside)
        case "a link in a circle":
            path.symlink_to(path)
        case _:
            path.symlink_to(made(beside, kind.removeprefix("a link to ")))
    return path


def tree(folder: Path) -> dict[str, object]:
    """All that is below a folder."""
    found: dict[str, object] = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            state = path.lstat()
            found[str(path)] = (state.st_ino, path.read_bytes() if stat.S_ISREG(state.st_mode) else stat.S_IFMT(state.st_mode))
    return found


KINDS = {
    "a file": "exists and is not what juicecap writes there; give the path of a new file",
    "an empty file": "exists and is not what juicecap writes there; give the path of a new file",
    "a folder": "is a folder; give the path of a new file",
    "a named pipe": "is a named pipe; give the path of a new file",
    "a socket": "is a socket; give the path of a new file",
    "a device": "is a device; give the path of a new file",
    "a link that leads nowhere": "is a link that leads nowhere; give the path of a new file",
    "a link in a circle": "is a link that leads nowhere; give the path of a new file",
    "a link to a file": "exists and is not what juicecap writes there; give the path of a new file",
    "a link to a folder": "is a folder; give the path of a new file",
    "a link to a named pipe": "is a named pipe; give the path of a new file",
    "a link to a device": "is a device; give the path of a new file",
}


class TestMetrics:
    @pytest.mark.parametrize("kind", KINDS)
    def test_nothing_that_is_there_is_replaced(self, texts, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
        path = made(texts.folder / "run.prom", kind)
        recipe = texts.recipe()
        before = tree(texts.folder)
        assert main(["run", str(recipe), "--metrics", str(path)]) == 2
        assert capsys.readouterr().err == f"{path} {KINDS[kind]}\n"
        assert tree(texts.folder) == before

    @pytest.mark.parametrize(
        ("path", "code", "message"),
        [
            ("data.jsonl", 2, "exists and is not what juicecap writes there"),
            ("recipe.yaml", 2, "exists and is not what juicecap writes there"),
            ("operators.py", 2, "exists and is not what juicecap writes there"),
            ("out/texts.jsonl", 2, "that is the export"),
            ("out/texts.run", 2, "that is a folder of the run"),
            ("out", 2, "that is a folder of the run"),
            ("out/texts.run/status.json", 2, "that is a file of the run folder"),
            ("out/texts.run/.juicecap", 2, "that is a file of the run folder"),
            ("out/texts.run/steps/x.prom", 2, "that is a file of the run folder"),
            ("out/texts.run/unfinished/x.prom", 2, "that is a file of the run folder"),
            ("out/texts.run/journal.sqlite-wal", 2, "that is the journal"),
            ("answers/all.sqlite", 2, "that is the journal"),
            ("no/run.prom", 1, "there is no folder"),
        ],
    )
    def test_no_path_that_the_recipe_uses_is_taken(
        self, texts, path: str, code: int, message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        keys = {"journal": str(texts.folder / "answers" / "all.sqlite")} if path.startswith("answers") else {}
        recipe = texts.recipe(**keys)
        before = tree(texts.folder)
        assert main(["run", str(recipe), "--metrics", str(texts.folder / path)]) == code
        assert message in capsys.readouterr().err
        assert tree(texts.folder) == before

    def test_nor_is_one_in_the_folder_of_the_dataset_or_of_the_shards(self, texts) -> None:
        (texts.folder / "clips").mkdir()
        (texts.folder / "clips" / "a.mp4").write_text("x")
        recipe = load_recipe(texts.recipe(dataset_path=str(texts.folder / "clips"), process=[]))
        with pytest.raises(UsageError, match="that is in the folder of the dataset"):
            juicecap.run(recipe, metrics=texts.folder / "clips" / "run.prom")
        result = texts.run(export_shard_size=200)
        with pytest.raises(UsageError, match="that is the export"):
            juicecap.run(texts.recipe(export_shard_size=200), metrics=result.export_path / "run.prom")

    @pytest.mark.parametrize("through_a_link", [False, True])
    def test_a_file_of_its_own_is_replaced(self, texts, through_a_link: bool) -> None:
        path = texts.folder / "run.prom"
        juicecap.run(texts.recipe(), metrics=path)
        first = path.read_text()
        assert first.startswith("# HELP juicecap_run_up ")
        if through_a_link:
            path.rename(texts.folder / "real.prom")
            path.symlink_to("real.prom")
        juicecap.run(texts.recipe(), metrics=path)
        assert path.is_symlink() is through_a_link
        assert path.read_text() != first

    def test_a_file_that_somebody_puts_there_meanwhile_stays_and_the_run_goes_on(self, texts, said: list[str]) -> None:
        path = texts.folder / "run.prom"

        class Meddling(SilentProgress):
            def reported(self, status: RunStatus) -> None:
                path.unlink(missing_ok=True)
                path.write_text(PRECIOUS)

        texts.process = [{"trouble_mapper": {}}]
        (texts.folder / "operators.py").write_text(
            (texts.folder / "operators.py").read_text().replace("trouble = json", "time.sleep(0.4)\n        trouble = json")
        )
        result = juicecap.run(texts.recipe(), metrics=path, progress=Meddling())
        assert (result.exit_code, path.read_text()) == (0, PRECIOUS)
        assert said == [f"{path} {KINDS['a file']}"]

    def test_a_link_that_has_the_name_of_its_temporary_file_is_not_followed(self, texts) -> None:
        (texts.folder / "precious").write_text(PRECIOUS)
        (texts.folder / f".juicecap-{os.getpid()}-run.prom.tmp").symlink_to("precious")
        juicecap.run(texts.recipe(), metrics=texts.folder / "run.prom")
        assert (texts.folder / "precious").read_text() == PRECIOUS
        assert (texts.folder / "run.prom").read_text().startswith("# HELP juicecap_run_up ")
        assert texts.left() == []


class TestTemporaryFiles:
    def test_of_what_is_swapped_in(self, tmp_path: Path) -> None:
        (tmp_path / "precious").write_text(PRECIOUS)
        (tmp_path / ".juicecap-me-a.txt.tmp").symlink_to("precious")
        swap_in(tmp_path / "a.txt", b"new", "me")
        assert [(tmp_path / name).read_text() for name in ("precious", "a.txt")] == [PRECIOUS, "new"]
        assert sorted(os.listdir(tmp_path)) == ["a.txt", "precious"]

    def test_a_link_at_the_place_itself_is_replaced_and_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "precious").write_text(PRECIOUS)
        for write in (lambda path: swap_in(path, b"new"), ours):
            (tmp_path / "a.txt").unlink(missing_ok=True)
            (tmp_path / "a.txt").symlink_to("precious")
            write(tmp_path / "a.txt")
            assert not (tmp_path / "a.txt").is_symlink()
        assert (tmp_path / "precious").read_text() == PRECIOUS

    @pytest.mark.parametrize("kind", ["a named pipe", "a device", "a socket", "a link to a named pipe", "a link to a device"])
    def test_what_is_no_file_is_not_replaced(self, tmp_path: Path, kind: str) -> None:
        path = made(tmp_path / "a.txt", kind)
        before = tree(tmp_path)
        what = kind.removeprefix("a link to ")
        with pytest.raises(DataError, match=f"it is {what}. Give the path of a file"), replacing(path):
            pass
        assert tree(tmp_path) == before


def ours(path: Path) -> None:
    with replacing(path, through_links=False) as stream:
        stream.write(b"new")


class TestOtherVerbs:
    @pytest.mark.parametrize("name", ["recipe.yaml", "juicecap.schema.json", "clip_05.mp4"])
    @pytest.mark.parametrize("kind", ["a file", "a link that leads nowhere", "a link to a file", "a named pipe"])
    def test_init_overwrites_nothing_and_follows_nothing(self, tmp_path: Path, name: str, kind: str, capsys) -> None:
        made(tmp_path / name, kind)
        before = tree(tmp_path)
        assert main(["init", str(tmp_path)]) == 2
        assert f"{name} exists, and nothing is overwritten" in capsys.readouterr().err
        assert tree(tmp_path) == before

    def test_init_writes_all_of_its_files_or_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
        """Also where one of them appears between the look and the writing."""
        monkeypatch.setattr("os.path.lexists", lambda _: False)
        (tmp_path / "clips.jsonl").symlink_to("nowhere")
        assert main(["init", str(tmp_path)]) == 2
        assert "clips.jsonl exists, and nothing is overwritten" in capsys.readouterr().err
        assert os.listdir(tmp_path) == ["clips.jsonl"]

    def test_init_on_a_full_disk_leaves_nothing(self, disk_of: Callable[[str], Path], capsys) -> None:
        disk = disk_of("64k")
        assert main(["init", str(disk / "new")]) == 4
        assert "cannot be written: no space left" in capsys.readouterr().err
        assert os.listdir(disk / "new") == []

    @pytest.mark.parametrize("kind", ["a file", "a link to a file", "a named pipe"])
    def test_a_page_of_a_preview_takes_no_place_of_anybodys(self, texts, kind: str, capsys) -> None:
        texts.process = [{"text_length_filter": {"min_len": 1}}]
        assert main(["preview", str(texts.recipe())]) == 0
        page = texts.work_dir / "preview" / "preview.html"
        assert main(["preview", str(texts.recipe())]) == 0
        page.unlink()
        made(page, kind)
        before = tree(texts.work_dir / "preview")
        capsys.readouterr()
        assert main(["preview", str(texts.recipe())]) == 2
        assert "preview.html" in capsys.readouterr().err
        after = tree(texts.work_dir / "preview")
        assert {path: what for path, what in after.items() if not path.endswith("preview.jsonl")} == {
            path: what for path, what in before.items() if not path.endswith("preview.jsonl")
        }


class TestExports:
    @pytest.mark.parametrize("kind", ["a named pipe", "a device", "a socket", "a link to a device", "a folder"])
    def test_one_that_is_no_file_is_refused_before_anything_is_done(self, texts, kind: str) -> None:
        texts.output.parent.mkdir()
        made(texts.output, kind)
        (problem,) = check(load_recipe(texts.recipe())).problems
        what = kind.removeprefix("a link to ")
        assert problem.message == f"export_path: {texts.output} is {what}; give the path of a file"
        before = tree(texts.folder)
        with pytest.raises(RecipeError, match=f"is {what}; give the path of a file"):
            texts.run(overwrite=True)
        assert tree(texts.folder) == before

    @pytest.mark.parametrize("what", ["the dataset", "the recipe", "a file that the recipe includes", "the file of an op"])
    @pytest.mark.parametrize("by", ["name", "link", "hard link"])
    def test_one_over_what_the_recipe_reads_is_refused_whatever_is_allowed(self, texts, what: str, by: str) -> None:
        (texts.folder / "shared.yaml").write_text("project_name: shared\n")
        names = {
            "the dataset": "data.jsonl",
            "the recipe": "recipe.yaml",
            "a file that the recipe includes": "shared.yaml",
            "the file of an op": "operators.py",
        }
        file = texts.folder / names[what]
        keys = {"include": "shared.yaml", "export_type": "jsonl", "export_path": str(file)}
        texts.recipe()
        if by != "name":
            other = texts.folder / "other"
            other.symlink_to(file) if by == "link" else os.link(file, other)
            keys["export_path"] = str(other)
        recipe = texts.recipe(**keys)
        (problem,) = check(load_recipe(recipe)).problems
        assert problem.message == f"export_path: {keys['export_path']} is {what}; the run would overwrite it"
        before = tree(texts.folder)
        with pytest.raises(RecipeError, match=f"is {what}; the run would overwrite it"):
            juicecap.run(recipe, overwrite=True)
        assert tree(texts.folder) == before

    @pytest.mark.parametrize(
        ("file", "what"),
        [
            ("clips/a.mp4", "a part of the dataset"),
            ("clips/metadata.csv", "a part of the dataset"),
            ("clips/notes.txt", "a part of the dataset"),
            ("ops/mine.py", "the file of an op"),
            ("other/b.png", "a medium"),
        ],
    )
    def test_one_over_what_lies_in_a_folder_that_the_recipe_reads(self, texts, file: str, what: str) -> None:
        for name in ("clips", "ops", "other"):
            (texts.folder / name).mkdir()
        path = texts.folder / file
        for name in ("clips/a.mp4", file):
            (texts.folder / name).write_text("")
        folders = {"dataset_path": str(texts.folder / "clips"), "custom_operator_paths": str(texts.folder / "ops"), "process": []}
        with pytest.raises(RecipeError, match=f"is {what}; the run would overwrite it"):
            texts.run(overwrite=True, export_path=str(path), export_type="jsonl", **folders)
        assert path.read_text() == ""

    def test_one_beside_the_clips_is_an_output_as_any(self, texts) -> None:
        clips = texts.folder / "clips"
        clips.mkdir()
        (clips / "a.mp4").write_text("")
        keys = {"dataset_path": str(clips), "export_path": str(clips / "captions.jsonl"), "process": []}
        for _ in range(2):
            assert texts.run(**keys).exported == 1

    def test_shards_in_the_place_of_a_folder_with_the_dataset(self, texts) -> None:
        folder = texts.run(export_shard_size=200).export_path
        shard = min(folder.glob("*.jsonl"))
        before = tree(folder)
        keys = {"dataset_path": str(shard), "export_shard_size": 200, "work_dir": str(texts.folder / "other")}
        with pytest.raises(RecipeError, match=f"export_path: {folder} is the dataset; the run would overwrite it"):
            texts.run(overwrite=True, **keys)
        assert tree(folder) == before

    @pytest.mark.parametrize("name", ["manifest.json", "steps/a.jsonl", "unfinished/a.jsonl", "preview/a.jsonl", "log.jsonl"])
    def test_one_in_the_place_of_what_the_run_keeps(self, texts, name: str) -> None:
        work_dir = texts.folder / "run"
        with pytest.raises(RecipeError, match=f"is where a run keeps its {name.partition('/')[0]}"):
            texts.run(work_dir=str(work_dir), export_path=str(work_dir / name), export_type="jsonl")
        assert not work_dir.exists()

    @pytest.mark.parametrize("work_dir", ["out/texts", "out/texts/run"])
    def test_shards_in_the_place_of_the_run_folder(self, texts, work_dir: str) -> None:
        with pytest.raises(RecipeError, match="cannot hold the shards and the run folder too"):
            texts.run(work_dir=str(texts.folder / work_dir), export_shard_size=200)
        assert not texts.output.parent.exists()

    def test_a_file_that_comes_between_the_look_and_the_exchange_is_not_lost(self, texts, listener) -> None:
        """Shards replace a whole folder."""
        folder = texts.run(export_shard_size=200).export_path
        texts.write(["another"])

        def ended(step: object) -> None:
            (folder / "notes.txt").write_text(PRECIOUS)

        listener.ended = ended
        with pytest.raises(JuicecapError, match=r"notes\.txt"):
            texts.run(listener, overwrite=True, export_shard_size=200)
        assert (folder / "notes.txt").read_text() == PRECIOUS

    def test_nor_is_one_that_comes_while_the_shards_are_written(self, tmp_path: Path) -> None:
        source = tmp_path / "a.jsonl"
        source.write_text('{"a": 1}\n')
        dataset = open_source(str(source), cache_folder=tmp_path)
        write_export(dataset, tmp_path / "out.jsonl", shard_size=100)

        def ready(_: Path) -> None:
            (tmp_path / "out" / "notes.txt").write_text(PRECIOUS)

        with pytest.raises(DataError, match=r"holds notes\.txt, which is no part of an export in shards"):
            write_export(dataset, tmp_path / "out.jsonl", shard_size=100, ready=ready)
        assert (tmp_path / "out" / "notes.txt").read_text() == PRECIOUS
        assert [path for path in os.listdir(tmp_path) if path.endswith(".tmp")] == []

    @pytest.mark.parametrize(
        "index",
        [
            "",
            "[" * 100_000,
            "a: &a [x]\nshards: [{file: *a}]",
            "shards: [{file: 1}, {file: [notes.txt]}]",
            "shards: x",
            "x" * 2_000_000,
        ],
        ids=["empty", "deep", "alias", "types", "text", "large"],
    )
    def test_whatever_an_index_says(self, tmp_path: Path, index: str) -> None:
        (tmp_path / "index.yaml").write_text(index)
        (tmp_path / "notes.txt").write_text(PRECIOUS)
        with pytest.raises(DataError, match="which is no part of an export in shards"):
            check_folder(tmp_path)


class TestJournals:
    @pytest.mark.parametrize("name", ["data.jsonl", "recipe.yaml", "operators.py"])
    def test_what_the_recipe_reads_is_never_set_aside_as_a_damaged_journal(self, texts, name: str) -> None:
        texts.recipe()
        file = texts.folder / name
        with pytest.raises(RecipeError, match=f"journal: {file} is no journal"):
            texts.run(journal=str(file))
        assert file.exists()
        assert [each for each in os.listdir(texts.folder) if "damaged" in each] == []

    @pytest.mark.parametrize(
        ("journal", "message"),
        [
            ("out/texts.jsonl", "is the export"),
            ("out/texts.run/unfinished/a.sqlite", "is where a run keeps its unfinished"),
            ("out/texts.run/status.json", r"is where a run keeps its status\.json"),
        ],
    )
    def test_one_in_the_place_of_another_output(self, texts, journal: str, message: str) -> None:
        with pytest.raises(RecipeError, match=message):
            texts.run(journal=str(texts.folder / journal))
        assert not texts.output.parent.exists()

    def test_one_in_the_run_folder_under_its_own_name_or_another(self, texts) -> None:
        for name in ("journal.sqlite", "answers.sqlite"):
            assert texts.run(journal=str(texts.work_dir / name)).exit_code == 0


def test_the_note_of_exports_is_never_trusted(texts) -> None:
    """Deep, huge, of other types: it owns nothing and hinders nothing."""
    texts.run()
    before = texts.output.read_bytes()
    huge = json.dumps({f"/{number}": ["x" * 100] for number in range(40_000)})
    odd = json.dumps({"\0": [], "\ud800": [], "": [], "relative": [], str(texts.output): [1, None, [], {}]})
    for content in ("[" * 100_000, '{"a":' * 100_000, huge, odd, "NaN", "9" * 5000):
        (texts.work_dir / "exports.json").write_text(content)
        with pytest.raises(UsageError, match="exists and was not written by this run"):
            texts.run()
        assert texts.output.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        "[" * 4000,
        '{"pid": ' + "[" * 3000,
        '{"pid": "\\u001b[2J", "host": "' + "x" * 3000 + '", "since": {}}',
        '{"pid": 1, "host": 2}',
    ],
)
def test_a_lock_that_says_odd_things(texts, content: str) -> None:
    import fcntl

    texts.work_dir.mkdir(parents=True)
    texts.run()
    (texts.work_dir / ".lock").write_text(content)
    with (texts.work_dir / ".lock").open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(JuicecapError, match="is in use by another run") as told:
            texts.run()
    assert "\x1b" not in str(told.value)
    assert len(str(told.value)) < 1000
