"""Nodes that differ are named, and what travels to them stays in memory."""

from __future__ import annotations

import hashlib
import json
import os
import re
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


WITHOUT_JUICECAP = """
import sys


class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name == "juicecap":
            raise ModuleNotFoundError("No module named 'juicecap'", name=name)


sys.meta_path.insert(0, Lacking())
"""
"""What Python does first in a process, to be as on a node without juicecap: Ray gives workers the driver's `sys.path`."""


def messages(folder: Path) -> list[str]:
    """What a run has logged."""
    return [json.loads(line)["message"] for line in (folder / "out.run" / "log.jsonl").read_text().splitlines()]


def test_a_node_with_another_engine_is_refused_by_its_name(nodes, texts: list[str], tmp_path: Path) -> None:
    other = nodes.add(env_vars={"NAP_IDENTITY": "other"})
    params = {"seconds": 0.1, "identity": "NAP_IDENTITY"}
    recipe = napping.write_recipe(tmp_path, texts, params=params, cluster={"address": nodes.address, "engines": [3, 3]})
    result = juicecap.run(recipe)
    assert result.exported == len(texts)
    refused = [message for message in messages(tmp_path) if "another model" in message]
    assert all(message.endswith("its answers would differ; make the nodes equal; the node is not used") for message in refused)
    named = {re.match(r"node .*/(\w{6}) has another model, dtype, template or library for nap than", each)[1] for each in refused}
    equal = {node.node_id[:6] for node in nodes.nodes} - {other.node_id[:6]}
    assert named in ({other.node_id[:6]}, equal)  # whichever answered first


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


def test_a_driver_elsewhere_is_a_client_of_the_cluster(nodes, texts: list[str], tmp_path: Path) -> None:
    there = napping.write_recipe(tmp_path / "there", texts, params={}, cluster={"address": nodes.address, "engines": 2})
    juicecap.run(there)
    client = napping.write_recipe(tmp_path / "client", texts, params={}, cluster={"address": nodes.client_address, "engines": 2})
    ran = subprocess.run([sys.executable, "-m", "juicecap", "run", str(client)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    runs = {recipe.parent.name: recipe.with_name("out.jsonl").read_bytes() for recipe in (there, client)}
    assert len(runs["there"].splitlines()) == len(texts)
    assert runs["client"] == runs["there"]


def test_nodes_without_juicecap_are_one_sentence(nodes, texts: list[str], tmp_path: Path, monkeypatch) -> None:
    from juicecap.vlm.cluster import fleet

    monkeypatch.setattr(fleet, "STARTS", 1)
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "sitecustomize.py").write_text(WITHOUT_JUICECAP)
    bare = {"env_vars": {"PYTHONPATH": str(tmp_path / "bare")}}
    recipe = napping.write_recipe(tmp_path, texts, params={}, cluster={"address": nodes.address, "runtime_env": bare})
    with pytest.raises(EnvironmentFailure, match=r"No module named 'juicecap.*: install juicecap, of the same version, on all"):
        juicecap.run(recipe)


@pytest.mark.parametrize(("mode", "hint"), [(None, True), ("token", False)])
def test_a_cluster_that_may_want_a_token(tmp_path: Path, monkeypatch, mode: str | None, hint: bool) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    recipe = napping.write_recipe(tmp_path, ["what?"], params={}, cluster={"address": "ray://127.0.0.1:1"})
    with pytest.raises(EnvironmentFailure, match=r"there is no Ray cluster at ray://127\.0\.0\.1:1 ") as met:
        juicecap.run(recipe)
    assert ("set RAY_AUTH_MODE=token, with the token in RAY_AUTH_TOKEN" in str(met.value)) == hint
