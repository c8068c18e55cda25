"""Whatever a server sends is an answer or the failure of one request: never a crash, and never at its neighbours' cost."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from outcomes import texts
from scripted_server import Reply, ScriptedServer, choice, obliging, prepared, refused, said, three

import juicecap
from juicecap.errors import EnvironmentFailure, ModelError
from juicecap.vlm.backends.openai.answers import read
from juicecap.vlm.base import Answer, Failure, Message, ModelSettings, Outcome, Part, Prepared, Request
from juicecap.vlm.journal.entries import entries_of, outcome_of
from juicecap.vlm.pipeline import core

DEEP = "[" * 200_000
HUGE = "1" * 400


def with_choice(**fields: Any) -> Reply:
    return said(choices=[{"index": 0, "finish_reason": "stop", **fields}])


UNREADABLE: dict[str, tuple[Reply, str]] = {
    "no JSON": (Reply("{not json"), "is no valid JSON"),
    "nothing": (Reply(""), "is no valid JSON"),
    "not UTF-8": (Reply(b'{"choices": "\xff\xfe\xfa"}'), "is no valid JSON"),
    "nested": (Reply(DEEP), "is no valid JSON"),
    "nested to its end": (Reply('{"choices": ' + DEEP + "]" * 200_000 + "}"), "is no valid JSON"),
    "a number of 5000 digits": (Reply('{"choices": ' + "1" * 5000 + "}"), "is no valid JSON"),
    "null": (Reply("null"), "is no JSON object"),
    "a list": (Reply([said("A red").body]), "is no JSON object"),
    "a text": (Reply('"A red circle."'), "is no JSON object"),
    "choices are an object": (said(choices={"0": choice("A red")}), "has no choices"),
    "choices are a text": (said(choices="A red circle."), "has no choices"),
    "a choice is a text": (said(choices=["A red circle."]), "has no choices"),
    "a choice is null": (said(choices=[choice("A red"), None]), "has no choices"),
    "error is a text": (Reply({"error": "upstream is busy"}), "has no choices"),
    "message is a list": (with_choice(message=["A red circle."]), "has a message that is no object"),
    "message is a text": (with_choice(message="A red circle."), "has a message that is no object"),
    "content is a number": (with_choice(message={"content": 42}), "has a message that is no text"),
    "content is an object": (with_choice(message={"content": {"text": "A red"}}), "has a message that is no text"),
    "content is true": (with_choice(message={"content": True}), "has a message that is no text"),
    "parts are texts": (with_choice(message={"content": ["A red"]}), "has a message that is no text"),
    "a part's text is a list": (
        with_choice(message={"content": [{"type": "text", "text": ["A"]}]}),
        "has a message that is no text",
    ),
}

SOUND: dict[str, dict[str, Any]] = {
    "usage is a text": {"usage": "none"},
    "usage is a list": {"usage": [50, 12]},
    "usage is a number": {"usage": 62},
    "counts are texts": {"usage": {"prompt_tokens": "99", "completion_tokens": "3"}},
    "counts are NaN": {"usage": {"prompt_tokens": float("nan"), "completion_tokens": float("nan")}},
    "counts are infinite": {"usage": {"prompt_tokens": float("inf"), "completion_tokens": float("-inf")}},
    "counts are negative": {"usage": {"prompt_tokens": -5, "completion_tokens": -5}},
    "counts are huge": {"usage": {"prompt_tokens": int(HUGE), "completion_tokens": int(HUGE)}},
    "counts are lists": {"usage": {"prompt_tokens": [1], "completion_tokens": {"all": 1}}},
    "counts are true": {"usage": {"prompt_tokens": True, "completion_tokens": True}},
    "model is a list": {"usage": None, "model": ["served-model"], "system_fingerprint": {"a": 1}},
}


class TestJunk:
    @pytest.mark.parametrize(("junk", "words"), UNREADABLE.values(), ids=UNREADABLE)
    def test_costs_one_request(self, server: ScriptedServer, junk: Reply, words: str) -> None:
        def script(body: dict[str, Any]) -> Reply:
            text = body["messages"][-1]["content"][-1]["text"]
            return junk if text == "2" else said(f"about {text}")

        outcomes = server.answers(script, *(prepared(str(number)) for number in range(5)), max_attempts=2)
        assert texts(outcomes) == ["about 0", "about 1", "BAD_ANSWER", "about 3", "about 4"]
        failure = outcomes[2].failure
        assert failure is not None
        assert (failure.message, failure.retryable, failure.attempts) == (f"the server's answer {words}", True, 2)

    @pytest.mark.parametrize(("junk", "words"), UNREADABLE.values(), ids=UNREADABLE)
    def test_in_the_trial(self, server: ScriptedServer, junk: Reply, words: str) -> None:
        server.script = [junk]
        with pytest.raises(EnvironmentFailure) as raised:
            server.answers([junk], prepared())
        assert str(raised.value) == (
            f"{server.base} fails on every request (images: the server's answer {words}); running again resumes"
        )

    @pytest.mark.parametrize("fields", SOUND.values(), ids=SOUND)
    def test_around_a_sound_text_costs_nothing(self, server: ScriptedServer, fields: dict[str, Any]) -> None:
        server.script = [said("A red circle.", **fields)]  # also in the trial
        (outcome,) = server.answers(server.script, prepared())
        assert outcome.answers == (Answer(text="A red circle.", finish_reason="stop", tokens=0, seed=7),)
        assert outcome.prompt_tokens == 0
        assert outcome.revision == ("" if "model" in fields else "served-model")
        assert len(server.seen) == 1

    def test_counts_as_floats_are_counts(self, server: ScriptedServer) -> None:
        reply = said("A red circle.", usage={"prompt_tokens": 99.0, "completion_tokens": 3.0})
        (outcome,) = server.answers([reply], prepared())
        assert (repr(outcome.prompt_tokens), repr(outcome.answers[0].tokens)) == ("99", "3")

    @pytest.mark.parametrize("junk", ["a", None, 0.5, float("nan"), [], True], ids=repr)
    def test_choices_with_an_odd_index_stay_in_their_order(self, server: ScriptedServer, junk: Any) -> None:
        choices = [{"index": index, **choice(f"text {number}")} for number, index in enumerate((1, junk, 0))]
        (outcome,) = server.answers([said(choices=choices)], three())
        assert [answer.text for answer in outcome.answers] == ["text 0", "text 1", "text 2"]

    @pytest.mark.parametrize("finish", [["stop"], {"reason": "stop"}, 7, True], ids=repr)
    def test_an_odd_finish_reason_is_stop(self, server: ScriptedServer, finish: Any) -> None:
        (outcome,) = server.answers([said({**choice("A red circle."), "finish_reason": finish})], prepared())
        assert (outcome.answers[0].text, outcome.answers[0].finish_reason) == ("A red circle.", "stop")

    def test_a_refusal_without_words(self, server: ScriptedServer) -> None:
        (outcome,) = server.answers([said(choice("A red", refusal={"because": [1]}))], prepared())
        assert outcome.failure is not None
        assert (outcome.failure.code, outcome.failure.message) == ("REFUSED", "the model refuses to answer: it does not say why")

    @pytest.mark.parametrize(
        ("reply", "code", "message"),
        [
            (Reply({"error": {"message": {"a": [1]}, "code": ["x"]}}, 400), "REQUEST_REFUSED", 'HTTP 400: {"a": [1]}'),
            (Reply({"detail": [{"msg": "no"}]}, 422), "REQUEST_REFUSED", 'HTTP 422: [{"msg": "no"}]'),
            (refused(400, "no \ud83d", param="\ud83d"), "REQUEST_REFUSED", "HTTP 400: no \ufffd"),
            (Reply([1, 2], 400), "REQUEST_REFUSED", "HTTP 400: [1, 2]"),
            (Reply(DEEP, 400), "REQUEST_REFUSED", "HTTP 400: " + DEEP[:500]),
            (Reply('{"error": ' + DEEP, 500), "SERVER_ERROR", 'HTTP 500: {"error": ' + DEEP[:490]),
            (Reply(b"\xff\xfe", 400), "REQUEST_REFUSED", "HTTP 400: \ufffd\ufffd"),
            (Reply("", 400), "REQUEST_REFUSED", "HTTP 400: no reason given"),
            (Reply({"error": {"message": "odd", "code": 10**9}}), "SERVER_ERROR", "HTTP 500: odd"),
            (refused(503, "x", {"Retry-After": "Wed, 21 Oct 2015 07:28:00 +" + "9" * 20}), "SERVER_ERROR", "HTTP 503: x"),
            (refused(503, "x", {"Retry-After": "Wed, 21 Oct " + "9" * 20 + " 07:28:00 GMT"}), "SERVER_ERROR", "HTTP 503: x"),
            (refused(503, "x", {"Retry-After": "nan"}), "SERVER_ERROR", "HTTP 503: x"),
            (refused(503, "x", {"Content-Type": "text/plain; charset=hex"}), "SERVER_ERROR", "HTTP 503: x"),
        ],
    )
    def test_in_an_error(self, server: ScriptedServer, reply: Reply, code: str, message: str) -> None:
        bad, good = server.answers([reply, said("A red circle.")], prepared(), prepared(), at_once=False, max_attempts=1)
        assert bad.failure is not None
        assert (bad.failure.code, bad.failure.message) == (code, message)
        assert texts([good]) == ["A red circle."]

    @pytest.mark.parametrize(
        "headers", [{"Content-Encoding": "gzip"}, {"Content-Encoding": "br, deflate"}, {"Location": "/v1/chat"}], ids=repr
    )
    def test_in_headers(self, server: ScriptedServer, headers: dict[str, str]) -> None:
        odd = Reply(gzip.compress(b"A red")[:-4], 302 if "Location" in headers else 200, headers)
        bad, good = server.answers([odd, said("A red circle.")], prepared(), prepared(), at_once=False, max_attempts=1)
        assert bad.failure is not None
        assert bad.failure.code in ("BAD_ANSWER", "SERVER_ERROR", "REQUEST_REFUSED")
        assert texts([good]) == ["A red circle."]

    @pytest.mark.parametrize(
        "models", [Reply(DEEP), Reply({"data": [1, None, {"id": 7}, {"id": ["a"]}]}), Reply({"data": [{"owned_by": ["vllm"]}]})]
    )
    def test_as_a_list_of_models(self, server: ScriptedServer, models: Reply) -> None:
        server.models = models
        assert texts(server.answers(obliging, prepared())) == ["caption 0"]

    def test_a_model_with_an_odd_name(self, server: ScriptedServer) -> None:
        server.models = Reply({"data": [{"id": "bad \ud83d"}]})
        with pytest.raises(ModelError) as raised:
            server.answers(obliging, prepared())
        assert str(raised.value).endswith("has no model 'served-model'; it has bad \ufffd: name one as hf_model")


class TestUnicode:
    @pytest.mark.parametrize(
        ("written", "is_read"),
        [
            (r"a red square \ud83d", "a red square \ufffd"),
            (r"\ud83d a", "\ufffd a"),
            (r"\ude00\ud83d", "\ufffd\ufffd"),
            (r"\ud83d\ude00", "\U0001f600"),
            (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
            (r"a\u0000b", "a\0b"),
        ],
    )
    def test_half_a_pair_is_replaced(self, server: ScriptedServer, written: str, is_read: str) -> None:
        body = json.dumps(said("TEXT", model="TEXT", system_fingerprint=None).body).replace("TEXT", written)
        (outcome,) = server.answers([Reply(body)], prepared())
        assert (outcome.answers[0].text, outcome.revision) == (is_read, is_read)
        outcome.answers[0].text.encode()

    def test_half_a_pair_as_bytes(self, server: ScriptedServer) -> None:
        body = json.dumps(said("TEXT").body).encode().replace(b"TEXT", b"a \xed\xa0\xbd")
        (outcome,) = server.answers([Reply(body)], prepared())
        assert outcome.answers[0].text == "a \ufffd"

    def test_a_refusal(self, server: ScriptedServer) -> None:
        (outcome,) = server.answers([said(choice("", refusal="no \ud83d"))], prepared())
        assert outcome.failure is not None
        assert outcome.failure.message == "the model refuses to answer: no \ufffd"

    def test_what_an_older_run_wrote_down(self) -> None:
        request = Request(model=ModelSettings(backend="openai", model="m"), messages=(Message("user", (Part("text", "?"),)),))
        answer = Answer(text="a red square \ud83d", finish_reason="stop", tokens=3, seed=7)
        (entry,) = entries_of("k", Prepared(request=request, pictures=(), seed=7), Outcome(answers=(answer,), revision="m\ud83d"))
        found = outcome_of({0: json.loads(json.dumps(entry.content))}, 7, 1)
        assert (found.answers[0].text, found.revision) == ("a red square \ufffd", "m\ufffd")

    def test_a_refusal_that_an_older_run_wrote_down(self) -> None:
        request = Request(model=ModelSettings(backend="openai", model="m"), messages=(Message("user", (Part("text", "?"),)),))
        refusal = Outcome(failure=Failure(code="REFUSED", message="no \ud83d"))
        (entry,) = entries_of("k", Prepared(request=request, pictures=(), seed=7), refusal)
        found = outcome_of({0: json.loads(json.dumps(entry.content))}, 7, 1)
        assert found.failure == Failure(code="REFUSED", message="no \ufffd")


def test_any_field_may_be_anything() -> None:
    """Each place of an answer holds each odd value; an answer that passes the door is read."""
    from juicecap.vlm.backends.openai.http.wire import shape_error

    values: list[Any] = [None, "", "x", 0, -1, 1.5, float("nan"), True, [], [None], ["x"], {}, {"x": None}, [{"type": "text"}]]
    good: dict[str, Any] = said("A red circle.", "two", system_fingerprint="fp").body
    for path in places(good):
        for value in values:
            odd = json.loads(json.dumps(good))
            *way, last = path
            inner = odd
            for step in way:
                inner = inner[step]
            inner[last] = value
            if shape_error(odd):
                continue
            reply = read(odd)
            assert all(isinstance(each.text, str) and isinstance(each.tokens, int) for each in reply.candidates)
            assert isinstance(reply.prompt_tokens, int)
            assert isinstance(reply.revision, str)


def places(value: Any) -> Iterator[list[Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield [name]
        yield from ([name, *rest] for rest in places(inner))


def jsonl(path: Path) -> list[str]:
    return [json.loads(line)["caption"][0] for line in path.read_text("utf-8").strip().split("\n")]


@pytest.mark.parametrize(
    ("suffix", "captions"),
    [
        ("jsonl", jsonl),
        ("parquet", lambda path: [caption[0] for caption in pq.read_table(path)["caption"].to_pylist()]),
    ],
)
def test_odd_characters_survive_journal_tables_and_export(
    server: ScriptedServer, clips: Any, tmp_path: Path, suffix: str, captions: Callable[[Path], list[str]]
) -> None:
    server.script = lambda body: said("a \ud83d b\0c \u2028 \x1b[0m \U0001f600", usage=None)
    data, export = tmp_path / "data.jsonl", tmp_path / f"out.{suffix}"
    data.write_text("".join(json.dumps({"videos": [path]}) + "\n" for path in clips.paths[:2]), "utf-8")
    op = {
        "backend": "openai",
        "api_base": server.base,
        "api_key_env": "SCRIPTED_KEY",
        "hf_model": "served-model",
        "num_frames": 2,
        "caption_field": "caption",
        "keep_original_sample": False,
        "model_params": {"transport": "images"},
    }
    recipe = tmp_path / "recipe.yaml"
    process = [{"video_captioning_from_vlm_mapper": op}]
    recipe.write_text(yaml.safe_dump({"dataset_path": str(data), "export_path": str(export), "process": process}), "utf-8")
    for _ in range(2):  # the second time from the journal
        assert juicecap.run(recipe, overwrite=True).exit_code == 0
        core.close()
        assert captions(export) == ["a \ufffd b\0c \u2028 \x1b[0m \U0001f600"] * 2
        server.script = [Reply("the journal is not asked")]
