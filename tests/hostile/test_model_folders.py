"""Folders of models that nobody would publish in good faith: each is a sentence, and runs, hangs and takes nothing."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml
from odd_values import DEEP, Oddity, oddities

from juicecap.cli import main
from juicecap.errors import EnvironmentFailure, ModelError
from juicecap.recipe import Recipe, load_recipe
from juicecap.recipe.checks.model_check import check_models
from juicecap.runner.estimate.compute import make_plan
from juicecap.vlm.backends.hf.load import load
from juicecap.vlm.base import ModelSettings
from juicecap.vlm.models import facts as facts_module
from juicecap.vlm.models import sandbox
from juicecap.vlm.models.names import local_folder, model_source, model_state

pytestmark = pytest.mark.slow

DEMO = "juicecap-demo-vlm"
OURS = {
    "text_config", "model_type", "max_position_embeddings", "num_attention_heads", "num_hidden_layers", "num_key_value_heads",
    "head_dim", "hidden_size", "image_processor", "video_processor", "image_processor_type", "video_processor_type", "size",
    "shortest_edge", "longest_edge", "min_pixels", "max_pixels", "patch_size", "merge_size", "temporal_patch_size",
    "max_video_tokens", "cap_pixels_per_frame", "model_max_length", "eos_token", "chat_template", "added_tokens", "content",
}  # fmt: skip
"""Keys that juicecap reads; of others a few values will do."""

FEW = {"null", "1e308", "text", "[]", "as deep as can be read", "deep"}


class Job:
    """A copy of the demonstration model to do harm to, and a recipe that names it."""

    def __init__(self, folder: Path) -> None:
        self.model = Path(shutil.copytree(model_source(DEMO), folder / "model"))
        self.recipe_file = folder / "recipe.yaml"
        self.write_recipe()

    def write_recipe(self, **op: Any) -> None:
        settings = {"hf_model": str(self.model), "num_frames": 4, "sampling_params": {"max_tokens": 8}, **op}
        recipe = {
            "dataset_path": str(self.model.parent / "data.jsonl"),
            "export_path": str(self.model.parent / "out.jsonl"),
            "process": [{"video_captioning_from_vlm_mapper": settings}],
        }
        self.recipe_file.write_text(yaml.safe_dump(recipe))

    def write(self, name: str, content: str | bytes | dict[str, Any]) -> Path:
        """Replace a file of the model; of JSON only what is named."""
        file = self.model / name
        if isinstance(content, dict):
            old = json.loads(file.read_text()) if file.exists() else {}
            content = json.dumps({**old, **content})
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    @property
    def recipe(self) -> Recipe:
        return load_recipe(str(self.recipe_file))

    def checked(self) -> list[str]:
        """What `check` has to say of the model."""
        facts_module._from_folder.cache_clear()
        return [problem.message for problem in check_models(self.recipe)[0]]

    def settings(self, **params: Any) -> ModelSettings:
        return ModelSettings(model=str(self.model), params=json.dumps(params))

    def loaded(self, **params: Any) -> str:
        """What `hf` has to say of it; nothing if it is loaded."""
        try:
            load(self.settings(**params))
        except (ModelError, EnvironmentFailure) as error:
            said = str(error)
        else:
            return ""
        assert "\n" not in said
        return said


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "data.jsonl").write_text('{"videos": []}\n')
    return Job(tmp_path)


@pytest.fixture
def film_job(job: Job, film: Callable[..., Any]) -> Job:
    """With a video, for what counts prompts."""
    film(job.model.parent / "a.mp4", "circle", "red", "black", "right")
    (job.model.parent / "data.jsonl").write_text('{"videos": ["a.mp4"]}\n')
    return job


def one_by_one(job: Job, chosen: list[Oddity]) -> Iterator[Oddity]:
    """Put each into the folder in turn."""
    for _, same in groupby(chosen, key=lambda oddity: oddity.file):
        for oddity in same:
            oddity.put_into(job.model)
            facts_module._from_folder.cache_clear()
            yield oddity
        oddity.take_out_of(job.model)


@pytest.mark.parametrize("file", ["config.json", "processor_config.json", "tokenizer_config.json", "all others"])
def test_check_has_problems_or_none_whatever_a_value_is(job, file):
    recipe, named = job.recipe, {"config.json", "processor_config.json", "tokenizer_config.json"}
    chosen = [each for each in oddities() if each.file == file or (file == "all others" and each.file not in named)]
    chosen = [each for each in chosen if each.value in FEW or each.trail[-1:] in {(key,) for key in OURS}]
    said = 0
    for oddity in one_by_one(job, chosen):
        problems, _ = check_models(recipe)
        said += len(problems)
        for problem in problems:
            assert f"{job.model}/" in problem.message or "leaves no room for a prompt" in problem.message, oddity
            assert "\n" not in problem.message, oddity
            assert len(problem.message) < 1000, oddity
    assert len(chosen) > 100
    assert said > 20


SAID = [
    ("config.json", "text_config", 5, "text_config must be an object, not 5"),
    ("config.json", "model_type", ["qwen3_vl"], "model_type must be a text, not a list"),
    (
        "config.json",
        "text_config",
        {"max_position_embeddings": "x"},
        "text_config.max_position_embeddings must be a number, not 'x'",
    ),
    (
        "config.json",
        "text_config",
        {"num_attention_heads": True},
        "text_config.num_attention_heads must be a whole number from 1 to 65,536, not true",
    ),
    (
        "config.json",
        "text_config",
        {"num_hidden_layers": 10**9},
        "text_config.num_hidden_layers must be at most 1,024, not 1000000000",
    ),
    ("config.json", "vision_config", {"depth": float("inf")}, "vision_config.depth must be at most 1,024, not inf"),
    ("config.json", "vision_config", {"depths": [2, 10**6]}, "vision_config.depths must be at most 1,024, not 1000000"),
    ("tokenizer_config.json", "model_max_length", "x", "model_max_length must be a number, not 'x'"),
    (
        "processor_config.json",
        "video_processor",
        {"video_processor_type": 5},
        "video_processor.video_processor_type must be a text, not 5",
    ),
]


@pytest.mark.parametrize(("file", "key", "value", "sentence"), SAID)
def test_a_wrong_value_is_said_with_its_place(job, file, key, value, sentence):
    job.write(file, {key: value})
    assert job.checked() == [f"video_captioning_from_vlm_mapper[1]: {job.model / file}: {sentence}"]


def test_what_stands_for_no_limit_and_what_is_not_said_is_no_problem(job):
    job.write(
        "tokenizer_config.json", {"model_max_length": 1e30, "eos_token": {"content": 5}, "pad_token": [], "chat_template": 5}
    )
    config = json.loads((job.model / "config.json").read_text())
    config["text_config"] |= {"max_position_embeddings": -1, "num_key_value_heads": None, "head_dim": 0}
    job.write("config.json", config)
    assert job.checked() == []
    facts = facts_module.model_facts(job.settings())
    assert facts
    assert (facts.context, facts.names) == (None, {"unk_token": "<|endoftext|>"})


def test_a_model_on_a_server_is_not_judged_by_files_of_this_machine(job, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    job.write("config.json", "[")
    job.write_recipe(backend="openai")
    assert job.checked() == []


class TestPlan:
    @pytest.mark.slow
    def test_whatever_a_value_is(self, film_job, monkeypatch):
        monkeypatch.setattr(sandbox, "TEMPLATE_SECONDS", 2.0)
        monkeypatch.setattr(sandbox, "TOKENIZER_SECONDS", 5.0)
        recipe, draw = film_job.recipe, random.Random(11)
        read = [
            each for each in oddities() if each.trail[-1:] in {(key,) for key in OURS} and each.file != "generation_config.json"
        ]
        ended = 0
        for oddity in one_by_one(film_job, sorted(draw.sample(read, 25), key=lambda each: each.file)):
            try:
                plan = make_plan(recipe)
            except ModelError:
                ended += 1
            else:
                assert len(plan.steps[0].asked) == 1, oddity
        assert 3 < ended < 25

    @pytest.mark.parametrize(
        ("template", "cause"),
        [
            ("{{ 1 / 0 }}", "ZeroDivisionError: division by zero"),
            ("{{ 'a' * 10 ** 10 }}", "it takes more than 256 MB"),
            (
                "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
                "it takes too much of the processor",
            ),
            ("{% for", "TemplateSyntaxError: "),
        ],
    )
    def test_a_template_of_no_use_ends_it_and_a_run_alike(self, film_job, monkeypatch, capsys, template, cause):
        monkeypatch.setattr(sandbox, "TEMPLATE_SECONDS", 1.0)
        film_job.write("chat_template.jinja", template)
        for verb in ("plan", "run"):
            assert main([verb, str(film_job.recipe_file)]) == 1
            told = capsys.readouterr().err.strip().splitlines()[-1]
            assert told.startswith(f"the chat template of {film_job.model} cannot be used: {cause}")
            assert told.endswith("; name another model as hf_model")
        assert not (film_job.model.parent / "out.jsonl").exists()

    def test_a_template_that_complains_of_each_video_is_no_end_of_a_plan(self, film_job):
        film_job.write("chat_template.jinja", "{% if messages[-1].content|length > 1 %}{{ 1 / 0 }}{% endif %}x")
        assert [each.exact_text for each in make_plan(film_job.recipe).steps[0].asked] == [False]

    def test_a_tokenizer_that_crashes(self, film_job, capsys):
        endless = {"type": "Split", "pattern": {"Regex": "([a-z ]+[a-z ]+)+7"}, "behavior": "Isolated", "invert": False}
        film_job.write("tokenizer.json", {"pre_tokenizer": endless})
        assert main(["plan", str(film_job.recipe_file)]) == 1
        told = capsys.readouterr().err.strip().splitlines()[-1]
        assert told.startswith(f"the tokenizer of {film_job.model} cannot be used: its process crashed")

    def test_files_of_this_machine_do_not_end_it_for_a_server(self, film_job, monkeypatch, capsys):
        monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
        film_job.write("chat_template.jinja", "{{ 'a' * 10 ** 10 }}")
        film_job.write_recipe(backend="openai")
        assert main(["plan", str(film_job.recipe_file)]) == 0
        assert "estimated" in capsys.readouterr().out


class TestFiles:
    @pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "processor_config.json", "tokenizer.json"])
    @pytest.mark.parametrize("kind", ["pipe", "device"])
    def test_what_is_no_file_is_not_opened(self, job, name, kind):
        file = job.model / name
        file.unlink()
        if kind == "pipe":
            os.mkfifo(file)
        else:
            file.symlink_to("/dev/zero")
        sentence = f"{file} is no regular file: copy or download the model anew"
        assert job.checked() == [f"video_captioning_from_vlm_mapper[1]: {sentence}"]
        assert job.loaded() == sentence

    def test_other_files_are_nobodys_business(self, job):
        os.mkfifo(job.model / "remote.sock")
        (job.model / "notes").mkdir()
        assert job.checked() == []
        assert job.loaded() == ""

    @pytest.mark.parametrize(
        ("name", "megabytes"), [("config.json", 16), ("chat_template.jinja", 16), ("tokenizer.json", 64), ("merges.txt", 64)]
    )
    def test_what_is_too_large_is_not_read(self, job, name, megabytes):
        file = job.model / name
        with file.open("wb") as opened:
            opened.truncate(10**10)
        sentence = f"{file} has more than {megabytes} MB, which no such file of a model has: copy or download the model anew"
        assert job.checked() == [f"video_captioning_from_vlm_mapper[1]: {sentence}"]
        assert job.loaded() == sentence

    @pytest.mark.parametrize(
        ("content", "cause"),
        [
            (b'{"model_type": "\xff"}', "'utf-8' codec can't decode byte 0xff in position 16: invalid start byte"),
            (
                '{"model_type": "qwen3_vl"}'.encode("utf-16"),
                "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
            ),
            (b'\xef\xbb\xbf{"a": 1}', "Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)"),
            (b"[" * DEEP, "maximum recursion depth exceeded while decoding a JSON array from a unicode string"),
            (b'{"a": ' + b"9" * 5000 + b"}", "Exceeds the limit (4300 digits) for integer string conversion"),
            (b'{"a": 1', "Expecting ',' delimiter: line 1 column 8 (char 7)"),
            (b"[]", "it holds a list and no object"),
            (b"null", "it holds null and no object"),
        ],
    )
    def test_what_is_no_json_object_is_damaged(self, job, content, cause):
        file = job.write("config.json", content)
        (told,) = job.checked()
        assert told.startswith(f"video_captioning_from_vlm_mapper[1]: {file} is damaged ({cause}")
        assert told.endswith("): copy or download the model anew")
        assert job.loaded() == told.partition(": ")[2]

    def test_keys_that_stand_twice_and_links_are_taken_as_they_come(self, job):
        text = (job.model / "config.json").read_text()
        job.write("config.json", text.replace("{", '{"model_type": "bert", "tie_word_embeddings": true,', 1))
        (job.model / "tokenizer.json").rename(job.model.parent / "blob")
        (job.model / "tokenizer.json").symlink_to("../blob")
        for name in ("lost.json", "lost.safetensors"):
            (job.model / name).symlink_to("nowhere")
        assert job.checked() == []
        assert job.loaded() == ""

    def test_a_folder_that_cannot_be_read(self, job, monkeypatch):
        def refused(_: Path) -> Iterator[Path]:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "iterdir", refused)
        assert job.checked() == [f"video_captioning_from_vlm_mapper[1]: {job.model} cannot be read (Permission denied)"]
        with pytest.raises(ModelError, match=r"^the files of .* cannot be read \(Permission denied\)$"):
            model_state(str(job.model))

    def test_names_that_are_no_text(self, job):
        before = model_state(str(job.model))
        os.rename(os.fsencode(shutil.copy(job.model / "config.json", job.model / "more")), os.fsencode(job.model) + b"/\xff.json")
        assert model_state(str(job.model)) != before
        assert job.loaded() == ""


class TestWeights:
    @pytest.mark.parametrize("name", ["../../other.safetensors", "/etc/passwd", "a/../../b", "", "a\0b", 5, None])
    def test_an_index_leads_nowhere_else(self, job, name):
        index = job.write("model.safetensors.index.json", {"weight_map": {"a": "model.safetensors", "b": name}})
        assert job.loaded() == (
            f"{index} is damaged (it names {name!r}, which is no file of this folder): copy or download the model anew"
        )

    @pytest.mark.parametrize("content", ["{}", '{"weight_map": []}', '{"weight_map": null}', '{"weight_map": "x"}'])
    def test_an_index_without_weights(self, job, content):
        index = job.write("model.safetensors.index.json", content)
        assert job.loaded() == f"{index} is damaged (it has no weight_map): copy or download the model anew"

    @pytest.mark.parametrize(
        ("content", "cause"),
        [
            (b"", "Error while deserializing header: header too small"),
            (b"\xff" * 8 + b"{}", "its header has more than 32 MB"),
            ((2**63).to_bytes(8, "little"), "its header has more than 32 MB"),
            ((2**26).to_bytes(8, "little") + b"[" * 2**26, "its header has more than 32 MB"),
            ((2**20).to_bytes(8, "little") + b"[" * 2**20, "Error while deserializing header: "),
            (b"\x02\0\0\0\0\0\0\0{}x", "Error while deserializing header: "),
        ],
    )
    def test_a_header_that_is_none(self, job, content, cause):
        file = job.write("model.safetensors", content)
        told = job.loaded()
        assert told.startswith(f"{file} is damaged ({cause}")
        assert told.endswith("): copy or download the model anew")

    def test_a_pipe_in_place_of_weights(self, job):
        (job.model / "model.safetensors").unlink()
        os.mkfifo(job.model / "model.safetensors")
        assert job.loaded() == f"{job.model / 'model.safetensors'} is no regular file: copy or download the model anew"

    @pytest.mark.parametrize("key", ["head_dim", "hidden_size", "intermediate_size", "num_attention_heads"])
    def test_a_config_that_outgrows_its_weights_takes_no_memory(self, job, key):
        config = json.loads((job.model / "config.json").read_text())
        config["text_config"][key] = 10**6 if key != "num_attention_heads" else 65_536
        job.write("config.json", config)
        told = job.loaded()
        assert told.startswith((f"{job.model}: config.json describes a model of ", f"{job.model} cannot be loaded as a vision-"))


class TestLoading:
    @pytest.mark.parametrize("part", range(4))
    def test_whatever_a_value_is(self, job, part):
        chosen = random.Random(23).sample(list(oddities()), 60)[part::4]
        ended = sum(bool(job.loaded()) for _ in one_by_one(job, sorted(chosen, key=lambda each: each.file)))
        assert 0 < ended < len(chosen)

    @pytest.mark.parametrize("value", [-1, 505, 2**31, 2.5, True, "x", [2, None], {}])
    def test_ends_that_are_no_tokens(self, job, value):
        job.write("generation_config.json", {"eos_token_id": value})
        assert job.loaded().startswith(
            (f"{job.model}: eos_token_id must be the number of a token, below 505, not ", f"{job.model} can")
        )

    def test_a_tokenizer_that_crashes_is_tried_elsewhere(self, job):
        model = json.loads((job.model / "tokenizer.json").read_text())["model"]
        job.write("tokenizer.json", {"model": {**model, "vocab": {**model["vocab"], "zzz": 2**31}}})
        assert job.loaded().startswith(f"the tokenizer of {job.model} cannot be used: its process crashed (signal SIGABRT)")

    @pytest.mark.parametrize("template", [5, ["x"], {"other": "x"}, True])
    def test_a_template_that_is_no_text(self, job, template):
        job.write("processor_config.json", {"chat_template": template})
        assert job.loaded().startswith((
            f"the chat template of {job.model} cannot be used: TypeError: it is no text but ",
            f"{job.model} has several chat templates, and none of them is named default",
            f"{job.model} cannot be loaded as a vision-language model: ",
        ))  # fmt: skip


SPY = "open({!r}, 'w').close()\n"


class TestCode:
    """Code in the folder of a model, or of others whom it names, is run if the recipe says so and not otherwise."""

    @pytest.fixture
    def spy(self, job) -> Path:
        """The file that code would leave behind, which stands in each file of code that a library might run."""
        trace = job.model.parent / "was-here"
        for name in (
            "configuration_own.py",
            "modeling_own.py",
            "processing_own.py",
            "custom_generate/generate.py",
            "sitecustomize.py",
        ):
            job.write(name, SPY.format(str(trace)))
        return trace

    @pytest.mark.parametrize(
        "files",
        [
            {
                "config.json": {
                    "auto_map": {"AutoConfig": "configuration_own.Own", "AutoModelForImageTextToText": "modeling_own.Own"}
                }
            },
            {"config.json": {"auto_map": {"AutoConfig": "configuration_own.Own"}, "model_type": "own"}},
            {"config.json": {"auto_map": {"AutoConfig": "someone/else--configuration_own.Own"}, "model_type": "own"}},
            {"processor_config.json": {"auto_map": {"AutoProcessor": "processing_own.Own"}, "processor_class": "Own"}},
            {"tokenizer_config.json": {"auto_map": {"AutoTokenizer": [None, "processing_own.Own"]}, "tokenizer_class": "Own"}},
            {"generation_config.json": {"custom_generate": "custom_generate", "trust_remote_code": True}},
            {"config.json": {"trust_remote_code": True, "custom_generate": "."}},
        ],
        ids=range(7),
    )
    def test_is_not_run(self, job, spy, files, monkeypatch):
        monkeypatch.setattr("builtins.input", lambda _: pytest.fail("nobody is asked"))
        for name, content in files.items():
            job.write(name, content)
        job.loaded()
        assert not spy.exists()

    def test_is_run_if_the_recipe_says_so(self, job, spy):
        job.write("config.json", {"auto_map": {"AutoConfig": "configuration_own.Own"}, "model_type": "own"})
        assert job.loaded(trust_remote_code=True)
        assert spy.exists()

    def test_pickled_weights_are_not_opened(self, job, tmp_path):
        trace = tmp_path / "was-here"
        evil = b"cos\nsystem\n(S'touch " + os.fsencode(trace) + b"'\ntR."
        (job.model / "model.safetensors").unlink()
        for name in ("pytorch_model.bin", "model.pt", "adapter_model.bin", "consolidated.pth", "optimizer.pt"):
            job.write(name, evil)
        assert "no file named model.safetensors" in job.loaded()
        assert not trace.exists()

    def test_an_adapter_is_left_to_who_asks_for_it(self, job):
        job.write("adapter_config.json", {"base_model_name_or_path": "/somewhere/else", "peft_type": "LORA"})
        sentence = (
            f"{job.model} holds an adapter (adapter_config.json), which names another model: merge the two and name that folder, "
            "or set model_params: {adapter_kwargs: {}} to have PEFT load it"
        )
        assert job.loaded() == sentence
        assert sentence not in job.loaded(adapter_kwargs={})

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("attn_implementation", "someone/kernel"),
            ("_attn_implementation", "kernels-community/flash-attn3:run"),
            ("attn_implementation", {"text_config": "someone/kernel"}),
            ("experts_implementation", "someone/kernel"),
        ],
    )
    @pytest.mark.parametrize("inner", [False, True])
    def test_a_kernel_of_the_hub_is_not_fetched(self, job, name, value, inner):
        config = json.loads((job.model / "config.json").read_text())
        (config["text_config"] if inner else config)[name] = value
        file = job.write("config.json", config)
        said = next(iter(value.values())) if isinstance(value, dict) else value
        assert job.loaded() == job.loaded(attn_implementation="sdpa", experts_implementation="eager")
        assert job.loaded() == (
            f"{file}: {name} is {said!r}, a program from the Hub: take that out, or name it in model_params if you trust it"
        )
        assert "a program from the Hub" not in job.loaded(**{name.strip("_"): said})

    @pytest.mark.parametrize("file", ["processor_config.json", "audio_tokenizer_config.json"])
    def test_another_model_is_not_looked_for(self, job, file):
        other = {"audio_tokenizer_class": "DacModel", "audio_tokenizer_name_or_path": "someone/else"}
        place = job.write(file, {"audio_tokenizer": other} if file.startswith("processor") else other)
        sentence = f"{place} names another model"
        assert job.loaded().startswith(sentence)
        assert job.checked()[0].startswith(f"video_captioning_from_vlm_mapper[1]: {sentence}")

    @pytest.mark.parametrize("name", ["/etc/tokenizer.4.0.json", "../tokenizer.4.0.json", 5, ""])
    def test_a_tokenizer_of_another_folder_is_not_read(self, job, name):
        place = job.write("tokenizer_config.json", {"fast_tokenizer_files": ["tokenizer.json", name]})
        assert job.loaded() == (
            f"{place} names {name!r} outside of its folder (fast_tokenizer_files), which is not looked for: take that out, or "
            "name another model as hf_model"
        )

    def test_names_in_a_config_are_words(self, job):
        job.write("config.json", {"_name_or_path": "someone/else", "base_model_name_or_path": "someone/else"})
        job.write(
            "tokenizer_config.json", {"name_or_path": "someone/else", "tokenizer_file": "/dev/zero", "vocab_file": "/dev/zero"}
        )
        assert job.loaded() == ""


class TestNames:
    @pytest.mark.parametrize("name", ["../../nothing", "~", "~/model", "a\0b", "\udc80", "x" * 100_000, "x/" * 5000, "a/../b"])
    def test_of_no_model(self, name, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        facts = facts_module.model_facts(ModelSettings(model=name))
        assert facts is None
        assert model_state(name) == ""
        with pytest.raises((ModelError, EnvironmentFailure)):
            load(ModelSettings(model=name))

    def test_of_a_file(self, job):
        file = job.model / "model.safetensors"
        with pytest.raises(ModelError) as caught:
            load(ModelSettings(model=str(file)))
        assert str(caught.value) == f"{file} is a file; name the folder that holds the model as hf_model"

    @pytest.mark.parametrize(
        "revision", ["../../../outside", "/outside", "refs/pr/1", "a\0b", "\udc80", "x" * 5000, "", 5, ["x"], None]
    )
    @pytest.mark.parametrize("reference", ["../../outside", "/outside", "", "\udc80", "0" * 40])
    def test_of_the_hub_lead_into_its_cache_alone(self, tmp_path, revision, reference):
        cache = tmp_path / "cache"
        model = cache / "models--someone--model"
        (model / "refs").mkdir(parents=True)
        (model / "snapshots" / ("0" * 40)).mkdir(parents=True)
        (model / "snapshots" / ("0" * 40) / "config.json").write_text("{}")
        (model / "refs" / "main").write_bytes(reference.encode("utf-8", "surrogateescape"))
        for outside in (tmp_path / "outside", cache / "outside", model / "outside"):
            outside.mkdir()
            (outside / "config.json").write_text("{}")
        found = local_folder("someone/model", revision=revision, cache=str(cache))
        assert found in (None, model / "snapshots" / ("0" * 40))
        assert local_folder("someone/model", cache=[str(cache)]) is None
