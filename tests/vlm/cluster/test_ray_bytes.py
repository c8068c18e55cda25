"""What a run on a cluster leaves is what it leaves on one machine, to the byte, and each goes on where the other stopped."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from scripted import Clips

import juicecap

pytestmark = [pytest.mark.process, pytest.mark.slow]


def recipe_of(folder: Path, clips: Clips, cluster: str | None = None, *, clips_used: int = 8) -> Path:
    """A filter that measures, and the demo model with two candidates, of which one is drawn."""
    folder.mkdir(exist_ok=True)
    (folder / "data.jsonl").write_text("".join(json.dumps({"videos": [path]}) + "\n" for path in clips.paths[:clips_used]))
    captions = {"hf_model": "juicecap-demo-vlm", "caption_num": 2, "sampling_params": {"temperature": 0.7}, "batch_size": 3}
    recipe = {
        "dataset_path": str(folder / "data.jsonl"),
        "export_path": str(folder / "out.jsonl"),
        "process": [{"video_duration_filter": {"min_duration": 0.1}}, {"video_captioning_from_vlm_mapper": captions}],
        **({"executor_type": "ray", "ray": {"address": cluster, "engines": [1, 2]}} if cluster else {}),
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe))
    return path


def answers_in(journal: Path) -> dict[tuple[str, int], str]:
    """All entries of a journal that are answers."""
    with sqlite3.connect(journal) as store:
        rows = store.execute("SELECT key, candidate, entry FROM answers").fetchall()
    return {(key, candidate): entry for key, candidate, entry in rows if "text" in json.loads(entry)}


def test_the_same_bytes_and_keys_as_on_one_machine(nodes, clips: Clips, tmp_path: Path) -> None:
    here = juicecap.run(recipe_of(tmp_path / "here", clips))
    there = juicecap.run(recipe_of(tmp_path / "there", clips, nodes.address))
    assert (here.asked, there.asked) == (16, 16)
    assert (tmp_path / "there" / "out.jsonl").read_bytes() == (tmp_path / "here" / "out.jsonl").read_bytes()
    journals = [answers_in(tmp_path / name / "out.run" / "journal.sqlite") for name in ("here", "there")]
    assert len(journals[0]) == 16
    assert journals[0] == journals[1]


@pytest.mark.parametrize("first", ["here", "there"])
def test_a_run_begun_in_one_place_goes_on_in_the_other(nodes, clips: Clips, tmp_path: Path, first: str) -> None:
    places = {"here": None, "there": nodes.address}
    (second,) = places.keys() - {first}
    whole = juicecap.run(recipe_of(tmp_path / "whole", clips))
    folder = tmp_path / "run"
    half = juicecap.run(recipe_of(folder, clips, places[first]), limit=3)
    assert half.asked == 6
    rest = juicecap.run(recipe_of(folder, clips, places[second]))
    assert (rest.replayed, rest.asked) == (6, 10)
    assert rest.exported == whole.exported
    assert (folder / "out.jsonl").read_bytes() == (tmp_path / "whole" / "out.jsonl").read_bytes()
