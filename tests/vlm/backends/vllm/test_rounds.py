"""An op that asks twice about each sample, on the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed: .ci/run runs these tests in its vLLM lane")

from rounds import check_rounds
from scripted import Clips

from juicecap.vlm.pipeline import core

pytestmark = pytest.mark.model


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    core.close()
    yield
    core.close()


def test_two_rounds_come_out_right(clips: Clips, tmp_path: Path) -> None:
    check_rounds(clips.paths[:7], tmp_path, exact=False, hf_model="juicecap-demo-vlm", backend="vllm")
