"""A sample that cannot be captioned costs itself alone on the real engine too, wherever it stands among the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed: .ci/run runs these tests in its vLLM lane")

from poisoned import SUBSETS, fates, samples

from juicecap.ops import VideoCaptioningFromVLMMapper
from juicecap.vlm.pipeline import core

pytestmark = pytest.mark.model


@pytest.fixture(scope="class")
def op() -> Iterator[VideoCaptioningFromVLMMapper]:
    core.close()
    yield VideoCaptioningFromVLMMapper(hf_model="juicecap-demo-vlm", backend="vllm", prompt_key="ask", caption_field="captions")
    core.close()


class TestThroughTheOp:
    @pytest.mark.parametrize("poison", SUBSETS)
    def test_decoding(self, op: VideoCaptioningFromVLMMapper, clips: Any, tmp_path: Path, poison: tuple[int, ...]) -> None:
        prose = tmp_path / "prose.mp4"
        prose.write_text("It was a dark and stormy night.\n" * 40)
        rows = samples(clips.paths[:6])
        for place in poison:
            rows[place]["videos"] = [str(prose)]
        assert fates(op, rows) == ["UNREADABLE" if place in poison else clips.captions[place] for place in range(6)]

    @pytest.mark.parametrize("poison", SUBSETS)
    def test_prompts_that_are_too_long(self, op: VideoCaptioningFromVLMMapper, clips: Any, poison: tuple[int, ...]) -> None:
        rows = samples(clips.paths[:6])
        for place in poison:
            rows[place]["ask"] = "why? " * 9000
        assert fates(op, rows) == ["TOO_LONG" if place in poison else clips.captions[place] for place in range(6)]


@pytest.mark.parametrize("poison", SUBSETS)
def test_frames_that_the_processor_refuses(engine: Any, clips: Any, prepared: Any, poison: tuple[int, ...]) -> None:
    batch = [prepared(path) for path in clips.paths[:6]]
    for place in poison:
        (picture,) = batch[place].pictures
        batch[place] = replace(batch[place], pictures=(replace(picture, pixels=picture.pixels[:, :30, :30]),))
    told = [each.failure.code if each.failure else each.answers[0].text for each in engine.answers(batch)]
    assert told == ["PROCESSOR_FAILED" if place in poison else clips.captions[place] for place in range(6)]


@pytest.mark.parametrize("poison", SUBSETS)
def test_requests_that_the_engine_refuses(engine: Any, clips: Any, prepared: Any, poison: tuple[int, ...]) -> None:
    batch = [prepared(path, temperature=2.5 if place in poison else 0.0) for place, path in enumerate(clips.paths[:6])]
    told = [each.failure.code if each.failure else each.answers[0].text for each in engine.answers(batch)]
    assert told == ["GENERATE_FAILED" if place in poison else clips.captions[place] for place in range(6)]


@pytest.mark.parametrize("poison", [*((place,) for place in range(6)), (0, 5)])
def test_requests_that_kill_engines(two_frail_engines: Any, clips: Any, prepared: Any, poison: tuple[int, ...]) -> None:
    batch = [prepared(path) for path in clips.paths[:6]]
    for place in poison:
        batch[place] = prepared(clips.paths[place], text="why? " * 300, temperature=1.0)
    told = [each.failure.code if each.failure else each.answers[0].text for each in two_frail_engines.answers(batch)]
    assert told == ["ENGINE_POISON" if place in poison else clips.captions[place] for place in range(6)]
