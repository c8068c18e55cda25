"""Where the samples of shards went: as one run has it, before the merge and after it."""

from __future__ import annotations

from juicecap.report.why import totals_text
from juicecap.runner.lineage.history import read_history
from juicecap.runner.lineage.records import records
from juicecap.runner.lineage.story import story_of
from juicecap.runner.lineage.totals import totals_of


def test_merged_shards_have_the_filtered_samples_of_one_run_and_each_phase_tells_its_own(job) -> None:
    job.texts.process = [
        {"text_length_filter": {"min_len": 4}},
        {"trouble_mapper": {}},
        {"text_deduplicator": {"letters": 7}},
        job.ask,
        {"text_length_filter": {"min_len": 4, "max_len": 13}},
    ]
    job.texts.write([*(f"text {number:03}" for number in range(18)), "abc", "text 0190"])
    job.texts.fails({"text 001": ("ODD", False)})
    output, job.texts.output = job.texts.output, job.texts.folder / "whole" / "texts.jsonl"
    job.texts.run(max_rejected=1.0)
    wanted, told = ((job.texts.work_dir / f"{name}.jsonl").read_bytes() for name in ("filtered", "rejected"))
    whole = totals_of(read_history(job.texts.work_dir))
    job.texts.output = output

    job.shard(2, 1)
    part = totals_text(part_of := read_history(job.texts.work_dir), totals_of(part_of)).splitlines()[-1]
    ops = "text_length_filter[1], trouble_mapper[2]"
    assert part == f"The run is not complete (not merged; 2 of 4 shards are done): only what {ops} did is known, there."
    job.shard(3, 4)
    before = read_history(job.texts.work_dir)
    assert not before.is_complete
    assert [each["id"] for each in records(before, "filtered")] == ["data.jsonl:19"]
    assert [(each["id"], each["op"]) for each in records(before, "rejected")] == [("data.jsonl:2", "trouble_mapper[2]")]
    assert [(step.label, step.taken, step.filtered, step.rejected) for step in totals_of(before).steps] == [
        ("text_length_filter[1]", 20, 1, 0),
        ("trouble_mapper[2]", 19, 0, 1),
    ]

    job.merge()
    halfway = read_history(job.texts.work_dir)
    assert not halfway.is_complete
    assert {each["op"] for each in records(halfway, "filtered")} == {"text_length_filter[1]", "text_deduplicator[3]"}
    job.shard(1, 2)
    assert [step.label for step in totals_of(read_history(job.texts.work_dir)).steps][-1] == "text_length_filter[5]"
    job.shard(3, 4)
    job.merge()
    after = read_history(job.texts.work_dir)
    assert after.is_complete
    assert (job.texts.work_dir / "filtered.jsonl").read_bytes() == wanted
    assert (job.texts.work_dir / "rejected.jsonl").read_bytes().count(b"\n") == told.count(b"\n") == 1
    assert totals_of(after) == whole
    story = story_of(after, "data.jsonl:1")
    assert story is not None
    assert story.rows == (1,)
