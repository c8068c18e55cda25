"""Whose a run folder is: nothing of somebody else's is touched in one, and nothing that has a run's names holds a verb up."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from waiting import until

from juicecap.cli import main
from juicecap.errors import JuicecapError, RecipeError
from juicecap.recipe import check
from juicecap.recipe.work_dir import FILES, FOLDERS, MARK, MARKER, MEDIA, obstacle
from juicecap.runner.estimate.preview import run_preview

PATIENCE = 60
"""Seconds after which a verb hangs."""

OTHERS = {"dataflow_cache_step_step1.jsonl": "precious\n", "notes.txt": "precious\n", "manifest.txt": "precious\n"}


@pytest.fixture(autouse=True)
def nobody_waits() -> Iterator[None]:
    def hung(*_: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(PATIENCE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def cache(texts) -> Path:
    """A folder of somebody else's."""
    folder = texts.folder / "cache"
    folder.mkdir()
    for name, content in OTHERS.items():
        (folder / name).write_text(content)
    return folder


def content(folder: Path) -> dict[str, object]:
    """All that is below a folder."""
    found: dict[str, object] = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            kind = stat.S_IFMT(path.lstat().st_mode)
            found[str(path.relative_to(folder))] = path.read_bytes() if kind == stat.S_IFREG else kind
    return found


def problems(texts, **keys: object) -> list[str]:
    texts.recipe(**keys)
    from juicecap.recipe import load_recipe

    return [f"{each.message} | {each.hint}" for each in check(load_recipe(texts.recipe(**keys))).problems]


def unmarked(folder: Path) -> None:
    """Make it a folder as versions before the marker left it."""
    (folder / MARKER).unlink()


class TestForeign:
    def test_a_folder_with_other_things_is_used_and_marked_and_they_stay(self, texts, cache: Path) -> None:
        assert problems(texts, work_dir=str(cache)) == []
        texts.run(work_dir=str(cache))
        assert json.loads((cache / MARKER).read_text()) == MARK
        assert (cache / MARKER).read_bytes().count(b"\n") == 1
        assert {name: (cache / name).read_text() for name in OTHERS} == OTHERS
        assert texts.asked() == texts.texts
        texts.run(work_dir=str(cache))
        assert texts.asked() == []
        assert {name: (cache / name).read_text() for name in OTHERS} == OTHERS

    @pytest.mark.parametrize("name", sorted(FILES))
    def test_a_file_that_has_one_of_our_names_is_in_the_way(self, texts, cache: Path, name: str) -> None:
        (cache / name).write_text("precious\n")
        before = content(cache)
        message = f"{cache}/{name} is not juicecap's, and a run would write over it"
        advice = "move it away, or set work_dir to another folder"
        assert problems(texts, work_dir=str(cache)) == [f"work_dir: {message} | {advice}"]
        with pytest.raises(JuicecapError) as told:
            texts.run(work_dir=str(cache))
        assert (str(told.value), told.value.exit_code) == (f"{message}: {advice}", 1)
        assert content(cache) == before
        assert not texts.output.exists()

    def test_media_of_the_user_are_left_alone(self, texts, cache: Path) -> None:
        (cache / "media").mkdir()
        (cache / "media/precious.mp4").write_text("precious\n")
        texts.run(work_dir=str(cache))
        assert (cache / "media/precious.mp4").read_text() == "precious\n"

    @pytest.mark.parametrize("name", [name for name in FOLDERS if name != MEDIA])
    def test_so_is_a_folder(self, texts, cache: Path, name: str) -> None:
        (cache / name).mkdir()
        (cache / name / "precious.txt").write_text("precious\n")
        before = content(cache)
        with pytest.raises(JuicecapError, match=rf"cache/{name} is not juicecap's, and a run would write over it: move it away"):
            texts.run(work_dir=str(cache))
        assert content(cache) == before

    def test_an_empty_unfinished_is_not_taken_away_either(self, texts, cache: Path) -> None:
        (cache / "unfinished").mkdir()
        with pytest.raises(JuicecapError, match="cache/unfinished is not juicecap's"):
            texts.run(work_dir=str(cache))
        assert (cache / "unfinished").is_dir()

    def test_the_place_is_that_of_the_key_which_names_the_folder(self, texts) -> None:
        texts.work_dir.mkdir(parents=True)
        (texts.work_dir / "manifest.json").write_text("{}")
        assert problems(texts)[0].startswith(f"export_path: {texts.work_dir}/manifest.json is not juicecap's")

    def test_a_preview_asks_the_same(self, texts, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (cache / "preview").mkdir()
        (cache / "preview" / "preview.html").write_text("<p>precious</p>")
        before = content(cache)
        recipe = texts.recipe(work_dir=str(cache))
        assert main(["preview", str(recipe)]) == 1
        assert "cache/preview is not juicecap's" in capsys.readouterr().err
        from juicecap.recipe import load_recipe

        with pytest.raises(JuicecapError, match="cache/preview is not juicecap's"):
            run_preview(load_recipe(recipe), 1)
        assert content(cache) == before

    def test_the_recipe_beside_its_data_with_the_name_that_a_run_would_use(self, texts) -> None:
        before = (texts.recipe(work_dir=str(texts.folder))).read_bytes()
        found = problems(texts, work_dir=str(texts.folder))
        assert found == [
            f"work_dir: the run would overwrite {texts.folder}/recipe.yaml, which lies in its run folder | "
            "copy it, or set work_dir to another folder"
        ]
        with pytest.raises(RecipeError, match="the run would overwrite"):
            texts.run(work_dir=str(texts.folder))
        assert (texts.folder / "recipe.yaml").read_bytes() == before
        assert not (texts.folder / "steps").exists()

    def test_the_folder_of_the_data_can_be_the_run_folder(self, texts) -> None:
        recipe = texts.recipe(work_dir=str(texts.folder)).rename(texts.folder / "mine.yaml")
        text = recipe.read_bytes()
        assert main(["run", str(recipe), "--quiet"]) == 0
        assert texts.asked() == texts.texts
        assert main(["run", str(recipe), "--quiet"]) == 0
        assert (texts.asked(), recipe.read_bytes()) == ([], text)
        recipe.rename(texts.folder / "recipe.yaml")
        with pytest.raises(JuicecapError, match=r"the run would overwrite .*recipe\.yaml"):
            texts.run(work_dir=str(texts.folder))


class TestOurs:
    def test_the_recipe_that_a_run_left_can_be_run_from_there(self, texts) -> None:
        texts.run()
        texts.asked()
        assert main(["run", str(texts.work_dir / "recipe.yaml"), "--quiet"]) == 0
        assert texts.asked() == []

    @pytest.mark.parametrize("lost", [(), (".lock",), ("log.jsonl", "status.json", "manifest.json")], ids=["all", "lock", "some"])
    def test_a_finished_one_of_the_version_before_goes_on(self, texts, lost: tuple[str, ...]) -> None:
        texts.run()
        texts.asked()
        unmarked(texts.work_dir)
        for name in lost:
            (texts.work_dir / name).unlink()
        assert problems(texts) == []
        texts.run()
        assert texts.asked() == []
        assert json.loads((texts.work_dir / MARKER).read_text()) == MARK

    def test_one_that_was_killed_goes_on(self, texts) -> None:
        texts.process = [{"trouble_mapper": {}}, {"slow_mapper": {}}]
        run = subprocess.Popen(texts.command(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        until((texts.folder / "begun").exists, run)
        run.kill()
        run.wait()
        assert (texts.work_dir / "unfinished").is_dir()
        unmarked(texts.work_dir)
        texts.process[1] = {"text_length_filter": {"min_len": 1}}
        texts.asked()
        texts.run()
        assert texts.asked() == []
        assert texts.left() == []

    def test_whatever_stands_there_after_a_kill_at_once(self, texts) -> None:
        """In the order in which runs of the version before made them."""
        folder = texts.work_dir
        texts.run()
        kept = {
            name: (folder / name).read_bytes() for name in (".lock", "exports.json", "log.jsonl", "status.json", "recipe.yaml")
        }
        shutil.rmtree(folder)
        texts.output.unlink()

        def goes_on() -> None:
            copy = folder.with_name("copy")
            shutil.copytree(folder, copy)
            assert obstacle(folder) == ""
            texts.run()
            texts.output.unlink()
            shutil.rmtree(folder)
            copy.rename(folder)

        def lock() -> None:
            (folder / ".lock").write_bytes(kept[".lock"])

        def exports() -> None:
            (folder / "exports.json").write_text(json.dumps({str(texts.output): []}))

        stages: list[Callable[[], object]] = [
            lambda: (folder / "steps").mkdir(parents=True),
            lock,
            (folder / "unfinished").mkdir,
            exports,
            (folder / "log.jsonl").touch,
            lambda: (folder / "log.jsonl").write_bytes(kept["log.jsonl"]),
            lambda: (folder / "status.json").write_bytes(kept["status.json"]),
            lambda: (folder / "recipe.yaml").write_bytes(kept["recipe.yaml"]),
            lambda: (folder / "steps" / ".juicecap--0123456789abcdef.tmp").write_bytes(b"half"),
            lambda: (folder / "unfinished" / "tmpab12cd_4").write_bytes(b"half"),
            lambda: (folder / "unfinished" / "01-trouble_mapper-0123456789abcdef.arrow").write_bytes(b"half"),
        ]
        for stage in stages:
            stage()
            goes_on()

    @pytest.mark.parametrize("left", [(), (".juicecap--0123456789abcdef.tmp",), (MARKER,)], ids=["nothing", "half", "marker"])
    def test_one_that_was_killed_around_the_marker(self, texts, left: tuple[str, ...]) -> None:
        texts.work_dir.mkdir(parents=True)
        for name in left:
            (texts.work_dir / name).write_text(json.dumps(MARK))
        texts.run()
        assert json.loads((texts.work_dir / MARKER).read_text()) == MARK
        assert texts.left() == []

    @pytest.mark.slow
    def test_two_that_begin_at_once(self, texts) -> None:
        runs = [subprocess.Popen(texts.command(), stderr=subprocess.PIPE, text=True) for _ in range(2)]
        told = [run.communicate()[1] for run in runs]
        codes = sorted(run.returncode for run in runs)
        assert codes in ([0, 0], [0, 4]), told
        assert codes == [0, 0] or any("is in use by another run" in each for each in told)
        assert texts.out() == [f"{text}!" for text in texts.texts]

    def test_a_marker_makes_nobodys_recipe_ours(self, texts) -> None:
        texts.run()
        (texts.work_dir / "recipe.yaml").write_text("my: own\n")
        with pytest.raises(JuicecapError, match=r"recipe\.yaml is not juicecap's, and a run would write over it"):
            texts.run()
        assert (texts.work_dir / "recipe.yaml").read_text() == "my: own\n"

    def test_a_folder_behind_a_link(self, texts) -> None:
        (texts.folder / "disk").mkdir()
        (texts.folder / "here").symlink_to("disk")
        texts.run(work_dir=str(texts.folder / "here"))
        texts.asked()
        texts.run(work_dir=str(texts.folder / "here"))
        assert texts.asked() == []
        assert (texts.folder / "disk" / MARKER).is_file()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero, which never ends
    except PermissionError:
        pytest.skip("only root may make a device")


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path must be short
        server.bind(path.name)
        os.chdir(here)


def folder_or_file(path: Path) -> None:
    path.write_text("x") if path.name in FOLDERS else path.mkdir()


def link(path: Path) -> None:
    precious = path.parent.parent.parent / "precious"
    precious.mkdir() if path.name in FOLDERS else precious.write_text("precious\n")
    path.symlink_to(precious)


KINDS = {
    "a named pipe": pipe,
    "a device": device,
    "a socket": listening,
    "a file or a folder": folder_or_file,
    "a symbolic link": link,
}


class TestOtherKinds:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("name", sorted((*FILES, *FOLDERS)))
    def test_no_verb_waits_writes_or_follows(self, texts, name: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
        folder = texts.work_dir
        folder.mkdir(parents=True)
        (folder / MARKER).write_text(json.dumps(MARK))
        path = folder / name
        path.unlink(missing_ok=True)
        KINDS[kind](path)
        before = content(texts.folder)
        recipe = texts.recipe()
        for verb in ("check", "run", "preview"):
            assert main([verb, str(recipe)]) == 1, verb
            said = capsys.readouterr().err
            assert f"{path} is " in said, verb
            assert "Traceback" not in said
        with pytest.raises(JuicecapError, match=f"{name} is "):
            texts.run(overwrite=True)
        assert main(["plan", str(recipe)]) == 1
        assert main(["status", str(folder)]) == 2
        assert "is bug" not in capsys.readouterr().err
        after = content(texts.folder)
        after.pop("recipe.yaml")
        assert {key: value for key, value in after.items() if "precious" in key or key.startswith("out")} == {
            key: value for key, value in before.items() if "precious" in key or key.startswith("out")
        }

    @pytest.mark.parametrize("kind", ["a named pipe", "a device", "a socket", "a symbolic link"])
    @pytest.mark.parametrize("table", ["01-trouble*.arrow", "*[0-9a-f].arrow"])
    def test_a_table_that_is_no_file_is_made_again(self, texts, kind: str, table: str, said: list[str]) -> None:
        texts.run()
        file = next(
            each for each in sorted((texts.work_dir / "steps").glob(table), reverse=True) if ("-" in each.name) == ("-" in table)
        )
        file.unlink()
        KINDS[kind](file)
        texts.run()
        assert [each for each in said if "so it is made again" in each and str(file) in each]
        assert stat.S_ISREG(file.lstat().st_mode)
        if kind == "a symbolic link":
            assert (texts.folder / "out" / "precious").read_text() == "precious\n"

    def test_the_index_of_shards(self, texts) -> None:
        shards = texts.output.parent / "texts"
        shards.mkdir(parents=True)
        pipe(shards / "index.yaml")
        (message,) = problems(texts, export_shard_size=200)
        assert "holds index.yaml, which is no part of an export in shards" in message

    @pytest.mark.parametrize("part", ["-journal", "-shm", "-wal"])
    def test_a_hard_link_in_the_place_of_what_belongs_to_the_journal(self, texts, part: str) -> None:
        from juicecap.vlm.journal.store import Store

        (texts.folder / "precious").write_text("precious\n" * 1000)
        path = texts.folder / "journal.sqlite"
        Store(path).close()
        os.link(texts.folder / "precious", f"{path}{part}")
        with pytest.raises(JuicecapError, match=f"journal.sqlite{part} is another name of a file that is no part of a journal"):
            Store(path)
        assert (texts.folder / "precious").read_text() == "precious\n" * 1000

    @pytest.mark.parametrize("name", [".lock", "log.jsonl", "recipe.yaml"])
    def test_a_hard_link_in_the_place_of_what_is_written_on(self, texts, name: str) -> None:
        texts.run()
        (texts.folder / "precious").write_text("precious\n")
        (texts.work_dir / name).unlink()
        os.link(texts.folder / "precious", texts.work_dir / name)
        with pytest.raises(JuicecapError, match=name):
            texts.run()
        assert (texts.folder / "precious").read_text() == "precious\n"

    def test_a_journal_behind_a_link_to_no_journal_stays_where_it_is(self, texts) -> None:
        from juicecap.vlm.journal.store import open_store

        (texts.folder / "precious").write_text("precious\n" * 1000)
        (texts.folder / "journal.sqlite").symlink_to(texts.folder / "precious")
        with pytest.raises(JuicecapError, match=r"is a link to .*precious, which is no journal"):
            open_store(texts.folder / "journal.sqlite")
        assert (texts.folder / "precious").read_text() == "precious\n" * 1000


def test_a_recipe_in_a_pipe_is_waited_for_but_not_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("juicecap.recipe.yaml.values.PATIENCE", 0.2)
    os.mkfifo(tmp_path / "recipe.yaml")
    assert main(["check", str(tmp_path / "recipe.yaml")]) == 1
    assert "recipe.yaml: is a pipe into which nobody has written for 0 seconds" in capsys.readouterr().err
    monkeypatch.undo()
    line = f"{sys.executable} -m juicecap check <(sleep 1; echo 'nonsense: 1'; sleep 0.5; echo 'process: []')"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert "a recipe has no key 'nonsense'" in done.stderr


def test_what_may_not_be_read_is_told_as_such(texts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read whatever there is."""
    texts.run()
    (texts.work_dir / "log.jsonl").write_text("{}\n")
    monkeypatch.setattr("os.access", lambda path, mode: not str(path).endswith("log.jsonl"))
    with pytest.raises(JuicecapError, match=r"log\.jsonl may not be read by this user, so nobody can say whose it is: move it"):
        texts.run()
