"""Answers that are replayed from a journal: what is asked, what is not, and that nobody can tell the difference."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import av
import pytest
from PIL import Image
from scripted import Script, counted_decoding, prompt_of
from streams import stream_outcomes
from waiting import until

from juicecap import file_state
from juicecap.errors import EnvironmentFailure, MediaError
from juicecap.file_state import FileState
from juicecap.media.rules import MediaLimits
from juicecap.media.sampling import FrameSampling
from juicecap.ops.apply.forecast import forecast
from juicecap.vlm.base import Failure, Limits, Message, ModelSettings, Outcome, Part, Request, Sampling
from juicecap.vlm.journal import Journal
from juicecap.vlm.pipeline import core
from juicecap.vlm.pipeline.lookup import digests, keys
from juicecap.vlm.pipeline.resources.answer_counts import AnswerCounts
from juicecap.vlm.pipeline.resources.engine_stats import EngineStats

pytestmark = pytest.mark.process

HOT = Sampling(temperature=1.0)


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    core.close()
    yield
    core.close()


@pytest.fixture
def old(clips, tmp_path) -> list[str]:
    """Four clips of the test's own."""
    return [str(shutil.copy(path, tmp_path)) for path in clips.paths[:4]]


@pytest.fixture
def settled(monkeypatch) -> None:
    """Files need not be older than the journal's record of them by the tick of a file system."""
    monkeypatch.setattr(file_state, "TICK", 0)
    time.sleep(0.01)


@pytest.fixture
def request_for(script) -> Callable[..., Request]:
    def made(path: str, text: str = "P", **more) -> Request:
        parts = tuple(Part("video", each) for each in path.split("|"))
        return Request(
            model=ModelSettings(model=script.model),
            messages=(Message("user", (*parts, Part("text", text))),),
            **{"frames": FrameSampling(num_frames=2), **more},
        )

    return made


@pytest.fixture
def ask(script: Script, tmp_path: Path) -> Callable[..., tuple[list[Outcome], list[str]]]:
    """Ask as a run would that starts anew: the outcomes, and the prompts that reached the engine."""

    def asked(*requests: Request, limits: Limits = core.DEFAULT_LIMITS, **options) -> tuple[list[Outcome], list[str]]:
        core.close()
        script.batches.clear()
        script.opened.clear()
        with Journal(tmp_path / "journal.sqlite", **options) as journal:
            outcomes = core.ask(requests, limits, journal)
        return outcomes, [prompt_of(prepared) for batch in script.batches for prepared in batch]

    return asked


def texts(outcomes: list[Outcome]) -> list[object]:
    return [outcome.failure.code if outcome.failure else [answer.text for answer in outcome.answers] for outcome in outcomes]


class TestReplay:
    def test_what_was_answered_is_not_asked_again_and_no_engine_is_opened(self, ask, request_for, clips, script):
        requests = [request_for(path, text, sampling=HOT, candidates=2) for path in clips.paths[:3] for text in "ab"]
        first, asked = ask(*requests)
        assert sorted(asked) == ["a", "a", "a", "b", "b", "b"]
        again, asked = ask(*requests)
        assert again == first
        assert (asked, script.opened) == ([], [])

    def test_whatever_an_outcome_says_comes_back(self, ask, request_for, clips, script, monkeypatch):
        facts = {"frame_times": ((0.1, 1 / 3), (5.0,)), "unreadable": 3, "damage": "cut ü", "tone_mapped": True}
        said = Outcome(prompt_tokens=7, revision="r/1", **facts)
        real = script.answer

        def answer(prepared):
            outcome = real(prepared)
            answers = (replace(outcome.answers[0], finish_reason="length", tokens=9, text=" ü\n"), *outcome.answers[1:])
            return replace(said, answers=answers, seed=outcome.seed)

        script.answer = answer
        request = request_for(clips.paths[0], candidates=3, sampling=HOT)
        (first,), _ = ask(request)
        assert (first.frame_times, first.damage, first.answers[0].text) == (said.frame_times, "cut ü", " ü\n")
        assert ask(request) == ([first], [])

    def test_an_edited_prompt_asks_and_the_others_do_not(self, ask, request_for, clips):
        ask(*(request_for(path, "old") for path in clips.paths[:3]))
        outcomes, asked = ask(request_for(clips.paths[0], "old"), request_for(clips.paths[1], "new"))
        assert (texts(outcomes), asked) == ([["old 0"], ["new 0"]], ["new"])

    def test_a_clip_that_was_renamed_is_the_same_clip(self, ask, request_for, clips, tmp_path):
        ask(request_for(clips.paths[0]))
        assert ask(request_for(str(shutil.copy(clips.paths[0], tmp_path / "renamed.mp4"))))[1] == []

    def test_a_clip_that_was_replaced_is_asked_about_and_nothing_else(self, ask, request_for, old, clips):
        requests = [request_for(path, str(number)) for number, path in enumerate(old)]
        ask(*requests)
        shutil.copy(clips.paths[5], old[2])
        assert ask(*requests)[1] == ["2"]

    @pytest.mark.parametrize(
        "change",
        [
            {"frames": FrameSampling(num_frames=3)},
            {"frames": FrameSampling(num_frames=2, max_pixels=99_999)},
            {"sampling": Sampling(temperature=0.5)},
            {"sampling": Sampling(temperature=1.0, max_tokens=3)},
            {"seed": 4},
        ],
    )
    def test_other_settings_ask(self, ask, request_for, clips, change):
        request = request_for(clips.paths[0], sampling=HOT)
        ask(request)
        assert ask(replace(request, **change))[1] == ["P"]

    def test_where_no_token_is_drawn_another_seed_asks_nothing_and_is_the_seed(self, ask, request_for, clips):
        request = request_for(clips.paths[0])
        ask(request)
        (outcome,), asked = ask(replace(request, seed=4))
        assert asked == []
        assert outcome.seed == ask(replace(request, seed=4), fresh=True)[0][0].seed == outcome.answers[0].seed

    def test_local_models_files_that_were_replaced_ask(self, ask, request_for, clips, tmp_path, script):
        folder = tmp_path / script.model
        folder.mkdir()
        weights = folder / "model.safetensors"
        weights.write_bytes(bytes(100))
        request = replace(request_for(clips.paths[0]), model=ModelSettings(model=str(folder)))
        seed = ask(request)[0][0].seed
        assert ask(request)[1] == []
        os.utime(weights, ns=(1, 1))
        assert ask(request)[1] == []
        weights.write_bytes(bytes(99) + b"x")
        (outcome,), asked = ask(request)
        assert (asked, outcome.seed) == (["P"], seed)

    def test_equal_files_in_two_folders_are_one_model(self, ask, request_for, clips, tmp_path, script):
        requests = []
        for name in ("here", "there"):
            folder = tmp_path / name / script.model
            folder.mkdir(parents=True)
            (folder / "model.safetensors").write_bytes(bytes(100))
            requests.append(replace(request_for(clips.paths[0]), model=ModelSettings(model=str(folder))))
        assert [ask(each)[1] for each in requests] == [["P"], []]

    def test_without_a_journal_nothing_is_replayed(self, request_for, clips, script):
        for _ in range(2):
            core.ask([request_for(clips.paths[0])])
        assert len(script.batches) == 2

    def test_fresh_asks_everything_and_what_it_heard_counts_from_then_on(self, ask, request_for, clips, script):
        ask(request_for(clips.paths[0]))
        script.answers["P"] = ["other"]
        assert ask(request_for(clips.paths[0]), fresh=True) == (core.ask([request_for(clips.paths[0])]), ["P"])
        assert texts(ask(request_for(clips.paths[0]))[0]) == [["other"]]

    def test_fresh_asks_a_question_that_comes_twice_once(self, ask, request_for, clips, script, tmp_path):
        ask(request_for(clips.paths[0]))
        script.batches.clear()
        with Journal(tmp_path / "journal.sqlite", fresh=True) as journal:
            first = core.ask([request_for(clips.paths[0])], journal=journal)
            again = core.ask([request_for(clips.paths[0])], journal=journal)
        assert texts(first) == texts(again)
        assert sum(map(len, script.batches)) == 1

    def test_what_is_replayed_is_counted(self, request_for, clips, tmp_path):
        counted = []
        with Journal(tmp_path / "j") as journal:
            for paths, candidates in ((clips.paths[:1], 2), (clips.paths[:2], 5)):
                stats, samples = EngineStats(), [{"path": path} for path in paths]
                plan = lambda sample: [request_for(sample["path"], candidates=candidates)]  # noqa: B023, E731
                list(stream_outcomes(samples, plan, Limits(), journal, stats))
                counted.append(stats.read().answers)
        few, many = counted
        assert few == AnswerCounts(asked=2, prompt_tokens=5, completion_tokens=2)
        assert many == AnswerCounts(asked=8, shared=2, prompt_tokens=10, completion_tokens=8)
        with Journal(tmp_path / "j") as journal:
            list(stream_outcomes(samples * 3, plan, Limits(), journal, stats := EngineStats()))
        again = AnswerCounts(replayed=10, shared=20, replayed_prompt_tokens=10, replayed_completion_tokens=10)
        assert stats.read().answers == again


class TestCandidates:
    def test_more_candidates_ask_for_the_missing_ones_with_the_seeds_that_they_would_have_had(
        self, ask, request_for, clips, script
    ):
        few, many = (request_for(clips.paths[0], sampling=HOT, candidates=number) for number in (2, 5))
        whole = core.ask([many])
        ask(few)
        outcomes, _ = ask(many)
        ((prepared,),) = script.batches
        assert list(prepared.seeds) == [whole[0].seed + number for number in (2, 3, 4)]
        assert outcomes == whole
        assert ask(many) == (whole, [])

    def test_fewer_candidates_ask_nothing(self, ask, request_for, clips):
        (many,), _ = ask(request_for(clips.paths[0], sampling=HOT, candidates=5))
        (few,), asked = ask(request_for(clips.paths[0], sampling=HOT, candidates=2))
        assert (few.answers, asked) == (many.answers[:2], [])


class TestFailures:
    def test_failures_that_may_pass_are_asked_again(self, ask, request_for, clips, script):
        script.answers["P"] = Failure(code="SERVER_ERROR", message="m", retryable=True)
        assert texts(ask(request_for(clips.paths[0]))[0]) == ["SERVER_ERROR"]
        del script.answers["P"]
        outcomes, asked = ask(request_for(clips.paths[0]))
        assert (texts(outcomes), asked) == ([["P 0"]], ["P"])

    def test_failures_that_do_not_pass_are_replayed_unless_they_are_to_be_tried_again(self, ask, request_for, clips, script):
        script.answers["P"] = failure = Failure(code="TOO_LONG", message="the prompt has 9 tokens")
        ask(request_for(clips.paths[0]), request_for(clips.paths[1], "Q"))
        del script.answers["P"]
        (outcome, _), asked = ask(request_for(clips.paths[0]), request_for(clips.paths[1], "Q"))
        assert (outcome.failure, asked) == (failure, [])
        outcomes, asked = ask(request_for(clips.paths[0]), request_for(clips.paths[1], "Q"), retry_rejected=True)
        assert (texts(outcomes), asked) == ([["P 0"], ["Q 0"]], ["P"])
        assert ask(request_for(clips.paths[0]))[1] == []

    def test_what_an_engine_refuses_for_some_candidates_may_go_for_another_number(self, ask, request_for, clips, script):
        request = request_for(clips.paths[0], sampling=HOT)
        script.answers["P"] = Failure(code="OUT_OF_MEMORY", message="m")
        ask(replace(request, candidates=9))
        del script.answers["P"]
        assert texts(ask(replace(request, candidates=9))[0]) == ["OUT_OF_MEMORY"]
        assert texts(ask(replace(request, candidates=1))[0]) == [["P 0"]]
        assert texts(ask(replace(request, candidates=9))[0]) == [[f"P {number}" for number in range(9)]]

    def test_a_clip_that_cannot_be_decoded_is_not_decoded_again_whatever_is_asked(
        self, ask, request_for, clips, tmp_path, monkeypatch
    ):
        bad = tmp_path / "bad.mp4"
        bad.write_bytes(Path(clips.paths[0]).read_bytes()[:700])
        (outcome,), _ = ask(request_for(str(bad)))
        assert str(bad) in outcome.failure.message
        decoded = counted_decoding(monkeypatch)
        again = ask(request_for(str(bad)), request_for(str(bad), "other prompt"))[0]
        assert [each.failure for each in again] == [outcome.failure] * 2
        assert decoded == []
        renamed = bad.rename(tmp_path / "renamed.mp4")
        (third,), _ = ask(request_for(str(renamed)))
        assert third.failure == replace(outcome.failure, message=outcome.failure.message.replace(str(bad), str(renamed)))
        assert decoded == []
        ask(request_for(str(renamed)), retry_rejected=True)
        ask(request_for(str(renamed)), limits=Limits(decode_seconds=7))
        ask(request_for(str(renamed)), limits=Limits(decode_bytes=2**31))
        ask(request_for(str(renamed), frames=FrameSampling(num_frames=1)))
        assert decoded == [str(renamed)] * 4

    @pytest.fixture
    def before(self, monkeypatch):
        """A context in which media are read, and journals written, as by a version before."""

        @contextmanager
        def entered():
            with monkeypatch.context() as patch:
                patch.setattr(keys, "READING_VERSION", keys.READING_VERSION - 1)
                patch.setattr(digests, "reading_of", lambda path, rules: "")
                yield

        return entered

    def test_what_could_not_be_used_as_it_was_read_before_is_tried_again(
        self, ask, request_for, clips, tmp_path, monkeypatch, before
    ):
        bad = tmp_path / "bad.mp4"
        bad.write_bytes(Path(clips.paths[0]).read_bytes()[:700])
        with before():
            ask(request_for(str(bad)), request_for(clips.paths[0], "Q"))
        decoded = counted_decoding(monkeypatch)
        outcomes, asked = ask(request_for(str(bad)), request_for(clips.paths[0], "Q"))
        assert (texts(outcomes)[1], asked, decoded) == (["Q 0"], [], [str(bad)])

    def test_media_of_a_kind_that_is_read_otherwise_are_asked_about_again_with_their_seed(
        self, ask, request_for, clips, tmp_path, before
    ):
        odd = tmp_path / "odd.mp4"
        with av.open(clips.paths[0]) as source, av.open(odd, "w", options={"movflags": "frag_keyframe+empty_moov"}) as fragmented:
            stream = fragmented.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    fragmented.mux(packet)
        requests = [request_for(str(odd), "odd", sampling=HOT), request_for(clips.paths[0], "Q", sampling=HOT)]
        with before():
            old, asked = ask(*requests)
        assert asked == ["odd", "Q"]
        new, asked = ask(*requests)
        assert asked == ["odd"]
        assert [each.seed for each in new] == [each.seed for each in old]
        assert ask(*requests)[1] == []

    @pytest.mark.parametrize("option", ["retry_rejected", "fresh"])
    def test_a_clip_that_can_be_decoded_after_all_is_believed_from_then_on(
        self, ask, request_for, clips, monkeypatch, option: str
    ):
        from juicecap.media.workers import pool

        async def too_slow(*_) -> None:
            raise MediaError("DECODE_TIMEOUT", "it takes too long, on this busy day")

        with monkeypatch.context() as patch:
            patch.setattr(pool.DecodePool, "picture", too_slow)
            ask(request_for(clips.paths[0]))
        assert texts(ask(request_for(clips.paths[0]))[0]) == ["DECODE_TIMEOUT"]
        assert texts(ask(request_for(clips.paths[0]), **{option: True})[0]) == [["P 0"]]
        outcomes, asked = ask(request_for(clips.paths[0]), request_for(clips.paths[0], "Q"))
        assert (texts(outcomes), asked) == ([["P 0"], ["Q 0"]], ["Q"])

    def test_of_two_clips_the_one_that_fails_is_known_by_itself(self, ask, request_for, clips, tmp_path, script):
        bad = tmp_path / "bad.mp4"
        bad.write_text("no video")
        first, _ = ask(request_for(f"{clips.paths[0]}|{bad}"))
        second, asked = ask(request_for(f"{bad}|{clips.paths[1]}", "Q"), request_for(clips.paths[0], "R"))
        assert (texts(first), texts(second), asked) == (["UNREADABLE"], ["UNREADABLE", ["R 0"]], ["R"])

    def test_a_file_that_is_missing_is_looked_for_again(self, ask, request_for, clips, tmp_path):
        path = tmp_path / "late.mp4"
        assert texts(ask(request_for(str(path)))[0]) == ["FILE_NOT_FOUND"]
        shutil.copy(clips.paths[0], path)
        assert texts(ask(request_for(str(path)))[0]) == [["P 0"]]

    def test_a_journal_that_cannot_be_written_ends_the_stream(self, request_for, clips, tmp_path, monkeypatch, script):
        from juicecap.vlm.journal import journal as journal_module
        from juicecap.vlm.journal.store import Store

        def full(self, records):
            raise EnvironmentFailure("j cannot be written: no space left")

        script.together = 1
        monkeypatch.setattr(journal_module, "MOST_ANSWERS", 1)
        monkeypatch.setattr(Store, "write", full)
        plan = lambda sample: [request_for(clips.paths[0], sample["text"])]  # noqa: E731
        journal = Journal(tmp_path / "j")
        with pytest.raises(EnvironmentFailure, match="no space left"):
            list(stream_outcomes(({"text": str(number)} for number in range(500)), plan, Limits(), journal))
        with pytest.raises(EnvironmentFailure, match="no space left"):
            journal.close()
        assert len(script.batches) < 500


class TestDigests:
    def test_a_folder_is_read_again_where_a_picture_of_it_was_touched(self, ask, request_for, tmp_path, settled, monkeypatch):
        film = tmp_path / "film"
        film.mkdir()
        for number in range(3):
            Image.new("RGB", (16, 16), (number, 0, 0)).save(film / f"{number}.png")
        time.sleep(0.01)
        read = counted(monkeypatch)
        assert [ask(request_for(str(film)))[1] for _ in range(2)] == [["P"], []]
        assert read == [str(film)]
        Image.new("RGB", (16, 16), "white").save(film / "1.png")
        time.sleep(0.01)
        assert [ask(request_for(str(film)))[1] for _ in range(2)] == [["P"], []]
        assert read == [str(film)] * 2

    def test_the_pictures_of_a_list_are_known_one_by_one(self, ask, request_for, tmp_path, settled, monkeypatch, script):
        names = [str(tmp_path / f"{number}.png") for number in range(3)]
        for number, name in enumerate(names):
            Image.new("RGB", (16, 16), (number, 0, 0)).save(name)
        time.sleep(0.01)
        read = counted(monkeypatch)

        def film(*pictures: str) -> Request:
            part = Part("video", pictures[0], pictures=pictures)
            return replace(request_for(""), messages=(Message("user", (part, Part("text", "P"))),))

        assert [ask(film(*names))[1], ask(film(*names))[1], ask(film(*names[::-1]))[1]] == [["P"], [], ["P"]]
        (picture,) = script.batches[0][0].pictures
        assert [frame.mean(axis=(0, 1)).tolist() for frame in picture.pixels] == [[2, 0, 0], [0, 0, 0]]
        assert sorted(read) == names

    def test_clips_that_nobody_touched_are_not_read_again(self, ask, request_for, old, settled, monkeypatch):
        read = counted(monkeypatch)
        requests = [request_for(path) for path in old]
        ask(*requests)
        ask(*requests)
        assert sorted(read) == sorted(old)

    def test_a_clip_that_is_as_new_as_its_record_is_read_again(self, ask, request_for, old, monkeypatch):
        read = counted(monkeypatch)
        ask(request_for(old[0]))
        ask(request_for(old[0]))
        assert read == [old[0]] * 2

    def test_the_same_size_and_time_do_not_hide_a_replaced_clip(self, ask, request_for, tmp_path, settled, clips):
        """Its time is set back, as copying tools do; that it was changed shows all the same."""
        path = tmp_path / "clip.mp4"
        first = Path(clips.paths[0]).read_bytes() + bytes(10_000)
        path.write_bytes(first)
        os.utime(path, ns=(10**9, 10**9))
        time.sleep(0.01)
        ask(request_for(str(path)))
        second = Path(clips.paths[1]).read_bytes()
        path.write_bytes(second + bytes(len(first) - len(second)))
        os.utime(path, ns=(10**9, 10**9))
        assert ask(request_for(str(path)))[1] == ["P"]

    @pytest.mark.parametrize(
        ("modified", "changed", "tells"),
        [(0, 0, True), (10, 10, False), (0, 10, False), (8, 8, False), (7.9, 7, True), (99, 0, False)],
    )
    def test_a_time_tells_only_if_it_is_older_than_the_record_by_a_tick(self, modified, changed, tells):
        state = FileState(1, 2, int(modified * 10**9), int(changed * 10**9))
        assert state.tells(10 * 10**9) is tells

    def test_a_clip_of_many_prompts_is_read_once(self, ask, request_for, old, settled, monkeypatch, script):
        script.together = 1
        read = counted(monkeypatch)
        ask(*(request_for(old[0], str(number)) for number in range(300)))
        assert read == [old[0]]

    def test_parts_of_a_film_are_digested_once_and_known_however_they_are_spelled(
        self, ask, request_for, old, settled, monkeypatch, script
    ):
        def of(*fragments: str) -> list[Request]:
            parts = [Part("video", f"{old[0]}#t={each}").located() for each in fragments]
            return [replace(request_for(""), messages=(Message("user", (part, Part("text", "P"))),)) for part in parts]

        script.together = 1
        read = counted(monkeypatch)
        assert ask(*of("0.5,1", "1,1.5", "1.5,9"))[1] == ["P"] * 3
        shown = sorted(prepared.pictures[0].duration for batch in script.batches for prepared in batch)
        assert (read, shown) == ([old[0]], [0.5, 0.5, 0.5])
        assert ask(*of("npt:1,1.5", "0:01,0:01.50", "0.50,0:00:01", "1.5,8"))[1] == ["P"]
        assert read == [old[0]]

    def test_a_part_behind_the_end_is_not_decoded_again(self, ask, request_for, old, settled, monkeypatch):
        part = Part("video", f"{old[0]}#t=7").located()
        request = replace(request_for(""), messages=(Message("user", (part, Part("text", "P"))),))
        decoded = counted_decoding(monkeypatch)
        failures = [ask(request)[0][0].failure for _ in range(2)]
        assert [each.code for each in failures] == ["BEHIND_THE_END"] * 2
        assert failures[1].message == f"{old[0]} lasts 2.00 seconds, and the part #t=7 begins behind its end"
        assert len(decoded) == 1

    def test_a_medium_that_cannot_be_used_is_known_within_another_media_root(self, ask, request_for, tmp_path, monkeypatch):
        decoded, failures = counted_decoding(monkeypatch), []
        for name in ("here", "there"):
            (tmp_path / name).mkdir()
            path = tmp_path / name / "film.mp4"
            path.write_bytes(b"no film")
            limits = Limits(media=MediaLimits(root=os.path.realpath(path.parent)))
            (outcome,), _ = ask(request_for(str(path)), limits=limits)
            failures.append(outcome.failure.message.replace(str(path), "FILM"))
        assert failures == [failures[0]] * 2
        assert decoded == [str(tmp_path / "here" / "film.mp4")]

    def test_paths_that_are_no_text(self, ask, request_for, clips, tmp_path, settled, monkeypatch):
        path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4")
        shutil.copy(clips.paths[0], path)
        time.sleep(0.01)
        read = counted(monkeypatch)
        ask(request_for(path))
        assert ask(request_for(path))[1] == []
        assert read == [path]


def counted(monkeypatch) -> list[str]:
    read: list[str] = []
    real = digests.medium_digest

    def digest(kind: str, path: str, *rest: object) -> str:
        read.append(path)
        return real(kind, path, *rest)

    monkeypatch.setattr(digests, "medium_digest", digest)
    return read


class TestGroups:
    def test_a_group_of_which_a_part_is_known_asks_for_the_rest_and_the_cuts_stay(self, ask, request_for, clips, script):
        requests = [request_for(clips.paths[number % 4], str(number)) for number in range(8)]
        ask(requests[1], requests[5], limits=Limits(batch_size=1))
        outcomes, _ = ask(*requests, limits=Limits(batch_size=4))
        assert sorted([prompt_of(each) for each in batch] for batch in script.batches) == [["0", "2", "3"], ["4", "6", "7"]]
        assert texts(outcomes) == [[f"{number} 0"] for number in range(8)]

    def test_what_came_of_one_call_lands_in_one_transaction(self, request_for, clips, tmp_path, monkeypatch):
        from juicecap.vlm.journal.store import Entry, Store

        landed: list[set[str]] = []
        real = Store.write

        def write(self, records):
            real(self, records)
            landed.append({record.content["text"] for record in records if isinstance(record, Entry)})

        monkeypatch.setattr(Store, "write", write)
        monkeypatch.setattr("juicecap.vlm.journal.journal.MOST_ANSWERS", 1)
        with Journal(tmp_path / "j") as journal:
            core.ask([request_for(clips.paths[0], str(number)) for number in range(6)], Limits(batch_size=3), journal)
        assert {frozenset(texts) for texts in landed if texts} == {
            frozenset(["0 0", "1 0", "2 0"]),
            frozenset(["3 0", "4 0", "5 0"]),
        }

    def test_the_same_question_is_asked_once_however_often_it_stands_there(self, ask, request_for, clips, script, tmp_path):
        copy = shutil.copy(clips.paths[0], tmp_path / "copy.mp4")
        script.together = 1
        requests = [request_for(path, text) for path in (clips.paths[0], str(copy)) for text in "aabba"]
        outcomes, asked = ask(*requests)
        assert sorted(asked) == ["a", "b"]
        assert texts(outcomes) == [["a 0"], ["a 0"], ["b 0"], ["b 0"], ["a 0"]] * 2

    def test_of_two_who_ask_the_same_both_hear_of_a_failure(self, ask, request_for, clips, script):
        script.answers["a"] = Failure(code="SERVER_ERROR", message="m", retryable=True)
        outcomes, asked = ask(*(request_for(clips.paths[0], text) for text in "aba"))
        assert (texts(outcomes), asked) == (["SERVER_ERROR", ["b 0"], "SERVER_ERROR"], ["a", "b"])

    def test_the_same_question_for_another_number_of_candidates(self, ask, request_for, clips, script):
        script.together = 1
        requests = [request_for(clips.paths[0], sampling=HOT, candidates=number) for number in (2, 4, 2, 4)]
        outcomes, _ = ask(*requests)
        assert texts(outcomes) == [[f"P {each}" for each in range(number)] for number in (2, 4, 2, 4)]
        assert [outcome.answers for outcome in outcomes[:2]] == [outcomes[3].answers[:2], outcomes[3].answers]

    def test_thousands_stream_through_in_order(self, script, request_for, clips, tmp_path):
        plan = lambda sample: [request_for(clips.paths[0], sample["text"])]  # noqa: E731
        samples = [{"text": str(number % 1500)} for number in range(3000)]
        for times in range(2):
            script.batches.clear()
            with Journal(tmp_path / "j") as journal:
                results = list(stream_outcomes(samples, plan, Limits(), journal))
            assert [outcomes[0].answers[0].text for _, outcomes in results] == [f"{number % 1500} 0" for number in range(3000)]
            assert sum(map(len, script.batches)) == (0 if times else 1500)


class TestForecast:
    def test_it_says_what_will_be_replayed_and_what_asked(self, ask, request_for, old, settled, script, tmp_path):
        bad = tmp_path / "bad.mp4"
        bad.write_text("no video")
        time.sleep(0.01)
        ask(request_for(old[0]), request_for(old[1], candidates=2, sampling=HOT), request_for(str(bad), candidates=3))
        script.opened.clear()

        def plan(sample):
            return [request_for(sample["path"], candidates=3, sampling=sample["sampling"])]

        samples = [{"path": path, "sampling": HOT} for path in old] + [{"path": str(bad), "sampling": Sampling()}]
        with Journal(tmp_path / "journal.sqlite") as journal:
            told = forecast(samples, plan, Limits(), journal, 60)
            assert (told.replayed, told.asked, told.shared, told.whole) == (2, 10, 0, True)
            assert script.opened == []
            list(stream_outcomes(samples, plan, Limits(), journal, stats := EngineStats()))
            answers = stats.read().answers
            assert (answers.replayed, answers.asked, answers.shared, answers.failed) == (2, 10, 0, 3)

    def test_it_does_not_count_for_longer_than_it_may(self, request_for, old, tmp_path):
        samples = [{"path": old[0]}] * 1000
        with Journal(tmp_path / "j") as journal:
            told = forecast(samples, lambda sample: [request_for(sample["path"])], Limits(), journal, 0)
        assert (told.replayed, told.asked, told.shared, told.whole) == (0, 1, 63, False)


class TestPins:
    def test_a_choice_is_kept_as_long_as_there_are_answers(self, ask, request_for, clips, script, monkeypatch):
        given = []

        def choose(before):
            given.append(before)
            return before or "frames"

        script.choose = choose
        ask(request_for(clips.paths[0]))
        ask(request_for(clips.paths[0]))
        ask(request_for(clips.paths[0]), fresh=True)
        assert given == ["", "frames", ""]


def test_two_runs_share_a_journal(script, request_for, clips, tmp_path):
    """At once: neither loses an answer of the other's."""
    script.together = 1
    names = {0: [str(number) for number in range(120)], 1: [str(number) for number in range(60, 180)]}
    failures = []

    def run(which: int) -> None:
        try:
            with Journal(tmp_path / "j") as journal:
                outcomes = core.ask([request_for(clips.paths[0], name) for name in names[which]], journal=journal)
                assert texts(outcomes) == [[f"{name} 0"] for name in names[which]]
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=run, args=(which,)) for which in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    script.batches.clear()
    with Journal(tmp_path / "j") as journal:
        core.ask([request_for(clips.paths[0], str(number)) for number in range(180)], journal=journal)
    assert script.batches == []


KILLED = """
import sys
from pathlib import Path
from types import ModuleType
from juicecap.media.sizes import FrameSizes
from juicecap.media.sampling import FrameSampling
from dataclasses import replace
from juicecap.vlm import catalog
from juicecap.vlm.pipeline import core
from juicecap.vlm.base import Backend, Capabilities, Answer, Limits, Message, ModelSettings, Outcome, Part, Request
from contextlib import asynccontextmanager, nullcontext
from juicecap.vlm.journal import Journal
import asyncio

@asynccontextmanager
async def describe(settings, transport_choice=""):
    capabilities = Capabilities(sizes=FrameSizes(), batch_size=4)
    yield Backend(identity="killed", capabilities=capabilities, open=lambda: nullcontext(Killed()))

class Killed:
    max_concurrent_calls = 1
    async def generate(self, batch):
        await asyncio.sleep(float(sys.argv[4]))
        names = [each.request.messages[0].parts[-1].value for each in batch]
        print(" ".join(names), flush=True)
        return [Outcome(answers=(Answer(text=n, finish_reason="stop", tokens=1, seed=0),), revision="r") for n in names]

module = ModuleType("killed_backend")
module.describe = describe
sys.modules["killed_backend"] = module
catalog.BACKENDS["hf"] = replace(catalog.BACKENDS["hf"], describe="killed_backend:describe", libraries=())
requests = [
    Request(model=ModelSettings(model="m"), messages=(Message("user", (Part("video", sys.argv[2]), Part("text", str(n)))),),
            frames=FrameSampling(num_frames=1))
    for n in range(int(sys.argv[3]))
]
with Journal(Path(sys.argv[1])) as journal:
    outcomes = core.ask(requests, Limits(batch_size=4), journal)
print("done", " ".join(outcome.answers[0].text for outcome in outcomes), flush=True)
"""


def test_what_was_committed_before_a_kill_is_not_asked_again_and_groups_stay_whole(clips, tmp_path):
    journal, count = tmp_path / "j", 200
    command = [sys.executable, "-c", KILLED, str(journal), clips.paths[0], str(count)]
    process = subprocess.Popen([*command, "0.06"], stdout=subprocess.PIPE, text=True)
    until(lambda: len(on_disk(journal)) >= 24, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    committed = on_disk(journal)
    assert 24 <= len(committed) < count
    assert committed == list(range(len(committed)))  # in order, and no call's answers in part
    assert len(committed) % 4 == 0
    second = subprocess.run([*command, "0"], check=True, capture_output=True, text=True)
    *calls, done = second.stdout.splitlines()
    asked = [[int(name) for name in call.split()] for call in calls]
    assert sorted(asked) == [list(range(start, start + 4)) for start in range(len(committed), count, 4)]
    assert done == "done " + " ".join(map(str, range(count)))


def on_disk(path: Path) -> list[int]:
    """The texts of the answers that another process can read."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as database:
        try:
            rows = database.execute("SELECT entry FROM answers").fetchall()
        except sqlite3.OperationalError:  # not made yet
            return []
    return sorted(int(json.loads(text)["text"]) for (text,) in rows)
