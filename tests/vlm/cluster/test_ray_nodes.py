"""Nodes that differ are named, and what travels to them stays in memory."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import napping
import pytest

import juicecap
from juicecap import cli, load_recipe
from juicecap.errors import EnvironmentFailure
from juicecap.runner.cluster import check_cluster

pytestmark = [pytest.mark.process, pytest.mark.slow]

KEY = "hf_" + "a1B2c3D4e5F6" * 3


def messages(folder: Path) -> list[str]:
    """What a run has logged."""
    return [json.loads(line)["message"] for line in (folder / "out.run" / "log.jsonl").read_text().splitlines()]


def test_a_node_with_another_engine_is_refused_by_its_name(nodes, texts: list[str], tmp_path: Path) -> None:
    other = nodes.add(env_vars={"NAP_IDENTITY": "other"})
    params = {"seconds": 0.1, "identity": "NAP_IDENTITY"}
    recipe = napping.write_recipe(tmp_path, texts, params=params, cluster={"address": nodes.address, "engines": [3, 3]})
    result = juicecap.run(recipe)
    assert result.exported == len(texts)
    (refused,) = [message for message in messages(tmp_path) if "another model" in message]
    assert refused.endswith("its answers would differ; make the nodes equal; the node is not used")
    names = {node.node_id[:6] for node in nodes.nodes}
    assert other.node_id[:6] in names
    assert any(f"/{name} has another model, dtype, template or library for nap than" in refused for name in names)


def test_nodes_that_lack_what_is_needed_are_named_and_nothing_is_lost(nodes, texts: list[str], tmp_path: Path) -> None:
    recipe = napping.write_recipe(tmp_path, texts, params={}, cluster={"address": nodes.address})
    plain = json.loads(recipe.read_text())
    plain["process"][0]["napping_mapper"]["hf_model"] = "./no/such/model"
    recipe.write_text(json.dumps(plain))
    with pytest.raises(
        EnvironmentFailure, match=r"no node of the cluster can be used: node .*/\w{6} does not see the model ./no/such"
    ):
        juicecap.run(recipe)
    napping.write_recipe(tmp_path, texts, params={}, cluster={"address": nodes.address})
    assert juicecap.run(recipe).exported == len(texts)


def test_check_asks_all_nodes_and_names_those_that_differ(nodes, texts: list[str], tmp_path: Path, capsys, monkeypatch) -> None:
    recipe = napping.write_recipe(tmp_path, texts, params={}, cluster={"address": nodes.address})
    ids = {node.node_id[:6] for node in nodes.nodes}
    assert cli.main(["check", str(recipe), "--cluster"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert {line.partition(":")[0][-6:] for line in shown if line.startswith("node ")} == ids
    there = juicecap.__version__
    monkeypatch.setattr(juicecap, "__version__", "99.0")
    problems = check_cluster(load_recipe(recipe)).problems
    assert {problem.partition(" has ")[0][-6:] for problem in problems} == ids
    assert all(
        problem.endswith(f" has juicecap {there}, the driver 99.0: install the same version there") for problem in problems
    )


def test_a_key_reaches_engines_and_no_file(nodes, texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", KEY)
    notes = tmp_path / "notes.jsonl"
    params = {"notes": str(notes), "secret": "HF_TOKEN"}
    juicecap.run(napping.write_recipe(tmp_path, texts, params=params, cluster={"address": nodes.address}))
    assert hashlib.sha256(KEY.encode()).hexdigest() in Path(f"{notes}.secret").read_text().splitlines()
    for folder in (tmp_path, nodes.session):
        files = [Path(path) / name for path, _, names in os.walk(folder) for name in names]
        assert len(files) > 3
        assert [file for file in files if file.is_file() and KEY.encode() in file.read_bytes()] == []


def test_a_recipe_of_one_machine_has_no_cluster_to_check(texts: list[str], tmp_path: Path) -> None:
    recipe = napping.write_recipe(tmp_path, texts, params={}, cluster=None)
    command = [sys.executable, "-m", "juicecap", "check", str(recipe), "--cluster"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": _path()})
    assert done.returncode == 2
    assert "--cluster is for recipes with executor_type: ray" in done.stderr


def _path() -> str:
    return os.pathsep.join(filter(None, sys.path))
