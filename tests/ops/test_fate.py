"""Fates that stay under `on_error: keep`, and how often a sample was tried."""

from __future__ import annotations

from datasets import Dataset

from juicecap.errors import MediaError, SampleError
from juicecap.ops.apply.fate import FAILURES, Fate, rows_of
from juicecap.ops.apply.table import Failed, fates_of, kept
from juicecap.sample import FATE, ORIGIN, source_position

FAILED = Fate(kind="rejected", sample={"n": 1}, failure=MediaError("GONE", "it is gone", retryable=True, attempts=3))


def test_a_failure_that_stays_gives_the_sample_with_its_reason():
    stays = FAILED.staying("some_op")
    reason = {"op": "some_op", "code": "GONE", "message": "it is gone"}
    assert (stays.kind, stays.failure) == ("kept", FAILED.failure)
    assert stays.outputs == ({"n": 1, FAILURES: [reason]},)
    again = Fate(kind="rejected", sample=stays.outputs[0], failure=SampleError("BAD", "no"))
    assert again.staying("other_op").outputs[0][FAILURES] == [reason, {"op": "other_op", "code": "BAD", "message": "no"}]
    fine = Fate(kind="filtered", sample={"n": 1})
    assert fine.staying("some_op") is fine


def test_attempts_add_up_and_the_kind_of_error_stays():
    counted = FAILED.tried_before(4).failure
    assert (type(counted), counted.code, counted.message, counted.retryable, counted.attempts) == (
        MediaError,
        "GONE",
        "it is gone",
        True,
        7,
    )
    assert FAILED.tried_before(0) is FAILED
    assert FAILED.named_failure(()).attempts == 3


def test_what_a_table_tells_of_failures():
    good = Fate(kind="kept", sample={"n": 0}, outputs=({"n": 0}, {"n": 10}))
    bad = Fate(kind="rejected", sample={"n": 2}, failure=SampleError("BAD", "no"))
    rows = rows_of([good, FAILED.staying("op"), bad, good], ["n", FAILURES])
    fates = fates_of(Dataset.from_list(rows))
    assert fates.failed == [
        Failed(row=2, sample=1, attempts=3, retryable=True),
        Failed(row=3, sample=2, attempts=1, retryable=False),
    ]
    assert (fates.counts.taken, fates.counts.kept, fates.counts.failed, fates.counts.rejected, fates.counts.given) == (
        4,
        3,
        1,
        1,
        5,
    )
    assert fates.reasons == {"GONE": 1, "BAD": 1}
    assert kept(Dataset.from_list(rows), fates)["n"][:] == [0, 10, 1, 0, 10]


def test_the_state_tells_apart_what_goes_on():
    def state(*fates):
        return fates_of(Dataset.from_list(rows_of(fates, ["n", FAILURES]))).state

    good = Fate(kind="kept", sample={"n": 0}, outputs=({"n": 0},))
    other = Fate(kind="rejected", sample={"n": 1}, failure=SampleError("OTHER", "because"))
    assert state(good, good) == ""
    assert state(good, FAILED) == state(good, FAILED.tried_before(2)) == state(good, other) != ""
    assert state(FAILED, good) != state(good, FAILED)
    assert state(good, FAILED.staying("op")) not in (state(good, FAILED), state(good, other.staying("op")))


def test_the_position_in_the_source():
    assert source_position({ORIGIN: {"id": "a.jsonl:3", "folder": "/data", "missing": []}}) == "/data/a.jsonl:3"
    assert source_position({ORIGIN: {"id": "org/name:3", "folder": "", "missing": []}}) == "org/name:3"
    assert source_position({"n": 1, FATE: {}}) is None
