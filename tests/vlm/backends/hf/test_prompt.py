"""Prompts by chat templates that fail, stand still or eat memory over one sample, and what the others have of it."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from running import running
from tokenizers import Tokenizer
from transformers import AutoProcessor, ProcessorMixin

from juicecap.errors import EnvironmentFailure, ModelError, SampleError
from juicecap.media.picture import MediaFrames
from juicecap.vlm.backends.hf.backend import HFEngine, describe
from juicecap.vlm.backends.hf.inputs import encode
from juicecap.vlm.backends.hf.load import load
from juicecap.vlm.backends.transformers_common.processor import load_processor, panics_as_errors
from juicecap.vlm.backends.transformers_common.prompt import isolate, let_go, render
from juicecap.vlm.base import Message, ModelSettings, Part, Prepared, Request, Sampling
from juicecap.vlm.models import sandbox
from juicecap.vlm.models.names import model_source

pytestmark = [pytest.mark.model, pytest.mark.process]

DEMO = "juicecap-demo-vlm"
PLAIN = (
    "{% for message in messages %}{% for part in message.content %}"
    "{{ part.text or '<|vision_start|><|video_pad|><|vision_end|>' }}{% endfor %}{% endfor %}"
)
Model = Callable[[str], Path]


@pytest.fixture
def model(tmp_path, monkeypatch) -> Model:
    """A copy of the demonstration model with another chat template."""
    monkeypatch.setattr(sandbox, "TEMPLATE_SECONDS", 1.0)

    def made(template: str) -> Path:
        folder = Path(shutil.copytree(model_source(DEMO), tmp_path / "model"))
        (folder / "chat_template.jinja").write_text(template)
        return folder

    return made


@pytest.fixture
def engines() -> Iterator[Callable[[Path], HFEngine]]:
    with ExitStack() as held:
        yield lambda folder: held.enter_context(running(describe(ModelSettings(model=str(folder))))).engine


def asked(text: str) -> Prepared:
    picture = MediaFrames(pixels=np.zeros((2, 64, 64, 3), np.uint8), times=(0.0, 0.5), duration=1.0)
    messages = (Message("user", (Part("video", "a.mp4"), Part("text", text))),)
    request = Request(model=ModelSettings(model="m"), messages=messages, sampling=Sampling(max_tokens=2))
    return Prepared(request=request, pictures=(picture,), seed=0)


def failures(engine: HFEngine, *texts: str) -> list[str | None]:
    outcomes = asyncio.run(engine.generate([asked(text) for text in texts]))
    return [each.failure and f"{each.failure.code}: {each.failure.message}" for each in outcomes]


def test_a_complaint_about_one_sample_concerns_it_alone(model, engines):
    engine = engines(model("{% if messages[-1].content[-1].text == 'bad' %}{{ 1 / 0 }}{% endif %}" + PLAIN))
    assert failures(engine, "good", "bad", "good") == [
        None,
        "PROCESSOR_FAILED: the model's chat template fails with ZeroDivisionError: division by zero",
        None,
    ]


@pytest.mark.parametrize(
    ("harm", "cause"),
    [
        ("'a' * 10 ** 10", "it takes more than 256 MB"),
        ("(messages | length + 8) ** (9 ** 9)", "it takes too much of the processor"),
    ],
)
def test_one_that_is_stopped_over_a_sample_concerns_it_alone(model, engines, harm, cause):
    folder = model("{% if messages[-1].content[-1].text == 'bad' %}{{ " + harm + " }}{% endif %}" + PLAIN)
    engine = engines(folder)
    said = f"PROCESSOR_FAILED: the chat template of {folder} cannot be used: {cause}; name another model as hf_model"
    assert failures(engine, "good", "bad", "good", "bad") == [None, said, None, said]


def test_one_that_is_stopped_over_all_samples_ends_the_run(model, engines):
    folder = model("{% if messages[-1].content[-1].text == 'bad' %}{{ 'a' * 10 ** 10 }}{% endif %}" + PLAIN)
    with pytest.raises(ModelError, match=r"^the chat template of .* cannot be used: it takes more than 256 MB; name another"):
        failures(engines(folder), *["bad"] * 8)


@pytest.mark.parametrize("template", ["{{ 1 / 0 }}", "{{ 'a' * 10 ** 10 }}", "{% for", "{{ raise_exception('never') }}"])
def test_one_of_no_use_is_said_before_anything_is_loaded(model, template):
    with pytest.raises(ModelError, match=r"^the chat template of .*/model cannot be used: .*; name another model as hf_model$"):
        load_processor(ModelSettings(model=str(model(template))))


def test_no_process_to_render_in_is_no_fault_of_samples(monkeypatch):
    loaded = load(ModelSettings(model=DEMO))
    let_go(loaded.processor)

    def full(*_, **__):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("juicecap.isolated.process.subprocess.Popen", full)
    with pytest.raises(EnvironmentFailure, match=r"^no process can be started \(Resource temporarily unavailable\)"):
        encode(loaded, asked("What?"))


@pytest.mark.parametrize("family", tiny_models.FAMILIES)
def test_prompts_are_those_of_the_processors_own_method(family, tmp_path):
    """SmolVLM's takes another template for videos than that of its folder."""
    _, processor = tiny_models.FAMILIES[family]()
    processor.save_pretrained(tmp_path)
    own, isolated = AutoProcessor.from_pretrained(tmp_path), AutoProcessor.from_pretrained(tmp_path)
    isolate(isolated, family)
    kinds = ["image", "video"] if getattr(own, "video_processor", None) and hasattr(own, "video_token") else ["image"]
    texts = ("What happens?", "", "Ünïcödé 字幕 \n{{ 1 }} {% x %} <b>&lt;</b>", "\ud800")
    for kind in kinds:
        for text in texts:
            parts = (Part(kind, "a"), Part(kind, "b"), Part("text", text))
            for messages in (
                (Message("user", parts),),
                (Message("system", (Part("text", "Be brief."),)), Message("user", parts)),
            ):
                request = Request(model=ModelSettings(model="m"), messages=messages)
                assert render(isolated, request) == render(own, request)
    assert type(isolated).__name__ == type(own).__name__
    assert isinstance(isolated, type(own))
    let_go(isolated)


def test_a_processor_with_more_to_say_to_the_template_is_obeyed(tmp_path):
    _, processor = tiny_models.FAMILIES["qwen3_vl"]()

    class Own(type(processor)):
        def apply_chat_template(self, conversation, chat_template=None, **more):
            return super().apply_chat_template(conversation, "other", bos_token="<own>", depth=[3], return_tensors="pt", **more)

    processor.__class__ = Own
    processor.chat_template = {"default": "x", "other": "{{ bos_token }}{{ depth[0] + 1 }}{{ messages[0].role }}"}
    isolate(processor, "own")
    request = Request(model=ModelSettings(model="m"), messages=(Message("user", (Part("text", "?"),)),))
    assert render(processor, request) == "<own>4user"
    let_go(processor)


def test_code_of_a_model_that_fails_is_a_complaint(tmp_path):
    class Own:
        tokenizer = load_processor(ModelSettings(model=DEMO)).tokenizer

        def apply_chat_template(self, turns, **_):
            raise KeyError("own")

    assert not isinstance(Own(), ProcessorMixin)
    isolate(Own(), "own")
    with pytest.raises(SampleError) as caught:
        render(Own(), asked("?").request)
    assert caught.value.message == "the model's chat template fails with KeyError: 'own'"


class TestPanics:
    """Libraries in Rust raise what no `except Exception` sees."""

    @pytest.fixture
    def panicking(self) -> Tokenizer:
        file = json.loads(Path(model_source(DEMO), "tokenizer.json").read_text())
        file["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": "(x+x+)+y"}, "behavior": "Isolated", "invert": False}
        return Tokenizer.from_str(json.dumps(file))

    def test_become_errors(self, panicking):
        with pytest.raises(RuntimeError, match="retry-limit-in-match over"), panics_as_errors():
            panicking.encode("x" * 60)
        with pytest.raises(KeyboardInterrupt), panics_as_errors():
            raise KeyboardInterrupt

    def test_cost_their_sample(self, panicking, engines, monkeypatch):
        engine = engines(Path(model_source(DEMO)))
        monkeypatch.setattr(engine._loaded.processor.tokenizer, "_tokenizer", panicking)
        first, second, third = failures(engine, "good", "x" * 60, "good")
        assert (first, third) == (None, None)
        assert second is not None
        assert second.startswith("PROCESSOR_FAILED: the model's processor fails with RuntimeError: ")

    def test_of_a_loader_are_sentences(self, monkeypatch):
        panic = type("PanicException", (BaseException,), {})

        def panics(*_, **__):
            raise panic("called `Option::unwrap()` on a `None` value")

        monkeypatch.setattr("juicecap.vlm.backends.hf.load.AutoConfig.from_pretrained", panics)
        with pytest.raises(
            ModelError, match=r"cannot be loaded as a vision-language model: called `Option::unwrap\(\)` on a `None`"
        ):
            load(ModelSettings(model=DEMO))

    def test_of_a_model_cost_their_sample(self, engines, monkeypatch):
        engine = engines(Path(model_source(DEMO)))
        panic, real = type("PanicException", (BaseException,), {}), engine._generate

        def panics(members):
            if any("bad" in member.prepared.request.messages[0].parts[1].value for member in members):
                raise panic("index out of bounds")
            return real(members)

        monkeypatch.setattr(engine, "_generate", panics)
        first, second = failures(engine, "good", "bad")
        assert (first, second) == (None, "GENERATE_FAILED: the model fails with RuntimeError: index out of bounds")


def test_want_of_memory_may_pass(engines, monkeypatch):
    engine = engines(Path(model_source(DEMO)))

    def full(*_):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 10 bytes.")

    monkeypatch.setattr(engine, "_generate", full)
    (outcome,) = asyncio.run(engine.generate([replace(asked("good"))]))
    assert (outcome.failure.code, outcome.failure.retryable) == ("OUT_OF_MEMORY", True)
