"""A step's table: rows, fates, counts and rejections of an op over a dataset."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from datasets import Dataset, Features, List, Value

from juicecap.data.columns import features_of
from juicecap.data.exact_json import exact_json
from juicecap.errors import SampleError
from juicecap.ops.apply.fate import FATE_COLUMN, Fate, Usage, rejection, rows_of, visible
from juicecap.ops.apply.table import Counts, fates_of, step_table
from juicecap.ops.apply.table import kept as kept_rows
from juicecap.ops.apply.table import rejections as rejection_records
from juicecap.ops.base import Mapper
from juicecap.runner.retry import merged
from juicecap.sample import FATE, ORIGIN
from juicecap.vlm.base import Failure, Outcome

NEW = ("empty", "looping", "refused", "mixed")
"""Counts that tables of before do not have."""


@dataclass(frozen=True, kw_only=True)
class HalveMapper(Mapper):
    """Halves even numbers, in two rows; drops 0; rejects odd ones."""

    def columns_written(self):
        return {"half": "int", "note": "text"}

    def process(self, sample, outcomes):
        if sample["n"] % 2:
            raise SampleError("ODD", f"{sample['n']} is odd")
        return [sample, {**sample, "half": sample["n"] // 2}] if sample["n"] else []


@dataclass(frozen=True, kw_only=True)
class CaptionMapper(Mapper):
    """Writes a caption into a column, which may be inside of an object; rejects 0."""

    output_key: str = "media.caption"

    def columns_written(self):
        return {self.output_key: "text"}

    def process(self, sample, outcomes):
        if not sample["n"]:
            raise SampleError("ODD", "no caption")
        return [{**sample, self.output_key: f"caption {sample['n']}"}]


def kept(table):
    return kept_rows(table, fates_of(table))


def counts(table):
    return fates_of(table).counts


def rejections(table, op, media_keys):
    return rejection_records(table, fates_of(table), op, media_keys)


def table_of(numbers, **options):
    return step_table(HalveMapper(), Dataset.from_dict({"n": numbers}), **options)


def test_rows_and_fates_in_the_order_of_the_input():
    table = table_of([4, 3, 0, 2], batch_size=2)
    assert table["n"][:] == [4, 4, 3, 0, 2, 2]
    assert table["half"][:] == [None, 2, None, None, None, 1]
    fates = table[FATE][:]
    assert [(fate["kind"], fate["first"]) for fate in fates] == [
        ("kept", True),
        ("kept", False),
        ("rejected", True),
        ("filtered", True),
        ("kept", True),
        ("kept", False),
    ]
    assert (fates[2]["code"], fates[2]["message"], fates[2]["retryable"]) == ("ODD", "3 is odd", False)
    assert (fates[0]["code"], fates[0]["when"]) == (None, None)
    assert list(fates[0]) == list(FATE_COLUMN)


def test_samples_are_read_ahead_of_the_batches_and_each_once():
    read = []

    @dataclass(frozen=True, kw_only=True)
    class Reading(HalveMapper):
        def stream(self, samples, batch_size=None, journal=None):
            noted = list(samples)
            read.append([sample["n"] for sample in noted])
            yield from super().stream(noted, batch_size, journal)

    table = step_table(Reading(), Dataset.from_dict({"n": [2, 4, 6]}), batch_size=1)
    assert read == [[2, 4, 6]]
    assert kept(table)["half"][:] == [None, 1, None, 2, None, 3]


def test_what_goes_on():
    assert kept(table_of([4, 3, 0, 2])).to_dict() == {
        "n": [4, 4, 2, 2],
        "half": [None, 2, None, 1],
        "note": [None] * 4,
    }


def test_a_table_of_which_all_is_kept():
    assert kept(table_of([4]))["n"][:] == [4, 4]


def test_declared_types_hold_whatever_the_rows_say():
    table = table_of([1, 3])
    assert table.features["half"] == Value("int64")
    assert table.features["note"] == Value("string")
    assert table.features["n"] == Value("int64")


def test_an_empty_dataset_gets_the_columns():
    empty = Dataset.from_dict({"n": []}, features=Features({"n": Value("int64")}))
    table = step_table(HalveMapper(), empty)
    assert table.column_names == ["n", "half", "note", FATE]
    assert len(table) == 0
    assert kept(table).to_dict() == {"n": [], "half": [], "note": []}
    assert counts(table) == Counts(0, 0, 0, 0, 0, 0, 0, 0, 0)
    assert list(rejections(table, "x", ())) == []


def test_counts(outcome):
    table = table_of([4, 3, 0, 2, 5])
    assert counts(table) == Counts(
        taken=5, kept=2, filtered=1, rejected=2, given=4, captions=0, truncated=0, prompt_tokens=0, completion_tokens=0
    )


def test_usage_is_counted_once_for_each_sample():
    usage = Usage(captions=3, truncated=1, prompt_tokens=70, completion_tokens=30, damage="the file is cut off")
    fates = [
        Fate(kind="kept", sample={"n": 1}, outputs=({"n": 1}, {"n": 1}), usage=usage),
        Fate(
            kind="rejected", sample={"n": 2}, failure=SampleError("X", "x"), usage=Usage(captions=1, prompt_tokens=5, damage="y")
        ),
    ]
    rows = rows_of(fates, ["n"])
    assert [(row[FATE]["first"], row[FATE]["captions"]) for row in rows] == [(True, 3), (False, 0), (True, 1)]
    assert [row[FATE]["message"] for row in rows] == ["the file is cut off", None, "x"]
    table = Dataset.from_list(rows)
    found = counts(table)
    assert (found.captions, found.truncated, found.prompt_tokens, found.completion_tokens) == (4, 1, 75, 30)
    assert found.damaged == 1


def test_answers_that_look_wrong_are_counted(outcome):
    loop = "The man walks to the door. " * 4
    outcomes = [
        outcome("A ball.", loop, "I'm sorry, but I can't describe this video.", "", "A ball rolls 在草地上 slowly."),
        Outcome(failure=Failure(code="EMPTY_ANSWER", message="it thought, and said nothing")),
        Outcome(failure=Failure(code="REFUSED", message="the model refuses")),
    ]
    usage = Usage.of(outcomes)
    assert (usage.captions, usage.empty, usage.looping, usage.refused, usage.mixed) == (5, 2, 1, 2, 1)
    table = Dataset.from_list(rows_of([Fate(kind="kept", sample={"n": 1}, outputs=({"n": 1},), usage=usage)], ["n"]))
    found = counts(table)
    assert (found.empty, found.looping, found.refused, found.mixed) == (2, 1, 2, 1)


def test_a_table_of_before_has_no_such_counts_and_keeps_its_fates_when_samples_are_tried_again():
    def made(rows, *without):
        told = {name: kind for name, kind in FATE_COLUMN.items() if name not in without}
        rows = [{**row, FATE: {name: row[FATE][name] for name in told}} for row in rows]
        return Dataset.from_list(rows, features=Features(features_of({"n": "int", FATE: told})))

    failed = Fate(kind="rejected", sample={"n": 2}, failure=SampleError("X", "x", retryable=True), usage=Usage(captions=1))
    good = Fate(kind="kept", sample={"n": 1}, outputs=({"n": 1},), usage=Usage(captions=2, empty=1))
    before = made(rows_of([good, failed], ["n"]), *NEW)
    assert (counts(before).captions, counts(before).empty) == (3, 0)
    again = made(rows_of([Fate(kind="kept", sample={"n": 2}, outputs=({"n": 2},), usage=Usage(captions=1))], ["n"]))
    (batch,) = merged(before, fates_of(before).failed, again)
    assert batch.schema.field(FATE).type == before.data.schema.field(FATE).type
    assert [(fate["kind"], fate["captions"]) for fate in batch[FATE].to_pylist()] == [("kept", 2), ("kept", 1)]


def test_a_watcher_is_told_each_fate_before_the_next_sample_is_looked_at(monkeypatch: pytest.MonkeyPatch):
    told = []
    settle = HalveMapper.finish

    def noted(op, sample, outcomes):
        told.append(sample["n"])
        return settle(op, sample, outcomes)

    monkeypatch.setattr(HalveMapper, "finish", noted)
    table_of([4, 3, 0], batch_size=2, watcher=lambda fate: told.append(fate.kind))
    assert told == [4, "kept", 3, "rejected", 0, "filtered"]


def test_rejections_are_named_by_their_media():
    ds = Dataset.from_dict({"n": [4, 3], "videos": [["a.mp4"], ["b.mp4"]]})
    (record,) = rejections(step_table(HalveMapper(), ds), "halve_mapper", ("videos",))
    assert (record["id"], record["op"], record["code"]) == ("b.mp4", "halve_mapper", "ODD")
    assert record["sample"] == {"n": 3, "videos": ["b.mp4"], "half": None, "note": None}


class TestMissingKeys:
    """A table cannot tell a missing key from null; the origin can."""

    ORIGIN_OF = staticmethod(lambda *missing: {"id": "x.jsonl:1", "folder": "/d", "missing": list(missing)})

    def dataset(self, *rows):
        features = Features(
            {
                "n": Value("int64"),
                "label": Value("string"),
                ORIGIN: {"id": Value("string"), "folder": Value("string"), "missing": List(Value("string"))},
            }
        )
        return Dataset.from_list(list(rows), features=features)

    def test_a_column_that_an_output_lacks_is_noted(self):
        ds = self.dataset({"n": 4, "label": None, ORIGIN: self.ORIGIN_OF("label")})
        first, second = kept(step_table(HalveMapper(), ds))
        assert first[ORIGIN] == self.ORIGIN_OF("label", "half", "note")
        assert second[ORIGIN] == self.ORIGIN_OF("label", "note")
        assert visible(first) == {"n": 4}
        assert visible(second) == {"n": 4, "half": 2}

    def test_null_that_was_written_stays(self):
        ds = self.dataset({"n": 4, "label": None, ORIGIN: self.ORIGIN_OF()})
        assert visible(kept(step_table(HalveMapper(), ds))[0]) == {"n": 4, "label": None}

    def test_a_later_step_does_not_note_it_twice(self):
        ds = self.dataset({"n": 4, "label": "a", ORIGIN: self.ORIGIN_OF()})
        twice = kept(step_table(HalveMapper(), kept(step_table(HalveMapper(), ds))))
        assert twice[0][ORIGIN]["missing"] == ["half", "note"]

    def test_a_rejected_sample_is_written_as_its_user_knows_it(self):
        ds = self.dataset({"n": 3, "label": None, ORIGIN: self.ORIGIN_OF("label")})
        (record,) = rejections(step_table(HalveMapper(), ds), "halve_mapper", ("videos",))
        assert record["id"] == "x.jsonl:1"
        assert record["sample"] == {"n": 3}


def test_a_rejection_holds_enough_to_try_again():
    told = {"code": "C", "message": "m", "attempts": 2, "retryable": True, "when": "now", "kind": "rejected"}
    row = {"videos": ["a.mp4"], FATE: told}
    assert rejection(row, "op", ("videos",)) == {
        "id": "a.mp4",
        "source": None,
        "op": "op",
        "code": "C",
        "message": "m",
        "attempts": 2,
        "retryable": True,
        "when": "now",
        "sample": {"videos": ["a.mp4"]},
    }


def test_only_a_rejected_sample_has_a_failure_to_name():
    with pytest.raises(ValueError, match="not rejected"):
        Fate(kind="kept", sample={}).named_failure(())


class TestColumnsInObjects:
    def written(self, rows):
        failed = []
        return CaptionMapper().run(Dataset.from_list(rows), rejected=failed), failed

    def test_the_object_gets_a_field(self):
        result, failed = self.written([{"n": n, "media": {"video": f"{n}.mp4"}} for n in range(3)])
        assert result["media"] == [{"video": f"{n}.mp4", "caption": f"caption {n}"} for n in (1, 2)]
        assert result.features["media"] == {"video": Value("string"), "caption": Value("string")}
        assert [each["sample"]["media"] for each in failed] == [{"video": "0.mp4", "caption": None}]

    def test_a_field_of_the_same_type_stays_and_one_of_another_may_hold_both(self):
        (result, _), (mixed, _) = (
            self.written([{"n": 1, "media": {"caption": before, "id": 1}}, {"n": 2, "media": None}]) for before in ("old", 7)
        )
        assert result["media"] == [{"caption": "caption 1", "id": 1}, {"caption": "caption 2", "id": None}]
        assert mixed["media"] == result["media"]
        assert result.features["media"]["caption"] == Value("string")
        assert mixed.features["media"]["caption"] == exact_json()

    def test_without_such_an_object_the_column_has_that_very_name(self):
        result, _ = self.written([{"n": 1, "video": "a.mp4"}])
        assert result[0] == {"n": 1, "video": "a.mp4", "media.caption": "caption 1"}

    def test_what_is_no_object_rejects_the_sample(self):
        result, failed = self.written([{"n": 1, "media": "a.mp4"}])
        assert len(result) == 0
        assert [(each["code"], each["message"], each["sample"]["media"]) for each in failed] == [
            ("BAD_OBJECT", "'media.caption' cannot be written, since 'media' holds no object", "a.mp4")
        ]

    def test_in_a_batch(self):
        batch = {"n": [1, 2], "media": [{"video": "a.mp4"}, None]}
        assert CaptionMapper()(batch) == {
            "n": [1, 2],
            "media": [{"video": "a.mp4", "caption": "caption 1"}, {"caption": "caption 2"}],
        }
