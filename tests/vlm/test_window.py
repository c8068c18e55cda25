"""The sliding window: order, no barrier, groups, bounds; with a scripted backend."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from scripted import counted_decoding, prompt_of
from streams import stream_outcomes
from waiting import until

from juicecap.errors import BugError, EnvironmentFailure, SampleError
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import FrameSizes
from juicecap.ops.apply import stream
from juicecap.vlm.base import Capabilities, Failure, Limits, Message, ModelSettings, Part, Request
from juicecap.vlm.pipeline import core
from juicecap.vlm.pipeline.batching import batch_size, calls_at_once
from juicecap.vlm.pipeline.lookup import digests


@pytest.fixture
def plan(clips, script):
    """Plans a sample: {"text": prompt, "videos": paths or none for a sample that asks nothing}."""

    def planned(sample) -> list[Request]:
        if "error" in sample:
            return SampleError("ODD", sample["error"])
        return [
            Request(
                model=ModelSettings(model=script.model),
                messages=(Message("user", (Part("video", path), Part("text", sample["text"]))),),
                frames=FrameSampling(num_frames=2),
            )
            for path in sample.get("videos", clips.paths[:1])
        ]

    return planned


def asked(*texts: str) -> list[dict]:
    return [{"text": text} for text in texts]


def texts_of(results) -> list[object]:
    return [
        outcomes.code if isinstance(outcomes, SampleError) else [outcome.answers[0].text for outcome in outcomes]
        for _, outcomes in results
    ]


def batches(script) -> list[list[str]]:
    """What stood together, in the order of the requests; of two batches the later may be ready first."""
    texts = [[prompt_of(each) for each in batch] for batch in script.batches]
    return sorted(texts, key=lambda batch: (len(batch[0]), batch[0]))


def test_each_sample_gets_its_own_outcomes_in_order(script, plan, clips):
    samples = [
        {"text": "a"},
        {"error": "bad"},
        {"text": "b", "videos": clips.paths[:3]},
        {"text": "c", "videos": []},
        {"text": "d"},
    ]
    results = list(stream_outcomes(iter(samples), plan, Limits()))
    assert [sample for sample, _ in results] == samples
    assert texts_of(results) == [["a 0"], "ODD", ["b 0"] * 3, [], ["d 0"]]


def test_while_the_first_sample_waits_the_others_are_answered(script, plan):
    """No barrier: three times as many samples as a batch has go to the engine and come back while the head is stuck."""
    script.together, script.calls = 1, 2
    script.gates["slow"] = threading.Event()
    planned = []

    def noted(sample):
        planned.append(sample["text"])
        return plan(sample)

    class Samples:
        """Opens the gate only when the last sample has been taken and the one before it was answered."""

        def __iter__(self):
            yield from asked("slow", *map(str, range(48)))
            until(lambda: ["47"] in batches(script))
            script.gates["slow"].set()

    results = list(stream_outcomes(Samples(), noted, Limits()))
    assert texts_of(results) == [["slow 0"], *([f"{number} 0"] for number in range(48))]
    assert planned[0] == "slow"


def test_batches_are_cut_by_order_and_grow_and_the_last_is_not_waited_for(script, plan):
    script.together = 6
    list(stream_outcomes(asked(*map(str, range(21))), plan, Limits()))
    assert [len(batch) for batch in batches(script)] == [2, 3, 5, 6, 5]
    assert [text for batch in batches(script) for text in batch] == [str(number) for number in range(21)]


def test_a_batch_size_is_the_engines(script, plan):
    list(stream_outcomes(asked(*"abcd"), plan, Limits(batch_size=3)))
    list(stream_outcomes(asked(*"efgh"), plan, Limits(in_flight=2)))
    assert batches(script) == [["a", "b", "c"], ["d"], ["e"], ["f", "g"], ["h"]]


def test_a_sample_that_fails_does_not_move_the_cuts(script, plan):
    samples = [{"text": "a"}, {"text": "b", "videos": ["none.mp4"]}, {"text": "c"}, {"text": "d"}]
    results = list(stream_outcomes(samples, plan, Limits(batch_size=2)))
    assert batches(script) == [["a"], ["c", "d"]]
    assert results[1][1][0].failure.code == "FILE_NOT_FOUND"


def test_an_engine_that_batches_by_itself_gets_so_many_requests_at_once(script, plan):
    script.together, script.calls = 1, 5
    script.gates["a"] = threading.Event()

    def samples():
        yield from asked("a", *map(str, range(30)))
        script.gates["a"].set()

    list(stream_outcomes(samples(), plan, Limits()))
    assert script.most_under_way <= 5
    script.most_under_way = 0
    list(stream_outcomes(asked(*map(str, range(30))), plan, Limits(in_flight=1)))
    assert script.most_under_way == 1
    assert [len(batch) for batch in script.batches] == [1] * 61


def sparse(count: int, every: int) -> list[dict]:
    """Samples of which one in `every` asks something."""
    return [{"text": str(number)} | ({"videos": []} if number % every else {}) for number in range(count)]


def test_samples_without_requests_do_not_stop_the_stream(script, plan, monkeypatch):
    monkeypatch.setattr(stream, "MOST_SAMPLES", 8)
    results = list(stream_outcomes(sparse(40, every=4), plan, Limits()))
    assert texts_of(results) == [[] if number % 4 else [f"{number} 0"] for number in range(40)]
    assert batches(script) == [["0", "4"], ["8", "12"], ["16", "20"], ["24", "28"], ["32", "36"]]


def test_few_requests_among_many_samples_still_fill_batches(script, plan, monkeypatch):
    monkeypatch.setattr(stream, "MOST_SAMPLES", 24)
    script.together = 4
    list(stream_outcomes(sparse(200, every=5), plan, Limits(batch_size=4)))
    assert [len(batch) for batch in batches(script)] == [4] * 10


def test_a_batch_that_is_larger_than_the_window_goes_as_far_as_it_got(script, plan, monkeypatch):
    monkeypatch.setattr(stream, "MOST_SAMPLES", 5)
    results = list(stream_outcomes(asked(*map(str, range(12))), plan, Limits(batch_size=8)))
    assert texts_of(results) == [[f"{number} 0"] for number in range(12)]
    assert [len(batch) for batch in batches(script)] == [5, 5, 2]


def test_two_models_whose_batches_fill_slowly(script, plan, monkeypatch):
    monkeypatch.setattr(stream, "MOST_SAMPLES", 6)

    def both(sample) -> list[Request]:
        (first,) = plan(sample)
        return [first, replace(first, model=ModelSettings(model=f"{script.model}-x"))]

    results = list(stream_outcomes(asked(*map(str, range(10))), both, Limits(batch_size=4)))
    assert texts_of(results) == [[f"{number} 0"] * 2 for number in range(10)]


def test_the_window_is_bounded(script, plan, monkeypatch):
    monkeypatch.setattr(stream, "MOST_SAMPLES", 20)
    taken = []

    def samples():
        for number in range(200):
            taken.append(number)
            yield {"text": str(number)}

    script.together, script.calls = 1, 1
    for place, _ in enumerate(stream_outcomes(samples(), plan, Limits())):
        assert len(taken) <= place + 1 + 20


def test_a_clip_that_many_ask_about_is_decoded_once(script, plan, clips, monkeypatch):
    core.close()
    decoded = counted_decoding(monkeypatch)
    path, other = clips.paths[:2]
    samples = [{"text": text, "videos": [path]} for text in "ab"] + [{"text": "c", "videos": [path, other]}]
    list(stream_outcomes(samples, plan, Limits(batch_size=4)))
    assert sorted(decoded) == sorted([path, other])
    first, second, third, fourth = script.batches[0]
    assert first.pictures[0] is second.pictures[0] is third.pictures[0]
    assert fourth.pictures[0] is not first.pictures[0]
    core.close()


def test_frames_are_let_go(script, plan, clips, monkeypatch):
    core.close()
    decoded = counted_decoding(monkeypatch)
    script.together = 1
    for _ in range(2):
        list(stream_outcomes([{"text": "a", "videos": clips.paths[:1]}], plan, Limits()))
    assert decoded == clips.paths[:1] * 2
    core.close()


def test_where_the_engine_takes_files_they_are_probed_and_not_decoded(script, plan, clips, tmp_path):
    script.takes_files = True
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    samples = [{"text": "a", "videos": clips.paths[:1]}, {"text": "b", "videos": [str(text)]}]
    results = list(stream_outcomes(samples, plan, Limits()))
    assert [outcomes[0].failure and outcomes[0].failure.code for _, outcomes in results] == [None, "UNREADABLE"]
    (picture,) = script.batches[0][0].pictures
    assert picture.pixels.shape == (0, 0, 0, 3)
    assert picture.duration == pytest.approx(2.0)


def test_an_engine_that_dies_ends_the_stream_behind_what_was_answered(script, plan):
    script.together, script.calls = 1, 4
    script.answers["c"] = EnvironmentFailure("the server is gone")
    script.gates["c"] = threading.Event()
    got = []
    with pytest.raises(EnvironmentFailure, match="the server is gone"):
        for _, outcomes in stream_outcomes(asked(*"abcd"), plan, Limits()):
            got.append(outcomes[0].answers[0].text)
            if len(got) == 2:
                script.gates["c"].set()
    assert got == ["a 0", "b 0"]


def test_a_bug_of_a_backend_is_not_swallowed(script, plan):
    script.answers["a"] = ZeroDivisionError("oops")
    with pytest.raises(ZeroDivisionError, match="oops"):
        list(stream_outcomes(asked("a"), plan, Limits()))


def test_a_request_that_is_given_up_by_a_backend_is_a_bug_and_not_a_hang(script, plan):
    script.answers["a"] = asyncio.CancelledError()
    with pytest.raises(BugError, match="a request was given up by nobody"):
        list(stream_outcomes(asked("a"), plan, Limits()))


@pytest.mark.parametrize("hidden", [False, True], ids=["openly", "under its size and time"])
def test_a_file_that_changes_while_it_is_read_is_asked_another_day(script, plan, tmp_path, clips, monkeypatch, hidden):
    path, content, other = tmp_path / "clip.mp4", *(Path(clip).read_bytes() for clip in clips.paths[:2])
    size = max(len(content), len(other)) if hidden else 0
    path.write_bytes(content.ljust(size, b"\0"))
    os.utime(path, ns=(10**18, 10**18))
    time.sleep(0.02)  # the clock of a file system ticks slowly
    real = digests.medium_digest

    def changed(kind: str, name: str, rules: object) -> str:
        digest = real(kind, name, rules)
        path.write_bytes(other.ljust(size, b"\0"))
        if hidden:
            os.utime(path, ns=(10**18, 10**18))
        return digest

    monkeypatch.setattr(digests, "medium_digest", changed)
    ((_, (outcome,)),) = stream_outcomes([{"text": "a", "videos": [str(path)]}], plan, Limits())
    assert outcome.failure == Failure(code="MEDIA_CHANGED", message=f"{path} was changed while it was read", retryable=True)


def test_an_error_does_not_keep_frames_alive(script, plan):
    script.answers["a"] = EnvironmentFailure("gone")
    with pytest.raises(EnvironmentFailure) as caught:
        list(stream_outcomes(asked("a"), plan, Limits()))
    frame_of = [frame.f_locals for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert not any(isinstance(value, list) and script.batches[0][0] in value for local in frame_of for value in local.values())


@pytest.mark.parametrize(("in_flight", "shape"), [(None, (16, 2)), (1, (1, 1)), (5, (5, 1)), (16, (16, 1)), (40, (16, 2))])
def test_max_in_flight_holds_where_the_engine_takes_batches(in_flight, shape):
    capabilities, limits = Capabilities(sizes=FrameSizes(), batch_size=16), Limits(in_flight=in_flight)
    size = batch_size(capabilities, limits)
    assert (size, calls_at_once(2, capabilities, limits, size)) == shape


def test_max_in_flight_is_for_each_of_several_servers():
    three = Capabilities(sizes=FrameSizes(), servers=3)
    assert [calls_at_once(96, three, Limits(in_flight=most), 1) for most in (None, 1, 5)] == [96, 3, 15]


def test_windows_share_the_engines_turns(script, plan):
    script.together, script.calls = 1, 9
    threads = [
        threading.Thread(target=lambda: list(stream_outcomes(asked(*map(str, range(20))), plan, Limits(in_flight=2))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert script.most_under_way <= 2
    assert len(script.batches) == 80


def test_leaving_early_gives_up_what_is_under_way(script, plan):
    script.together = 1
    results = stream_outcomes(asked(*map(str, range(100))), plan, Limits(in_flight=1))
    assert next(results)[1][0].answers[0].text == "0 0"
    results.close()
    assert texts_of(stream_outcomes(asked("z"), plan, Limits())) == [["z 0"]]
    assert len(script.batches) < 100


@pytest.mark.parametrize("size", [1, 3, 16])
@pytest.mark.parametrize("workers", [1, 3])
def test_seeds_depend_neither_on_the_batch_nor_on_the_workers(script, plan, clips, size, workers):
    samples = [{"text": "p", "videos": [path]} for path in clips.paths[:5]]
    seeds = [outcomes[0].seed for _, outcomes in stream_outcomes(samples, plan, Limits(batch_size=size, workers=workers))]
    alone = [core.ask([replace(plan(sample)[0], candidates=2)])[0].seed for sample in samples]
    assert seeds == alone
    assert len(set(seeds)) == 5
