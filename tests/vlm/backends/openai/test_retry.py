"""Faults that no real server produces on demand: what is tried again, what fails, what stops the run."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest
from outcomes import texts
from scripted_server import KEY, Reply, obliging, prepared, refused, said, three

from juicecap.errors import EnvironmentFailure, ModelError
from juicecap.vlm.backends.openai.http import breaker, retry
from juicecap.vlm.backends.openai.http import server as server_module
from juicecap.vlm.backends.openai.http.breaker import GIVEN_UP, SILENCE, Breaker
from juicecap.vlm.backends.openai.http.retry import RetryPolicy
from juicecap.vlm.backends.openai.http.server import _seconds

GOOD = said("A red circle.")


class TestTriedAgain:
    @pytest.mark.parametrize(
        "fault",
        [
            refused(429, "slow down"),
            refused(500, "oops"),
            refused(503, "loading"),
            refused(408, "too slow"),
            refused(409, "conflict"),
            Reply("<html>bad gateway</html>", 502, {"Content-Type": "text/html"}),
            Reply("{not json"),
            Reply("null"),
            Reply({"choices": []}),
            Reply({"error": {"message": "upstream is busy", "code": 502}}),
            said("half an ans", choices=[{"message": {"content": "half an ans"}, "finish_reason": "abort"}]),
            Reply(GOOD.body, cut=True),
            Reply(hang_up=True),
        ],
        ids=lambda fault: f"{fault.status}-{str(fault.body)[:20]}",
    )
    def test_a_fault_is_overcome(self, server, fault):
        assert texts(server.answers([fault, fault, GOOD], prepared())) == ["A red circle."]
        assert len(server.seen) == 3
        assert server.seen[0].body == server.seen[2].body

    @pytest.mark.parametrize(
        ("fault", "code", "words"),
        [
            (refused(429, "slow down"), "RATE_LIMITED", "HTTP 429: slow down"),
            (refused(500, "oops"), "SERVER_ERROR", "HTTP 500: oops"),
            (refused(408, "too slow"), "REQUEST_TIMEOUT", "HTTP 408: too slow"),
            (Reply("{not json"), "BAD_ANSWER", "the server's answer is no valid JSON"),
            (Reply({"choices": []}), "BAD_ANSWER", "the server's answer has no choices"),
            (Reply(hang_up=True), "SERVER_ERROR", "Server disconnected without sending a response."),
        ],
    )
    def test_after_the_last_attempt_the_request_fails_and_may_be_retried(self, server, fault, code, words):
        (outcome,) = server.answers([fault], prepared(), max_attempts=4)
        assert (outcome.failure.code, outcome.failure.message, outcome.failure.retryable) == (code, words, True)
        assert outcome.answers == ()
        assert len(server.seen) == outcome.failure.attempts == 4

    @pytest.mark.parametrize("status", [400, 405, 413, 415, 422])
    def test_other_refusals_are_final(self, server, status):
        (outcome,) = server.answers([refused(status, "not like this")], prepared())
        assert outcome.failure.code == "REQUEST_REFUSED"
        hint = ": take smaller frames (max_pixels) or fewer (num_frames, max_frames)" if status == 413 else ""
        assert outcome.failure.message == f"HTTP {status}: not like this{hint}"
        assert not outcome.failure.retryable
        assert len(server.seen) == 1


class TestTime:
    @pytest.mark.parametrize("fault", [Reply(GOOD.body, hang=9), Reply(GOOD.body, drip=0.02)], ids=["hang", "drip"])
    def test_an_answer_must_be_whole_in_time(self, server, fault):
        (outcome,) = server.answers([fault], prepared(), timeout=0.3, max_attempts=2)
        assert outcome.failure.code == "REQUEST_TIMEOUT"
        assert outcome.failure.message == "no answer within 0.3 seconds"
        assert len(server.seen) == 2

    def test_a_hang_is_overcome(self, server):
        assert texts(server.answers([Reply(hang=9), GOOD], prepared(), timeout=0.3)) == ["A red circle."]

    def test_retry_after_in_seconds(self, server):
        server.answers([refused(429, "slow down", {"Retry-After": "0.4"}), GOOD], prepared())
        assert server.seen[1].when - server.seen[0].when >= 0.4

    def test_retry_after_as_a_date(self, server):
        def script(body):
            date = format_datetime(datetime.now(UTC) + timedelta(seconds=1.99), usegmt=True)
            return refused(503, "restarting", {"Retry-After": date}) if len(server.seen) == 1 else GOOD

        server.answers(script, prepared())
        assert server.seen[1].when - server.seen[0].when >= 0.9

    def test_all_requests_wait_when_the_server_asks_for_it(self, server):
        def script(body):
            return refused(429, "slow down", {"Retry-After": "0.4"}) if len(server.seen) == 1 else GOOD

        server.answers(script, *(prepared(str(number)) for number in range(3)), at_once=False)
        first, *others = (seen.when for seen in server.seen)
        assert min(others) - first >= 0.4

    def test_requests_that_wait_already_wait_longer_when_the_server_asks_for_it(self, server, monkeypatch):
        monkeypatch.setattr(random.Random, "uniform", lambda self, least, most: most)
        pause = refused(429, "slow down", {"Retry-After": "0.9"})
        told = []

        def script(body):
            text = body["messages"][0]["content"][-1]["text"]
            if sum(seen.parts()[-1] == text for seen in server.seen) > 1:
                return said(f"about {text}")
            if text == "fails":
                return refused(500, "oops")
            told.append(time.monotonic() + 0.1)
            return Reply(pause.body, 429, pause.headers, hang=0.1)

        patience = RetryPolicy(first_wait=0.4, longest_wait=0.4)
        outcomes = server.answers(script, prepared("fails"), prepared("is turned away"), policy=patience)
        assert texts(outcomes) == ["about fails", "about is turned away"]
        assert len(server.seen) == 4
        assert all(seen.when - told[0] >= 0.9 for seen in server.seen[2:])

    def test_a_server_that_asks_for_too_long_a_pause_is_not_waited_for(self, server):
        (outcome,) = server.answers([refused(429, "come back tomorrow", {"Retry-After": "86400"})], prepared())
        assert (outcome.failure.code, outcome.failure.retryable) == ("RATE_LIMITED", True)
        assert len(server.seen) == 1

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [("3", 3.0), ("0.5", 0.5), ("-1", 0.0), ("soon", None), ("", None), (None, None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
    )
    def test_values_of_retry_after(self, value, seconds):
        assert _seconds(value) == seconds

    def test_waits_grow_and_differ(self, server, monkeypatch):
        waited = []

        async def noted(seconds):
            waited.append(seconds)

        monkeypatch.setattr(retry, "asyncio", SimpleNamespace(sleep=noted))
        patience = RetryPolicy(first_wait=0.05, longest_wait=0.2)
        server.answers([refused(500, "oops")], prepared(), policy=patience, max_attempts=6)
        assert all(0 <= wait <= most for wait, most in zip(waited, (0.05, 0.1, 0.2, 0.2, 0.2), strict=True))
        assert len(set(waited)) == 5


class TestEndsTheRun:
    @pytest.mark.parametrize(
        ("reply", "words"),
        [
            (
                refused(401, "bad key"),
                "refuses access (HTTP 401: bad key); check the key in the environment variable SCRIPTED_KEY",
            ),
            (refused(403, "no"), "refuses access (HTTP 403: no); check the key in the environment variable SCRIPTED_KEY"),
            (refused(404, "model is gone"), "does not serve the model 'served-model' at this address (HTTP 404: model is gone)"),
            (refused(429, "pay", code="insufficient_quota"), "wants to be paid (HTTP 429: pay); running again resumes"),
            (refused(402, "pay"), "wants to be paid (HTTP 402: pay); running again resumes"),
        ],
    )
    def test_key_model_or_credit_is_gone(self, server, reply, words):
        with pytest.raises(EnvironmentFailure) as raised:
            server.answers([GOOD, reply], prepared(), prepared(), at_once=False)
        assert words in str(raised.value)
        assert len(server.seen) == 2

    def test_a_server_that_refuses_everything_alike(self, server):
        requests = [prepared(str(number)) for number in range(40)]
        with pytest.raises(ModelError) as raised:
            server.answers([refused(400, "seed is not supported")], *requests, at_once=False)
        assert str(raised.value).endswith(
            "refused the first 16 requests, all for the same reason: HTTP 400: seed is not supported"
        )
        assert len(server.seen) == 16

    def test_one_answer_shows_that_refusals_are_about_samples(self, server):
        requests = [prepared(str(number)) for number in range(20)]
        outcomes = server.answers([GOOD, refused(400, "no")], *requests, at_once=False)
        assert texts(outcomes) == ["A red circle.", *["REQUEST_REFUSED"] * 19]


class TestBreaker:
    @pytest.mark.parametrize("fault", [refused(500, "oops"), Reply(hang_up=True), refused(429, "slow down"), Reply("<html>")])
    def test_a_server_that_is_gone_stops_the_run(self, server, fault):
        with pytest.raises(EnvironmentFailure) as raised:
            server.answers([fault], *(prepared(str(number)) for number in range(100)), max_attempts=2, at_once=False)
        assert str(raised.value).startswith(f"{server.base} no longer answers: ")
        assert str(raised.value).endswith("; running again resumes")
        assert len(server.seen) == 2 * GIVEN_UP

    def test_so_does_one_that_fails_many_at_once(self, server):
        with pytest.raises(EnvironmentFailure, match="no longer answers: HTTP 500: oops; running again resumes"):
            server.answers([refused(500, "oops")], *(prepared(str(number)) for number in range(32)))

    @pytest.mark.parametrize("between", [GOOD, refused(400, "no")])
    def test_an_answer_in_between_shows_that_it_is_there(self, server, between):
        def script(body):
            number = int(body["messages"][0]["content"][-1]["text"])
            return between if number % GIVEN_UP == 0 else refused(500, "oops")

        outcomes = server.answers(script, *(prepared(str(number)) for number in range(1, 25)), max_attempts=1, at_once=False)
        assert texts(outcomes).count("SERVER_ERROR") == 21

    def test_a_server_that_refuses_connections_is_given_a_minute(self, server):
        clock = iter([0.0, 30.0, SILENCE - 1, SILENCE + 1])
        watched = Breaker(server.base, clock=lambda: next(clock))

        async def stopped():
            async with server.engine(breaker=watched) as engine:
                server.stop()
                await engine.generate([prepared()])

        with pytest.raises(EnvironmentFailure) as raised:
            asyncio.run(stopped())
        assert str(raised.value) == f"{server.base} no longer answers: connection refused; running again resumes"
        assert next(clock, None) is None

    def test_time_in_which_nobody_asks_is_no_silence(self):
        times = [0.0, 1000.0, 1030.0, 1059.0, 1061.0]
        clock = iter(times)
        watched = Breaker("http://somewhere/v1", clock=lambda: next(clock))
        gone = []
        for _ in times:
            watched.record_unreachable("connection refused")
            gone.append(bool(watched._gone))
        assert gone == [False, False, False, False, True]

    def test_one_request_alone_finds_out_whether_the_server_is_back(self, server):
        async def story():
            async with server.engine(max_attempts=1) as engine:
                server.script, server.seen = [refused(500, "oops")], []
                requests = [prepared(str(number)) for number in range(GIVEN_UP)]
                ends = []
                with pytest.raises(EnvironmentFailure):
                    await engine.generate(requests)
                for script in ([Reply(refused(500, "oops").body, 500, hang=0.2)], obliging):
                    server.script, server.seen, server.most_at_once = script, [], 0
                    calls = [engine.generate([request]) for request in requests]
                    ends.append(await asyncio.gather(*calls, return_exceptions=True))
                    ends.append(len(server.seen))
                return ends

        still_gone, probes, back, sent = asyncio.run(story())
        assert {type(each) for each in still_gone} == {EnvironmentFailure}
        assert probes == 1
        assert [texts(each) for each in back] == [["caption 0"]] * GIVEN_UP
        assert sent == GIVEN_UP


class TestSilence:
    """A server that takes connections and says nothing; here a minute has half a second."""

    @pytest.fixture(autouse=True)
    def short(self, monkeypatch):
        monkeypatch.setattr(breaker, "SILENCE", 0.5)

    @pytest.fixture
    def impatient(self, monkeypatch):
        monkeypatch.setattr(server_module, "PATIENCE", 1.0)

    @staticmethod
    def fallen_silent(server):
        """From its first request on the server does not even list its models."""

        def script(body):
            server.models = Reply(hang=60)
            return Reply(hang=60)

        return script

    @pytest.mark.usefixtures("impatient")
    def test_a_machine_that_is_gone_ends_the_run_however_few_wait_for_it(self, server):
        with pytest.raises(EnvironmentFailure) as raised:
            server.answers(self.fallen_silent(server), prepared(), timeout=0.6, max_attempts=50)
        assert str(raised.value) == f"{server.base} no longer answers: no answer within 0.6 seconds; running again resumes"
        assert len(server.seen) == 1

    @pytest.mark.slow
    @pytest.mark.usefixtures("impatient")
    def test_with_a_short_timeout_it_is_still_given_a_minute(self, server, monkeypatch):
        monkeypatch.setattr(breaker, "SILENCE", 3.0)  # so that the trial is answered in time on a busy machine
        begin = time.monotonic()
        with pytest.raises(EnvironmentFailure, match=r"no longer answers: no answer within 1 seconds"):
            server.answers(self.fallen_silent(server), prepared(), timeout=1.0, max_attempts=50)
        assert len(server.seen) > 1
        assert time.monotonic() - begin > 3

    @pytest.mark.parametrize("models", [None, Reply("not found", 404), refused(500, "oops"), Reply("<html>")], ids=repr)
    def test_one_request_that_hangs_fails_alone_where_somebody_is_there(self, server, models):
        async def story():
            async with server.engine(timeout=1.2, max_attempts=2) as engine:
                server.models = models or server.models
                server.script, server.seen = [Reply(hang=60)], []
                return await engine.generate([prepared()])

        (outcome,) = asyncio.run(story())
        assert (outcome.failure.code, outcome.failure.attempts) == ("REQUEST_TIMEOUT", 2)

    def test_an_engine_that_hangs_behind_its_server_ends_the_run_after_one_timeout(self, server):
        with pytest.raises(EnvironmentFailure, match=r"no longer answers: no answer within 0\.6 seconds"):
            server.answers([Reply(hang=60)], *(prepared(str(number)) for number in range(GIVEN_UP)), timeout=0.6, max_attempts=50)
        assert GIVEN_UP <= len(server.seen) < 2 * GIVEN_UP

    @pytest.mark.slow
    @pytest.mark.usefixtures("impatient")
    def test_a_slow_server_that_answers_others_is_there(self, server, monkeypatch):
        monkeypatch.setattr(breaker, "SILENCE", 4.0)  # what is answered in between may be late on a busy machine

        def script(body):
            return Reply(hang=60) if body["messages"][0]["content"][-1]["text"] == "hangs" else Reply(GOOD.body, hang=0.1)

        async def story():
            async with server.engine(timeout=5.0, max_attempts=2) as engine:
                server.models = Reply(hang=60)
                server.script = script
                hanging = asyncio.create_task(engine.generate([prepared("hangs")] * (GIVEN_UP + 4)))
                good = []
                while not hanging.done():
                    good += await engine.generate([prepared("is slow")])
            return texts(hanging.result()), texts(good)

        hung, good = asyncio.run(story())
        assert hung == ["REQUEST_TIMEOUT"] * (GIVEN_UP + 4)
        assert good == ["A red circle."] * len(good)
        assert len(good) > 5

    def test_answers_and_words_end_a_silence(self):
        now = 0.0
        watched = breaker.Breaker("http://somewhere/v1", clock=lambda: now)

        def gone_after(second: float, waited: float) -> bool:
            nonlocal now
            now = second
            watched.record_unreachable("silent", waited)
            return bool(watched._gone)

        assert not gone_after(10.0, 0.3)  # silent from 9.7
        assert not gone_after(10.15, 0.1)
        watched.record_reachable()
        assert not gone_after(10.3, 0.1)  # silent from 10.2
        watched.answered()
        assert not gone_after(10.9, 0.7)  # somebody was answered while it waited
        assert not gone_after(11.2, 0.25)  # silent from 10.95
        assert gone_after(11.5, 0.25)


async def held_things(server):
    """The backend and the engine as a program holds them."""
    async with server.described() as backend, backend.open() as engine:
        return backend, engine


class TestDiscretion:
    def test_the_key_is_nowhere(self, server, said_anywhere):
        echo = refused(400, f"Incorrect API key provided: {KEY}")
        outcomes = server.answers([echo, refused(500, KEY), Reply(KEY)], prepared(), prepared(), max_attempts=2, at_once=False)
        server.script = obliging
        backend, engine = asyncio.run(held_things(server))
        with pytest.raises(EnvironmentFailure) as raised:
            server.answers([refused(401, f"Incorrect API key provided: {KEY}")], prepared())
        assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"
        told = [repr(outcomes), repr(backend), repr(engine._options), repr(vars(engine)), str(raised.value), *said_anywhere]
        assert [text for text in told if KEY in text] == []
        assert outcomes[0].failure.message == "HTTP 400: Incorrect API key provided: ***"


class TestConcurrency:
    def test_a_batch_is_asked_at_once_and_kept_in_order(self, server):
        def script(body):
            text = body["messages"][0]["content"][-1]["text"]
            # On a busy machine too, all six come before one is answered.
            return Reply(said(f"about {text}").body, hang=1.5 if text == "0" else 1.0)

        outcomes = server.answers(script, *(prepared(str(number)) for number in range(6)))
        assert texts(outcomes) == [f"about {number}" for number in range(6)]
        assert server.most_at_once == 6

    def test_candidates_of_one_request_are_asked_one_after_the_other(self, server):
        def script(body):
            return refused(400, "n > 1 is not supported") if "n" in body else Reply(said("one").body, hang=0.02)

        server.answers(script, *(three(str(number)) for number in range(4)))
        assert server.most_at_once <= 4

    def test_closing_gives_up_what_is_under_way(self, server):
        async def story():
            async with server.engine() as engine:
                server.script = [Reply(hang=9)]
                waiting = asyncio.create_task(engine.generate([prepared(), prepared()]))
                async with asyncio.timeout(30):
                    while server._now < 2:
                        await asyncio.sleep(0.01)
            with pytest.raises(asyncio.CancelledError):
                await waiting
            return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

        assert asyncio.run(story()) == []

    @pytest.mark.timeout(60)
    def test_one_request_that_ends_the_run_stops_its_neighbours(self, server):
        def script(body):
            text = body["messages"][0]["content"][-1]["text"]
            return refused(401, "revoked") if text == "0" else Reply(GOOD.body, hang=600)

        with pytest.raises(EnvironmentFailure):
            server.answers(script, prepared("0"), prepared("1"), timeout=600)


def test_nobody_listens(monkeypatch):
    from juicecap.vlm.backends.openai.backend import describe
    from juicecap.vlm.base import ModelSettings

    async def described(base: str) -> None:
        async with describe(ModelSettings(backend="openai", model="m", api_base=base)):
            pass

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(EnvironmentFailure) as raised:
        asyncio.run(described(base))
    assert str(raised.value) == (
        f"{base}: no server answers (connection refused); start it or mend api_base; running again resumes"
    )
