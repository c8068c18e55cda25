"""What a merge refuses: it names each shard that is missing, unfinished or of another run, and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from juicecap.errors import DataError, EnvironmentFailure, UsageError
from juicecap.recipe.shards import MOST_SHARDS, Shard, all_shards, read_shard, shard_in
from juicecap.runner.run_folder.lock import locked


def refusal(job, **keys: object) -> list[str]:
    """What a merge says, line by line, without the names of places."""
    with pytest.raises(DataError) as told:
        job.merge(**keys)
    assert not job.texts.output.exists()
    return str(told.value).replace(str(job.texts.folder), "HERE").splitlines()


def test_a_shard_that_is_missing(job) -> None:
    job.shard(1, 3)
    assert refusal(job) == [
        "2 of 4 shards in HERE/out/texts.run/shards cannot be merged:",
        "  shard 2/4 is missing; juicecap run HERE/recipe.yaml --shard 2/4",
        "  shard 4/4 is missing; juicecap run HERE/recipe.yaml --shard 4/4",
        "Nothing was written. What is finished is kept; merge again when they are done.",
    ]
    job.shard(4, 2)
    assert job.merge().exported == 20


def test_no_shard(job) -> None:
    assert refusal(job) == [
        "there are no shards in HERE/out/texts.run/shards; make the first of, say, 8: juicecap run HERE/recipe.yaml --shard 1/8"
    ]
    assert not job.texts.work_dir.exists()


def test_a_shard_that_was_killed_half_way(job) -> None:
    job.shard(1, 2, 4)
    job.texts.process.append({"slow_mapper": {}})
    recipe = job.texts.recipe()
    run = job.start("run", str(recipe), "--shard", "3/4")
    job.texts.process.pop()
    while not (job.folder(3) / "unfinished").exists():
        assert run.poll() is None, run.stderr.read()
    run.kill()
    run.communicate()
    assert "  shard 3/4 is not finished; juicecap run HERE/recipe.yaml --shard 3/4" in refusal(job)
    job.shard(3)
    (job.folder(2) / "unfinished").mkdir()  # as of a run that was killed when all was done
    assert (job.merge().exported, job.texts.left()) == (20, [])


def test_a_shard_that_is_at_work(job) -> None:
    job.all_shards()
    with locked(job.folder(2)):
        assert "  shard 2/4 is at work; wait for it" in refusal(job)


def test_two_at_once_on_one_shard(job) -> None:
    job.shard(2)
    with (
        locked(job.folder(2)),
        pytest.raises(EnvironmentFailure, match=r"shards/02-of-04 is in use by another run \(process \d+"),
    ):
        job.shard(2)


def test_shards_are_run_side_by_side_but_not_beside_a_whole_run(job) -> None:
    job.shard(1)
    with locked(job.texts.work_dir, shared=True), locked(job.texts.work_dir, shared=True):
        pass
    with locked(job.texts.work_dir, shared=True), pytest.raises(EnvironmentFailure, match="in use by another run"):
        job.texts.run()
    with locked(job.texts.work_dir, shared=True):
        job.shard(2, 3, 4)
    with locked(job.texts.work_dir), pytest.raises(EnvironmentFailure, match="in use by another run"):
        job.shard(1)


def other_settings(job) -> str:
    job.texts.process.append({"text_length_filter": {"min_len": 2}})
    job.shard(1, 2, 4)
    job.texts.process[-1] = {"text_length_filter": {"min_len": 1}}
    job.shard(3)
    job.texts.process[-1] = {"text_length_filter": {"min_len": 2}}
    return "text_length_filter[3] has another min_len"


def other_ops(job) -> str:
    job.shard(1, 2, 4)
    job.texts.process.append({"text_length_filter": {"min_len": 2}})
    job.shard(3)
    job.texts.process.pop()
    return "the recipe has other ops"


def other_source(job) -> str:
    job.shard(1, 2, 4)
    operators = job.texts.folder / "operators.py"
    before = operators.read_text()
    operators.write_text(f"{before}# edited\n")
    job.shard(3)
    operators.write_text(before)
    return "trouble_mapper[1] has another source; ask_mapper[2] has another source"


def noted(job, change: Callable[[dict], None]) -> None:
    """All shards are run; then what the third noted is changed."""
    job.all_shards()
    record = job.noted(3)
    change(record)
    job.record(3).write_text(json.dumps(record))


def other_version(job) -> str:
    noted(job, lambda record: record["conditions"].update(juicecap="0.0.9"))
    return "juicecap 0.0.9 instead of 0.1.0"


def other_library(job) -> str:
    noted(job, lambda record: record["conditions"]["libraries"].update(av="1.0"))
    return f"av 1.0 instead of {job.noted(1)['conditions']['libraries']['av']}"


def other_model(job) -> str:
    noted(job, lambda record: record["conditions"].update(models=["another"]))
    return "the model is another one, or of another revision"


def other_dataset(job) -> str:
    noted(job, lambda record: record["conditions"]["dataset"].update(records=21, limit=21))
    return "limit 21 instead of none, records 21 instead of 20".replace(", ", "; ")


def other_values(job) -> str:
    noted(job, lambda record: record["conditions"]["dataset"].update(digest="0" * 32))
    return "the dataset has other values"


@pytest.mark.parametrize("other", [other_settings, other_ops, other_source, other_dataset, other_values])
def test_a_shard_of_another_run(job, other: Callable[..., str]) -> None:
    told = other(job)
    assert refusal(job)[1:-1] == [f"  shard 3/4 is of another run: {told}; juicecap run HERE/recipe.yaml --shard 3/4"]
    job.shard(3)
    assert job.merge().exported == 20


@pytest.mark.parametrize("other", [other_version, other_library, other_model])
def test_a_shard_that_was_answered_by_something_else_must_ask_anew(job, other: Callable[..., str]) -> None:
    told = other(job)
    expected = [f"  shard 3/4 is of another run: {told}; juicecap run HERE/recipe.yaml --shard 3/4 --fresh"]
    assert refusal(job)[1:-1] == expected
    job.asked()
    job.shard(3)
    assert (job.asked(), refusal(job)[1:-1]) == ([], expected)
    job.shard(3, fresh=True)
    assert len(job.asked()) == 5
    assert job.merge().exported == 20


def test_another_limit_is_a_difference_with_a_name(job) -> None:
    job.shard(1, limit=12)
    with pytest.raises(DataError) as told:
        job.shard(2)
    assert re.fullmatch(
        r"this is not the dataset that the other shards work on, by .*/shards/dataset\.json: there it has limit 12 instead of "
        r"none; records 12 instead of 20\. Run all shards with the same dataset and --limit; to begin anew with this one, remove "
        r"that file \(nothing is asked again\)",
        str(told.value),
    )
    (job.texts.work_dir / "shards" / "dataset.json").unlink()
    job.shard(2)
    assert "  shard 1/4 is of another run: limit 12 instead of none; records 12 instead of 20; " in "\n".join(refusal(job))


def test_a_recipe_that_was_edited_since(job) -> None:
    job.all_shards()
    job.texts.process[1]["ask_mapper"]["prompt"] = "Once more: "
    lines = refusal(job)
    assert len(lines) == 6
    assert "  shard 4/4 is of another run: ask_mapper[2] has another prompt; juicecap run HERE/recipe.yaml --shard 4/4" in lines


@pytest.mark.parametrize("damage", ["gone", "flipped", "another's"])
def test_a_table_that_is_not_what_was_noted(job, damage: str) -> None:
    job.texts.fails({"text 001": ("BAD", False)})
    job.all_shards()
    table = next((job.folder(3) / "steps").glob("02-*.arrow"))
    if damage == "gone":
        table.unlink()
    elif damage == "flipped":
        content = bytearray(table.read_bytes())
        content[len(content) // 2] ^= 1
        table.write_bytes(content)
    else:
        table.write_bytes(next((job.folder(1) / "steps").glob("02-*.arrow")).read_bytes())
    (line,) = refusal(job)
    assert line.startswith(f"HERE/out/texts.run/shards/03-of-04/steps/{table.name} is missing, damaged or not finished")
    job.asked()
    if damage == "another's":
        table.unlink()
    job.shard(3)
    assert (job.asked(), job.merge().exported) == ([], 19)


def test_a_record_that_cannot_be_read(job) -> None:
    job.all_shards()
    for text in (
        "",
        "[]",
        "{}",
        '{"rows": [1, 2], "conditions": {}, "steps": [{}]}',
        '{"rows": "ab", "conditions": 1, "steps": []}',
    ):
        job.record(1).write_text(text)
        assert any(line.startswith("  shard 1/4 is ") for line in refusal(job))


def test_shards_of_two_numbers(job) -> None:
    job.all_shards()
    job.shard(1, of=2)
    assert refusal(job) == [
        "HERE/out/texts.run/shards has shards of 2 and of 4; say which: juicecap merge HERE/recipe.yaml --shards 4"
    ]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("65/64", "--shard 65/64 names no shard: the last one is 64/64"),
        (
            "0/64",
            "--shard 0/64 names no shard: they are counted from 1, so 1/64 is the first and 64/64 the last. In a job array that "
            "counts from 0, write --shard $((SLURM_ARRAY_TASK_ID + 1))/64, or let it count from 1",
        ),
        ("3", "--shard 3 names no shard: write K/N, such as 3/64, the third of 64"),
        ("/64", "--shard /64 names no shard: write K/N, such as 3/64, the third of 64"),
        ("1/0", f"0 shards cannot be: there are 1 to {MOST_SHARDS}"),
        ("1/1000", f"1000 shards cannot be: there are 1 to {MOST_SHARDS}"),
    ],
)
def test_numbers_that_name_no_shard(written: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        read_shard(written)
    assert str(error.value) == told


@pytest.mark.parametrize("count", [1, 3, 8, 100, MOST_SHARDS])
@pytest.mark.parametrize("rows", [0, 1, 7, 1000])
def test_each_row_is_in_one_shard(count: int, rows: int) -> None:
    bounds = [shard.bounds(rows) for shard in all_shards(count)]
    assert [row for first, end in bounds for row in range(first, end)] == list(range(rows))
    assert max(end - first for first, end in bounds) - min(end - first for first, end in bounds) <= 1


def test_the_names_of_folders() -> None:
    assert [Shard(64, 3).folder, Shard(8, 8).folder, Shard(512, 7).folder] == ["03-of-64", "08-of-08", "007-of-512"]
    assert [shard_in(name) for name in ("03-of-64", "3-of-64", "65-of-64", "00-of-04", "03-of-008", "x")] == [
        Shard(64, 3), None, None, None, None, None,
    ]  # fmt: skip
