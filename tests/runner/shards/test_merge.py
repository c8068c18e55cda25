"""Shards that are merged are one run: its output, rejections and manifest, its journal, and its tables."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

import juicecap
from juicecap.report.summary import summary


def test_the_merge_leaves_what_one_run_leaves(job) -> None:
    job.texts.fails({"text 003": ("BAD", False), "text 011": ("ODD", False)})
    expected = job.whole()
    job.all_shards()
    assert job.asked() == [f"text {number:03}!" for number in range(20) if number not in (3, 11)]
    assert not job.texts.output.exists()
    result = job.merge()
    assert job.left() == expected
    assert (result.samples, result.exported, result.rejected, result.asked) == (20, 18, 2, 18)
    assert job.asked() == []
    assert job.texts.left() == []


def test_a_later_run_finds_the_tables_and_an_edited_one_the_answers(job, listener) -> None:
    job.all_shards()
    job.merge()
    job.asked()
    job.texts.asked()
    job.texts.run(listener, max_rejected=1.0)
    assert [finished for _, _, finished in listener.steps] == [True, True]
    job.texts.process.insert(0, {"text_length_filter": {"min_len": 1}})
    result = job.texts.run(max_rejected=1.0)
    assert (job.asked(), result.replayed) == ([], 20)
    assert [row["answer"] for row in job.texts.rows()] == [f"text {number:03}! 0" for number in range(20)]


def test_where_the_dataset_is_another_file_the_answers_are_replayed(job, listener) -> None:
    job.all_shards()
    job.merge()
    before = job.texts.output.read_bytes()
    job.asked()
    job.texts.write(job.texts.texts)  # the same content, at another time
    job.texts.run(listener, max_rejected=1.0)
    assert [finished for _, _, finished in listener.steps] == [False, False]
    assert (job.asked(), job.texts.output.read_bytes()) == ([], before)


def test_more_shards_than_records(job) -> None:
    job.texts.write(["one", "two", "three"])
    expected = job.whole()
    assert job.shard(1, of=8).samples == 0
    job.all_shards(of=8)
    assert job.merge().exported == 3
    assert job.left() == expected


def test_records_that_cannot_be_read_are_rejected_once(job) -> None:
    lines = (job.texts.folder / "data.jsonl").read_text().splitlines()
    lines[7] = lines[7][:-1]
    (job.texts.folder / "data.jsonl").write_text("\n".join(lines) + "\n")
    expected = job.whole()
    job.all_shards()
    assert job.merge().exported == 19
    assert [each["code"] for each in job.texts.rejections()] == ["BROKEN_RECORD"]
    output, rejected, manifest = job.left()
    assert (output, rejected, manifest["steps"]) == (expected[0], expected[1], expected[2]["steps"])


def test_a_column_that_only_one_shard_has_has_its_type_in_all(job) -> None:
    rows = [{"n": number, "text": f"text {number}", **({"odd": [1.5]} if number == 9 else {})} for number in range(12)]
    (job.texts.folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    expected = job.whole()
    job.all_shards()
    job.merge()
    assert job.left() == expected
    assert [row.get("odd") for row in job.texts.rows()] == [[1.5] if number == 9 else None for number in range(12)]


def test_a_shard_that_is_done_twice_asks_nothing_and_changes_nothing(job) -> None:
    expected = job.whole()
    job.all_shards()
    job.asked()
    job.texts.asked()
    before = job.record(2).read_bytes()
    assert job.shard(2).replayed == 0
    assert (job.asked(), job.texts.asked(), job.record(2).read_bytes()) == ([], [], before)
    job.merge()
    assert job.left() == expected


def test_rejections_are_counted_over_all_shards(job) -> None:
    job.texts.fails({f"text 00{number}": ("BAD", False) for number in range(5)})
    keys = {"max_rejected": 0.25}
    assert job.shard(1, keys=keys).exit_code == 0
    job.shard(2, 3, 4, keys=keys)
    assert job.merge(**keys).exit_code == 0
    assert job.merge(max_rejected=0.2).exit_code == 3


def test_what_failed_for_a_time_is_tried_again_by_its_shard(job) -> None:
    expected = job.whole()
    job.texts.fails({"text 012": ("BUSY", True)})
    job.all_shards()
    assert job.merge().rejected == 1
    job.texts.fails({})
    job.texts.asked()
    assert job.merge().rejected == 1
    assert job.texts.asked() == []
    job.shard(1, 2, 3, 4)
    assert job.texts.asked() == ["text 012"]
    job.merge()
    output, rejected, manifest = job.left()
    assert (output, rejected, manifest["exported"]) == (expected[0], [], 20)


def test_one_run_over_the_same_borders(job) -> None:
    job.texts.fails({"text 003": ("BAD", False)})
    job.all_shards(of=3)
    job.merge()
    expected = job.left()
    job.texts.output = job.texts.folder / "borders" / "texts.jsonl"
    job.asked()
    job.script.opened.clear()
    result = juicecap.run(job.texts.recipe(max_rejected=1.0), shards=3)
    assert job.left() == expected
    assert (len(job.asked()), len(job.script.opened), result.exported) == (19, 1, 19)


def test_a_limit_takes_the_first_records_of_all(job) -> None:
    job.all_shards(of=3, limit=8)
    assert (job.merge().samples, [row["n"] for row in job.texts.rows()]) == (8, list(range(8)))
    assert job.texts.manifest()["limit"] == 8


def test_an_answer_of_an_earlier_run_is_not_asked_for_again(job) -> None:
    job.texts.run(max_rejected=1.0)
    assert len(job.asked()) == 20
    job.all_shards()
    assert job.asked() == []
    assert job.merge().replayed == 20


def test_nor_is_one_of_a_run_that_was_killed(job) -> None:
    job.texts.run(max_rejected=1.0)
    job.asked()
    kept = job.texts.work_dir / "journal.sqlite"
    with closing(sqlite3.connect(kept)) as database:  # as after a kill: what was committed stands beside the file
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        rows = database.execute("SELECT * FROM answers").fetchall()
        database.execute("DELETE FROM answers")
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.executemany("INSERT INTO answers VALUES (?, ?, ?, ?)", rows)
        database.commit()
        parts = {part: kept.with_name(kept.name + part).read_bytes() for part in ("", "-wal")}
    for part, content in parts.items():
        kept.with_name(kept.name + part).write_bytes(content)
    job.all_shards()
    assert job.asked() == []


def test_the_summary_says_what_comes_next_and_what_holds(job) -> None:
    last = summary(job.shard(1, 2, 3, 4)).splitlines()
    assert "next      shard 4/4 (rows 16 to 20) is done; when all are: juicecap merge" in last
    assert not any(line.startswith("output") for line in last)
    text = " ".join(summary(job.merge()).split())
    assert "bytes those of `juicecap run --shards 4`; beside a run without shards, keys, seeds, order and fates are equal" in text
    job.ask["ask_mapper"]["batch_size"] = 1
    job.shard(1, 2, 3, 4)
    assert "bytes     those of one run" in summary(job.merge()).splitlines()


@pytest.mark.parametrize("keep", ["jsonl", "parquet"])
def test_readable_tables_are_kept_of_all(job, keep: str) -> None:
    job.all_shards(keys={"keep_steps": keep})
    job.merge(keep_steps=keep)
    assert len(list(job.texts.work_dir.glob(f"steps/*.{keep}"))) == 2
