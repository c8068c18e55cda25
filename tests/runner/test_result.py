"""The arithmetic of a run's result and the lines that tell it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from juicecap.ops.apply.table import Counts
from juicecap.report.summary import summary
from juicecap.runner import RunResult, StepResult
from juicecap.runner.result import rejections_allowed
from juicecap.runner.times import RunTimes
from juicecap.vlm.pipeline.resources.answer_counts import AnswerCounts


def step(
    number: int, op: str, taken: int, kept: int, given: int, *, rejected: int = 0, filtered: int = 0, captions: int = 0
) -> StepResult:
    counts = Counts(
        taken=taken,
        kept=kept,
        filtered=filtered,
        rejected=rejected,
        given=given,
        captions=captions,
        truncated=captions // 9,
        prompt_tokens=100 * captions,
        completion_tokens=10 * captions,
    )
    return StepResult(op=op, number=number, counts=counts, seconds=1.0, finished_before=False)


def result(max_rejected: float = 0.05) -> RunResult:
    steps = (
        step(1, "video_duration_filter", 10, 9, 9, rejected=1),
        step(2, "video_captioning_from_vlm_mapper", 9, 9, 18, captions=9),
        step(3, "text_length_filter", 18, 16, 16, filtered=2),
    )
    return RunResult(
        samples=10,
        steps=steps,
        exported=16,
        export_path=Path("out/captions.jsonl"),
        work_dir=Path("out/captions.run"),
        seconds=12.34,
        max_rejected=max_rejected,
    )


def test_what_came_in_and_was_added_went_out_or_is_accounted_for() -> None:
    made = result()
    assert (made.samples, made.added, made.exported, made.filtered, made.rejected) == (10, 9, 16, 2, 1)


@pytest.mark.parametrize(("allowed", "code"), [(0.1, 0), (0.09, 3), (1, 0), (0, 3), (0.0, 3), (1.0, 0)])
def test_max_rejected_is_a_share_of_the_input_or_a_number(allowed: float, code: int) -> None:
    assert result(allowed).exit_code == code


def test_a_share_is_taken_as_it_is_written() -> None:
    """In binary 0.29 of 100 is less than 29; so it is with 0.57 and 0.58."""
    for hundredths in range(101):
        for samples in (100, 200, 1000):
            assert rejections_allowed(hundredths / 100, samples) == hundredths * samples // 100
    assert rejections_allowed(0.05, 19) == 0
    assert rejections_allowed(1e-05, 300_000) == 3
    assert rejections_allowed(7, 3) == 7


def test_the_summary_tells_of_damaged_media() -> None:
    made = result()
    captioned = made.steps[1]
    steps = (made.steps[0], replace(captioned, counts=replace(captioned.counts, damaged=2)), made.steps[2])
    assert "\ndamaged   2 samples with captions of damaged media (see the provenance)\ntime" in summary(
        replace(made, steps=steps)
    )


def test_the_summary_tells_answers_that_look_wrong() -> None:
    made = result()
    captioned = made.steps[1]
    odd = replace(captioned, counts=replace(captioned.counts, truncated=0, empty=2, looping=3, refused=1, mixed=4))
    text = summary(replace(made, steps=(made.steps[0], odd, made.steps[2])))
    assert "captions  9, 2 empty, 3 in a loop, 1 refused, 4 of mixed scripts\n" in text


def test_the_summary() -> None:
    made = result()
    answers = AnswerCounts(
        asked=4,
        shared=2,
        replayed=2,
        failed=5,
        prompt_tokens=400,
        completion_tokens=40,
        replayed_prompt_tokens=200,
        replayed_completion_tokens=20,
    )
    steps = (made.steps[0], replace(made.steps[1], answers=answers, seconds=4.0), replace(made.steps[2], seconds=0.2))
    times = RunTimes(start_up=6.2, loading=0.5, ops=5.0, export=0.4)
    assert summary(replace(made, steps=steps, times=times)) == (
        "in        10 samples\n"
        "          video_duration_filter[1]: 1 rejected\n"
        "          video_captioning_from_vlm_mapper[2]: 9 added\n"
        "          text_length_filter[3]: 2 filtered\n"
        "out       16 samples; 2 filtered, 1 rejected on the way\n"
        "captions  9, 1 cut by max_tokens\n"
        "answers   9: 4 asked + 2 shared within the run + 2 replayed + 1 of ops that an\n"
        "          earlier run finished; 5 failed\n"
        "asked     400 prompt tokens, 40 completion tokens: what a server bills\n"
        "replayed  200 prompt tokens, 20 completion tokens of earlier runs\n"
        "time      12.3 s\n"
        "          start-up 6.2 s\n"
        "          loading 0.5 s\n"
        "          ops 5.0 s: video_captioning_from_vlm_mapper[2] 4.0 s,\n"
        "            video_duration_filter[1] 1.0 s\n"
        "          export 0.4 s\n"
        "output    out/captions.jsonl\n"
        "why       juicecap why out/captions.run\n"
        "rejected  out/captions.run/rejected.jsonl\n"
        "more samples were rejected than max_rejected (0.05) allows; the output is written, the exit code is 3"
    )
