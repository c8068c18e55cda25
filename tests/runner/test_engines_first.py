"""What is wrong with a later step's engine is told before the first sample of the first step is touched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from scripted import Clips
from scripted_server import KEY_NAME, ScriptedServer, refused

import juicecap
from juicecap.errors import EnvironmentFailure, JuicecapError, ModelError
from juicecap.ops import VideoCaptioningFromVLMMapper, registry
from juicecap.runner import RunResult
from juicecap.vlm import catalog
from juicecap.vlm.installed import install_command
from juicecap.vlm.models.names import model_source
from juicecap.vlm.pipeline import core

MARKING = '''
import pathlib
from dataclasses import dataclass
from juicecap.ops.base import Mapper
from juicecap.ops.registry import register

HERE = pathlib.Path(__file__).parent


@register
@dataclass(frozen=True, kw_only=True)
class MarkingMapper(Mapper):
    """Leaves a mark for each sample that it is given."""

    def process(self, sample, outcomes):
        with (HERE / "marks.txt").open("a") as stream:
            stream.write("x")
        return [sample]
'''


class TwoSteps:
    """Two clips, an op that leaves marks, and captioners behind it."""

    def __init__(self, folder: Path, clips: Clips) -> None:
        self.folder = folder
        self.output = folder / "out" / "captions.jsonl"
        (folder / "operators.py").write_text(MARKING, encoding="utf-8")
        lines = (json.dumps({"videos": [path]}) + "\n" for path in clips.paths[:2])
        (folder / "data.jsonl").write_text("".join(lines), encoding="utf-8")

    def run(self, *captioners: dict) -> RunResult:
        """As a process of its own would: nothing is known of an engine that an earlier run met."""
        core.close()
        ops = [{"video_captioning_from_vlm_mapper": {"caption_field": f"c{place}", **op}} for place, op in enumerate(captioners)]
        recipe = {
            "dataset_path": str(self.folder / "data.jsonl"),
            "export_path": str(self.output),
            "custom_operator_paths": str(self.folder / "operators.py"),
            "process": [{"marking_mapper": {}}, *ops],
        }
        (self.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
        return juicecap.run(self.folder / "recipe.yaml", overwrite=True)

    def complaint(self, *captioners: dict) -> JuicecapError:
        with pytest.raises((EnvironmentFailure, ModelError)) as caught:
            self.run(*captioners)
        assert "\n" not in str(caught.value)
        return caught.value

    def marks(self) -> int:
        """For how many samples the first op was applied since this was asked last."""
        path = self.folder / "marks.txt"
        count = len(path.read_text()) if path.exists() else 0
        path.unlink(missing_ok=True)
        return count

    def captions(self) -> list[list[str]]:
        return [json.loads(line)["c0"] for line in self.output.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def job(tmp_path: Path, clips: Clips, monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoSteps]:
    monkeypatch.setattr(registry, "_registered", dict(registry.registered()))
    yield TwoSteps(tmp_path, clips)
    core.close()


def at(server: ScriptedServer, **more) -> dict:
    """A captioner that asks this server."""
    return {"backend": "openai", "api_base": server.base, "api_key_env": KEY_NAME, "hf_model": "served-model", **more}


def changed(folder: Path, **config) -> dict:
    """A captioner with a copy of the demo model whose config says something else."""
    shutil.copytree(model_source("juicecap-demo-vlm"), folder)
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **config}))
    return {"hf_model": str(folder)}


class TestNothingIsSpent:
    @pytest.mark.parametrize("transport", ["auto", "images"])
    def test_a_server_that_is_gone(self, job, server, transport):
        server.stop()
        error = job.complaint(at(server, model_params={"transport": transport}))
        assert isinstance(error, EnvironmentFailure)
        assert str(error).startswith(f"{server.base}: no server answers (")
        assert job.marks() == 0

    def test_a_server_without_the_model(self, job, server):
        error = job.complaint(at(server, hf_model="served-modle", model_params={"transport": "images"}))
        assert str(error).startswith(f"{server.base} has no model 'served-modle'; it has served-model")
        assert job.marks() == 0

    def test_a_server_that_refuses_the_key(self, job, server):
        server.models = refused(401, "no such key")
        error = job.complaint(at(server, model_params={"transport": "images"}))
        assert KEY_NAME in str(error)
        assert job.marks() == 0

    def test_a_key_that_is_not_set(self, job, server, monkeypatch):
        monkeypatch.delenv(KEY_NAME)
        error = job.complaint(at(server))
        assert str(error) == (
            f"the environment variable {KEY_NAME}, which api_key_env names, is not set: put the server's key into it"
        )
        assert job.marks() == 0

    def test_a_name_that_is_not_here_while_the_hub_is_silent(self, job, monkeypatch):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        error = job.complaint({"hf_model": "juicecap-tests/no-such-model"})
        assert str(error).startswith("juicecap-tests/no-such-model is not on this machine, and the Hugging Face hub cannot be ")
        assert job.marks() == 0

    def test_a_model_that_sees_nothing(self, job, tmp_path):
        error = job.complaint(changed(tmp_path / "model", model_type="qwen3"))
        assert "model is no vision-language model (its config.json says model_type 'qwen3'): name one as hf_model" in str(error)
        assert job.marks() == 0

    def test_damaged_weights(self, job, tmp_path):
        captioner = changed(tmp_path / "model")
        weights = tmp_path / "model" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1000])
        assert str(job.complaint(captioner)).startswith(f"{weights} is damaged (")
        assert job.marks() == 0

    def test_a_library_that_is_not_installed(self, job, monkeypatch):
        entry = catalog.BackendSpec(describe="no_such_library.backend:describe", libraries=("no_such_library",), extra="vllm")
        monkeypatch.setitem(catalog.BACKENDS, "vllm", entry)
        error = job.complaint({"enable_vllm": True, "hf_model": "juicecap-demo-vlm"})
        assert str(error) == f"no_such_library is not installed. Install it with: {install_command('vllm')}"
        assert job.marks() == 0

    def test_an_answer_that_fills_the_whole_context(self, job):
        error = job.complaint({"hf_model": "juicecap-demo-vlm", "sampling_params": {"max_tokens": 40_000}})
        assert isinstance(error, ModelError)
        assert str(error) == "max_tokens 40,000 leaves no room for a prompt beside it in the model's 32,768: lower max_tokens"
        assert job.marks() == 0

    def test_the_engine_of_the_last_of_several_steps(self, job, server, monkeypatch):
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        error = job.complaint(at(server), {"backend": "openai", "hf_model": "gpt"})
        assert str(error) == "the environment variable OPENAI_API_KEY is not set: put the server's key into it"
        assert job.marks() == 0
        assert all(
            seen.body["messages"][0]["content"] == "What is this?" or seen.body["max_tokens"] == 16 for seen in server.seen
        )

    def test_an_op_by_itself(self, server, clips):
        from datasets import Dataset

        server.stop()
        op = VideoCaptioningFromVLMMapper(**at(server, caption_field="c", model_params={"transport": "images"}))
        rejected: list[dict] = []
        with pytest.raises(EnvironmentFailure, match="no server answers"):
            op.run(Dataset.from_dict({"videos": [["no-such-clip.mp4"]]}), rejected=rejected)
        assert rejected == []


class TestWhatIsDoneNeedsNoServer:
    def test_finished_steps(self, job, server):
        captioner = at(server, model_params={"transport": "images"})
        job.run(captioner)
        first = job.captions()
        server.stop()
        job.output.unlink()
        assert job.run(captioner).exit_code == 0
        assert (job.captions(), job.marks()) == (first, 2)

    def test_finished_steps_though_the_journal_is_gone(self, job, server):
        captioner = at(server, model_params={"transport": "images"})
        job.run(captioner)
        server.stop()
        (job.output.with_suffix(".run") / "journal.sqlite").unlink()
        assert job.run(captioner).exit_code == 0
        assert job.marks() == 2

    @pytest.mark.parametrize("transport", ["auto", "images"])
    def test_answers_that_are_all_in_the_journal(self, job, server, transport):
        captioner = at(server, model_params={"transport": transport})
        job.run(captioner)
        first = job.captions()
        server.stop()
        shutil.rmtree(job.output.with_suffix(".run") / "steps")
        result = job.run(captioner)
        assert (result.replayed, result.asked, job.captions(), job.marks()) == (2, 0, first, 4)

    def test_a_server_that_was_met_and_never_asked_is_looked_for_again(self, job, server):
        """As after a run that was ended while its first step was at work."""
        captioner = at(server, model_params={"transport": "images"})
        (job.folder / "operators.py").write_text(MARKING.replace("return [sample]", "raise KeyboardInterrupt"))
        with pytest.raises(KeyboardInterrupt):
            job.run(captioner)
        server.stop()
        job.marks()
        assert str(job.complaint(captioner)).startswith(f"{server.base}: no server answers (")
        assert job.marks() == 0
