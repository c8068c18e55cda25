"""A journal's place, and writing into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from juicecap.vlm.journal.store import Record, Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "journal.sqlite"


def key(number: int) -> str:
    return f"{number:032x}"


def written(path: Path, *records: Record) -> None:
    store = Store(path)
    store.write(records)
    store.close()
