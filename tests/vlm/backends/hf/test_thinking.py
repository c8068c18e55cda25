"""Models that think: what their template is told, and thoughts that it begins."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from juicecap.errors import ModelError
from juicecap.vlm.backends.hf.load import inspect_model
from juicecap.vlm.base import Message, ModelSettings, Part, Request, Sampling, canonical_json
from juicecap.vlm.models.names import model_source
from juicecap.vlm.pipeline import core

pytestmark = pytest.mark.usefixtures("closed")

PROMPT = "\nDescribe the input video in 1-2 sentences.\n"
BEGINS = "{%- if add_generation_prompt and enable_thinking is not defined -%}{{- '<think>\\n' -}}{%- endif -%}"


@pytest.fixture
def thinker(tmp_path: Path) -> str:
    """The demo model with a template that begins a thought unless it is told something else."""
    folder = Path(shutil.copytree(model_source("juicecap-demo-vlm"), tmp_path / "thinker"))
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text() + BEGINS)
    return str(folder)


def settings(model: str, **told) -> ModelSettings:
    return ModelSettings(model=model, params=canonical_json({"chat_template_kwargs": told} if told else {}))


def about(path: str, model: ModelSettings) -> Request:
    parts = (Part("video", path), Part("text", PROMPT))
    return Request(model=model, messages=(Message("user", parts),), sampling=Sampling(max_tokens=64))


def test_an_answer_inside_of_a_thought_is_no_caption(thinker, clips):
    (outcome,) = core.ask([about(clips.paths[0], settings(thinker))])
    assert outcome.failure.code == "EMPTY_ANSWER"
    assert outcome.failure.message.startswith("the model's answer is empty: ")


def test_a_template_that_is_told_not_to_think_gives_one(thinker, clips):
    (told,) = core.ask([about(clips.paths[0], settings(thinker, enable_thinking=False))])
    assert told.answers[0].text == clips.captions[0]
    assert told.opened is False


def test_it_is_part_of_what_the_engine_is(thinker):
    plain = settings(thinker)
    assert inspect_model(plain).identity == inspect_model(replace(plain, params="{}")).identity
    assert inspect_model(plain).identity != inspect_model(settings(thinker, enable_thinking=False)).identity


def test_a_name_that_the_template_does_not_look_at_is_a_problem(thinker):
    with pytest.raises(ModelError, match=r"has nothing called 'enable_thinkin' \(did you mean 'enable_thinking'\?\)"):
        inspect_model(settings(thinker, enable_thinkin=False))
