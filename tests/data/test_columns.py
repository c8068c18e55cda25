"""Specs stand for the features that their words say."""

from __future__ import annotations

import subprocess
import sys

import pytest
from datasets import Features, Json, List, Value

from juicecap.data.columns import ORIGIN_FEATURE, features_of, with_columns
from juicecap.errors import DataError


def test_each_word_stands_for_its_feature() -> None:
    words = {name: name for name in ("text", "texts", "int", "uint", "float", "bool", "json")}
    assert features_of(words) == Features(
        {
            "text": Value("string"),
            "texts": List(Value("string")),
            "int": Value("int64"),
            "uint": Value("uint64"),
            "float": Value("float64"),
            "bool": Value("bool"),
            "json": Json(),
        }
    )


def test_dicts_are_structs_and_lists_are_lists() -> None:
    assert features_of({"a": {"model": "text", "frames": ["float"], "deep": [{"x": ["texts"]}]}}) == Features(
        {
            "a": {
                "model": Value("string"),
                "frames": List(Value("float64")),
                "deep": List({"x": List(List(Value("string")))}),
            }
        }
    )
    assert features_of({"o": ORIGIN_FEATURE})["o"] == {
        "id": Value("string"),
        "folder": Value("string"),
        "missing": List(Value("string")),
    }


def test_an_unknown_word_names_its_place_and_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"column 'a\.b\[\]' is declared as 'txt'.*bool, float, int, json, text, texts, uint"):
        features_of({"a": {"b": ["txt"]}})


def test_with_columns_replaces_in_place_and_adds_behind() -> None:
    before = Features({"a": Value("int64"), "b": Value("string")})
    after = with_columns(before, {"c": "float", "a": "text"})
    assert list(after.items()) == [("a", Value("string")), ("b", Value("string")), ("c", Value("float64"))]
    assert before == Features({"a": Value("int64"), "b": Value("string")})


def test_json_columns_that_were_there_become_exact() -> None:
    after = with_columns(Features({"a": Json(), "b": List(Json())}), {})
    assert after["a"].decode_example("0.30000000000000004") == 0.1 + 0.2
    assert after["b"].feature.encode_example("007") == '"007"'


def test_importing_the_data_layer_opens_no_heavy_library() -> None:
    script = """
import importlib, pkgutil, sys
import juicecap.data
for module in pkgutil.walk_packages(juicecap.data.__path__, "juicecap.data."):
    importlib.import_module(module.name)
print(sorted({"datasets", "pyarrow", "numpy", "pandas", "torch"} & set(sys.modules)), "juicecap.data.source.hub" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout == "[] True\n"
