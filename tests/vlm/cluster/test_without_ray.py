"""Where Ray is not installed, the recipe is checked as ever, and a run says how to get it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

import juicecap
from juicecap import load_recipe
from juicecap.errors import MissingLibrary
from juicecap.recipe import check
from juicecap.runner.cluster import check_cluster
from juicecap.vlm.cluster.options import ClusterOptions
from juicecap.vlm.installed import install_command


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe for a cluster, where ray cannot be imported."""
    for name in ("connection", "fleet", "ray_engine", "ray_site", "seat", "survey"):
        monkeypatch.delitem(sys.modules, f"juicecap.vlm.cluster.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "data.jsonl").write_text(json.dumps({"text": " a "}) + "\n")
    path = tmp_path / "recipe.yaml"
    plain = {
        "dataset_path": str(tmp_path / "data.jsonl"),
        "export_path": str(tmp_path / "out.jsonl"),
        "executor_type": "ray",
        "ray_address": "local",
        "process": [{"whitespace_normalization_mapper": {}}],
    }
    path.write_text(json.dumps(plain))
    return path


def test_the_recipe_is_read_without_it(recipe: Path) -> None:
    loaded = load_recipe(recipe)
    assert loaded.cluster == ClusterOptions(address="local")
    assert loaded.notices == ()


@pytest.mark.parametrize("work", [juicecap.run, lambda recipe: check_cluster(load_recipe(recipe))])
def test_a_run_and_a_check_say_how_to_get_it(recipe: Path, work) -> None:
    with pytest.raises(MissingLibrary, match=f"^ray is not installed. Install it with: {re.escape(install_command('ray'))}$"):
        work(recipe)


def test_elsewhere_the_block_has_no_effect(recipe: Path) -> None:
    plain = json.loads(recipe.read_text())
    recipe.write_text(json.dumps({**plain, "executor_type": "default", "ray": {"engines": 2}}))
    loaded = load_recipe(recipe)
    assert loaded.cluster is None
    assert loaded.notices == ("'ray' has no effect without executor_type: ray",)
    assert juicecap.run(loaded).exported == 1


def test_media_that_only_nodes_may_see_are_no_problem_of_the_driver(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text(json.dumps({"videos": ["/only/there.mp4"]}) + "\n")
    plain = json.loads(recipe.read_text())
    recipe.write_text(json.dumps({**plain, "process": [{"video_duration_filter": {}}]}))
    report = check(load_recipe(recipe))
    assert report.problems == ()
    (warning,) = report.warnings
    assert warning.message.endswith("A run rejects such samples, unless the nodes of the cluster see them (check --cluster).")
    recipe.write_text(json.dumps({**plain, "executor_type": "default", "process": [{"video_duration_filter": {}}]}))
    assert "cannot be used" in check(load_recipe(recipe)).problems[0].message
