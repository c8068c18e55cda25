"""`filtered.jsonl`: which samples ops dropped, and by which values."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from juicecap.data.table import open_arrow, write_arrow
from juicecap.errors import DataError
from juicecap.sample import FATE

MORE_OPERATORS = '''

import numpy
from juicecap.ops.apply.dropped import Dropped
from juicecap.ops.base import Filter, Op
from juicecap.ops.whole_dataset import Deduplicator, Selector


@register
@dataclass(frozen=True, kw_only=True)
class PlainFilter(Filter):
    """Says nothing of what it measured."""

    def keep(self, sample):
        return not sample["text"].startswith("plain")


@register
@dataclass(frozen=True, kw_only=True)
class ScoredFilter(Op):
    """Drops with a score."""

    least: float = 0.5

    def wanted(self):
        return {"least": self.least}

    def finish(self, sample, outcomes):
        return Dropped({"score": numpy.float32(0.25)}) if sample["text"].startswith("scored") else [sample]


@register
@dataclass(frozen=True, kw_only=True)
class TextDeduplicator(Deduplicator):
    """Keeps the first of all samples whose texts begin alike."""

    def signature(self, sample):
        if (HERE / "interrupted").exists():
            raise KeyboardInterrupt
        return sample["text"][:4]


@register
@dataclass(frozen=True, kw_only=True)
class RankSelector(Selector):
    """Drops by rank."""

    def select(self, samples):
        return [Dropped({"rank": 1 + n}) if n else True for n, _ in enumerate(samples)]
'''


@pytest.fixture
def lossy(texts):
    """Five texts; each op drops one."""
    operators = texts.folder / "operators.py"
    operators.write_text(operators.read_text() + MORE_OPERATORS)
    texts.process = [
        {"text_length_filter": {"min_len": 3}},
        {"plain_filter": {}},
        {"scored_filter": {}},
        {"text_length_filter": {"min_len": 0, "max_len": 12}},
        {"text_deduplicator": {}},
        {"rank_selector": {}},
    ]
    texts.write(["ab", "plain", "first text", "scored", "fine", "a text that is too long", "first again"])
    return texts


def lines(texts) -> list[dict]:
    return [json.loads(line) for line in (texts.work_dir / "filtered.jsonl").read_text(encoding="utf-8").splitlines()]


def test_each_sample_that_was_dropped_has_a_line_with_what_was_measured(lossy) -> None:
    result = lossy.run()
    assert lossy.out() == ["first text"]
    found = lines(lossy)
    assert len(found) == result.filtered == 6
    assert {each.pop("source").removeprefix(f"{lossy.folder}/") for each in found} == {each["id"] for each in found}
    limits = {step["op"]: step.get("wanted") for step in lossy.manifest()["steps"]}
    assert (limits["plain_filter"], limits["scored_filter"], limits["text_length_filter"]) == (
        None,
        {"least": 0.5},
        {"max_len": 12},
    )
    assert found == [
        {"id": "data.jsonl:1", "op": "text_length_filter[1]", "measured": {"length": 2}, "wanted": {"min_len": 3}},
        {"id": "data.jsonl:2", "op": "plain_filter[2]"},
        {"id": "data.jsonl:4", "op": "scored_filter[3]", "measured": {"score": 0.25}, "wanted": {"least": 0.5}},
        {"id": "data.jsonl:6", "op": "text_length_filter[4]", "measured": {"length": 23}, "wanted": {"max_len": 12}},
        {"id": "data.jsonl:7", "op": "text_deduplicator[5]", "duplicate_of": "data.jsonl:3"},
        {"id": "data.jsonl:5", "op": "rank_selector[6]", "measured": {"rank": 2}},
    ]


def test_a_run_that_ends_early_has_them_so_far_and_one_that_goes_on_has_the_same_bytes(lossy) -> None:
    lossy.process.insert(3, {"trouble_mapper": {"on_error": "stop"}})
    lossy.run()
    whole = (lossy.work_dir / "filtered.jsonl").read_bytes()
    lossy.output = lossy.folder / "again" / "texts.jsonl"
    lossy.fails({"first text": ("ODD", False)})
    with pytest.raises(DataError, match=r"^trouble_mapper\[4\]: ODD"):
        lossy.run()
    assert [each["id"] for each in lines(lossy)] == ["data.jsonl:1", "data.jsonl:2", "data.jsonl:4"]
    lossy.fails({})
    lossy.run()
    assert (lossy.work_dir / "filtered.jsonl").read_bytes() == whole


def test_a_run_that_is_interrupted_has_those_of_finished_ops(lossy, monkeypatch: pytest.MonkeyPatch) -> None:
    lossy.run()
    whole = lines(lossy)
    finished = [each for each in whole if each["op"].endswith(("[1]", "[2]", "[3]", "[4]"))]
    lossy.output = lossy.folder / "again" / "texts.jsonl"
    (lossy.folder / "interrupted").touch()
    with pytest.raises(KeyboardInterrupt):
        lossy.run()
    assert lines(lossy) == finished
    assert len(finished) < len(whole)
    (lossy.folder / "interrupted").unlink()
    lossy.run()
    assert lines(lossy) == whole


@pytest.mark.parametrize("pipeline", ["off", "on"])
def test_the_bytes_do_not_depend_on_how_samples_flow(lossy, pipeline: str) -> None:
    lossy.run()
    whole = (lossy.work_dir / "filtered.jsonl").read_bytes()
    lossy.output = lossy.folder / pipeline / "texts.jsonl"
    lossy.run(pipeline=pipeline)
    assert (lossy.work_dir / "filtered.jsonl").read_bytes() == whole


def test_finished_steps_of_before_have_no_values_and_count_all_the_same(lossy) -> None:
    """Their tables have no place for them."""
    lossy.run()
    (file,) = (lossy.work_dir / "steps").glob("01-*.arrow")
    table = open_arrow(file, "before").data.table
    fates = table[FATE].combine_chunks()
    told = [each for each in fates.type if each.name != "dropped"]
    before = pa.StructArray.from_arrays([fates.field(each.name) for each in told], fields=told)
    table = table.set_column(table.column_names.index(FATE), pa.field(FATE, before.type), before)
    write_arrow(file, table.schema, table.to_batches())
    assert lossy.run().steps[0].finished_before
    first, *others = lines(lossy)
    assert (first["id"], first["wanted"], "measured" in first) == ("data.jsonl:1", {"min_len": 3}, False)
    assert others[1]["measured"] == {"score": 0.25}
