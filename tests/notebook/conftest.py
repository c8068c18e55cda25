"""A recipe as a dict, with a scripted model in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scripted import Clips, Script


@pytest.fixture
def recipe(tmp_path: Path, clips: Clips, script: Script, closed: None) -> dict[str, Any]:
    """Two clips, and a third that is not there; the model says what it is asked."""
    asks = ["a <b>red</b> ball", "a blue box", "gone"]
    videos = [*clips.paths[:2], str(tmp_path / "gone.mp4")]
    rows = [{"videos": [path], "ask": ask} for path, ask in zip(videos, asks, strict=True)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = {"hf_model": script.model, "caption_field": "caption", "caption_as": "text", "prompt_key": "ask"}
    return {
        "dataset_path": tmp_path / "data.jsonl",
        "export_path": tmp_path / "out" / "captions.jsonl",
        "max_rejected": 1,
        "process": [{"video_captioning_from_vlm_mapper": options}],
    }
