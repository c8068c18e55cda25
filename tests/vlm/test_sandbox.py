"""Chat templates and tokenizers that do harm: each is a sentence, soon, and the next one is taken as if nothing had been."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiny_templates
from transformers.utils.chat_template_utils import render_jinja_template

from juicecap.errors import EnvironmentFailure, ModelError
from juicecap.vlm.models import sandbox as sandbox_module
from juicecap.vlm.models.names import model_source
from juicecap.vlm.models.sandbox import ModelSandbox, TemplateComplaint, TemplateStopped

NAMES = {"bos_token": "<s>", "eos_token": "</s>"}
PLAIN = "{{ messages[-1].content[-1].text }}"
FEATURES = """\
{%- set seen = namespace(images=0, words=dict(a=1)) -%}
{{ bos_token }}{{ strftime_now('%Y') }}
{%- macro named(role) -%}[{{ role | upper }}]{%- endmacro -%}
    {% for message in messages %}
        {% if loop.index > 3 %}{% break %}{% endif %}
        {{- named(message.role) }}
        {% generation %}{% set inner = 1 %}{% for part in message.content %}
            {% if part.type == 'image' %}{% set seen.images = seen.images + 1 %}{% continue %}{% endif %}
            {{- part | tojson }}{{ part | tojson(indent=2, sort_keys=true, separators=(', ', ' = '), ensure_ascii=true) }}
        {% endfor %}{% endgeneration %}{{ inner is defined }}
    {% endfor %}
{{ seen.images }} {{ seen.words | items | list }} {{ dict.fromkeys(['x'], 1) }} {{ tools is none }} {{ documents is none }}
{{- '' if add_generation_prompt is false else '> ' }}{{ eos_token }}{{ pad_token is defined }}
"""


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelSandbox]:
    monkeypatch.setattr(sandbox_module, "TEMPLATE_SECONDS", 1.0)
    monkeypatch.setattr(sandbox_module, "TOKENIZER_SECONDS", 3.0)
    made = ModelSandbox("org/model")
    yield made
    made.close()


def conversation(*texts: str, kind: str = "video") -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": kind}, {"type": "text", "text": text}]} for text in texts]


def told(call: Callable[[], object]) -> str:
    with pytest.raises(ModelError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


CONVERSATIONS = [
    conversation("What happens?"),
    conversation("Ünïcödé 字幕 \ud800 \0 <b>&amp;</b> {{ 1 }}", "and\n  then?  ", "?", "left out", kind="image"),
    [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]}, *conversation("?")],
    [{"role": "user", "content": "plain"}],
]
TEMPLATES = [getattr(tiny_templates, name) for name in sorted(vars(tiny_templates)) if name.endswith("_TEMPLATE")]


@pytest.mark.parametrize("template", [*TEMPLATES, Path(model_source("juicecap-demo-vlm"), "chat_template.jinja").read_text()])
def test_a_familys_template_gives_what_transformers_makes_of_it(sandbox, template):
    for messages in CONVERSATIONS[:3]:
        assert sandbox.render(template, messages, NAMES) == by_transformers(template, messages)


@pytest.mark.parametrize("messages", CONVERSATIONS[:3])
def test_a_template_gets_all_that_transformers_gives(sandbox, messages):
    assert sandbox.render(FEATURES, messages, NAMES) == by_transformers(FEATURES, messages)


def by_transformers(template: str, messages: list[dict[str, Any]]) -> str:
    (text,), _ = render_jinja_template([messages], chat_template=template, add_generation_prompt=True, **NAMES)
    return text


COMPLAINTS = {
    "{{ 1 / 0 }}": "ZeroDivisionError: division by zero",
    "{{ messages | length / (messages | length - messages | length) }}": "ZeroDivisionError: division by zero",
    "{% for number in range(10**9) %}{% endfor %}": "OverflowError: Range too big",
    "{% macro call() %}{{ call() }}{% endmacro %}{{ call() }}": "RecursionError: maximum recursion depth exceeded",
    "{% set a = namespace(x=[]) %}{% for n in range(9999) %}{% set a.x = [a.x] %}{% endfor %}{{ a.x | tojson }}": "RecursionErr",
    "{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}": "RecursionError: maximum recursion depth exceeded",
    "{% if 1 %}" * 3000 + "{% endif %}" * 3000: "",
    "{{ nothing.at.all }}": "UndefinedError: 'nothing' is undefined",
    "{{ messages['x'].y }}": "UndefinedError: 'list object' has no attribute 'x'",
    "{{ messages + 1 }}": "TypeError: can only concatenate list",
    "{{ messages.append(1) }}": "SecurityError: access to attribute 'append' of 'list' object is unsafe",
    "{{ ''.__class__.__mro__ }}": "SecurityError: access to attribute '__class__' of 'str' object is unsafe",
    "{{ raise_exception.__globals__.os }}": "SecurityError: access to attribute '__globals__' of 'function' object is unsafe",
    "{% set ns = namespace(_x=1) %}": "SecurityError: a namespace takes no name with a leading underscore, such as '_x'",
    "{{ raise_exception('no videos') }}": "TemplateError: no videos",
    "{{ raise_exception('x' * 10000000) }}": "TemplateError: xxx",
    "{% include 'other' %}": "TypeError: no loader for this environment specified",
    "{% extends 'other' %}": "TypeError: no loader for this environment specified",
    "{% import 'other' as other %}": "TypeError: no loader for this environment specified",
    "{% for": "TemplateSyntaxError: ",
    "{{ 1 | nofilter }}": "TemplateAssertionError: No filter named 'nofilter'",
    "{{ strftime_now(5) }}": "TypeError: ",
    "{{ 'x' * 20000000 }}": "OverflowError: it makes a text of more than 16,777,216 characters",
}
STOPPED = {
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}": "it takes too much of the processor",
    "{{ 9 ** (9 ** 9) }}": "it takes too much of the processor",
    "{{ messages | length ** 1 * 3 ** 99999999 }}": "it takes too much of the processor",
    "{{ 'a' * 10 ** 10 }}": "it takes more than 256 MB",
    "{{ (messages | length) * 'a' * 10 ** 10 }}": "it takes more than 256 MB",
    "{{ 'a' | center(10 ** 9) }}": "it takes more than 256 MB",
    "{{ '%1000000000d' % 1 }}": "it takes more than 256 MB",
    "{{ [0] * 10 ** 9 }}": "it takes more than 256 MB",
}


@pytest.mark.parametrize("template", COMPLAINTS, ids=range(len(COMPLAINTS)))
def test_a_template_that_fails_is_a_sentence(sandbox, template):
    with pytest.raises(TemplateComplaint) as caught:
        sandbox.render(template, conversation("?"), NAMES)
    assert str(caught.value).startswith(COMPLAINTS[template])
    assert len(str(caught.value)) <= 500
    assert sandbox.render(PLAIN, conversation("?"), NAMES) == "?"


@pytest.mark.parametrize("template", STOPPED, ids=range(len(STOPPED)))
def test_a_template_that_takes_too_much_is_stopped(sandbox, template):
    with pytest.raises(TemplateStopped) as caught:
        sandbox.render(template, conversation("?"), NAMES)
    assert str(caught.value) == (
        f"the chat template of org/model cannot be used: {STOPPED[template]}; name another model as hf_model"
    )
    assert sandbox.render(PLAIN, conversation("?"), NAMES) == "?"


def test_a_template_is_tried_by_what_ops_ask(sandbox):
    def tried(template: object) -> str:
        return told(lambda: sandbox.try_template(lambda messages: sandbox.render(template, messages, NAMES)))

    unusable = "the chat template of org/model cannot be used: {}; name another model as hf_model"
    assert tried("{{ 1 / 0 }}") == unusable.format("ZeroDivisionError: division by zero")
    assert tried("{{ 'a' * 10 ** 10 }}") == unusable.format("it takes more than 256 MB")
    assert tried(5) == unusable.format("TypeError: it is no text but int")
    no_videos = "{% if messages[-1].content[0].type == 'video' %}{{ raise_exception('no videos') }}{% endif %}" + PLAIN
    needs_system = "{% if messages[0].role != 'system' %}{{ 1 / 0 }}{% endif %}"
    for template in (PLAIN, no_videos, needs_system):
        sandbox.try_template(partial(sandbox.render, template, names=NAMES))


def test_a_template_that_is_stopped_again_and_again_is_given_up(sandbox):
    template = "{% if messages[0].content[1].text != 'short' %}{{ 'a' * messages | length * 10 ** 10 }}{% endif %}"
    for text in ("long", "long", "short", "long", "long"):
        if text == "short":
            sandbox.render(template, conversation(text), NAMES)
            continue
        with pytest.raises(TemplateStopped):
            sandbox.render(template, conversation(text), NAMES)
    with pytest.raises(ModelError) as caught:
        sandbox.render(template, conversation("long"), NAMES)
    assert type(caught.value) is ModelError


def test_a_sandbox_that_leaks_is_not_used(sandbox, tmp_path, monkeypatch):
    (tmp_path / "jinja2-3.1.2.dist-info").mkdir()
    (tmp_path / "jinja2-3.1.2.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: jinja2\nVersion: 3.1.2\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvironmentFailure) as caught:
        sandbox.render(PLAIN, conversation("?"), NAMES)
    assert str(caught.value) == ("chat templates need jinja2 3.1.6 or newer, and 3.1.2 is installed: pip install -U jinja2")


class TestTokenizers:
    @pytest.fixture
    def file(self, tmp_path) -> Path:
        """The tokenizer of the demonstration model, to do harm to."""
        file = tmp_path / "tokenizer.json"
        file.write_bytes(Path(model_source("juicecap-demo-vlm"), "tokenizer.json").read_bytes())
        return file

    def edit(self, file: Path, **more: Any) -> None:
        file.write_text(json.dumps(json.loads(file.read_text()) | more))

    def test_texts_are_counted(self, sandbox, file):
        from tokenizers import Tokenizer

        texts = ["", "What happens?", "<|im_start|>user", "字幕"]
        library = Tokenizer.from_file(str(file))
        expected = [len(library.encode(text, add_special_tokens=False).ids) for text in texts]
        assert sandbox.token_counts(file, texts, special=False) == expected
        assert "<|im_start|>" in sandbox.added_tokens(file)

    def test_its_own_padding_and_cutting_are_left_out_as_transformers_leaves_them_out(self, sandbox, file):
        expected = sandbox.token_counts(file, ["What happens?"], special=True)
        self.edit(
            file,
            padding={
                "strategy": {"Fixed": 10**9}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
                "pad_token": "x",
            },
            truncation={"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0},
        )  # fmt: skip
        other = ModelSandbox("org/model")
        assert other.token_counts(file, ["What happens?"], special=True) == expected
        other.close()

    @pytest.mark.parametrize(
        "content", [b"", b"{}", b"[" * 100_000, b"\xff\xfe", b'{"added_tokens": [5]}', b'{"added_tokens": 5}']
    )
    def test_what_is_none_says_nothing(self, sandbox, file, content):
        file.write_bytes(content)
        assert sandbox.token_counts(file, ["x"], special=False) is None
        assert sandbox.added_tokens(file) == []

    def test_an_expression_that_never_ends_is_stopped(self, sandbox, file):
        endless = {"Regex": "(x+x+)+y"}
        self.edit(file, pre_tokenizer={"type": "Split", "pattern": endless, "behavior": "Isolated", "invert": False})
        text = told(lambda: sandbox.token_counts(file, ["x" * 60], special=False))
        assert text.startswith(
            "the tokenizer of org/model cannot be used: its process crashed (exit status 1): pyo3_runtime.Panic"
        )
        slow = [{"type": "Replace", "pattern": {"Regex": "(x+x+)+y|x"}, "content": "x"}] * 1000
        self.edit(file, pre_tokenizer=None, normalizer={"type": "Sequence", "normalizers": slow})
        sandbox.close()
        assert told(lambda: sandbox.token_counts(file, ["x" * 17 + " "] * 1000, special=False)) == (
            "the tokenizer of org/model cannot be used: it takes too much of the processor; name another model as hf_model"
        )

    def test_a_text_that_doubles_takes_no_more_memory_than_allowed(self, sandbox, file, monkeypatch):
        monkeypatch.setattr(sandbox_module, "TOKENIZER_MEMORY", 2**27)
        other = ModelSandbox("org/model")
        twice = [{"type": "Replace", "pattern": {"String": "x"}, "content": "xx"}] * 40
        self.edit(file, normalizer={"type": "Sequence", "normalizers": twice})
        text = told(lambda: other.token_counts(file, ["x"], special=False))
        assert text.startswith("the tokenizer of org/model cannot be used: its process crashed (signal SIGABRT)")
        other.close()

    @pytest.mark.parametrize("number", [2**29, 2**31])
    def test_a_number_that_leaves_a_gap_of_gigabytes(self, sandbox, file, number):
        model = json.loads(file.read_text())["model"]
        self.edit(file, model={**model, "vocab": {**model["vocab"], "zzz": number}})
        assert told(lambda: sandbox.try_tokenizer(file)).startswith(
            "the tokenizer of org/model cannot be used: its process crashed ("
        )

    def test_sound_and_refused_ones_are_tried_in_peace(self, sandbox, file):
        sandbox.try_tokenizer(file)
        file.write_text("{}")
        sandbox.try_tokenizer(file)
