"""One preview for all tests of its page."""

from __future__ import annotations

from pathlib import Path

import pytest
from preview_job import make_preview

from juicecap.runner.estimate.preview import Preview

CLIPS = Path(__file__).parent.parent.parent / "recipes" / "clips"


@pytest.fixture(scope="session")
def preview(tmp_path_factory: pytest.TempPathFactory) -> Preview:
    """Five samples: three are kept, one has a broken clip, one is filtered out."""
    return make_preview(tmp_path_factory.mktemp("preview"), CLIPS)
