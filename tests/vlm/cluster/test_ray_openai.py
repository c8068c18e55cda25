"""Servers that are asked from the nodes of a cluster: the same answers as from one machine, with a key that travels in memory."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import Clips
from scripted_server import Reply, ScriptedServer, said

import juicecap

pytestmark = [pytest.mark.process, pytest.mark.slow]

KEY = "sk-" + "a1B2c3D4e5F6" * 3


def hashed(body: dict[str, Any]) -> Reply:
    """An answer that tells all of the question: its frames, its seed, its text."""
    asked = json.dumps([body["messages"], body.get("seed")], sort_keys=True)
    return said(hashlib.sha256(asked.encode()).hexdigest(), prompt_tokens=len(asked))


@pytest.fixture
def servers() -> Iterator[list[ScriptedServer]]:
    """Two servers of one model."""
    both = [ScriptedServer(), ScriptedServer()]
    for server in both:
        server.script = hashed
    yield both
    for server in both:
        server.stop()


def recipe_of(folder: Path, clips: Clips, servers: list[ScriptedServer], cluster: str | None = None) -> Path:
    """Captions of eight clips, two candidates each."""
    folder.mkdir()
    (folder / "data.jsonl").write_text("".join(json.dumps({"videos": [path]}) + "\n" for path in clips.paths[:8]))
    op = {
        "backend": "openai",
        "hf_model": "served-model",
        "api_base": [server.base for server in servers],
        "api_key_env": "NODES_KEY",
        "model_params": {"transport": "images"},
        "caption_num": 2,
        "keep_candidate_mode": "all",
        "keep_original_sample": False,
    }
    recipe = {
        "dataset_path": str(folder / "data.jsonl"),
        "export_path": str(folder / "out.jsonl"),
        "process": [{"video_captioning_from_vlm_mapper": op}],
        **({"executor_type": "ray", "ray": {"address": cluster, "engines": [2, 2]}} if cluster else {}),
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe))
    return path


def asked(servers: list[ScriptedServer]) -> list[list[int | None]]:
    """The seeds that each was asked with, and no more than that is remembered."""
    seeds = [sorted(seen.body["seed"] for seen in server.seen if len(seen.parts()) > 1) for server in servers]
    for server in servers:
        server.seen.clear()
    return seeds


def test_two_servers_are_asked_from_two_nodes(nodes, clips: Clips, servers, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NODES_KEY", KEY)
    here = juicecap.run(recipe_of(tmp_path / "here", clips, servers))
    first = asked(servers)
    there = juicecap.run(recipe_of(tmp_path / "there", clips, servers, nodes.address))
    assert (here.asked, there.asked, here.rejected, there.rejected) == (16, 16, 0, 0)
    assert {seen.headers["authorization"] for server in servers for seen in server.seen} == {f"Bearer {KEY}"}
    second = asked(servers)
    assert all(first)
    assert all(second)
    assert sorted(itertools.chain(*second)) == sorted(itertools.chain(*first))
    assert (tmp_path / "there" / "out.jsonl").read_bytes() == (tmp_path / "here" / "out.jsonl").read_bytes()


def test_a_server_that_is_gone_costs_no_answer(nodes, clips: Clips, servers, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NODES_KEY", KEY)
    juicecap.run(recipe_of(tmp_path / "here", clips, servers))
    servers[1].stop()
    there = juicecap.run(recipe_of(tmp_path / "there", clips, servers, nodes.address))
    assert (there.asked, there.rejected) == (16, 0)
    assert (tmp_path / "there" / "out.jsonl").read_bytes() == (tmp_path / "here" / "out.jsonl").read_bytes()
