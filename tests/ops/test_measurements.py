"""Ops that ask for measurements: alone, beside questions, and in rounds."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from scripted import Clips, Script, prompt_of
from typing_extensions import override

from juicecap.errors import SampleError
from juicecap.media.tasks.catalog import HEADER
from juicecap.media.tasks.task import task_in_file
from juicecap.media.workers.worker_process import WorkerProcess
from juicecap.ops import VideoDurationFilter, VideoResolutionFilter
from juicecap.ops.apply.fate import Fate
from juicecap.ops.apply.rounds import Conversation
from juicecap.ops.apply.stream import Stage, Stream
from juicecap.ops.base import Filter, Op
from juicecap.sample import Sample
from juicecap.vlm.base import Message, ModelSettings, Outcome, Part, Request
from juicecap.vlm.measurement import Ask, Measurement
from juicecap.vlm.pipeline import core

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("closed")]


def question(model: str, text: str) -> Request:
    return Request(model=ModelSettings(model=model), messages=(Message("user", (Part("text", text),)),))


@dataclass(frozen=True, kw_only=True)
class MeasureAndAskOp(Op):
    """Measures, asks about what it measured, and measures again beside a question."""

    model: str

    @override
    def converse(self, sample: Sample) -> Conversation:
        video = sample["videos"][0]
        (header,) = yield [Measurement.of_header(video, 24.0)]
        (said,) = yield [question(self.model, f"{sample['n']} lasts {header.value['duration']:g}")]
        part, more = yield [
            Measurement.of(HEADER, Part("video", f"{video}#t=0.5,1")),
            question(self.model, f"more {sample['n']}"),
        ]
        return [{**sample, "said": [said.answers[0].text, part.value["duration"], more.answers[0].text]}]


def flow(ops: Sequence[Op], samples: Sequence[Sample]) -> list[list[Fate]]:
    fates: list[list[Fate]] = [[] for _ in ops]
    stages = [Stage(op, op.limits()) for op in ops]
    with Stream(stages, samples) as flowing:
        for stage, some in flowing:
            fates[stages.index(stage)] += some
            flowing.pass_on(stage, [output for fate in some for output in fate.outputs])
    return fates


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of media that are measured from now on; no header is remembered from other tests."""
    core.close()
    paths: list[str] = []
    real = WorkerProcess.ask

    def ask(self: WorkerProcess, job):
        paths.extend(each["path"] for each in job.get("jobs", [job]))
        return real(self, job)

    monkeypatch.setattr(WorkerProcess, "ask", ask)
    return paths


def test_two_filters_read_each_header_once(clips: Clips, probed: list[str]) -> None:
    samples = [{"videos": [path]} for path in (*clips.paths, *clips.paths)]
    ops = [VideoDurationFilter(min_duration=1.0), VideoResolutionFilter(max_width=63)]
    first, second = flow(ops, samples)
    assert [fate.kind for fate in first] == ["kept"] * 24
    assert [fate.kind for fate in second] == ["filtered"] * 24
    assert sorted(probed) == sorted(clips.paths)


def test_an_op_that_only_measures_uses_no_model(script: Script) -> None:
    assert VideoDurationFilter().asks()
    assert not VideoDurationFilter().uses_model()
    assert MeasureAndAskOp(model=script.model).uses_model()
    assert not VideoDurationFilter().plan_requests({"videos": ["a.mp4"]})


def test_measurements_and_questions_take_turns_and_mix(script: Script, clips: Clips) -> None:
    samples = [{"n": n, "videos": [clips.paths[n % 3]]} for n in range(5)]
    (fates,) = flow([MeasureAndAskOp(model=script.model)], samples)
    assert [fate.outputs[0]["said"] for fate in fates] == [[f"{n} lasts 2 0", 0.5, f"more {n} 0"] for n in range(5)]
    assert {(fate.usage.captions, fate.usage.further) for fate in fates} == {(1, 1)}


def test_what_asks_about_measurements_has_the_same_calls_whatever_the_timing(script: Script, clips: Clips) -> None:
    script.together = 4
    samples = [{"n": n, "videos": [clips.paths[n % 12]]} for n in range(10)]
    seen = []
    for _ in range(2):
        flow([MeasureAndAskOp(model=script.model)], samples)
        seen.append(sorted([prompt_of(each) for each in batch] for batch in script.batches))
        script.batches.clear()
    assert seen[0] == seen[1]
    assert ["0 lasts 2"] in seen[0]


def test_a_measurement_does_not_wait_for_samples_before_it(script: Script, clips: Clips) -> None:
    """The second round of the second sample is a measurement, and the first sample is still at its first question."""
    script.together, script.calls = 1, 2
    script.gates["ask 0"] = threading.Event()
    measured = threading.Event()

    class AskThenMeasureOp(Op):
        @override
        def converse(self, sample: Sample) -> Conversation:
            yield [question(script.model, f"ask {sample['n']}")]
            (header,) = yield [Measurement.of_header(clips.paths[0], 24.0)]
            measured.set()
            script.gates["ask 0"].set()
            return [{**sample, "seconds": header.value["duration"]}]

    (fates,) = flow([AskThenMeasureOp()], [{"n": n} for n in range(2)])
    assert measured.is_set()
    assert [fate.outputs[0] for fate in fates] == [{"n": 0, "seconds": 2.0}, {"n": 1, "seconds": 2.0}]


def test_a_failure_is_raised_where_it_was_asked(clips: Clips) -> None:
    class SecondChoiceOp(Op):
        @override
        def converse(self, sample: Sample) -> Conversation:
            try:
                yield [Measurement.of_header("none.mp4", 24.0)]
            except SampleError as error:
                code = error.code
            (header,) = yield [Measurement.of_header(clips.paths[0], 24.0)]
            return [{**sample, "code": code, "seconds": header.value["duration"]}]

    (fates,) = flow([SecondChoiceOp()], [{"n": 0}])
    assert fates[0].outputs == ({"n": 0, "code": "FILE_NOT_FOUND", "seconds": 2.0},)


def test_a_filter_with_a_task_of_its_own(tmp_path: Path, clips: Clips) -> None:
    file = tmp_path / "brightness.py"
    file.write_text(
        "from juicecap.media.sampling import FrameSampling\n\n\n"
        "def brightness(medium, *, frames):\n"
        "    return float(medium.frames(FrameSampling(num_frames=frames)).pixels.mean())\n"
    )
    brightness = task_in_file(file, "brightness", cost=0.1)

    @dataclass(frozen=True, kw_only=True)
    class MeanBrightnessFilter(Filter):
        min_brightness: float = 100.0
        measures_only = True

        @override
        def requests(self, sample: Sample) -> Sequence[Ask]:
            return [Measurement.of(brightness, Part("video", path), frames=2) for path in sample["videos"]]

        @override
        def keep_by(self, sample: Sample, outcomes: Sequence[Outcome]) -> bool:
            return all(outcome.value >= self.min_brightness for outcome in outcomes)

    op = MeanBrightnessFilter()
    assert not op.uses_model()
    samples = [[clips.paths[0]], [clips.paths[1]], []]  # on black, on white
    assert op({"videos": samples}) == {"videos": samples[1:]}


def test_a_filter_says_how_it_decides() -> None:
    with pytest.raises(TypeError, match=r"^NothingFilter defines neither keep nor keep_by$"):

        class NothingFilter(Filter):
            pass
