"""However much a server sends, and however it packs it: no more is read than is allowed, and one request pays for it."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from scripted_server import KEY, Reply, ScriptedServer, choice, obliging, prepared, refused, said, three

from juicecap.errors import EnvironmentFailure, ModelError
from juicecap.vlm.backends.openai import backend
from juicecap.vlm.backends.openai.answers import read
from juicecap.vlm.backends.openai.http import client
from juicecap.vlm.backends.openai.http import server as server_module
from juicecap.vlm.backends.openai.http.client import LARGEST_ANSWER, LARGEST_ERROR, LARGEST_LIST, SMALL_ANSWER
from juicecap.vlm.backends.openai.http.wire import LEAST_TEXT, MOST_VALUES
from juicecap.vlm.base import Outcome, Sampling

GOOD = said("A red circle.")
CHUNKED = {"Transfer-Encoding": "chunked", "Content-Length": ""}


def spaces(count: int) -> bytes:
    """A good answer with so many spaces before it."""
    return b" " * count + GOOD.data()


def in_chunks(content: bytes, size: int = 10_000) -> bytes:
    cut = [content[place : place + size] for place in range(0, len(content), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in cut) + b"0\r\n\r\n"


def packed(content: bytes, encoding: str = "gzip") -> Reply:
    return Reply(gzip.compress(content) if "gzip" in encoding else zlib.compress(content), 200, {"Content-Encoding": encoding})


def fates(outcomes: list[Outcome]) -> list[str]:
    return [each.failure.message if each.failure else each.answers[0].text for each in outcomes]


def among_good_ones(server: ScriptedServer, bad: Reply, **how: Any) -> str:
    """What became of a request whose answer this was; its neighbours are asked at the same time, and answered."""

    def script(body: dict[str, Any]) -> Reply:
        text = body["messages"][-1]["content"][-1]["text"]
        return bad if text == "2" else said(f"about {text}")

    outcomes = server.answers(script, *(prepared(str(number)) for number in range(5)), max_attempts=1, **how)
    failure = outcomes[2].failure
    if failure:
        assert (failure.code, failure.retryable) == ("BAD_ANSWER", True)
    told = fates(outcomes)
    assert told[:2] + told[3:] == ["about 0", "about 1", "about 3", "about 4"]
    return told[2]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A mebibyte has 10,000 bytes."""
    monkeypatch.setattr(client, "SMALL_ANSWER", 10_000)
    monkeypatch.setattr(client, "LARGEST_ERROR", 10_000)
    monkeypatch.setattr(server_module, "LARGEST_ERROR", 10_000)
    monkeypatch.setattr(server_module, "LONGEST_KEY", 1_000)
    monkeypatch.setattr(client, "LARGEST_LIST", 20_000)
    monkeypatch.setattr(client, "LARGEST_ANSWER", 100_000)
    monkeypatch.setattr(client, "_PIECE", 1_000)
    return


def test_the_limits() -> None:
    assert (LARGEST_ERROR, SMALL_ANSWER, LARGEST_LIST, LARGEST_ANSWER) == (2**18, 2**20, 8 * 2**20, 64 * 2**20)
    assert (LEAST_TEXT, MOST_VALUES) == (65_536, 1_048_576)


@pytest.mark.usefixtures("small")
class TestBytes:
    @pytest.mark.parametrize(
        "reply",
        [
            Reply(spaces(99_000)),
            Reply(in_chunks(spaces(99_000)), 200, CHUNKED),
            Reply(in_chunks(spaces(1_000), size=1), 200, CHUNKED),
            packed(spaces(99_000)),
            packed(spaces(99_000), "GZip"),
            packed(spaces(99_000), "x-gzip"),
            packed(spaces(99_000), "deflate"),
            Reply(gzip.compress(GOOD.data()) + b"behind its end", 200, {"Content-Encoding": "gzip"}),
        ],
    )
    def test_what_is_within_bounds_is_read(self, server: ScriptedServer, reply: Reply) -> None:
        assert among_good_ones(server, reply) == "A red circle."

    @pytest.mark.parametrize(
        "reply",
        [
            Reply(spaces(100_000)),
            Reply(b" " * 10_000, times=10_000),
            Reply("{", 200, {"Content-Length": "9" * 20}),
            Reply(in_chunks(spaces(100_000)), 200, CHUNKED),
            packed(spaces(100_000)),
            packed(spaces(10_000_000)),
            packed(spaces(10_000_000), "deflate"),
            Reply(gzip.compress(GOOD.data()) + b" " * 10**7, 200, {"Content-Encoding": "gzip"}),
        ],
        ids=["plain", "a long one", "announced", "in chunks", "packed", "a bomb", "another bomb", "behind its end"],
    )
    def test_what_is_beyond_is_not_read_on(self, server: ScriptedServer, reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
        held: list[int] = []
        grow = client._Unpacker.unpacked

        def watched(self: Any, piece: bytes) -> Iterator[bytes]:
            for part in grow(self, piece):
                held.append(len(part))
                yield part

        monkeypatch.setattr(client._Unpacker, "unpacked", watched)
        assert among_good_ones(server, reply) == "the server's answer has more than 0 MiB"
        assert sum(held) < 100_000 + 65_536 + 10_000

    def test_crumbs(self, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        assert client.MOST_PIECES == 2**20
        monkeypatch.setattr(client, "MOST_PIECES", 2_000)
        reply = Reply(in_chunks(spaces(2_000), size=1), 200, CHUNKED)
        assert among_good_ones(server, reply) == "the server's answer comes in too many pieces"

    @pytest.mark.parametrize("encoding", ["gzip", "deflate"])
    def test_a_bomb_goes_off_in_small_pieces(self, server: ScriptedServer, encoding: str) -> None:
        bomb = packed(b" " * 10**6, encoding).data()
        assert len(bomb) < 2_000
        assert max(map(len, client._Unpacker(encoding).unpacked(bomb))) == 1_000

    @pytest.mark.parametrize(
        "encoding", ["br", "zstd", "gzip, gzip", "deflate, gzip", "gzip;q=1", "compress", "\xff", "identity, br"]
    )
    def test_other_packing_is_not_undone(self, server: ScriptedServer, encoding: str) -> None:
        reply = Reply(gzip.compress(gzip.compress(GOOD.data())), 200, {"Content-Encoding": encoding})
        assert among_good_ones(server, reply) == "the server's answer is packed in a way that was not asked for"

    def test_nobody_asks_for_packing(self, server: ScriptedServer) -> None:
        server.answers([GOOD], prepared())
        assert server.seen[0].headers["accept-encoding"] == "identity"

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (gzip.compress(GOOD.data())[:-4], "cannot be unpacked to its end"),
            (b"", "cannot be unpacked to its end"),
            (GOOD.data(), "cannot be unpacked"),
            (gzip.compress(GOOD.data())[:-8] + b"01234567", "cannot be unpacked"),
        ],
    )
    def test_what_is_packed_badly(self, server: ScriptedServer, content: bytes, words: str) -> None:
        assert among_good_ones(server, Reply(content, 200, {"Content-Encoding": "gzip"})) == f"the server's answer {words}"

    def test_one_large_answer_is_read_at_a_time_and_small_ones_wait_for_nobody(self, server: ScriptedServer) -> None:
        ended: dict[str, float] = {}

        def script(body: dict[str, Any]) -> Reply:
            text = body["messages"][-1]["content"][-1]["text"]
            ended[text] = time.monotonic()
            if text == "stands still":
                return Reply(in_chunks(spaces(20_000))[:-7], 200, CHUNKED)
            return Reply(spaces(20_000)) if text == "large" else GOOD

        requests = [prepared(text) for text in ("stands still", "small", "small too")]
        outcomes = server.answers(script, *requests, timeout=2.0, max_attempts=1)
        assert fates(outcomes) == ["no answer within 2 seconds", "A red circle.", "A red circle."]
        server.script = obliging
        outcomes = server.answers(script, *(prepared("large") for _ in range(8)))
        assert fates(outcomes) == ["A red circle."] * 8


@pytest.mark.usefixtures("small")
class TestErrors:
    @pytest.mark.parametrize("status", [400, 422])
    def test_of_a_long_reason_the_beginning_is_read(self, server: ScriptedServer, status: int) -> None:
        """Such as one that repeats the request."""
        long = Reply(b'{"detail": "no", "input": "' + b"x" * 9_999, status, times=10_000)
        packed = Reply(gzip.compress(b"no " + b"x" * 10**7), status, {"Content-Encoding": "gzip"})
        bad, worse, good = server.answers([long, packed, GOOD], *(prepared() for _ in range(3)), at_once=False)
        assert bad.failure is not None
        assert worse.failure is not None
        assert (bad.failure.code, bad.failure.retryable) == ("REQUEST_REFUSED", False)
        assert bad.failure.message == f'HTTP {status}: {{"detail": "no", "input": "{"x" * 473}'
        assert worse.failure.message == f"HTTP {status}: no {'x' * 497}"
        assert fates([good]) == ["A red circle."]

    @pytest.mark.parametrize("place", [8_990, 9_000, 9_010, 9_978, 9_985, 9_999, 10_010])
    def test_where_it_is_cut_there_is_no_half_of_a_key(self, server: ScriptedServer, place: int) -> None:
        body = b" " * (place - len(KEY) // 2) + KEY.encode() + b" " * 10_000
        (outcome,) = server.answers([Reply(body, 400)], prepared())
        assert outcome.failure is not None
        assert outcome.failure.message in ("HTTP 400: ***", "HTTP 400: ", "HTTP 400: no reason given")

    def test_what_the_status_says_holds_all_the_same(self, server: ScriptedServer) -> None:
        for reply in (Reply(b"the server's answer ", 401, times=900), Reply("{}", 401, {"Content-Encoding": "br"})):
            server.script = obliging
            with pytest.raises(EnvironmentFailure, match=r"refuses access \(HTTP 401: the server's answer "):
                server.answers([reply], prepared())
        server.script = obliging
        (outcome,) = server.answers([Reply(b"x" * 9_999, 429, {"Retry-After": "7000"}, times=9)], prepared())
        assert outcome.failure is not None
        assert (outcome.failure.code, outcome.failure.attempts) == ("RATE_LIMITED", 1)

    def test_an_error_in_a_good_answer_has_the_same_limit(self, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server_module, "SMALL_ANSWER", 10_000)
        reply = Reply({"error": {"message": "x" * 10_000, "code": 400}})
        assert among_good_ones(server, reply) == "the server's answer is too large for an error"


class TestValues:
    @pytest.mark.parametrize("unit", ["[],", "{},", '{"a":1},', "0,", '"",', "[[[[]]]],"])
    def test_too_many_are_not_built(self, server: ScriptedServer, unit: str) -> None:
        body = said("A red circle.", more="MORE").data().replace(b'"MORE"', f"[{unit * (MOST_VALUES + 1)}0]".encode())
        began = time.monotonic()
        assert among_good_ones(server, Reply(body)) == f"the server's answer has more than {MOST_VALUES} values"
        assert time.monotonic() - began < 60

    def test_a_million_choices(self, server: ScriptedServer) -> None:
        one = json.dumps({"message": {"content": "A"}})
        reply = Reply('{"choices": [' + ",".join([one] * 10**6) + "]}")
        assert among_good_ones(server, reply) == f"the server's answer has more than {MOST_VALUES} values"

    def test_many_choices_are_cut_to_those_that_were_asked_for(self, server: ScriptedServer) -> None:
        choices = [{"index": number, **choice(f"text {number}")} for number in reversed(range(50_000))]
        (outcome,) = server.answers([said(choices=choices)], three())
        assert [answer.text for answer in outcome.answers] == ["text 0", "text 1", "text 2"]
        reply = read({"choices": choices, "usage": {"completion_tokens": 50_000}}, 2)
        assert [(each.text, each.tokens) for each in reply.candidates] == [("text 0", 0), ("text 1", 1)]

    def test_a_name_said_twice_counts_once(self, server: ScriptedServer) -> None:
        body = GOOD.data().decode()
        doubled = body[:-1] + ', "choices": [' + json.dumps({"index": 0, **choice("A blue square.")}) + "]}"
        assert among_good_ones(server, Reply(doubled)) == "A blue square."

    @pytest.mark.parametrize("number", ["1" * 10**5, "-" + "9" * 10**5, "1" * 4301])
    def test_a_number_of_many_digits(self, server: ScriptedServer, number: str) -> None:
        body = said("A red circle.", usage={"prompt_tokens": 5, "completion_tokens": 7}).data().replace(b"7", number.encode())
        assert among_good_ones(server, Reply(body)) == "the server's answer is no valid JSON"

    @pytest.mark.parametrize("deep", [500, 900, 990, 1_000, 100_000])
    def test_deep_reasons(self, server: ScriptedServer, deep: int) -> None:
        """Also where reading just succeeds: writing it down again is not tried at a deeper place."""
        for nest in (deep, deep - 3, deep - 7):
            reason, server.script = "[" * nest + "]" * nest, obliging
            (outcome,) = server.answers([Reply(f'{{"error": {{"message": {reason}}}}}', 400)], prepared())
            assert outcome.failure is not None
            assert outcome.failure.code == "REQUEST_REFUSED"
            assert len(outcome.failure.message) <= 500 + len("HTTP 400: ")


def test_refusals_in_ever_new_words_are_not_gathered(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "MOST_REFUSALS", 5)
    script = [refused(400, f"no {number}") for number in range(6)] + [refused(400, "no")]
    outcomes = server.answers(script, *(prepared(str(number)) for number in range(30)), at_once=False)
    assert fates(outcomes) == [*(f"HTTP 400: no {number}" for number in range(6)), *["HTTP 400: no"] * 24]


class TestTexts:
    def test_a_text_has_256_characters_for_each_token_that_it_may_have(self, server: ScriptedServer) -> None:
        for tokens, longest in ((16, 65_536), (300, 76_800)):
            request, server.script = prepared(sampling=Sampling(max_tokens=tokens)), obliging
            script = [said("x" * longest), said("x" * (longest + 1)), said(choice([{"type": "text", "text": "x" * 40_000}] * 2))]
            outcomes = server.answers(script, request, request, request, at_once=False, max_attempts=1)
            assert fates(outcomes) == ["x" * longest, *[f"the server's answer has a text of more than {longest} characters"] * 2]

    def test_so_it_is_where_the_limit_has_its_other_name(self, server: ScriptedServer) -> None:
        def script(body: dict[str, Any]) -> Reply:
            long = said("x" * 65_537)
            return refused(400, "max_tokens is deprecated, use max_completion_tokens") if "max_tokens" in body else long

        (outcome,) = server.answers(script, prepared(sampling=Sampling(max_tokens=9)), max_attempts=1)
        assert fates([outcome]) == ["the server's answer has a text of more than 65536 characters"]

    @pytest.mark.parametrize("odd", [[1, [2]], {"text": [1]}, [{"text": "x" * 200_000}], 7, True, [[[[]]]], "x" * 200_000])
    def test_what_is_no_text_has_none(self, server: ScriptedServer, odd: Any) -> None:
        parts = [{"type": "text", "text": "A red circle."}, {"type": "thinking", "text": odd}, {"type": "image", "image": odd}]
        assert among_good_ones(server, said(choice(parts))) == "A red circle."
        server.script = obliging
        if not isinstance(odd, str):
            (outcome,) = server.answers([said(choice("", refusal=odd))], prepared())
            assert outcome.failure is not None
            assert outcome.failure.message == "the model refuses to answer: it does not say why"

    def test_a_refusal_has_the_same_limit(self, server: ScriptedServer) -> None:
        reply = said(choice("", refusal="x" * 200_000))
        assert among_good_ones(server, reply) == "the server's answer has a text of more than 131072 characters"

    def test_what_is_too_long_for_a_models_name_is_none(self, server: ScriptedServer) -> None:
        (outcome,) = server.answers([said("A red circle.", model="m" * 257, system_fingerprint="f" * 256)], prepared())
        assert outcome.revision == "f" * 256


class TestModels:
    @pytest.mark.usefixtures("small")
    def test_a_list_that_is_too_large_is_none(self, server: ScriptedServer) -> None:
        server.models = Reply(json.dumps({"data": [{"id": "another"}]}).ljust(20_001))
        assert fates(server.answers(obliging, prepared())) == ["caption 0"]
        server.models = Reply(json.dumps({"data": [{"id": "another"}]}).ljust(20_000))
        with pytest.raises(ModelError, match="has no model 'served-model'; it has another: name one as hf_model"):
            server.answers(obliging, prepared())

    def test_many_names_and_long_ones(self, server: ScriptedServer) -> None:
        names = ["x" * 10**6, *(f"serve-model-{number}" for number in range(100_000))]
        server.models = Reply({"data": [{"id": name} for name in names]})
        began = time.monotonic()
        with pytest.raises(ModelError) as raised:
            server.answers(obliging, prepared())
        assert "; it has serve-model-" in str(raised.value)
        assert str(raised.value).endswith(" and 99981 more: name one as hf_model")
        assert len(str(raised.value)) < 1_000
        assert time.monotonic() - began < 60
        server.models = Reply({"data": [{"id": "x" * 300}]})
        with pytest.raises(ModelError, match="; it has 1 more: name one as hf_model"):
            server.answers(obliging, prepared())

    def test_a_key_as_a_name(self, server: ScriptedServer) -> None:
        server.models = Reply({"data": [{"id": f"model-{KEY}"}]})
        with pytest.raises(ModelError, match=r"it has model-\*\*\*: name one"):
            server.answers(obliging, prepared())


class TestHeaders:
    @pytest.mark.parametrize(
        "headers",
        [
            {f"X-{number}": "x" * 60_000 for number in range(9)},
            {f"X-{number}": "" for number in range(9)} | {f"Y-{number}": "y" for number in range(20_000)},
        ],
        ids=["long", "many"],
    )
    def test_too_large_ones(self, server: ScriptedServer, headers: dict[str, str]) -> None:
        bad, good = server.answers([Reply(GOOD.body, 200, headers), GOOD], prepared(), prepared(), at_once=False, max_attempts=1)
        assert bad.failure is not None
        assert (bad.failure.code, bad.failure.message) == ("SERVER_ERROR", "Receive buffer too long")
        assert fates([good]) == ["A red circle."]

    def test_cookies_are_not_gathered(self, server: ScriptedServer) -> None:
        def script(body: dict[str, Any]) -> Reply:
            return Reply(GOOD.body, 200, {"Set-Cookie": f"c{len(server.seen)}={'x' * 1000}"})

        server.answers(script, *(prepared(str(number)) for number in range(120)), at_once=False)
        sent = [seen.headers.get("cookie", "").count("=") for seen in server.seen]
        assert max(sent) == client.MOST_COOKIES

    @pytest.mark.parametrize("cookie", ["c=é", "é=1", "c=1; Path=/; Comment=é", "c=\xff"])
    def test_a_cookie_that_cannot_be_sent_back_costs_nothing(self, server: ScriptedServer, cookie: str) -> None:
        reply = Reply(GOOD.body, 200, {"Set-Cookie": cookie.encode().decode("latin-1")})
        outcomes = server.answers(lambda _: reply, prepared("1"), prepared("2"), prepared("3"), at_once=False)
        assert fates(outcomes) == ["A red circle."] * 3

    def test_nor_does_one_that_comes_with_a_redirect_cost_others(self, server: ScriptedServer) -> None:
        cookie = "c=é".encode().decode("latin-1")
        away = Reply("", 307, {"Location": "/v1/chat/completions", "Set-Cookie": cookie})
        outcomes = server.answers([away, GOOD], prepared("1"), prepared("2"), at_once=False, max_attempts=1)
        assert fates(outcomes) == ["the server sends a cookie that cannot be sent back", "A red circle."]

    def test_a_redirect_to_no_address_costs_one_request(self, server: ScriptedServer) -> None:
        away = Reply("", 307, {"Location": ":p:/n"})
        outcomes = server.answers([GOOD, away, GOOD], *map(prepared, "123"), at_once=False, max_attempts=1)
        assert outcomes[1].failure
        assert fates(outcomes)[::2] == ["A red circle."] * 2

    @pytest.mark.parametrize("value", ["9" * 400, "1e999", "-1e999", "1" * 50_000, "Wed, " * 10_000, "0x10", "\xff"])
    def test_retry_after(self, server: ScriptedServer, value: str) -> None:
        began = time.monotonic()
        (outcome,) = server.answers([refused(503, "x", {"Retry-After": value})], prepared(), max_attempts=2)
        assert outcome.failure is not None
        assert outcome.failure.code == "SERVER_ERROR"
        assert time.monotonic() - began < 30
