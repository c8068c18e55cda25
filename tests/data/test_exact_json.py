"""`exact_json` keeps values that stock `Json` changes, through `Dataset.map`, pickling and saving."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, Features, Json, List, Value
from datasets.fingerprint import Hasher

from juicecap.data.columns import features_of, with_columns
from juicecap.data.exact_json import encode_batch, exact, exact_json
from juicecap.data.source import open_source

MIXED: list[Any] = ["007", 0.1 + 0.2, 1, 1.0, True, None, {"a": 2**64 - 1, "b": None}, {}, [1, 1.5, "7"], "null", "NaN"]


@pytest.fixture
def mixed(tmp_path: Path) -> Dataset:
    path = tmp_path / "mixed.jsonl"
    path.write_text("".join(json.dumps({"a": value}) + "\n" for value in MIXED))
    return open_source(str(path), cache_folder=tmp_path)


def same(left: list[Any], right: list[Any]) -> bool:
    return repr(left) == repr(right)


def test_rows_slices_and_columns_are_decoded_exactly(mixed: Dataset) -> None:
    assert same([row["a"] for row in mixed], MIXED)
    assert same(mixed[:]["a"], MIXED)
    assert same(list(mixed["a"]), MIXED)


def test_a_batch_that_is_encoded_passes_map_unchanged(mixed: Dataset, tmp_path: Path) -> None:
    features = with_columns(mixed.features, {"b": "json", "c": {"inner": "json", "n": "int"}, "d": ["json"]})

    def copy(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        values = batch["a"]
        own = {"b": values, "c": [{"inner": value, "n": 1} for value in values], "d": [[value] for value in values]}
        return encode_batch({**batch, **own}, features)

    result = mixed.map(copy, batched=True, features=features, batch_size=3, cache_file_name=str(tmp_path / "step.arrow"))
    assert same(result[:]["a"], MIXED)
    assert same(result[:]["b"], MIXED)
    assert same([value["inner"] for value in result[:]["c"]], MIXED)
    assert same([value[0] for value in result[:]["d"]], MIXED)


def test_a_bare_map_has_the_limits_of_stock_json_but_no_crash(mixed: Dataset, tmp_path: Path) -> None:
    copied = mixed.map(lambda row: {"a": row["a"]}, features=mixed.features, cache_file_name=str(tmp_path / "step.arrow"))
    assert copied[0]["a"] == "007"
    assert copied[6]["a"] == {"a": 2**64 - 1, "b": None}


def test_the_feature_survives_pickling_and_hashes_the_same(mixed: Dataset) -> None:
    features = pickle.loads(pickle.dumps(mixed.features))
    assert features["a"].decode_example('"007"') == "007"
    assert Hasher.hash(features["a"]) == Hasher.hash(exact_json())
    assert same(pickle.loads(pickle.dumps(mixed))[:]["a"], MIXED)


def test_other_readers_see_a_json_column(mixed: Dataset, tmp_path: Path) -> None:
    mixed.save_to_disk(tmp_path / "saved")
    stock = Dataset.load_from_disk(str(tmp_path / "saved"))
    assert type(stock.features["a"]) is Json
    assert stock[6]["a"] == {"a": 2**64 - 1, "b": None}
    assert exact_json() == Json()
    assert Json() == exact_json()


def test_exact_replaces_json_at_any_depth() -> None:
    features = exact(Features({"a": Json(), "b": List({"c": Json()}), "d": Value("int8"), "e": List(Value("string"), length=2)}))
    assert type(features["a"]) is type(exact_json())
    assert type(features["b"].feature["c"]) is type(exact_json())
    assert features["d"] == Value("int8")
    assert features["e"] == List(Value("string"), length=2)


def test_encode_batch_leaves_other_columns_and_nulls_alone() -> None:
    features = features_of({"a": "json", "b": "text", "c": {"x": "json"}})
    batch = encode_batch({"a": [None, "7"], "b": ["7", None], "c": [None, {"x": 1.5}], "new": [1, 2]}, features)
    assert batch == {"a": [None, '"7"'], "b": ["7", None], "c": [None, {"x": "1.5"}], "new": [1, 2]}
