"""A sample that cannot be captioned costs itself alone, wherever it stands in a batch, whatever is wrong with it.

vLLM's part is in `tests/vlm/backends/vllm/test_isolation.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from poisoned import PLAIN, POISONED, SUBSETS, fates, samples
from scripted_server import Reply, ScriptedServer, refused, said

from juicecap.ops import VideoCaptioningFromVLMMapper
from juicecap.vlm.pipeline import core

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def patched() -> Iterator[pytest.MonkeyPatch]:
    core.close()
    with pytest.MonkeyPatch.context() as patch:
        yield patch
    core.close()


@pytest.fixture
def prose(tmp_path: Path) -> str:
    path = tmp_path / "prose.mp4"
    path.write_text("It was a dark and stormy night.\n" * 40)
    return str(path)


FAULTS: Sequence[Any] = [
    pytest.param(refused(500, "out of luck"), "SERVER_ERROR", id="500"),
    pytest.param(refused(429, "slow down"), "RATE_LIMITED", id="429"),
    pytest.param(refused(400, "maximum context length is 9"), "TOO_LONG", id="too long"),
    pytest.param(refused(400, "the content policy forbids it"), "REFUSED", id="refused"),
    pytest.param(Reply("{not json"), "BAD_ANSWER", id="no JSON"),
    pytest.param(Reply(hang_up=True), "SERVER_ERROR", id="hung up"),
    pytest.param(Reply({"object": "chat.completion", "choices": []}), "BAD_ANSWER", id="no choices"),
]


@pytest.fixture(scope="module")
def frail(patched: pytest.MonkeyPatch) -> dict[str, bool]:
    """The real model, of which the processor or `generate` fails on prompts with a poisonous word, if they are told to."""
    from juicecap.vlm.backends.hf.backend import HFEngine

    fails = {"processor": False, "generate": False}
    real = HFEngine.__init__

    def opened(self: Any, *arguments: Any) -> None:
        real(self, *arguments)
        processor, generate = self._loaded.processor, self._loaded.model.generate

        class Frail:
            def __call__(self, **inputs: Any) -> Any:
                if fails["processor"] and POISONED in inputs["text"][0]:
                    raise IndexError("no such patch")
                return processor(**inputs)

            def __getattr__(self, name: str) -> Any:
                return getattr(processor, name)

        def frail_generate(**inputs: Any) -> Any:
            prompts = processor.tokenizer.batch_decode(inputs["input_ids"])
            if fails["generate"] and any(POISONED in prompt for prompt in prompts):
                raise RuntimeError("device-side assert")
            return generate(**inputs)

        self._loaded.model.generate = frail_generate
        self._loaded = replace(self._loaded, processor=Frail())

    patched.setattr(HFEngine, "__init__", opened)
    return fails


@pytest.fixture(scope="module")
def hf_op(frail: dict[str, bool]) -> VideoCaptioningFromVLMMapper:
    return VideoCaptioningFromVLMMapper(hf_model="juicecap-demo-vlm", prompt_key="ask", caption_field="captions")


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    core.close()
    server = ScriptedServer()
    yield server
    core.close()
    server.stop()


@pytest.fixture
def openai_op(server: ScriptedServer) -> VideoCaptioningFromVLMMapper:
    server.script = answering(None)
    return VideoCaptioningFromVLMMapper(
        hf_model="served-model",
        backend="openai",
        api_base=server.base,
        model_params={"transport": "images", "max_attempts": 1},
        num_frames=2,
        prompt_key="ask",
        caption_field="captions",
    )


@pytest.fixture
def alone(openai_op: VideoCaptioningFromVLMMapper, clips: Any) -> list[str]:
    """What each clip gets by itself: answers tell what was asked and seen."""
    answers = [fates(openai_op, samples([path]))[0] for path in clips.paths[:6]]
    assert len(set(answers)) == 6
    return answers


class TestHF:
    @pytest.mark.parametrize("poison", SUBSETS)
    def test_decoding(self, hf_op, clips, prose: str, poison: tuple[int, ...]) -> None:
        rows = samples(clips.paths[:6])
        for place in poison:
            rows[place]["videos"] = [prose]
        expected = ["UNREADABLE" if place in poison else clips.captions[place] for place in range(6)]
        assert fates(hf_op, rows, batch_size=6) == expected

    @pytest.mark.parametrize("poison", SUBSETS)
    @pytest.mark.parametrize(("what", "code"), [("processor", "PROCESSOR_FAILED"), ("generate", "GENERATE_FAILED")])
    def test_processor_and_model(self, hf_op, frail, clips, what: str, code: str, poison: tuple[int, ...], monkeypatch) -> None:
        monkeypatch.setitem(frail, what, True)
        rows = samples(clips.paths[:6], poison)
        expected = [code if place in poison else clips.captions[place] for place in range(6)]
        assert fates(hf_op, rows, batch_size=6) == expected

    def test_the_poisonous_word_by_itself_does_no_harm(self, hf_op, clips) -> None:
        assert not any(code.isupper() for code in fates(hf_op, samples(clips.paths[:6], range(6)), batch_size=6))


class TestOpenAI:
    @pytest.mark.parametrize("poison", SUBSETS)
    def test_decoding(self, openai_op, clips, alone: list[str], prose: str, poison: tuple[int, ...]) -> None:
        rows = samples(clips.paths[:6])
        for place in poison:
            rows[place]["videos"] = [prose]
        assert fates(openai_op, rows) == ["UNREADABLE" if place in poison else alone[place] for place in range(6)]

    @pytest.mark.parametrize("poison", SUBSETS)
    @pytest.mark.parametrize(("fault", "code"), FAULTS)
    def test_faults_of_the_server(
        self, openai_op, server, clips, alone, fault: Reply, code: str, poison: tuple[int, ...]
    ) -> None:
        server.script = answering(fault)
        expected = [code if place in poison else alone[place] for place in range(6)]
        assert fates(openai_op, samples(clips.paths[:6], poison)) == expected

    def test_a_server_that_does_not_answer(self, openai_op, server, clips, alone) -> None:
        server.script = answering(Reply(hang=30))
        impatient = replace(openai_op, model_params={**openai_op.model_params, "timeout": 1.0})
        expected = ["REQUEST_TIMEOUT" if place in (1, 4) else alone[place] for place in range(6)]
        assert fates(impatient, samples(clips.paths[:6], (1, 4))) == expected


def answering(fault: Reply | None) -> Callable[[dict[str, Any]], Reply]:
    """A server that tells what it was asked and seen, and has this fault for what is poisoned."""

    def script(body: dict[str, Any]) -> Reply:
        content = body["messages"][-1]["content"]
        if isinstance(content, str):
            return said("ok", prompt_tokens=10)
        (question,) = (part["text"] for part in content if part["type"] == "text")
        if fault and POISONED in question:
            return fault
        seen = hashlib.sha256(json.dumps([part for part in content if part["type"] != "text"]).encode()).hexdigest()
        return said(f"{question.strip()} {seen}", prompt_tokens=200)

    return script


def test_what_is_asked_is_what_the_model_was_trained_on() -> None:
    from juicecap.ops.mapper.video_captioning_from_vlm_mapper import DEFAULT_PROMPT

    assert PLAIN == DEFAULT_PROMPT
