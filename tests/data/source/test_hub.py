"""A name is looked up on the Hub. No network here: its answers are scripted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import Dataset
from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError

from juicecap.data.source import open_source
from juicecap.errors import DataError, EnvironmentFailure, JuicecapError
from juicecap.sample import ORIGIN


def test_the_train_split_is_taken_and_rows_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load(name: str, **options: Any) -> Dataset:
        asked.append((name, options))
        return Dataset.from_dict({"videos": [["https://x/a.mp4"], ["b.mp4"]]})

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.chdir(tmp_path)
    dataset = open_source("org/clips-v1.5", cache_folder=tmp_path, limit=1)
    assert asked == [("org/clips-v1.5", {"split": "train"})]
    assert dataset[:] == {"videos": [["https://x/a.mp4"]], ORIGIN: [{"id": "org/clips-v1.5:1", "folder": "", "missing": []}]}


@pytest.mark.parametrize(
    ("raised", "expected", "message"),
    [
        (DatasetNotFoundError("x"), DataError, "org/name does not exist: no such file or folder here, and no dataset"),
        (ConnectionError("no route"), EnvironmentFailure, "org/name is no file or folder here, and the Hub cannot be reached"),
        (
            ValueError('Unknown split "train".\nmore'),
            DataError,
            r'org/name on the Hub cannot be read: Unknown split "train"\. Try',
        ),
        (DatasetGenerationError("broken"), DataError, "org/name on the Hub cannot be read: broken"),
    ],
)
def test_its_errors_are_sentences(
    raised: Exception, expected: type[JuicecapError], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str, **options: Any) -> Dataset:
        raise raised

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(expected, match=f"^{message}"):
        open_source("org/name", cache_folder=tmp_path)
