"""An op that captions a clip and asks about its caption, and what must hold of it with every backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import override

from juicecap.ops.apply.fate import Fate
from juicecap.ops.apply.rounds import Conversation
from juicecap.ops.apply.stream import Stage, Stream
from juicecap.ops.base import Op
from juicecap.ops.options.model_options import ModelOptions
from juicecap.sample import Sample, media_paths
from juicecap.vlm.base import Message, Part
from juicecap.vlm.journal import Journal
from juicecap.vlm.pipeline import core
from juicecap.vlm.pipeline.resources.engine_stats import EngineStats

PROMPT = "\nDescribe the input video in 1-2 sentences.\n"


@dataclass(frozen=True, kw_only=True)
class DoubtOp(ModelOptions, Op):
    """Captions a clip, then asks about the caption, in text alone."""

    answers: int = 1

    @override
    def candidates(self) -> int:
        return self.answers

    @override
    def converse(self, sample: Sample) -> Conversation:
        (path,) = media_paths(sample, self.video_key)
        (seen,) = yield [self.question([Message("user", (Part("video", path), Part("text", PROMPT)))], self.candidates())]
        captions = [answer.text for answer in seen.answers]
        (doubted,) = yield [self.question([Message("user", (Part("text", f"Is this so? {captions[0]}"),))], self.candidates())]
        return [{**sample, "captions": captions, "doubts": [answer.text for answer in doubted.answers]}]


def _flow(op: Op, samples: Sequence[Sample], journal: Path, most: int | None = None) -> tuple[list[Fate], EngineStats]:
    """The fates, of which the first `most` are waited for; and what was asked for them."""
    fates: list[Fate] = []
    stats = EngineStats()
    with Journal(journal) as opened, Stream([Stage(op, op.limits(4), stats=stats)], samples, opened) as stream:
        for _, some in stream:
            fates += some
            if most and len(fates) >= most:
                break
    return fates, stats


def check_rounds(paths: Sequence[str], folder: Path, *, exact: bool, **settings: Any) -> None:
    """Two rounds come out right: of a stream that was left in the middle, beside a broken clip, and with more candidates.

    `exact`: the engine's answers do not depend on what it is asked beside.
    """
    broken = folder / "broken.mp4"
    broken.write_text("no video")
    samples = [{"videos": [path]} for path in (*paths[:3], str(broken), *paths[3:])]
    settings = {"sampling_params": {"temperature": 0.3, "max_tokens": 24}, **settings}
    op, more = DoubtOp(**settings), DoubtOp(**settings, answers=2)
    whole, stats = _flow(op, samples, folder / "whole.sqlite")
    assert [fate.failure and fate.failure.code for fate in whole] == [None, None, None, "UNREADABLE", *[None] * (len(paths) - 3)]
    assert stats.read().answers.asked == 2 * len(paths)
    assert [(fate.usage.captions, fate.usage.further) for fate in whole if fate.outputs] == [(1, 1)] * len(paths)
    _, before = _flow(op, samples, folder / "left.sqlite", most=2)
    core.close()
    again, after = _flow(op, samples, folder / "left.sqlite")
    assert before.read().answers.asked + after.read().answers.asked == 2 * len(paths)
    if exact:
        assert [fate.outputs for fate in again] == [fate.outputs for fate in whole]
    replayed, nothing = _flow(op, samples, folder / "left.sqlite")
    assert [fate.outputs for fate in replayed] == [fate.outputs for fate in again]
    assert nothing.read().answers.asked == 0
    twice, rest = _flow(more, samples, folder / "left.sqlite")
    assert rest.read().answers.asked == 2 * len(paths)  # the missing ones
    firsts = [[output["captions"][0], output["doubts"][0]] for fate in twice for output in fate.outputs]
    assert firsts == [[output["captions"][0], output["doubts"][0]] for fate in again for output in fate.outputs]
