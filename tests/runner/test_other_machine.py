"""A run that goes on somewhere else: other paths, other times, another address of the server, and nothing is asked again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from scripted import Clips
from scripted_server import KEY_NAME, ScriptedServer, obliging, refused

import juicecap
from juicecap.file_blocks import WHOLE_UP_TO
from juicecap.runner import RunResult
from juicecap.vlm.models.names import DEMO_MODEL, model_source
from juicecap.vlm.pipeline import core

pytestmark = [pytest.mark.model, pytest.mark.process, pytest.mark.slow]


class Machine:
    """A folder with everything that a run needs: films (the last one is large), a model, a dataset, and a run folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "out" / "captions.jsonl"

    def furnish(self, clips: Clips) -> None:
        shutil.copytree(model_source(DEMO_MODEL), self.folder / "model")
        for number in range(3):
            shutil.copy(clips.paths[number], self.folder / f"{number}.mp4")
        with (self.folder / "2.mp4").open("ab") as file:
            file.write(WHOLE_UP_TO.to_bytes(4) + b"free")
            file.truncate(file.tell() + WHOLE_UP_TO - 8)
        self.rows(3)

    def rows(self, number: int) -> None:
        lines = (json.dumps({"videos": [f"{each % 3}.mp4"], "text": str(each)}) + "\n" for each in range(number))
        (self.folder / "data.jsonl").write_text("".join(lines))

    def moved(self, folder: Path) -> Machine:
        """Another machine with a copy of everything but the output and the times."""
        shutil.copytree(self.folder, folder)
        for number, file in enumerate(folder.rglob("*")):
            os.utime(file, ns=(10**18 + number, 10**18 + number))
        other = Machine(folder)
        other.output.unlink()
        return other

    def run(self, *ops: dict[str, object]) -> RunResult:
        core.close()
        sampling = {"temperature": 1.0, "max_tokens": 16}
        captioner = {"keep_original_sample": False, "caption_num": 2, "keep_candidate_mode": "all", "sampling_params": sampling}
        recipe = {
            "dataset_path": str(self.folder / "data.jsonl"),
            "export_path": str(self.output),
            "process": [{"video_captioning_from_vlm_mapper": {**captioner, **op}} for op in ops],
        }
        (self.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
        return juicecap.run(self.folder / "recipe.yaml", overwrite=True)

    def captions(self) -> str:
        return self.output.read_text(encoding="utf-8").replace(str(self.folder), "HERE")


@pytest.fixture
def here(tmp_path: Path, clips: Clips) -> Iterator[Machine]:
    (tmp_path / "here").mkdir()
    machine = Machine(tmp_path / "here")
    machine.furnish(clips)
    yield machine
    core.close()


def at(server: ScriptedServer, **more: object) -> dict[str, object]:
    return {"backend": "openai", "api_base": server.base, "api_key_env": KEY_NAME, "hf_model": "served-model", **more}


def with_model(machine: Machine) -> dict[str, object]:
    return {"hf_model": str(machine.folder / "model")}


def test_the_answers_of_a_local_model_are_found_wherever_films_and_model_lie(here, tmp_path):
    assert here.run(with_model(here)).asked == 6
    there = here.moved(tmp_path / "there")
    result = there.run(with_model(there))
    assert (result.asked, result.replayed) == (0, 6)
    assert there.captions() == here.captions()
    assert here.captions().count('"seed"') == 6


def test_the_bundled_model_is_the_same_whenever_it_was_installed(here, tmp_path, monkeypatch):
    here.run({"hf_model": DEMO_MODEL})
    there = here.moved(tmp_path / "there")
    shutil.copytree(model_source(DEMO_MODEL), tmp_path / "assets" / "demo_vlm")
    monkeypatch.setattr("juicecap.vlm.models.names._ASSETS", tmp_path / "assets")
    os.utime(tmp_path / "assets" / "demo_vlm" / "model.safetensors", ns=(1, 1))
    assert there.run({"hf_model": DEMO_MODEL}).asked == 0
    assert there.captions() == here.captions()


def test_the_answers_of_a_server_are_found_whatever_its_address(here, tmp_path, server):
    assert here.run(at(server)).asked == 6
    there, other = here.moved(tmp_path / "there"), ScriptedServer()
    try:
        assert there.run(at(other)).asked == 0
        assert (there.captions(), other.listened) == (here.captions(), 0)
        there.rows(4)
        assert there.run(at(other, prompt="And now?")).asked == 6
        assert len([seen for seen in other.seen if "And now?" in seen.parts()]) == 3
    finally:
        other.stop()


def test_two_servers_with_one_name_of_a_model_keep_their_ways_of_taking_videos(here, server):
    other = ScriptedServer()
    other.script = lambda body: refused(400, "no frames") if "video_url" in json.dumps(body) else obliging(body)
    ops = at(server, prompt="What?", keep_candidate_mode="random_any"), at(other, prompt="Where?")
    try:
        result = here.run(*ops)
        assert (result.asked, result.replayed) == (12, 0)
        shutil.rmtree(here.output.with_suffix(".run") / "steps")
        result = here.run(*ops)
        assert (result.asked, result.replayed) == (0, 12)
        kinds = [{kind for seen in each.seen for kind in seen.parts() if kind.endswith("_url")} for each in (server, other)]
        assert kinds == [{"video_url"}, {"video_url", "image_url"}]
    finally:
        other.stop()


def test_a_model_with_other_weights_is_asked(here, tmp_path):
    here.run(with_model(here))
    there = here.moved(tmp_path / "there")
    with (there.folder / "model" / "model.safetensors").open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"\0\0\0\0")
    assert there.run(with_model(there)).asked == 6
