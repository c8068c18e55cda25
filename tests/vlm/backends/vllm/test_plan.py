"""What is loaded: parameters, how many engines on which devices, and what makes an engine another one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed: .ci/run runs these tests in its vLLM lane")

from vllm.v1.executor.uniproc_executor import UniProcExecutor

from juicecap.errors import ModelError
from juicecap.vlm.backends.vllm import engine_config as module
from juicecap.vlm.backends.vllm.engine_config import EngineConfig, cpu_defaults, engine_params, fitting, make_config, shares
from juicecap.vlm.base import ModelSettings
from juicecap.vlm.context import ContextLength
from juicecap.vlm.models.facts import model_facts
from juicecap.vlm.models.names import model_source

DEMO = "juicecap-demo-vlm"
GIB = 2**30


def planned(model: str = DEMO, **params) -> EngineConfig:
    return make_config(ModelSettings(backend="vllm", model=model, params=json.dumps(params)))


def complaint(**params) -> str:
    with pytest.raises(ModelError) as caught:
        planned(**params)
    return str(caught.value)


class TestParameters:
    def test_they_go_to_the_engine_as_they_are(self):
        arguments = planned(max_num_seqs=4, dtype="bfloat16", enforce_eager=False, seed=3).arguments
        assert {name: arguments[name] for name in ("max_num_seqs", "dtype", "enforce_eager", "seed")} == {
            "max_num_seqs": 4,
            "dtype": "bfloat16",
            "enforce_eager": False,
            "seed": 3,
        }

    def test_both_libraries_spellings_of_dtype(self):
        assert engine_params({"torch_dtype": "float16"}) == {"dtype": "float16"}
        assert engine_params({"torch_dtype": "float16", "dtype": "float32"}) == {"dtype": "float32"}

    def test_unknown_ones_are_named_before_anything_is_loaded(self, monkeypatch):
        monkeypatch.setattr(module, "load_processor", None)
        assert complaint(tensor_paralel_size=2) == (
            "model_params: vLLM has no engine parameter 'tensor_paralel_size'; did you mean 'tensor_parallel_size'?"
        )
        assert complaint(zzzzzz=2) == (
            "model_params: vLLM has no engine parameter 'zzzzzz'; its documentation lists them under engine arguments"
        )
        with pytest.raises(ModelError, match="model_params: the model is not set here; hf_model is its name"):
            engine_params({"model": "x"})
        assert complaint(data_parallel_size=0) == "model_params: data_parallel_size must be an integer > 0, not 0"
        assert complaint(tensor_parallel_size=True) == "model_params: tensor_parallel_size must be an integer > 0, not True"

    @pytest.mark.parametrize(
        ("params", "told"),
        [
            ({"max_num_seqs": 0}, "max_num_seqs: 0: input should be greater than or equal to 1"),
            (
                {"max_num_seqs": "many"},
                "max_num_seqs: 'many': input should be a valid integer, unable to parse string as an integer",
            ),
            ({"gpu_memory_utilization": 7}, "gpu_memory_utilization: 7: input should be less than or equal to 1"),
            ({"block_size": 0}, "block_size: 0: input should be greater than 0"),
            ({"limit_mm_per_prompt": 3}, "limit_mm_per_prompt: 3: input should be a valid dictionary"),
        ],
    )
    def test_a_value_that_vllm_refuses_is_named_before_an_engine_is_started(self, params, told):
        assert complaint(**params) == f"model_params: vLLM refuses {told}"

    def test_values_that_contradict_each_other(self):
        told = complaint(max_num_batched_tokens=10)
        assert told.startswith(
            "model_params: vLLM refuses them: max_num_batched_tokens (10) is smaller than max_model_len (8192). "
        )
        assert complaint(max_model_len=100_000).startswith(
            "model_params: vLLM refuses them: User-specified max_model_len (100000) "
        )

    def test_a_pipeline_of_no_stages(self):
        assert complaint(pipeline_parallel_size=0) == "model_params: pipeline_parallel_size must be an integer > 0, not 0"

    def test_on_a_cpu(self):
        assert cpu_defaults({}, 32768) == {
            "enforce_eager": True,
            "max_model_len": 8192,
            "block_size": 32,
            "enable_chunked_prefill": False,
            "max_num_batched_tokens": 8192,
            "distributed_executor_backend": UniProcExecutor,
            "kv_cache_memory_bytes": 2 * GIB,
        }
        assert cpu_defaults({"max_model_len": 20000}, 32768)["max_num_batched_tokens"] == 20000
        assert cpu_defaults({}, 1024)["max_model_len"] == 1024
        assert "distributed_executor_backend" not in cpu_defaults({"tensor_parallel_size": 2}, 32768)
        assert "distributed_executor_backend" not in cpu_defaults({"pipeline_parallel_size": 2}, 32768)
        assert "kv_cache_memory_bytes" not in cpu_defaults({"gpu_memory_utilization": 0.2}, 32768)

    def test_the_users_own_cache_size_stays(self, monkeypatch):
        monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        assert "kv_cache_memory_bytes" not in cpu_defaults({}, 32768)


class TestContext:
    def test_less_than_the_model_holds(self):
        assert planned().context == ContextLength(8192, model=32768)
        assert planned(max_model_len=1000).context == ContextLength(1000, model=32768)

    def test_all_that_it_holds(self):
        assert planned(max_model_len=32768).context == ContextLength(32768)

    def test_check_knows_as_much(self):
        for params in ({}, {"max_model_len": 1000}, {"max_model_len": 32768}):
            settings = ModelSettings(backend="vllm", model=DEMO, params=json.dumps(params))
            assert model_facts(settings).context == make_config(settings).context


class TestDevices:
    @pytest.mark.parametrize(
        ("weights", "gpus"),
        [(0, 1), (16 * GIB, 1), (57 * GIB, 1), (58 * GIB, 2), (115 * GIB, 2), (145 * GIB, 4), (400 * GIB, 8)],
    )
    def test_into_how_many_a_model_fits(self, weights, gpus):
        assert fitting(weights, 80 * GIB, 0.9) == gpus

    def test_each_engine_has_its_own(self):
        assert shares(["0", "1", "2", "3"], 4, 1) == [["0"], ["1"], ["2"], ["3"]]
        assert shares(["4", "5", "6", "7"], 2, 2) == [["4", "5"], ["6", "7"]]
        assert shares(["GPU-a", "GPU-b", "GPU-c"], 1, 2) == [["GPU-a", "GPU-b"]]
        with pytest.raises(ModelError) as caught:
            shares(["0", "1"], 2, 2)
        assert str(caught.value) == (
            "model_params: data_parallel_size 2 x 2 (tensor_parallel_size x pipeline_parallel_size) needs 4 GPUs; "
            "2 can be seen: lower one of them"
        )

    @pytest.mark.parametrize(
        ("visible", "weights", "params", "devices"),
        [
            (None, 1, {}, ["0", "1", "2", "3"]),
            ("6,4", 1, {}, ["6", "4"]),
            (None, 100 * GIB, {}, ["0,1", "2,3"]),
            (None, 900 * GIB, {}, ["0,1,2,3"]),
            (None, 1, {"tensor_parallel_size": 4}, ["0,1,2,3"]),
            (None, 1, {"tensor_parallel_size": 2, "data_parallel_size": 1}, ["0,1"]),
            (None, 100 * GIB, {"data_parallel_size": 1}, ["0,1"]),
            (None, 1, {"pipeline_parallel_size": 2}, ["0,1", "2,3"]),
            (None, 100 * GIB, {"pipeline_parallel_size": 2}, ["0,1", "2,3"]),
            (None, 200 * GIB, {"pipeline_parallel_size": 2}, ["0,1,2,3"]),
            (None, 1, {"pipeline_parallel_size": 2, "tensor_parallel_size": 2}, ["0,1,2,3"]),
            (None, 1, {"pipeline_parallel_size": 2, "data_parallel_size": 1}, ["0,1"]),
        ],
    )
    def test_engines_on_a_machine_with_four_gpus(self, monkeypatch, visible, weights, params, devices):
        class FourGPUs:
            device_control_env_var = "JUICECAP_TEST_DEVICES"

            def is_cpu(self):
                return False

            def device_count(self):
                return 4

            def get_device_total_memory(self):
                return 80 * GIB

        if visible:
            monkeypatch.setenv("JUICECAP_TEST_DEVICES", visible)
        monkeypatch.setattr(module, "current_platform", FourGPUs())
        monkeypatch.setattr(module, "_weights", lambda *_: weights)
        plan = planned(**params)
        assert [variables["JUICECAP_TEST_DEVICES"] for variables in plan.variables] == devices
        pipeline = params.get("pipeline_parallel_size", 1)
        assert plan.arguments["tensor_parallel_size"] * pipeline == len(devices[0].split(","))
        assert plan.arguments["dtype"] == "bfloat16"
        assert "data_parallel_size" not in plan.arguments
        assert "max_model_len" not in plan.arguments

    def test_the_weights_of_a_folder(self):
        assert module._weights(model_source(DEMO), {}) == (Path(model_source(DEMO)) / "model.safetensors").stat().st_size

    def test_the_weights_of_a_model_that_is_not_here(self, tmp_path):
        assert module._weights("juicecap-tests/no-such-model", {"download_dir": str(tmp_path)}) == 0


class TestIdentity:
    def test_what_changes_answers_is_another_engine(self, tmp_path):
        same = planned().identity
        assert planned(dtype="bfloat16").identity != same
        assert planned(max_model_len=4096).identity != same
        assert planned(seed=1).identity != same
        folder = Path(shutil.copytree(model_source(DEMO), tmp_path / "model"))
        (folder / "chat_template.jinja").write_text((folder / "chat_template.jinja").read_text() + " ")
        assert planned(str(folder)).identity != same

    def test_where_a_folder_lies_is_not_part_of_it_as_it_was_before(self, tmp_path):
        first, second = (
            planned(str(shutil.copytree(model_source(DEMO), tmp_path / name / "model"))) for name in ("here", "there")
        )
        assert first.identity == second.identity
        assert len({first.legacy_identity(), second.legacy_identity(), first.identity}) == 3
        assert planned().identity == planned().legacy_identity()

    def test_what_does_not_is_not(self):
        same = planned().identity
        assert planned(data_parallel_size=2).identity == same
        assert planned(max_num_seqs=7, gpu_memory_utilization=0.5, kv_cache_memory_bytes=GIB).identity == same
        assert planned(torch_dtype="float32").identity == same
