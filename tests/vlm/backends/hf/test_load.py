"""Loading a model, what is said where it cannot be loaded, and what is read off its processor."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub.errors import RepositoryNotFoundError
from transformers import (
    GenerationConfig,
    InternVLVideoProcessor,
    LlavaNextVideoVideoProcessor,
    LlavaOnevisionVideoProcessor,
    SmolVLMVideoProcessor,
)

from juicecap.errors import EnvironmentFailure, ModelError
from juicecap.media.sizes import FrameSizes, PixelBudget
from juicecap.vlm.backends.hf.load import _forget_generation_defaults, inspect_model, load
from juicecap.vlm.backends.transformers_common.processor import frame_sizes, load_processor
from juicecap.vlm.base import ModelSettings, digest_of
from juicecap.vlm.models.names import model_source, model_state

pytestmark = pytest.mark.model

DEMO = "juicecap-demo-vlm"


@pytest.fixture(scope="module")
def demo():
    return load(ModelSettings(model=DEMO))


@pytest.fixture
def copy(tmp_path) -> Path:
    """A copy of the demo model to do harm to."""
    return Path(shutil.copytree(model_source(DEMO), tmp_path / "model"))


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def complaint(model, **params) -> str:
    with pytest.raises(ModelError) as caught:
        load(ModelSettings(model=str(model), params=json.dumps(params)))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_models_that_are_loaded_at_once_are_whole(demo, copy):
    whole = demo.model.state_dict()
    with ThreadPoolExecutor(4) as threads:
        loaded = list(threads.map(load, [ModelSettings(model=name) for name in (DEMO, str(copy), DEMO, str(copy))]))
    for each in loaded:
        own = each.model.state_dict()
        assert own.keys() == whole.keys()
        assert [name for name in whole if not torch.equal(own[name], whole[name])] == []


def test_the_demo_model_on_a_cpu(demo):
    if not torch.cuda.is_available():
        assert demo.model.dtype == torch.float32
    assert not demo.model.training
    assert len(demo.revision) == 12
    assert len(demo.identity) == 32


def test_parameters_reach_the_model(demo):
    other = load(ModelSettings(model=DEMO, params='{"dtype":"bfloat16","attn_implementation":"eager"}'))
    assert other.model.dtype == torch.bfloat16
    assert other.model.config._attn_implementation == "eager"
    assert other.identity != demo.identity
    assert other.revision == demo.revision


def test_the_budgets_of_the_demo_processor(demo):
    sizes = {kind: getattr(demo.processor, f"{kind}_processor") for kind in ("image", "video")}
    assert demo.sizes == FrameSizes(
        image=PixelBudget(
            factor=16,
            shortest=sizes["image"].size["shortest_edge"],
            longest=sizes["image"].size["longest_edge"],
        ),
        video=PixelBudget(
            factor=16,
            shortest=sizes["video"].size["shortest_edge"],
            longest=sizes["video"].size["longest_edge"],
            whole_video=True,
            frame_tokens=sizes["video"].max_video_tokens,
        ),
    )


def test_processors_of_other_families_have_no_budget():
    plain = SimpleNamespace(size={"height": 224, "width": 224})
    odd = SimpleNamespace(size={"height": 1, "width": 1}, patch_size=14, merge_size=2, temporal_patch_size=2)
    assert frame_sizes(SimpleNamespace(image_processor=plain, video_processor=odd)) == FrameSizes()
    assert frame_sizes(SimpleNamespace()) == FrameSizes()


@pytest.mark.parametrize("part", [LlavaOnevisionVideoProcessor, InternVLVideoProcessor, SmolVLMVideoProcessor])
def test_processors_that_make_squares(part):
    processor = part()
    sizes = frame_sizes(SimpleNamespace(video_processor=processor))
    side = sizes.video.square
    name = "pixel_values" if part is SmolVLMVideoProcessor else "pixel_values_videos"
    for shape in ((side // 2, side * 2), (side, side)):
        frames = torch.zeros(2, 3, *shape, dtype=torch.uint8)
        pixels = processor([frames], do_sample_frames=False, return_tensors="pt")[name]
        assert pixels.shape[-2:] == (side, side)
    assert frame_sizes(SimpleNamespace(video_processor=LlavaNextVideoVideoProcessor())) == FrameSizes()


def test_of_the_models_own_generation_settings_only_the_special_tokens_stay(copy, demo):
    file = copy / "generation_config.json"
    own = {"do_sample": True, "temperature": 5.0, "top_k": 3, "max_new_tokens": 2, "eos_token_id": [2, 1]}
    file.write_text(json.dumps(own))
    config = load(ModelSettings(model=str(copy))).model.generation_config
    assert config.to_diff_dict().keys() <= {"eos_token_id", "pad_token_id", "bos_token_id", "transformers_version"}
    assert (config.eos_token_id, config.pad_token_id) == ([2, 1], 0)


@pytest.mark.parametrize(
    ("own", "tokenizer", "found"),
    [
        ((7, 8), (1, 2), (7, 8)),
        ((None, None), (1, 2), (1, 2)),
        (([7, 9], None), (1, None), ([7, 9], 7)),
        ((7, None), (1, None), (7, 7)),
    ],
)
def test_end_and_padding(own, tokenizer, found):
    model = SimpleNamespace(generation_config=GenerationConfig(eos_token_id=own[0], pad_token_id=own[1]))
    processor = SimpleNamespace(tokenizer=SimpleNamespace(eos_token_id=tokenizer[0], pad_token_id=tokenizer[1]))
    _forget_generation_defaults(model, processor)
    assert (model.generation_config.eos_token_id, model.generation_config.pad_token_id) == found


def test_another_template_or_other_weights_are_another_engine(copy, demo):
    before = load(ModelSettings(model=str(copy)))
    assert before.revision == demo.revision
    (copy / "chat_template.jinja").write_text((copy / "chat_template.jinja").read_text() + " ")
    template = load(ModelSettings(model=str(copy)))
    assert template.identity != before.identity
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert load(ModelSettings(model=str(copy))).revision != template.revision


def test_a_model_is_the_same_in_whatever_folder_and_known_by_what_versions_before_called_it(copy, tmp_path):
    other = shutil.copytree(copy, tmp_path / "other")
    first, second = (inspect_model(ModelSettings(model=str(folder))) for folder in (copy, other))
    assert first.identity == second.identity
    template = digest_of(str(first.processor.chat_template))
    facts = [first.revision, f"torch.{first.dtype}", "{}", template]
    assert first.legacy_identity() == digest_of(["hf", str(copy), *facts])
    assert second.legacy_identity() == digest_of(["hf", str(other), *facts])
    demo = inspect_model(ModelSettings(model=DEMO))
    assert demo.identity == demo.legacy_identity() == digest_of(["hf", DEMO, *facts])


def without_pictures(folder: Path) -> Path:
    """As a text model whose tokenizer was saved with a processor's name in it."""
    for name in ("processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json"):
        (folder / name).unlink(missing_ok=True)
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "processor_class": "Qwen3VLProcessor"}))
    return folder


class TestDefaults:
    def test_on_a_gpu_weights_are_bfloat16(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        known = inspect_model(ModelSettings(model=DEMO))
        assert known.dtype == "bfloat16"
        assert inspect_model(ModelSettings(model=DEMO, params='{"dtype":"float32"}')).dtype == "float32"
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        model = load(ModelSettings(model=DEMO), known).model
        assert {weights.dtype for weights in model.parameters()} == {torch.bfloat16}

    def test_attention_is_sdpa(self, demo):
        config = demo.model.config
        assert [each._attn_implementation for each in (config, config.text_config, config.vision_config)] == ["sdpa"] * 3

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
    def test_on_this_gpu(self, demo):
        assert {(weights.dtype, weights.device.type) for weights in demo.model.parameters()} == {(torch.bfloat16, "cuda")}
        assert demo.model.config._attn_implementation == "sdpa"


class TestComplaints:
    def test_a_name_that_is_no_model(self):
        told = complaint("nothing at all")
        assert told.startswith("nothing at all cannot be loaded as a vision-language model: Repo id must ")
        assert told.endswith("; name another one as hf_model, or look into model_params and the model's files")

    def test_a_folder_without_a_model(self, tmp_path):
        assert complaint(tmp_path).startswith(f"{tmp_path} cannot be loaded as a vision-language model: Unrecognized ")

    def test_a_model_that_sees_nothing(self, copy):
        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
        assert complaint(copy) == (
            f"{copy} is no vision-language model (its config.json says model_type 'bert'): "
            "name one as hf_model, such as Qwen/Qwen3-VL-8B-Instruct"
        )
        with pytest.raises(ModelError) as caught:  # as vLLM asks, which has models that transformers lacks
            load_processor(ModelSettings(backend="vllm", model=str(without_pictures(copy))))
        assert str(caught.value) == complaint(copy)

    def test_damaged_weights(self, copy):
        weights = (copy / "model.safetensors").read_bytes()
        (copy / "model.safetensors").write_bytes(weights[: len(weights) // 2])
        told = complaint(copy)
        assert told.startswith(f"{copy / 'model.safetensors'} is damaged (Error while deserializing header: ")
        assert told.endswith("): copy or download the model anew")

    def test_an_index_that_names_a_file_which_is_not_there(self, copy):
        index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model.safetensors"}}
        (copy / "model.safetensors.index.json").write_text(json.dumps(index))
        missing = copy / "model-00001-of-00002.safetensors"
        assert complaint(copy) == (
            f"{missing} is missing, and model.safetensors.index.json names it: copy or download the model anew"
        )
        (copy / "model.safetensors.index.json").write_text('{"weight_map": ')
        assert complaint(copy).startswith(f"{copy / 'model.safetensors.index.json'} is damaged (Expecting value")

    def test_no_chat_template(self, copy):
        (copy / "chat_template.jinja").unlink()
        assert complaint(copy) == f"{copy} has no chat template; name a model that was trained to follow instructions"

    def test_a_parameter_that_the_model_does_not_know(self):
        assert complaint(DEMO, dtipe="float32") == "model_params: the hf backend has no parameter 'dtipe' (did you mean 'dtype'?)"
        assert complaint(DEMO, max_num_seqs=3) == "model_params: max_num_seqs is for backend: vllm, and the backend is hf"
        assert complaint(DEMO, dtype="float7").startswith("model_params: dtype must be one of auto, bfloat16, float16, float32, ")

    def test_a_parameter_of_the_models_own_config_is_one(self):
        assert load(ModelSettings(model=DEMO, params='{"tie_word_embeddings":true}')).model.config.tie_word_embeddings is True

    def test_weights_that_could_run_code(self):
        assert complaint(DEMO, use_safetensors=False) == (
            "model_params: use_safetensors can only be true: other files of weights can run code when they are loaded; "
            "convert the model"
        )
        load(ModelSettings(model=DEMO, params='{"use_safetensors":true}'))

    def test_a_hub_that_does_not_answer_is_no_fault_of_the_recipe(self, offline):
        with pytest.raises(EnvironmentFailure) as caught:
            load(ModelSettings(model="juicecap-tests/no-such-model"))
        assert str(caught.value) == (
            "juicecap-tests/no-such-model is not on this machine, and the Hugging Face hub cannot be reached: check the name, "
            "download the model where there is a network, or set hf_model to a folder that holds it"
        )

    def test_a_name_that_the_hub_does_not_know(self, monkeypatch):
        def unknown(*_, **__):
            answer = RepositoryNotFoundError.__new__(RepositoryNotFoundError)  # which wants a response of the hub's client
            raise OSError("no such repository") from answer

        monkeypatch.setattr("juicecap.vlm.backends.hf.load.AutoConfig.from_pretrained", unknown)
        assert complaint("juicecap-tests/no-such-model") == (
            "juicecap-tests/no-such-model is no folder here and no model on the Hugging Face hub that can be read: check the "
            "spelling of hf_model; a private or gated model needs its reader's token in the environment variable HF_TOKEN"
        )

    def test_no_memory(self, monkeypatch):
        def full(*_, **__):
            raise torch.OutOfMemoryError("full")

        monkeypatch.setattr("juicecap.vlm.backends.hf.load.AutoModelForImageTextToText.from_pretrained", full)
        with pytest.raises(EnvironmentFailure) as caught:
            load(ModelSettings(model=DEMO))
        assert str(caught.value) == f"{DEMO} does not fit into the GPU's memory"


class TestNames:
    def test_the_demo_model_is_said_to_be_one(self, said):
        for _ in range(2):
            assert Path(model_source(DEMO)).is_dir()
        assert len(said) == 1
        assert said[0].startswith(f"{DEMO} is a demonstration model of 1.5 M parameters")

    def test_other_names_stay(self, said):
        assert model_source("org/name") == "org/name"
        assert said == []

    def test_a_local_models_state(self, copy):
        before = model_state(str(copy))
        (copy / "extra.json").write_text("{}")
        assert before
        assert model_state(str(copy)) != before
        assert model_state(DEMO)
        assert model_state("org/on-the-hub") == ""
