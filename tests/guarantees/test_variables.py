"""What a recipe takes from the environment, wherever a run says something: the variable's name stands there, not its value."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.model, pytest.mark.process]

VALUE = "planted-4711-value"
ROOT = Path(__file__).parents[2]

Ran = subprocess.CompletedProcess[str]
Juicecap = Callable[..., Ran]


@pytest.fixture
def juicecap(tmp_path: Path) -> Juicecap:
    """Run a verb on a recipe with these keys, in a folder with four rows and with the variable SECRET."""

    def ran(verb: str, *words: str, op: dict[str, Any] | None = None, **keys: Any) -> Ran:
        recipe = {"dataset_path": "data.jsonl", "export_path": "out/captions.jsonl", **keys}
        name = "text_length_filter" if op is None else "video_captioning_from_vlm_mapper"
        recipe["process"] = [{name: op}]
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        environment = {**os.environ, "SECRET": VALUE, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "juicecap", verb, "recipe.yaml", *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300)

    return ran


@pytest.fixture
def rows(clips: Any, tmp_path: Path) -> None:
    rows = [{"videos": [path], "text": "a text that is long enough"} for path in clips.paths[:2]]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def holding(folder: Path) -> list[str]:
    """The files that hold the value."""
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and VALUE in path.read_text("latin-1")
    )


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("op", "code"),
    [
        ({"hf_model": "someone/${SECRET}"}, 4),
        ({"hf_model": "./${SECRET}"}, 1),
        ({"hf_model": "juicecap-demo-vlm", "model_params": {"device_map": "${SECRET}"}}, 1),
        ({"hf_model": "juicecap-demo-vlm", "model_params": {"attn_implementation": "${SECRET}"}}, 1),
        ({"hf_model": "juicecap-demo-vlm", "model_params": {"dtype": "${SECRET}"}}, 1),
        ({"hf_model": "m", "backend": "openai", "api_base": "http://127.0.0.1:9/${SECRET}/v1"}, 4),
        ({"hf_model": "m", "backend": "openai", "api_base": "http://127.0.0.1:9/", "api_key_env": "${SECRET}"}, 1),
    ],
)
def test_a_value_that_does_not_fit_is_told_by_its_name(op: dict[str, Any], code: int, juicecap: Juicecap, tmp_path: Path) -> None:
    if op.get("backend") == "openai":
        op = {**op, "model_params": {"max_attempts": 1, "transport": "images"}}
    verbs = [("check", "--json"), ("run",)]
    if op["hf_model"].startswith("./"):  # which is told before anything is opened
        verbs += [("check",), ("plan",), ("run", "--json"), ("preview",)]
    for verb, *words in verbs:
        done = juicecap(verb, *words, op=op)
        assert VALUE not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        if verb == "run":
            assert done.returncode == code, done.stderr
    assert holding(tmp_path) == []


@pytest.mark.usefixtures("rows")
def test_a_value_of_the_prompt_is_asked_and_not_shown(juicecap: Juicecap, tmp_path: Path) -> None:
    op = {"hf_model": "juicecap-demo-vlm", "prompt": "Say ${SECRET}.", "sampling_params": {"max_tokens": 4}}
    done = juicecap("preview", "-n", "1", op=op)
    assert done.returncode == 0, done.stderr
    page = next(tmp_path.rglob("preview.html")).read_text()
    assert "Say ${SECRET}." in page
    assert "Say ${SECRET}." in done.stdout
    assert VALUE not in done.stdout + done.stderr + page


def test_what_a_run_keeps_can_be_found_and_what_it_says_has_names(juicecap: Juicecap, tmp_path: Path) -> None:
    (tmp_path / VALUE).mkdir()
    good, bad = json.dumps({"text": "a text that is long enough"}), json.dumps({"text": 3})
    (tmp_path / VALUE / "data.jsonl").write_text(f"{good}\n{good}\n{bad}\n{{no JSON\n")
    keys = {"dataset_path": "${SECRET}/data.jsonl", "export_path": "${SECRET}/captions.jsonl", "max_rejected": 3}
    done = juicecap("run", **keys)
    assert done.returncode == 0, done.stderr
    assert VALUE not in done.stderr
    folder = tmp_path / VALUE / "captions.run"
    manifest, status = (json.loads((folder / name).read_text()) for name in ("manifest.json", "status.json"))
    assert manifest["dataset_path"] == str(tmp_path / VALUE / "data.jsonl")
    assert manifest["export_path"] == status["export_path"] == str(tmp_path / VALUE / "captions.jsonl")
    assert f"output    {VALUE}/captions.jsonl" in done.stdout
    rejected = [json.loads(line) for line in (folder / "rejected.jsonl").read_text().splitlines()]
    assert {each["source"] for each in rejected} <= {f"{tmp_path}/{VALUE}/data.jsonl:{line}" for line in (3, 4)}
    assert rejected
    assert not any(VALUE in each["message"] for each in rejected)
    assert VALUE not in (folder / "log.jsonl").read_text()
    assert VALUE not in (folder / "recipe.yaml").read_text()


def test_the_reason_why_a_run_failed_has_names(juicecap: Juicecap, tmp_path: Path) -> None:
    (tmp_path / f"{VALUE}.jsonl").write_text("{no JSON\n")
    (tmp_path / "data.jsonl").write_text('{"text": "a text that is long enough"}\n')
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / f"{VALUE}.jsonl").write_text("mine\n")
    for keys in ({"export_path": "out/${SECRET}.jsonl"}, {"dataset_path": "${SECRET}.jsonl"}):
        for words in ((), ("--json",)):
            done = juicecap("run", *words, **keys)
            assert done.returncode in (1, 2), done.stderr
            assert VALUE not in done.stdout + done.stderr
            assert "${SECRET}.jsonl" in done.stdout + done.stderr
    status = next(iter((tmp_path / "out").rglob("status.json")), None)
    assert status is None or VALUE not in json.loads(status.read_text())["message"]


def test_what_a_file_of_ops_raises_has_names(juicecap: Juicecap, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text('{"text": "a text that is long enough"}\n')
    (tmp_path / "my_ops.py").write_text("import os\nraise ValueError(f'no {os.environ[\"SECRET\"]}')\n")
    done = juicecap("check", custom_operator_paths=["my_ops.py"], project_name="${SECRET}")
    assert done.stderr.startswith("recipe.yaml:2:1: custom_operator_paths: my_ops.py fails with ValueError: no ${SECRET}\n")


def test_a_bugs_lines_have_names_too(juicecap: Juicecap, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text('{"text": "a text that is long enough"}\n')
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "if 'SECRET' in os.environ:\n"
        "    import juicecap.runner.run_folder.folder as folder\n"
        "    def broken(self, facts):\n        raise KeyError(f'no {facts[\"dataset_path\"]}')\n"
        "    folder.RunFolder.write_manifest = broken\n"
    )
    (tmp_path / f"{VALUE}.jsonl").write_text('{"text": "a text that is long enough"}\n')
    environment = {**os.environ, "SECRET": VALUE, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    (tmp_path / "recipe.yaml").write_text(
        "dataset_path: ${SECRET}.jsonl\nexport_path: out/a.jsonl\nprocess: [text_length_filter]\n"
    )
    command = [sys.executable, "-m", "juicecap", "run", "recipe.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 70, done.stderr
    assert "${SECRET}.jsonl" in done.stderr
    assert VALUE not in done.stderr
