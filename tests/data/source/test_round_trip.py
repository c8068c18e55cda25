"""Any records go through `open_source` and `write_export` and come back as they were."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from juicecap.data.export import write_export
from juicecap.data.source import open_source
from juicecap.sample import HIDDEN

pytestmark = pytest.mark.usefixtures("one_child")

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
KEYS = st.one_of(st.sampled_from(["videos", "text", "_type", "id", "007", "", "a.b", "\U0001f3ac"]), TEXT)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_infinity=False),
    TEXT,
    st.sampled_from(["007", "7", "NA", "null", "true", "2024-01-02", "2024-01-02T03:04:05Z", "[1]", "{}", '"x"']),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)
RECORDS = st.lists(
    st.dictionaries(KEYS.filter(lambda key: key not in HIDDEN and "\0" not in key), VALUES, max_size=4), min_size=1, max_size=5
)
REGULAR = st.sampled_from(
    [
        [{"a": {"x": 1, "y": [0.1]}}, {"a": {"x": 2**64 - 1, "y": []}}, {"a": None}],
        [{"a": [{"from": "human", "value": "hi"}]}, {"a": []}, {"a": [None, {"from": None, "value": "007"}]}],
        [{"a": [["x"], []]}, {"a": [None]}, {}],
        [{"a": [[[1, 2], []]]}],
        [{"a": 1}, {"a": 1.5}, {"a": 1.0}, {"a": "1"}, {"a": None}, {}],
        [{"a": {"n": 1}}, {"a": {"n": 1.5}}, {"a": {}}],
        [{"a": -1}, {"a": 2**64 - 1}],
        [{}, {}],
        [{"a": 0.1 + 0.2}, {"a": 5e-324}, {"a": -0.0}, {"a": 1.7976931348623157e308}],
    ]
)


def strict(value: Any) -> Any:
    """A form in which 1, 1.0 and true differ, NaN is the null that JSON has for it, and the order of nested keys counts."""
    if isinstance(value, dict):
        return [(key, strict(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [list, *map(strict, value)]
    if isinstance(value, float):
        return (type(None), None) if math.isnan(value) else (float, value.hex())
    return (type(value), value)


def strict_records(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: strict(value) for key, value in record.items()} for record in records]


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".json":
        loaded: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
        return loaded
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
@given(records=RECORDS | REGULAR, ascii_only=st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_records_come_back_as_they_were(suffix: str, records: list[dict[str, Any]], ascii_only: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = folder / f"in{suffix}", folder / f"out{suffix}"
        if suffix == ".json":
            source.write_text(json.dumps(records, ensure_ascii=ascii_only, indent=1), "utf-8", newline="")
        else:
            source.write_text("".join(json.dumps(r, ensure_ascii=ascii_only) + "\n" for r in records), "utf-8", newline="")
        dataset = open_source(str(source), cache_folder=folder)
        assert write_export(dataset, target) == len(records)
        assert strict_records(read(target)) == strict_records(records)


@pytest.mark.slow
@given(records=RECORDS | REGULAR)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_parquet_between_changes_only_missing_keys_to_null(records: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "in.jsonl"
        source.write_text("".join(json.dumps(r) + "\n" for r in records), "utf-8")
        if any(records):
            write_export(open_source(str(source), cache_folder=folder), folder / "middle.parquet")
            write_export(open_source(str(folder / "middle.parquet"), cache_folder=folder), folder / "out.jsonl")
            columns = dict.fromkeys(key for record in records for key in record)
            full = [{key: record.get(key) for key in columns} for record in records]
            assert strict_records(read(folder / "out.jsonl")) == strict_records(full)
