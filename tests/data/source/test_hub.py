"""A name is looked up on the Hub. No network here: its answers are scripted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from juicecap.data.source import hub, open_source
from juicecap.errors import DataError, EnvironmentFailure, JuicecapError
from juicecap.sample import ORIGIN

pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "FETCH", "scripted_hub:fetch")
    monkeypatch.chdir(tmp_path)


def test_the_train_split_is_taken_and_rows_are_named(tmp_path: Path) -> None:
    (tmp_path / "hub.json").write_text(json.dumps({"rows": {"videos": [["https://x/a.mp4"], ["b.mp4"]]}}))
    dataset = open_source("org/clips-v1.5", cache_folder=tmp_path, limit=1)
    assert json.loads((tmp_path / "asked.json").read_text()) == ["org/clips-v1.5", {"split": "train"}]
    assert dataset[:] == {"videos": [["https://x/a.mp4"]], ORIGIN: [{"id": "org/clips-v1.5:1", "folder": "", "missing": []}]}


@pytest.mark.parametrize(
    ("kind", "said", "expected", "message"),
    [
        ("DatasetNotFoundError", "x", DataError, "org/name does not exist: no such file or folder here, and no dataset"),
        ("ConnectionError", "no route", EnvironmentFailure, "org/name is no file or folder here, and the Hub cannot be reached"),
        (
            "ValueError",
            'Unknown split "train".\nmore',
            DataError,
            r'org/name on the Hub cannot be read: Unknown split "train"\. Try',
        ),
        ("DatasetGenerationError", "broken", DataError, "org/name on the Hub cannot be read: broken"),
        ("ZeroDivisionError", "broken", DataError, "org/name on the Hub cannot be read: broken"),
        ("MemoryError", "", DataError, "org/name on the Hub cannot be read: it takes more than 8192 MB"),
    ],
)
def test_its_errors_are_sentences(kind: str, said: str, expected: type[JuicecapError], message: str, tmp_path: Path) -> None:
    (tmp_path / "hub.json").write_text(json.dumps({"raises": [kind, said]}))
    with pytest.raises(expected, match=f"^{message}"):
        open_source("org/name", cache_folder=tmp_path)
