"""Samples and batches, names of samples, and media columns."""

from __future__ import annotations

import os

import pytest

from juicecap.errors import SampleError
from juicecap.sample import ORIGIN, batch_of, media_paths, sample_name, samples_of, short_repr

ORIGINS = {"id": "clips.jsonl:3", "folder": "/data", "missing": []}


def test_a_batch_is_its_samples_in_order():
    assert samples_of({"a": [1, 2], "b": ["x", None]}) == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    assert samples_of({"a": [], "b": []}) == []


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        samples_of({"a": [1, 2], "b": [1]})


def test_a_batch_has_all_columns_in_the_order_in_which_they_come():
    batch = batch_of([{"b": 1}, {"c": 2, "b": 3}], ["a"])
    assert list(batch.items()) == [("a", [None, None]), ("b", [1, 3]), ("c", [None, 2])]
    assert batch_of([], ["a", "b"]) == {"a": [], "b": []}


@pytest.mark.parametrize(
    ("sample", "name"),
    [
        ({ORIGIN: ORIGINS, "videos": ["a.mp4"]}, "clips.jsonl:3"),
        ({"videos": ["a.mp4", "b.mp4"]}, "a.mp4"),
        ({"videos": "a.mp4"}, "a.mp4"),
        ({"videos": [], "images": ["p.png"]}, "p.png"),
        ({"videos": None}, "a sample without media"),
        ({}, "a sample without media"),
        ({"videos": [None]}, "a sample without media"),
        ({"videos": {"path": "a.mp4"}}, "{'path': 'a.mp4'}"),
        ({"videos": 7}, "7"),
    ],
)
def test_names(sample, name):
    assert sample_name(sample) == name


def test_names_follow_the_media_columns_that_are_given():
    assert sample_name({"videos": ["a.mp4"], "clip": "c.mp4"}, ["clip"]) == "c.mp4"


def test_long_values_are_cut_in_messages():
    assert short_repr("short") == "'short'"
    assert short_repr({"bytes": b"\0" * 1_000_000}) == repr({"bytes": b"\0" * 100})[:79] + "…"


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        (None, []),
        ("", []),
        ([], []),
        ("a.mp4", ["/data/a.mp4"]),
        (["a.mp4", "/b.mp4"], ["/data/a.mp4", "/b.mp4"]),
        (("a.mp4",), ["/data/a.mp4"]),
        ('["a.mp4", "sub/b.mp4"]', ["/data/a.mp4", "/data/sub/b.mp4"]),
        ("[]", []),
        ("[final] a.mp4", ["/data/[final] a.mp4"]),
        ("['a.mp4']", ["/data/['a.mp4']"]),
    ],
)
def test_media_columns(value, paths):
    assert media_paths({"videos": value, ORIGIN: ORIGINS}, "videos") == paths


@pytest.mark.parametrize(
    "value", ["file:///data/a%20b.mp4", "file://localhost/data/a%20b.mp4", "FILE:///data/a b.mp4", ["file:///data/a%20b.mp4"]]
)
def test_a_file_address_is_a_path(value):
    assert media_paths({"videos": value, ORIGIN: ORIGINS}, "videos") == ["/data/a b.mp4"]


def test_without_an_origin_paths_stay_as_they_are():
    assert media_paths({"videos": ["a.mp4"]}, "videos") == ["a.mp4"]
    assert media_paths({}, "videos") == []
    assert media_paths({"videos": {"path": "a.mp4", "bytes": None}}, "videos") == ["a.mp4"]
    assert media_paths({"videos": [{"path": "a.mp4", "bytes": None}, "b.mp4"]}, "videos") == ["a.mp4", "b.mp4"]
    assert media_paths({"videos": "a.mp4", ORIGIN: {**ORIGINS, "folder": ""}}, "videos") == ["a.mp4"]
    assert media_paths({"videos": "a.mp4", ORIGIN: {**ORIGINS, "folder": "/d" + os.sep}}, "videos") == ["/d/a.mp4"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (7, "column 'videos' holds 7, not a path or a list of paths"),
        ({"path": "a.mp4"}, "column 'videos' holds {'path': 'a.mp4'}, not a path or a list of paths"),
        (["a.mp4", None], "column 'videos' holds None where a path should be"),
        ([{"path": None, "bytes": None}], "column 'videos' holds {'path': None, 'bytes': None} where a path should be"),
        (
            {"path": "a.mp4", "bytes": b"film"},
            "column 'videos' holds bytes, which juicecap.load_dataset and an op's run write to files",
        ),
        (
            "file://nas/a.mp4",
            "column 'videos' holds 'file://nas/a.mp4', which names the machine 'nas'; write file:///PATH, or the path alone",
        ),
        ([""], "column 'videos' holds '' where a path should be"),
        ("[7]", "column 'videos' holds 7 where a path should be"),
    ],
)
def test_columns_without_paths(value, message):
    with pytest.raises(SampleError) as caught:
        media_paths({"videos": value}, "videos")
    assert (caught.value.code, caught.value.message) == ("BAD_MEDIA_COLUMN", message)
