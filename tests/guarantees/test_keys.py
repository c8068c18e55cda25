"""A server's key, after runs that went wrong, on a server that repeats it wherever it can."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripted_server import KEY, KEY_NAME, Reply, ScriptedServer, obliging, refused, said


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param(refused(400, f"not with {KEY}"), 3, id="rejected samples"),
        pytest.param(refused(500, f"oops, {KEY}"), 4, id="failing server"),
        pytest.param(refused(401, f"{KEY} is revoked"), 4, id="revoked"),
        pytest.param(Reply(f"<html>{KEY}</html>"), 4, id="no JSON"),
        pytest.param(said("fine", finish=KEY), 0, id="no failure at all"),
    ],
)
def test_a_planted_key_is_nowhere_after_a_failing_run(
    server: ScriptedServer, clips: Any, tmp_path: Path, fault: Reply, code: int
) -> None:
    def script(body: dict[str, Any]) -> Reply:
        asked = json.dumps(body["messages"])
        return fault if "Describe" in asked else obliging(body)

    server.script = script
    rows = [{"videos": [path], "text": "", "n": number} for number, path in enumerate(clips.paths[:4])]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    op = {
        "hf_model": "served-model",
        "backend": "openai",
        "api_base": server.base,
        "api_key_env": KEY_NAME,
        "model_params": {"transport": "images", "max_attempts": 1},
        "num_frames": 2,
        "prompt": "Describe it.",
    }
    recipe = {"dataset_path": "data.jsonl", "export_path": "out/captions.jsonl", "keep_steps": "jsonl"}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "process": [{"video_captioning_from_vlm_mapper": op}]}))
    command = [sys.executable, "-m", "juicecap", "run", "recipe.yaml"]
    environment = {**os.environ, KEY_NAME: KEY}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert any(f"Bearer {KEY}" == seen.headers.get("authorization") for seen in server.seen)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"log.jsonl", "recipe.yaml", "journal.sqlite"} <= {path.name for path in files}
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert KEY not in done.stdout + done.stderr


def test_a_key_in_an_address_is_nowhere_when_the_server_is_gone(clips: Any, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text(json.dumps({"videos": [clips.paths[0]], "text": ""}) + "\n")
    op = {"hf_model": "m", "backend": "openai", "api_base": f"http://127.0.0.1:9/${{{KEY_NAME}}}", "num_frames": 2}
    op["model_params"] = {"max_attempts": 1, "transport": "images"}
    recipe = {"dataset_path": "data.jsonl", "export_path": "out/captions.jsonl"}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "process": [{"video_captioning_from_vlm_mapper": op}]}))
    command = [sys.executable, "-m", "juicecap", "run", "recipe.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, KEY_NAME: KEY}, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert "http://127.0.0.1:9/***: no server answers" in done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()] == []
    assert KEY not in done.stdout + done.stderr
