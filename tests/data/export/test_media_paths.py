"""Paths of media lead to the files from where the export lies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from juicecap.data.export.media_paths import with_paths
from juicecap.data.source import open_source
from juicecap.sample import HIDDEN

TURNS = [
    {"role": "user", "content": [{"type": "video", "video": "clips/a.mp4"}, {"type": "text", "text": "clips/a.mp4?"}]},
    {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": "https://a.test/b.png"}}, {"type": "text", "text": "x"}],
    },
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data/clips").mkdir(parents=True)
    (tmp_path / "data/clips/a.mp4").write_bytes(b"film")
    rows = [
        {"videos": ["clips/a.mp4", "/far/b.mp4", "https://a.test/c.mp4"], "image": "file:///far/d.png", "text": "clips/a.mp4"},
        {"videos": [], "image": '["clips/e.png"]', "messages": TURNS},
        {"videos": None, "image": "../data/clips/f.png", "text": ""},
    ]
    (tmp_path / "data/rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "data/rows.jsonl"


def written(data: Path, folder: Path, how: Any) -> list[dict[str, Any]]:
    cache = data.parents[1] / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    dataset = with_paths(open_source(str(data), cache_folder=cache), {"videos", "image"}, {"messages"}, folder, how, cache)
    return [{key: value for key, value in row.items() if key not in HIDDEN} for row in dataset]


def test_beside_the_dataset_paths_stay_as_written(data: Path) -> None:
    assert written(data, data.parent, "auto") == written(data, data.parent / "deep", "as_written")


def test_elsewhere_relative_paths_lead_back(data: Path) -> None:
    out = data.parents[1] / "out/deep"
    rows = written(data, out, "auto")
    assert rows[0]["videos"] == ["../../data/clips/a.mp4", "/far/b.mp4", "https://a.test/c.mp4"]
    assert (out / rows[0]["videos"][0]).read_bytes() == b"film"
    assert [row["image"] for row in rows] == ["file:///far/d.png", '["../../data/clips/e.png"]', "../../data/clips/f.png"]
    assert [row["videos"] for row in rows[1:]] == [[], None]
    assert [row["text"] for row in rows] == ["clips/a.mp4", None, ""]
    assert rows[1]["messages"][0]["content"] == [
        {"type": "video", "video": "../../data/clips/a.mp4"},
        {"type": "text", "text": "clips/a.mp4?"},
    ]
    assert rows[1]["messages"][1]["content"][0]["image_url"]["url"] == "https://a.test/b.png"


def test_absolute_and_relative_throughout(data: Path) -> None:
    root = data.parents[1]
    assert written(data, data.parent, "absolute")[0]["videos"] == [
        f"{root}/data/clips/a.mp4",
        "/far/b.mp4",
        "https://a.test/c.mp4",
    ]
    rows = written(data, data.parent, "relative")
    assert rows[0]["videos"][0] == "clips/a.mp4"
    assert (data.parent / rows[0]["videos"][1]).resolve() == Path("/far/b.mp4")


def test_an_export_in_a_linked_folder_leads_back_too(data: Path) -> None:
    real, link = data.parents[1] / "some/where/out", data.parent / "link"
    real.mkdir(parents=True)
    link.symlink_to(real)
    (row, *_) = written(data, link, "auto")
    assert (link / row["videos"][0]).read_bytes() == b"film"


def test_rows_that_were_chosen_keep_their_own_paths(data: Path) -> None:
    cache = data.parents[1] / "cache"
    dataset = open_source(str(data), cache_folder=cache).select([2, 0], keep_in_memory=True)
    chosen = with_paths(dataset, {"videos", "image"}, (), data.parents[1], "auto", cache)
    assert [row["image"] for row in chosen] == ["data/clips/f.png", "file:///far/d.png"]


def test_fragments_stay(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    data = tmp_path / "data/rows.jsonl"
    data.write_text(
        json.dumps({"videos": ["clips/a.mp4#t=1,2", "file:///far/b.mp4#t=,3"], "image": None, "messages": None}) + "\n"
    )
    (row,) = written(data, tmp_path / "out", "auto")
    assert row["videos"] == ["../data/clips/a.mp4#t=1,2", "file:///far/b.mp4#t=,3"]
