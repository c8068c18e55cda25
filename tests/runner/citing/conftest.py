"""A recipe about a few clips, which a scripted model captions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripted import Clips, Script

import juicecap
from juicecap.runner import RunResult
from juicecap.vlm.pipeline import core


class CaptionJob:
    """Four clips, a filter and a captioner."""

    def __init__(self, folder: Path, clips: Clips, script: Script) -> None:
        self.folder, self._clips = folder, clips
        self.script = script
        self.recipe = folder / "recipe.yaml"
        self.captioner: dict[str, Any] = {"hf_model": script.model, "keep_original_sample": False, "prompt": "What is shown?"}
        self.write(4)

    def write(self, count: int) -> None:
        """The dataset gets so many rows."""
        rows = (json.dumps({"videos": [path]}) + "\n" for path in self._clips.paths[:count])
        (self.folder / "data.jsonl").write_text("".join(rows))

    def run(self, **options: Any) -> RunResult:
        """As a process of its own would."""
        core.close()
        recipe = {
            "dataset_path": str(self.folder / "data.jsonl"),
            "export_path": str(self.folder / "out" / "captions.jsonl"),
            "process": [{"video_duration_filter": {}}, {"video_captioning_from_vlm_mapper": self.captioner}],
        }
        self.recipe.write_text(yaml.safe_dump(recipe))
        return juicecap.run(self.recipe, overwrite=True, **options)

    @property
    def work_dir(self) -> Path:
        return self.folder / "out" / "captions.run"

    def model(self) -> dict[str, Any]:
        """What the manifest says of the captioner's model."""
        manifest = json.loads((self.work_dir / "manifest.json").read_text())
        assert "model" not in manifest["steps"][0]
        return manifest["steps"][1]["model"]

    def provenance(self) -> list[dict[str, Any]]:
        """The entry of each caption."""
        lines = (self.folder / "out" / "captions.jsonl").read_text().splitlines()
        return [entry for line in lines for entry in json.loads(line)["caption_provenance"]]


@pytest.fixture
def job(tmp_path: Path, clips: Clips, script: Script) -> Iterator[CaptionJob]:
    yield CaptionJob(tmp_path, clips, script)
    core.close()
