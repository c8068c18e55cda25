"""What somebody edited in an output: it is called that, can be carried into the next one, and is never lost."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from killed import KILLED

import juicecap
from juicecap.cli import main
from juicecap.errors import DataError, UsageError
from juicecap.recipe import examine

Row = dict


class Clips:
    """A run over records of media that no op reads, with an op that appends to the text; the output is edited by hand."""

    def __init__(self, texts) -> None:
        self.job = texts
        self.clips([(f"clips/{name}.mp4", f"about {name}") for name in "abcde"])
        texts.process = [{"trouble_mapper": {}}]

    def clips(self, clips: list[tuple[str, str]]) -> None:
        for path, _ in clips:
            medium = self.job.folder / path
            medium.parent.mkdir(exist_ok=True)
            medium.touch()
        rows = ({"videos": [path], "text": text, "score": 0.5, "n": 2} for path, text in clips)
        lines = (json.dumps(row) + "\n" for row in rows)
        (self.job.folder / "data.jsonl").write_text("".join(lines), encoding="utf-8")

    def run(self, **how: object):
        keys = {name: how.pop(name) for name in ("export_path", "export_shard_size", "process", "exports") if name in how}
        return juicecap.run(self.job.recipe(**keys), **how)

    @property
    def output(self) -> Path:
        return self.job.output

    def edit(self, change: Callable[[list[Row]], list[Row]]) -> None:
        """Edit the JSON Lines as a person with an editor does."""
        rows = change(self.job.rows())
        self.output.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")

    def kept(self) -> list[dict]:
        """The list of kept edits on disk."""
        return [json.loads(line) for line in (self.job.work_dir / "kept_edits.jsonl").read_text("utf-8").splitlines()]

    def copies(self) -> list[str]:
        """What is kept of outputs that were replaced."""
        return [file.read_text("utf-8") for file in sorted((self.job.work_dir / "replaced").glob("*/**/*")) if file.is_file()]


@pytest.fixture
def clips(texts) -> Clips:
    return Clips(texts)


def corrected(rows: list[Row]) -> list[Row]:
    """Two captions are put right."""
    return [{**row, "text": f"corrected {row['text'][6]}"} if row["text"][6] in "bd" else row for row in rows]


CORRECTED = ["about a!", "corrected b", "about c!", "corrected d", "about e!"]


class TestWhatIsSaid:
    def test_an_edited_output_is_called_that_and_stays(self, clips: Clips) -> None:
        clips.run()
        clips.edit(corrected)
        before = clips.output.read_bytes()
        with pytest.raises(UsageError) as told:
            clips.run()
        assert str(told.value) == (
            f"{clips.output} was edited since juicecap wrote it: 2 rows differ (data.jsonl:2, data.jsonl:4). --keep-edits "
            "carries that into the new output; --overwrite replaces it and keeps what is there in "
            f"{clips.job.work_dir}/replaced; or give another path"
        )
        assert clips.output.read_bytes() == before

    def test_deleted_and_added_rows_are_counted_too(self, clips: Clips) -> None:
        clips.run()
        clips.edit(lambda rows: [*corrected(rows)[1:], {"videos": ["clips/new.mp4"], "text": "new", "score": 1.0, "n": 1}])
        with pytest.raises(UsageError) as told:
            clips.run()
        assert (
            "was edited since juicecap wrote it: 2 rows differ (data.jsonl:2, data.jsonl:4), 1 row deleted (data.jsonl:1), "
            f"1 row added ({clips.output}:5). --overwrite replaces it"
        ) in str(told.value)
        assert str(told.value).endswith(f"--keep-edits cannot carry that: {clips.output}:5 was added, and belongs to no sample")

    def test_an_output_of_an_earlier_version_is_edited_and_its_rows_are_unknown(self, clips: Clips) -> None:
        clips.run()
        for file in (clips.job.work_dir / "written").iterdir():
            file.unlink()
        clips.run()  # as it was written, it is this run's
        for file in (clips.job.work_dir / "written").iterdir():
            file.unlink()
        clips.edit(corrected)
        with pytest.raises(
            UsageError, match="was edited or replaced since juicecap wrote it: rows unknown: the run folder has no note"
        ):
            clips.run()
        with pytest.raises(
            DataError, match=r"earlier versions did not make\. Nothing was written: .*--keep-edits needs to know the rows"
        ):
            clips.run(keep_edits=True)
        clips.run(overwrite=True)
        assert "corrected b" in clips.copies()[0]

    @pytest.mark.parametrize(
        "damage", ["", '{"juicecap": "rows of an output", "version": 2}\n', "[1, 2]\n", "no row", "a row too few"]
    )
    def test_damaged_notes_of_rows_make_them_unknown(self, clips: Clips, damage: str) -> None:
        clips.run()
        (file,) = (clips.job.work_dir / "written").iterdir()
        head, *rows = file.read_text().splitlines(keepends=True)
        damaged = {"no row": head + "[1]\n", "a row too few": head + "".join(rows[:-1])}
        file.write_text(damaged.get(damage, damage))
        clips.edit(corrected)
        with pytest.raises(UsageError, match="was edited or replaced since juicecap wrote it: rows unknown"):
            clips.run()


class TestCheck:
    def test_it_says_which_rows_were_edited(self, clips: Clips) -> None:
        clips.run()
        assert "edited" not in str(examine(clips.job.recipe())[1].warnings)
        clips.edit(corrected)
        _, report = examine(clips.job.recipe())
        (told,) = (each.message for each in report.warnings if "edited" in each.message)
        assert told.startswith(
            f"export_path: {clips.output} was edited since juicecap wrote it: 2 rows differ (data.jsonl:2, data.jsonl:4). "
            "--keep-edits carries that into the new output; --overwrite replaces it and keeps what is there in "
        )
        assert report.problems == ()

    def test_what_would_take_time_is_left_to_the_run(self, clips: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
        output = clips.job.output.with_suffix(".parquet")
        recipe = clips.job.recipe(export_path=str(output))
        juicecap.run(recipe)
        edit(output)
        monkeypatch.setattr("juicecap.data.edits.found_rows.open_source", None)
        (told,) = (each.message for each in examine(recipe)[1].warnings if "edited" in each.message)
        assert "was edited or replaced since juicecap wrote it: rows unknown: its rows were not looked at" in told
        clips.run()
        clips.edit(corrected)
        monkeypatch.setattr("juicecap.recipe.edited_outputs.SMALL", 10)
        (told,) = (each.message for each in examine(clips.job.recipe())[1].warnings if "edited" in each.message)
        assert "rows unknown: it is too large for a quick look" in told


class TestKeeping:
    def test_edits_are_in_the_new_output_and_in_every_later_one(self, clips: Clips) -> None:
        clips.run()
        clips.edit(corrected)
        for _ in range(2):
            result = clips.run(keep_edits=True)
            assert clips.job.out() == CORRECTED
            (edits,) = result.edits
            assert (edits.rows, len(edits.cells), edits.deleted, edits.newly_answered) == (2, 2, 0, ())
            with pytest.raises(UsageError, match=r"2 rows differ \(data\.jsonl:2, data\.jsonl:4\)"):
                clips.run()
        assert clips.job.manifest()["edits"] == [
            {"output": str(clips.output), "cells": 2, "rows": 2, "deleted": 0, "newly_answered": 0}
        ]

    def test_an_edit_wins_over_a_new_answer_and_is_listed(self, clips: Clips) -> None:
        clips.run()
        clips.edit(corrected)
        (clips.job.folder / "trouble.json").write_text("{}")
        clips.clips([(f"clips/{name}.mp4", f"about {name}{'?' if name in 'de' else ''}") for name in "abcde"])
        result = clips.run(keep_edits=True)
        assert clips.job.out() == [*CORRECTED[:4], "about e?!"]
        assert [(cell.id, cell.column) for cell in result.edits[0].newly_answered] == [("data.jsonl:4", "text")]
        facts = {"output": str(clips.output), "row": 0, "column": "text"}
        assert clips.kept() == [
            {**facts, "id": "data.jsonl:2", "edited": "corrected b", "answer": "about b!", "newly_answered": False},
            {**facts, "id": "data.jsonl:4", "edited": "corrected d", "answer": "about d?!", "newly_answered": True},
        ]

    def test_an_edit_that_the_new_answer_is_equal_to_is_none_any_more(self, clips: Clips) -> None:
        clips.run()
        clips.edit(lambda rows: [{**row, "text": row["text"].replace("about b!", "about b?!")} for row in rows])
        clips.clips([(f"clips/{name}.mp4", f"about {name}{'?' if name == 'b' else ''}") for name in "abcde"])
        clips.run(keep_edits=True)
        assert clips.job.out()[1] == "about b?!"
        clips.run(keep_edits=True)
        clips.run()
        assert not (clips.job.work_dir / "kept_edits.jsonl").exists()

    def test_deleted_rows_stay_deleted(self, clips: Clips) -> None:
        clips.run()
        clips.edit(lambda rows: [row for row in corrected(rows) if "about c" not in row["text"]])
        for _ in range(2):
            (edits,) = clips.run(keep_edits=True).edits
            assert (clips.job.out(), edits.deleted) == ([*CORRECTED[:2], *CORRECTED[3:]], 1)

    def test_new_samples_come_and_edits_go_with_their_own(self, clips: Clips) -> None:
        clips.run()
        clips.edit(corrected)
        clips.clips([(f"clips/{name}.mp4", f"about {name}") for name in "abcdefg"])
        clips.run(keep_edits=True)
        assert clips.job.out() == [*CORRECTED, "about f!", "about g!"]

    def test_an_id_that_another_sample_has_now_is_a_problem(self, clips: Clips) -> None:
        clips.run()
        clips.edit(corrected)
        before = clips.output.read_bytes()
        clips.clips([(f"clips/{name}.mp4", f"about {name}") for name in "zabcde"])
        with pytest.raises(DataError) as told:
            clips.run(keep_edits=True)
        assert f"{clips.output}: the edit of data.jsonl:2 (column text) cannot be kept: the new output has no such row" in str(
            told.value
        )
        assert clips.output.read_bytes() == before
        clips.run(overwrite=True)
        assert clips.copies() == [before.decode()]

    def test_a_sample_that_is_gone_takes_no_edit_with_it_unseen(self, clips: Clips) -> None:
        clips.run()
        clips.edit(corrected)
        before = clips.output.read_bytes()
        clips.job.fails({"about d": ("ODD", False)})
        with pytest.raises(DataError, match=r"the edit of data\.jsonl:4 \(column text\) cannot be kept"):
            clips.run(keep_edits=True, retry_rejected=True, fresh=True)
        assert clips.output.read_bytes() == before

    @pytest.mark.parametrize(
        "what", ["an added row", "an added column", "a row that may be two", "no JSON", "a value that does not fit"]
    )
    def test_what_cannot_be_carried_leaves_everything_as_it_is(self, clips: Clips, what: str) -> None:
        (clips.job.folder / "twice").touch()
        clips.run()
        changes: dict[str, Callable[[list[Row]], list[Row]]] = {
            "an added row": lambda rows: [*rows, {**rows[0], "videos": ["clips/new.mp4"], "text": "new"}],
            "an added column": lambda rows: [{**row, "rating": 5} for row in rows],
            "a row that may be two": lambda rows: [{**rows[0], "text": "which"}, *rows[2:]],
            "no JSON": lambda rows: rows,
            "a value that does not fit": lambda rows: [{**rows[0], "text": 5}, *rows[1:]],
        }
        clips.edit(changes[what])
        if what == "no JSON":
            clips.output.write_text(clips.output.read_text() + '{"text": \n')
        before = clips.output.read_bytes()
        told = {
            "an added row": "texts.jsonl:11 was added, and belongs to no sample",
            "an added column": "column 'rating' was added",
            "a row that may be two": "texts.jsonl:1 may be several of the rows that were written",
            "no JSON": "texts.jsonl:11: not valid JSON",
            "a value that does not fit": "5 does not fit the column",
        }
        with pytest.raises(DataError) as error:
            clips.run(keep_edits=True)
        assert told[what] in str(error.value)
        assert clips.output.read_bytes() == before

    def test_of_several_rows_of_a_sample_the_edited_one_keeps_its_edit(self, clips: Clips) -> None:
        (clips.job.folder / "twice").touch()
        clips.run()
        clips.edit(lambda rows: [{**row, "text": "mine"} if row["text"] == "about b!" else row for row in rows])
        clips.run(keep_edits=True)
        assert clips.job.out()[2:4] == ["about b", "mine"]
        clips.edit(lambda rows: [{**row, "text": f"mine {row['text']}"} if row["text"] == "about b" else row for row in rows])
        (edits,) = clips.run(keep_edits=True).edits
        assert clips.job.out()[2:4] == ["mine about b", "mine"]
        assert [(cell.id, cell.row) for cell in edits.cells] == [("data.jsonl:2", 0), ("data.jsonl:2", 1)]

    def test_of_several_rows_that_become_fewer_an_edit_is_not_given_to_another(self, clips: Clips) -> None:
        (clips.job.folder / "twice").touch()
        clips.run()
        clips.edit(lambda rows: [{**row, "text": "mine"} if row["text"] == "about b!" else row for row in rows])
        (clips.job.folder / "twice").unlink()
        process = [{"trouble_mapper": {}}, {"text_length_filter": {"max_len": 20}}]
        clips.clips([(f"clips/{name}.mp4", f"all about {name}") for name in "abcde"])
        with pytest.raises(DataError, match=r"data\.jsonl:2, row 2 of it"):
            clips.run(keep_edits=True, process=process)


class TestWhatIsNoEdit:
    """The same rows, however they are spelt, are replaced; what was there is kept all the same."""

    @pytest.mark.parametrize("how", ["touched", "reversed", "spelt otherwise", "null for nothing", "a mark and other line ends"])
    def test_of_json_lines(self, clips: Clips, how: str, said: list[str]) -> None:
        clips.run()
        before = clips.output.read_bytes()
        rows = clips.job.rows()
        if how == "touched":
            clips.output.write_bytes(before)
        if how == "reversed":
            clips.edit(lambda rows: rows[::-1])
        if how == "spelt otherwise":
            spelt = (json.dumps({**row, "score": 5e-1, "n": 2.0}, separators=(" ,", " :  "), sort_keys=True) for row in rows)
            clips.output.write_text("\n".join(spelt).replace("about a!", "\\u0061bout a!"))
        if how == "null for nothing":
            clips.edit(lambda rows: [{**row, "more": None} for row in rows] and rows)
        if how == "a mark and other line ends":
            clips.output.write_bytes(b"\xef\xbb\xbf" + before.replace(b"\n", b"\r\n"))
        changed = clips.output.read_text("utf-8")
        clips.run()
        assert clips.output.read_bytes() == before
        assert clips.copies() == ([] if changed == before.decode() else [changed])
        assert len([each for each in said if "is replaced; what was there is kept as" in each]) == len(clips.copies())

    def test_of_a_csv_that_a_spreadsheet_saved(self, clips: Clips) -> None:
        clips.clips([("clips/a.mp4", 'a "quoted" word,\nin two lines'), ("clips/b.mp4", "007"), ("clips/c.mp4", "")])
        output = clips.job.output.with_suffix(".csv")
        clips.run(export_path=str(output))
        rows = list(csv.reader(io.StringIO(output.read_text("utf-8"))))
        assert rows[1] == ['["../clips/a.mp4"]', 'a "quoted" word,\nin two lines!', "0.5", "2"]
        saved = io.StringIO()
        writer = csv.writer(saved, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        writer.writerows([[cell.replace("0.5", "0.50").replace("2", "2.0") for cell in row] for row in rows])
        output.write_bytes(b"\xef\xbb\xbf" + saved.getvalue().replace("word,\n", "word,\r\n").encode())
        clips.run(export_path=str(output))
        assert list(csv.reader(io.StringIO(output.read_text("utf-8")))) == rows

    def test_a_text_that_a_spreadsheet_takes_for_a_number_is_one_that_was_changed(self, clips: Clips) -> None:
        clips.clips([("clips/a.mp4", "a"), ("clips/b.mp4", "007")])
        output = clips.job.output.with_suffix(".csv")
        clips.run(export_path=str(output), process=[{"text_length_filter": {"min_len": 1}}])
        output.write_text(output.read_text("utf-8").replace("007", "7"), "utf-8")
        with pytest.raises(UsageError, match=r"1 row differs \(data\.jsonl:2\)"):
            clips.run(export_path=str(output), process=[{"text_length_filter": {"min_len": 1}}])


class TestOtherFormats:
    @pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
    def test_edits_are_kept(self, clips: Clips, suffix: str) -> None:
        output = clips.job.output.with_suffix(suffix)
        clips.run(export_path=str(output))
        edit(output)
        with pytest.raises(UsageError, match=r"2 rows differ \(data\.jsonl:2, data\.jsonl:4\), 1 row deleted \(data\.jsonl:5\)"):
            clips.run(export_path=str(output))
        for _ in range(2):
            clips.run(export_path=str(output), keep_edits=True)
            rows = list(juicecap.load_dataset(str(output)))
            assert [row["text"] for row in rows] == CORRECTED[:4]
            assert [str(row["score"]) for row in rows] == ["0.5", "0.75", "0.5", "0.5"]

    def test_edits_of_shards_are_kept(self, clips: Clips) -> None:
        output = clips.run(export_shard_size=100).export_path
        files = sorted(output.glob("*.jsonl"))
        assert len(files) > 1
        for file in files:
            file.write_text(file.read_text().replace("about b!", "corrected b").replace("about d!", "corrected d"))
        with pytest.raises(UsageError, match=r"2 rows differ \(data\.jsonl:2, data\.jsonl:4\)"):
            clips.run(export_shard_size=100)
        clips.run(export_shard_size=100, keep_edits=True)
        texts = [json.loads(line)["text"] for file in sorted(output.glob("*.jsonl")) for line in file.read_text().splitlines()]
        assert texts == CORRECTED
        assert sum("corrected" in each for each in clips.copies()) == 2

    def test_a_formula_that_is_escaped_is_not_escaped_twice(self, clips: Clips) -> None:
        output = clips.job.output.with_suffix(".csv")
        recipe = clips.job.recipe(export_path=str(output), export_csv_formulas="escape")
        clips.clips([("clips/a.mp4", "=1"), ("clips/b.mp4", "+2")])
        juicecap.run(recipe)
        output.write_text(output.read_text("utf-8").replace("'=1!", "'=3"), "utf-8")
        for _ in range(2):
            juicecap.run(recipe, keep_edits=True)
            assert [row["text"] for row in juicecap.load_dataset(str(output))] == ["'=3", "'+2!"]


def edit(output: Path) -> None:
    """Correct two captions and a number, and delete the last row, in a program that knows the format."""
    if output.suffix == ".csv":
        rows = list(csv.DictReader(io.StringIO(output.read_text("utf-8"))))
    elif output.suffix == ".json":
        rows = json.loads(output.read_text("utf-8"))
    else:
        from pyarrow import parquet

        rows = parquet.read_table(output).to_pylist()
    rows = corrected(rows)[:4]
    rows[1]["score"] = "0.75" if output.suffix == ".csv" else 0.75
    if output.suffix == ".csv":
        with output.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, [*rows[0]])
            writer.writeheader()
            writer.writerows(rows)
    elif output.suffix == ".json":
        output.write_text(json.dumps(rows, indent=1), "utf-8")
    else:
        import pyarrow as pa

        parquet.write_table(pa.Table.from_pylist(rows), output)


class TestOverwriting:
    def test_what_is_replaced_is_kept_in_the_run_folder(self, clips: Clips, said: list[str]) -> None:
        clips.run()
        clips.edit(corrected)
        edited = clips.output.read_text("utf-8")
        clips.run(overwrite=True)
        assert clips.job.out() == [f"about {name}!" for name in "abcde"]
        assert clips.copies() == [edited]
        (copy,) = (file for file in (clips.job.work_dir / "replaced").glob("*/**/*") if file.is_file())
        assert said == [f"{clips.output} is replaced; what was there is kept as {copy}"]
        assert sorted(path.name for path in clips.output.parent.iterdir()) == ["texts.jsonl", "texts.run"]

    def test_what_a_stranger_wrote_is_kept_too(self, clips: Clips) -> None:
        clips.output.parent.mkdir()
        clips.output.write_text("precious\n")
        with pytest.raises(UsageError, match=r"or --overwrite to replace it, which keeps what is there in .*texts\.run/replaced"):
            clips.run()
        with pytest.raises(UsageError, match="exists and was not written by this run"):
            clips.run(keep_edits=True)
        clips.run(overwrite=True)
        assert clips.copies() == ["precious\n"]

    @pytest.mark.parametrize("after", [False, True], ids=["before it has its name", "after it has its name"])
    @pytest.mark.parametrize("how", ["--overwrite", "--keep-edits"])
    def test_what_a_killed_run_was_about_to_replace_is_kept(self, clips: Clips, how: str, after: bool) -> None:
        clips.run()
        clips.edit(lambda rows: corrected(rows)[::-1])
        edited = clips.output.read_text("utf-8")
        operators = clips.job.folder / "operators.py"
        sound = operators.read_text()
        operators.write_text(sound + KILLED.format(rename="pathlib.Path.replace", name=clips.output.name, after=after))
        killed = subprocess.run([*clips.job.command(), how], capture_output=True, text=True, check=False)
        assert killed.returncode == -9, killed.stderr
        operators.write_text(sound)
        if not after:
            assert clips.output.read_text("utf-8") == edited
            with pytest.raises(UsageError, match=r"2 rows differ \(data\.jsonl:2, data\.jsonl:4\)"):
                clips.run()
        assert clips.copies() == [edited]
        clips.run(keep_edits=True)
        assert clips.job.out() == ([f"about {name}!" for name in "abcde"] if after and how == "--overwrite" else CORRECTED)

    def test_an_output_as_it_was_written_leaves_no_copy(self, clips: Clips) -> None:
        clips.run()
        clips.clips([("clips/new.mp4", "about new")])
        clips.run(overwrite=True)
        assert clips.copies() == []


class TestShards:
    def test_a_merge_keeps_edits(self, clips: Clips) -> None:
        clips.run(shards=2)
        clips.edit(corrected)
        with pytest.raises(UsageError, match=r"2 rows differ \(data\.jsonl:2, data\.jsonl:4\)"):
            juicecap.runner.merge(clips.job.recipe())
        (edits,) = juicecap.runner.merge(clips.job.recipe(), keep_edits=True).edits
        assert (clips.job.out(), edits.rows) == (CORRECTED, 2)
        clips.run(shards=2, keep_edits=True)
        assert clips.job.out() == CORRECTED


class TestOnTheCommandLine:
    def test_run_and_export_say_what_they_kept(self, clips: Clips, capsys: pytest.CaptureFixture[str]) -> None:
        recipe, train = str(clips.job.recipe()), clips.job.folder / "train.jsonl"
        export = ["export", str(clips.job.work_dir), "--as", "table", "--to", str(train)]
        assert main(["run", recipe]) == main(export) == 0
        clips.edit(lambda rows: corrected(rows)[1:])
        train.write_text(train.read_text("utf-8").replace("about b!", "corrected b"), "utf-8")
        assert main(["run", recipe]) == main(export) == 2
        assert "was edited since juicecap wrote it: 2 rows differ" in capsys.readouterr().err
        clips.clips([(f"clips/{name}.mp4", f"about {name}{'?' if name == 'b' else ''}") for name in "abcde"])
        assert main(["run", recipe, "--keep-edits"]) == 0
        told = capsys.readouterr().out
        assert f"edits     {clips.output}: 2 edited cells of 2 rows kept, 1 deleted row left out\n" in told
        assert "          1 newly answered, and the edit wins: data.jsonl:2 (text)\n" in told
        assert f"          all edits are in {clips.job.work_dir / 'kept_edits.jsonl'}\n" in told
        assert main([*export, "--keep-edits", "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)
        assert facts["edits"] == [{"output": str(train), "cells": 1, "rows": 1, "deleted": 0, "newly_answered": 1}]
        assert [(cell["output"], cell["id"]) for cell in clips.kept()] == [
            (str(clips.output), "data.jsonl:2"), (str(clips.output), "data.jsonl:4"), (str(train), "data.jsonl:2"),
        ]  # fmt: skip

    def test_the_export_of_a_dataset_keeps_what_it_replaces(self, clips: Clips, capsys: pytest.CaptureFixture[str]) -> None:
        train = clips.job.folder / "train" / "clips.jsonl"
        train.parent.mkdir()
        train.write_text("precious\n")
        export = ["export", str(clips.job.folder / "data.jsonl"), "--as", "table", "--to", str(train)]
        assert main(export) == 2
        assert "exists; give another path, or --overwrite to replace it, which keeps it in" in capsys.readouterr().err
        assert main([*export, "--keep-edits"]) == 2
        assert "--keep-edits is for the export of a run" in capsys.readouterr().err
        assert main([*export, "--overwrite"]) == 0
        (copy,) = (file for file in (train.parent / ".juicecap-replaced").glob("*/**/*") if file.is_file())
        assert copy.read_text() == "precious\n"


class TestExports:
    def test_edits_of_exports_are_kept_and_nothing_is_written_if_one_cannot(self, clips: Clips) -> None:
        train = clips.job.folder / "train" / "captions.csv"
        columns = {"video": {"media": True}, "caption": {"caption": True}}
        exports = [{"as": "table", "to": str(train), "columns": columns}]
        clips.run(exports=exports)
        train.write_text(train.read_text("utf-8").replace("about b!", "corrected b"), "utf-8")
        with pytest.raises(UsageError, match=rf"{train} was edited since juicecap wrote it: 1 row differs \(data\.jsonl:2\)"):
            clips.run(exports=exports)
        (edits,) = clips.run(exports=exports, keep_edits=True).edits
        assert (edits.output, edits.rows) == (train, 1)
        assert [line.partition(",")[0] for line in train.read_text("utf-8").splitlines()][1:] == [
            "about a!", "corrected b", "about c!", "about d!", "about e!",
        ]  # fmt: skip
        clips.clips([(f"clips/{name}.mp4", f"about {name}") for name in "ac"])
        before = clips.output.read_bytes()
        with pytest.raises(DataError, match=r"the edit of data\.jsonl:2 \(column caption\) cannot be kept"):
            clips.run(exports=exports, keep_edits=True)
        assert clips.output.read_bytes() == before
