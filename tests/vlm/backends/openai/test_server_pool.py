"""Several servers of one model: who is asked, and what one costs that is slow, full, silent, dead, back, or another one."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from outcomes import texts
from scripted_server import KEY_NAME, QUICK, Reply, ScriptedServer, obliging, prepared, refused, said

from juicecap.errors import EnvironmentFailure, ModelError
from juicecap.vlm.backends.openai import pooled_server
from juicecap.vlm.backends.openai.backend import OpenAIEngine, describe
from juicecap.vlm.backends.openai.http import server as server_module
from juicecap.vlm.backends.openai.http.breaker import GIVEN_UP
from juicecap.vlm.base import Backend, ModelSettings, Outcome, Prepared

Script = Callable[[dict[str, Any]], Reply]


@pytest.fixture
def other(server: ScriptedServer) -> Iterator[ScriptedServer]:
    """A second server."""
    scripted = ScriptedServer()
    yield scripted
    scripted.stop()


def settings(*servers: ScriptedServer, **params: Any) -> ModelSettings:
    return replace(servers[0].settings(**params), api_base=tuple(each.base for each in servers))


def is_trial(body: dict[str, Any]) -> bool:
    return "What is this?" in json.dumps(body["messages"])


def question(body: dict[str, Any]) -> str:
    return body["messages"][-1]["content"][-1]["text"]


def telling(body: dict[str, Any]) -> Reply:
    """An answer that depends on all that is asked, and on nothing else."""
    if is_trial(body):
        return obliging(body)
    told = json.dumps({name: value for name, value in body.items() if name != "n"}, sort_keys=True)
    return said(hashlib.sha256(told.encode()).hexdigest(), prompt_tokens=300)


def once_asked(fault: Reply | Script) -> Script:
    """A server that takes the trial, and has a fault for all that comes behind it."""

    def script(body: dict[str, Any]) -> Reply:
        return obliging(body) if is_trial(body) else fault if isinstance(fault, Reply) else fault(body)

    return script


def asked(server: ScriptedServer) -> list[str]:
    """The questions that reached a server, without those of the trial."""
    return [question(seen.body) for seen in server.seen if not is_trial(seen.body)]


@contextlib.asynccontextmanager
async def opened(*servers: ScriptedServer, **params: Any) -> AsyncIterator[tuple[Backend, OpenAIEngine]]:
    policy = replace(QUICK, max_attempts=params.get("max_attempts", QUICK.max_attempts))
    first = prepared().request
    async with describe(settings(*servers, **params), policy=policy, first=first) as backend, backend.open() as engine:
        yield backend, engine


def questions(count: int, in_flight: int | None = None, **more: Any) -> list[Prepared]:
    return [replace(prepared(str(number), **more), in_flight=in_flight) for number in range(count)]


def answers(*servers: ScriptedServer, requests: list[Prepared], **params: Any) -> list[Outcome]:
    """All at once."""

    async def story() -> list[Outcome]:
        async with opened(*servers, **params) as (_, engine):
            return await engine.generate(requests)

    return asyncio.run(story())


def failure(*servers: ScriptedServer, kind: type[Exception], requests: list[Prepared] | None = None, **params: Any) -> str:
    with pytest.raises(kind) as raised:
        answers(*servers, requests=requests or [], **params)
    message = str(raised.value)
    for name, server in zip("ABC", servers, strict=False):
        message = message.replace(server.base, name)
    return message


class TestWhoIsAsked:
    def test_the_server_with_the_least_to_do(self, server, other):
        server.script = other.script = once_asked(Reply(said("Well.").body, hang=0.5))
        assert texts(answers(server, other, requests=questions(20))) == ["Well."] * 20
        assert len(asked(server)) == len(asked(other)) == 10

    def test_each_has_its_own_limit_and_a_slow_one_gets_fewer(self, server, other):
        server.script = once_asked(Reply(said("Slow.").body, hang=1.0))
        other.script = once_asked(Reply(said("Quick.").body, hang=0.02))
        outcomes = texts(answers(server, other, requests=questions(40, in_flight=2)))
        assert outcomes.count("Slow.") + outcomes.count("Quick.") == 40
        assert 2 <= outcomes.count("Slow.") < 15
        assert (server.most_at_once, other.most_at_once) == (2, 2)

    def test_limits_are_those_of_all_servers_together(self, server, other):
        async def story(*servers: ScriptedServer, **params: Any) -> tuple[int, int]:
            async with opened(*servers, **params) as (backend, engine):
                return backend.capabilities.servers, engine.max_concurrent_calls

        assert asyncio.run(story(server, other)) == (2, 64)
        assert asyncio.run(story(server, other, transport="file")) == (2, 16)

    def test_which_one_answers_makes_no_difference(self, server, other):
        server.script = other.script = telling
        alone = answers(server, requests=questions(12))
        server.seen = []
        assert answers(server, other, requests=questions(12)) == alone
        assert sorted(map(int, asked(server) + asked(other))) == list(range(12))
        assert min(len(asked(server)), len(asked(other))) > 0

    def test_what_one_does_not_take_is_left_out_for_all(self, server, other):
        def script(body: dict[str, Any]) -> Reply:
            return (
                refused(400, "Unsupported parameter: 'temperature'", param="temperature")
                if "temperature" in body
                else obliging(body)
            )

        other.script = script
        assert texts(answers(server, other, requests=questions(8))) == ["caption 0"] * 8
        sent = [seen.body for each in (server, other) for seen in each.seen if not is_trial(seen.body)]
        assert [body for body in sent if "temperature" in body] == []
        assert len(sent) == 8


class TestOneThatFails:
    def test_one_that_dies_costs_only_what_it_had(self, server, other):
        def dying(body: dict[str, Any]) -> Reply:
            if len(asked(server)) == 6:
                threading.Thread(target=server.stop).start()
            return Reply(telling(body).body, hang=0.05 if len(asked(server)) < 4 else 60)

        server.script, other.script = once_asked(dying), once_asked(lambda body: Reply(telling(body).body, hang=0.02))
        outcomes = answers(server, other, requests=questions(40, in_flight=4))
        assert {outcome.failure for outcome in outcomes} == {None}
        assert len({outcome.answers[0].text for outcome in outcomes}) == 40
        assert set(asked(server) + asked(other)) == {str(number) for number in range(40)}
        assert len(asked(server) + asked(other)) - 40 <= 4, "only what was in flight is asked twice"

    @pytest.mark.parametrize(
        "fault", [Reply(hang_up=True), refused(500, "oops"), Reply("<html>", 502), Reply("{not json")], ids=repr
    )
    def test_the_other_takes_what_one_fails_at(self, server, other, fault):
        server.script = once_asked(fault)
        assert texts(answers(server, other, requests=questions(40, in_flight=4))) == ["caption 0"] * 40
        assert len(asked(other)) == 40

    def test_one_that_hangs_is_left_with_all_that_it_has(self, server, other, monkeypatch):
        """Its other requests do not wait for their own timeouts."""
        monkeypatch.setattr(server_module, "PATIENCE", 0.5)
        ticks: list[str] = []

        def silent(body: dict[str, Any]) -> Reply:
            server.models = Reply(hang=60)
            ticks.append(question(body))
            return Reply(hang=60)

        server.script = once_asked(silent)
        other.script = once_asked(Reply(said("Well.").body, hang=0.2))
        assert texts(answers(server, other, requests=questions(24, in_flight=4), timeout=4.0)) == ["Well."] * 24
        assert sorted(asked(other), key=int) == [str(number) for number in range(24)]
        assert len(ticks) == 4

    def test_an_engine_that_hangs_behind_its_server(self, server, other):
        server.script = once_asked(Reply(hang=60))
        assert texts(answers(server, other, requests=questions(24), timeout=1.0)) == ["caption 0"] * 24

    def test_one_that_has_too_much_to_do_is_left_alone_for_a_while(self, server, other):
        server.script = once_asked(refused(429, "slow down"))
        other.script = once_asked(Reply(said("Well.").body, hang=0.02))
        policy = replace(QUICK, first_wait=30.0, longest_wait=30.0)

        async def story() -> list[Outcome]:
            async with describe(settings(server, other), policy=policy) as backend, backend.open() as engine:
                return await engine.generate(questions(40, in_flight=2))

        assert texts(asyncio.run(story())) == ["Well."] * 40
        assert len(asked(server)) <= 4

    def test_for_as_long_as_it_says(self, server, other):
        server.script = once_asked(refused(429, "slow down", {"Retry-After": "60"}))
        assert texts(answers(server, other, requests=questions(40, in_flight=2))) == ["caption 0"] * 40
        assert len(asked(server)) <= 2

    def test_requests_wait_where_all_have_too_much_to_do(self, server, other):
        busy = iter([refused(429, "slow down", {"Retry-After": "0.3"})] * 4)
        server.script = other.script = once_asked(lambda body: next(busy, None) or obliging(body))
        assert texts(answers(server, other, requests=questions(4, in_flight=2))) == ["caption 0"] * 4

    @pytest.mark.parametrize("reply", [refused(401, "revoked"), refused(402, "pay"), refused(404, "no such model")], ids=repr)
    def test_one_that_refuses_key_or_model_by_now_does_not_end_the_run(self, server, other, reply, said_anywhere):
        server.script = once_asked(reply)
        assert texts(answers(server, other, requests=questions(20))) == ["caption 0"] * 20
        assert any(server.base in told and "the other servers are asked" in told for told in said_anywhere)

    def test_one_that_wants_to_be_asked_on_another_day(self, server, other, said_anywhere):
        server.script = once_asked(refused(429, "enough", {"Retry-After": "86400"}))
        assert texts(answers(server, other, requests=questions(8))) == ["caption 0"] * 8
        assert any("wants to be asked again no sooner than in 86400 seconds" in told for told in said_anywhere)

    def test_a_refusal_is_nobody_elses_to_take(self, server, other):
        server.script = other.script = once_asked(refused(400, "not like this"))
        assert texts(answers(server, other, requests=questions(4))) == ["REQUEST_REFUSED"] * 4
        assert len(asked(server) + asked(other)) == 4

    def test_a_request_that_fails_everywhere_fails_alone(self, server, other):
        def script(body: dict[str, Any]) -> Reply:
            return refused(500, "oops") if question(body) == "3" else telling(body)

        server.script = other.script = once_asked(script)
        outcomes = answers(server, other, requests=questions(12), max_attempts=3)
        failed = outcomes[3].failure
        assert (failed.code, failed.message, failed.retryable, failed.attempts) == ("SERVER_ERROR", "HTTP 500: oops", True, 6)
        assert sum(outcome.failure is None for outcome in outcomes) == 11
        assert [asked(each).count("3") for each in (server, other)] == [3, 3]


class TestOneThatComesBack:
    def story(self, server: ScriptedServer, other: ScriptedServer, prepare: Callable[[ScriptedServer], None]) -> ScriptedServer:
        """The server dies, another one is started in its place, and all is asked until that one was asked, or looked at."""

        async def run() -> ScriptedServer:
            async with opened(server, other) as (_, engine):
                server.stop()
                assert texts(await engine.generate(questions(8))) == ["caption 0"] * 8
                revived = ScriptedServer(server.port)
                prepare(revived)
                async with asyncio.timeout(60):
                    while not (asked(revived) or revived.listened > 20):
                        assert texts(await engine.generate(questions(8))) == ["caption 0"] * 8
                        await asyncio.sleep(0.02)
                return revived

        revived = asyncio.run(run())
        revived.stop()
        return revived

    def test_it_is_asked_again(self, server, other, said_anywhere):
        revived = self.story(server, other, lambda revived: None)
        assert asked(revived)
        assert any(told.startswith(f"{server.base} answers again") for told in said_anywhere)

    def test_but_not_if_it_serves_another_model_now(self, server, other, said_anywhere):
        def prepare(revived: ScriptedServer) -> None:
            revived.models = Reply({"data": [{"id": "another"}]})

        assert asked(self.story(server, other, prepare)) == []
        assert any(f"{server.base} has no model 'served-model'; it has another" in told for told in said_anywhere)

    def test_nor_if_it_takes_videos_in_another_way(self, server, other, said_anywhere):
        def prepare(revived: ScriptedServer) -> None:
            revived.script = lambda body: refused(400, "no pictures") if "image_url" in json.dumps(body) else obliging(body)

        assert asked(self.story(server, other, prepare)) == []
        assert any("takes no video that is sent this way (images: HTTP 400: no pictures)" in told for told in said_anywhere)

    def test_nor_if_it_takes_less_than_the_others(self, server, other, said_anywhere):
        def prepare(revived: ScriptedServer) -> None:
            complaint = refused(400, "Unsupported parameter: 'temperature'", param="temperature")
            revived.script = lambda body: complaint if "temperature" in body else obliging(body)

        assert asked(self.story(server, other, prepare)) == []
        assert any(f"{server.base} does not take temperature, which the other servers take" in told for told in said_anywhere)


class TestTheEnd:
    def test_all_are_gone(self, server, other, monkeypatch):
        monkeypatch.setattr(pooled_server, "SILENCE", 0.5)

        def dying(body: dict[str, Any]) -> Reply:
            for each in (server, other):
                threading.Thread(target=each.stop).start()
            return Reply(hang=60)

        server.script = other.script = once_asked(dying)
        message = failure(server, other, kind=EnvironmentFailure, requests=questions(20))
        assert message.startswith("none of the 2 servers is there: A")
        assert "; B" in message
        assert message.endswith("; running again resumes")

    def test_the_key_is_revoked_everywhere(self, server, other):
        server.script = other.script = once_asked(refused(401, "revoked"))
        told = f"refuses access (HTTP 401: revoked); check the key in the environment variable {KEY_NAME}"
        assert failure(server, other, kind=EnvironmentFailure, requests=questions(20)) == (
            f"none of the 2 servers is there: A {told}; B {told}; running again resumes"
        )

    def test_all_fail_on_every_request(self, server, other):
        server.script = other.script = once_asked(refused(429, "slow down"))
        message = failure(server, other, kind=EnvironmentFailure, requests=questions(GIVEN_UP), max_attempts=2)
        assert message == "A, B no longer answers: HTTP 429: slow down; running again resumes"

    def test_all_refuse_all_alike(self, server, other):
        server.script = other.script = once_asked(refused(400, "not like this"))
        message = failure(server, other, kind=ModelError, requests=questions(40))
        assert message == "A, B refused the first 16 requests, all for the same reason: HTTP 400: not like this"

    def test_closing_looks_for_nobody_any_more(self, server, other):
        async def story() -> list[Any]:
            async with opened(server, other) as (_, engine):
                server.stop()
                await engine.generate(questions(4))
            return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

        assert asyncio.run(story()) == []


class TestAtTheStart:
    def test_one_that_is_not_there_is_looked_for(self, server, other, said_anywhere):
        server.stop()
        assert texts(answers(server, other, requests=questions(8), transport="auto")) == ["caption 0"] * 8
        assert any(
            f"{server.base}: no server answers (connection refused); start it or mend api_base: the other servers are asked"
            in told
            for told in said_anywhere
        )

    def test_none_is_there(self, server, other):
        server.stop()
        other.stop()
        told = "no server answers (connection refused); start it or mend api_base"
        assert failure(server, other, kind=EnvironmentFailure) == (
            f"none of the 2 servers is there: A: {told}; B: {told}; running again resumes"
        )

    def test_one_serves_another_model(self, server, other):
        other.models = Reply({"data": [{"id": "another"}]})
        assert failure(server, other, kind=ModelError) == "B has no model 'served-model'; it has another: name one as hf_model"

    def test_one_takes_videos_in_another_way(self, server, other):
        other.script = lambda body: refused(400, "no") if "video/jpeg" in json.dumps(body) else obliging(body)
        assert failure(server, other, kind=ModelError, transport="auto") == (
            "A takes videos as frames and B as images, so answers would depend on the server that gives them: start both alike, "
            "or set transport in model_params to a way that both take"
        )
        assert texts(answers(server, other, requests=questions(4), transport="images")) == ["caption 0"] * 4

    def test_one_holds_less(self, server, other):
        for each, length in ((server, 8192), (other, 2048)):
            each.models = Reply({"data": [{"id": "served-model", "max_model_len": length}]})
        assert failure(server, other, kind=ModelError) == (
            "A holds 8,192 tokens and B 2,048, so answers would depend on the server that gives them: start both with the same "
            "length of context"
        )

    def test_one_has_the_model_from_elsewhere(self, server, other, said_anywhere):
        for each, root in ((server, "org/model"), (other, "/models/x")):
            each.models = Reply({"data": [{"id": "served-model", "root": root}]})
        assert texts(answers(server, other, requests=questions(2))) == ["caption 0"] * 2
        told = f"{server.base} serves org/model as 'served-model', and {other.base} /models/x: their answers count as those of "
        assert f"{told}one model" in " ".join(said_anywhere)

    def test_one_refuses_the_key(self, server, other):
        other.models = refused(401, "Unauthorized")
        assert failure(server, other, kind=EnvironmentFailure) == (
            f"B refuses access (HTTP 401: Unauthorized); check the key in the environment variable {KEY_NAME}"
        )
