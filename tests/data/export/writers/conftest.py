from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exporting import Exporting


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory, film: Callable[..., Any]) -> Path:
    """A clip of 24 frames, 2 seconds, 96 pixels wide and 64 high."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    film(path, "circle", "red", "black", "right", frames=24, fps=12, size=(96, 64))
    return path


@pytest.fixture
def exporting(tmp_path: Path, clip: Path) -> Exporting:
    return Exporting(tmp_path, clip)
