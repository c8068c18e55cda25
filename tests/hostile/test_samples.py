"""Samples whose columns hold anything at all: an op does with them what it says, or rejects them, and raises nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import juicecap
from juicecap.errors import SampleError
from juicecap.ops import catalog
from juicecap.ops.base import Op
from juicecap.ops.captioning.chunks import SpecialTokens
from juicecap.ops.captioning.conversation import read_conversation, without_tokens
from juicecap.ops.captioning.similarity import most_similar
from juicecap.sample import (
    LONGEST_TEXT,
    MOST_NESTED,
    display_path,
    is_remote,
    json_in_cell,
    media_paths,
    sample_name,
    short_repr,
    visible,
)
from juicecap.vlm.backends.openai.control_tokens import neutralised
from juicecap.vlm.base import Answer, Outcome
from juicecap.vlm.scripts import mixes_scripts

WORDS = [
    "from", "value", "role", "content", "human", "user", "system", "gpt", "type", "text", "image", "image_url", "video", "url",
    "path", "bytes", "<image>", "<video>", "<__dj__video>", "<|__dj__eoc|>", "[", "[]", '["a"]', '["\\ud800"]', "https://a/b",
    '[{"from": "human", "value": "\\ud800"}]', "[" * 2000, "\ud800", "a.mp4", "",
]  # fmt: skip
TEXTS = st.sampled_from(WORDS) | st.text(st.characters(), max_size=4)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary(max_size=2)


def _grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3)


ANYTHING = st.recursive(LEAVES, _grown, max_leaves=6)
PART = st.fixed_dictionaries(
    {},
    optional={"type": st.sampled_from(["text", "image", "image_url", "video"]) | ANYTHING, "text": ANYTHING, "image": ANYTHING},
)
TURN = st.fixed_dictionaries(
    {},
    optional={
        "from": st.sampled_from(["human", "gpt", "system"]) | ANYTHING,
        "value": TEXTS | ANYTHING,
        "role": st.sampled_from(["user", "assistant", "system"]) | ANYTHING,
        "content": TEXTS | st.lists(PART | ANYTHING, max_size=3),
    },
)
TURNS = st.lists(TURN | ANYTHING, max_size=3)
CONVERSATIONS = TURNS | ANYTHING | TURNS.map(lambda value: json.dumps(value, default=str))
CELLS = ANYTHING | st.lists(TEXTS, max_size=3) | ANYTHING.map(lambda value: json.dumps(value, default=str))
COLUMNS = ("videos", "images", "text", "image", "video", "caption", "output", "caption_provenance", "question")
SAMPLES = st.fixed_dictionaries({}, optional={**dict.fromkeys(COLUMNS, CELLS), "conversation": CONVERSATIONS})

SETTINGS: dict[str, list[dict[str, Any]]] = {
    "caption_cleaning_mapper": [{}, {"text_key": "caption", "openers": True, "fences": "all", "newlines": "keep"}],
    "image_caption_generator": [{"system_prompt": "s", "provenance_field": "caption_provenance"}],
    "text_length_filter": [{}],
    "video_captioning_from_vlm_mapper": [
        {"prompt_key": "question"},
        {"keep_candidate_mode": "similar_one_simhash", "caption_num": 2, "caption_field": "caption"},
        {"keep_candidate_mode": "all", "caption_num": 2, "caption_field": "caption", "text_update_strategy": "rewrite"},
    ],
    "video_to_caption_generator": [
        {"prompt_template": "x {question} {text}", "conversation_mode": mode, "provenance_field": "caption_provenance"}
        for mode in ("overwrite", "fill_empty", "ignore")
    ],
    "whitespace_normalization_mapper": [{}],
}
"""Ops with the parameters that read most of a sample. Filters of videos read paths alone, as the captioners do."""

OPS = [catalog.find(name)(**options) for name, each in SETTINGS.items() for options in each]


def test_every_op_that_reads_more_than_paths_is_here() -> None:
    assert {*SETTINGS, "video_duration_filter", "video_resolution_filter"} == set(catalog.BUILTIN)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(SAMPLES, st.lists(TEXTS, min_size=2, max_size=2))
def test_whatever_a_sample_holds_the_op_has_an_answer(op: Op, sample: dict[str, Any], answers: list[str]) -> None:
    refused: SampleError | None = None
    try:
        requests = op.requests(sample)
        hash(tuple(requests))
        op.sample_warnings(sample)
        op.media_of(sample)
        texts = [answers[: request.candidates] for request in requests]
        said = [tuple(Answer(text=text, finish_reason="stop", tokens=1, seed=1) for text in each) for each in texts]
        op.finish(sample, [Outcome(answers=each, request=request) for each, request in zip(said, requests, strict=True)])
    except SampleError as error:
        refused = error
    assert refused is None or (refused.code.isupper() and len(str(refused)) < 1000)


@settings(max_examples=300, deadline=None)
@given(SAMPLES)
def test_whatever_a_sample_holds_it_has_a_name_and_paths(sample: dict[str, Any]) -> None:
    assert isinstance(sample_name(sample), str)
    visible(sample)
    for column in COLUMNS:
        with suppress(SampleError):
            paths = media_paths(sample, column)
            assert all(display_path(path).isprintable() and is_remote(path) in (True, False) for path in paths)


def captioner(**options: Any) -> Op:
    return catalog.find("video_captioning_from_vlm_mapper")(**options)


def generator(**options: Any) -> Op:
    return catalog.find("video_to_caption_generator")(**options)


def refusal(op: Op, sample: dict[str, Any]) -> str:
    found = op.plan_requests(sample)
    assert isinstance(found, SampleError), found
    return str(found)


class TestWhatIsSaid:
    """Columns that were bugs before, or hung."""

    def test_a_speaker_with_a_long_name(self) -> None:
        turn = {"from": "x" * 1_000_000, "value": ""}
        sentence = f"BAD_CONVERSATION: column 'conversation' has a turn of '{'x' * 78}… and none of a human"
        assert refusal(generator(), {"conversation": [turn], "video": ["a.mp4"]}) == sentence

    def test_a_part_of_a_turn_whose_type_is_a_list(self) -> None:
        turn = {"role": "user", "content": [{"type": ["image"]}]}
        sentence = "BAD_CONVERSATION: column 'conversation' holds {'type': ['image']} where a part of a turn should be"
        assert refusal(generator(), {"conversation": [turn], "video": ["a.mp4"]}) == sentence

    @pytest.mark.parametrize(("value", "told"), [(5, "5"), ("words", "'words'"), ({"a": 1}, "{'a': 1}"), (0, "0")])
    def test_a_column_of_provenance_that_is_something_else(self, value: object, told: str) -> None:
        sentence = f"BAD_PROVENANCE: column 'p' holds {told}, not a list: name another provenance_field"
        assert refusal(captioner(provenance_field="p"), {"videos": ["a.mp4"], "p": value}) == sentence
        assert refusal(generator(provenance_field="p"), {"video": ["a.mp4"], "p": value}) == sentence

    @pytest.mark.parametrize(("value", "kept"), [('[{"op": "x"}]', [{"op": "x"}]), ("", []), (None, []), ([1], [1])])
    def test_entries_of_before_stay_in_front_also_those_of_a_csv_file(self, value: object, kept: list[object]) -> None:
        op, outcome = (
            generator(provenance_field="p"),
            Outcome(answers=(Answer(text="x", finish_reason="stop", tokens=1, seed=1),)),
        )
        sample = {"video": ["a.mp4"], "p": value}
        (found,) = op.finish(sample, [replace(outcome, request=op.requests(sample)[0])])
        assert found["p"][:-1] == kept
        assert found["p"][-1]["op"] == "video_to_caption_generator"

    def test_cells_that_are_nested_without_end(self) -> None:
        deep = "[" * 100_000 + "]" * 100_000
        assert media_paths({"videos": deep}, "videos") == [deep]
        sentence = f"BAD_CONVERSATION: column 'conversation' holds '{'[' * 78}…, not a list of turns"
        assert refusal(generator(), {"conversation": deep, "video": ["a.mp4"]}) == sentence

    def test_half_of_a_surrogate_pair_in_a_cell(self) -> None:
        assert media_paths({"videos": '["\\ud800.mp4"]'}, "videos") == ['["\\ud800.mp4"]']
        cell = '[{"from": "human", "value": "\\ud83d"}]'
        assert refusal(generator(), {"conversation": cell, "video": ["a.mp4"]}).startswith("BAD_CONVERSATION: ")

    def test_half_of_a_surrogate_pair_in_a_prompt(self) -> None:
        sentence = "BAD_TEXT: the prompt 'what \\ud83d' has half of a surrogate pair, which is no character"
        assert refusal(captioner(prompt_key="q"), {"videos": ["a.mp4"], "q": "what \ud83d"}) == sentence

    def test_a_value_in_a_prompt_that_has_no_words(self) -> None:
        sentence = "BAD_VALUE: the prompt names the column 'q', which holds [b'\\x00']"
        assert refusal(generator(prompt_template="{q}"), {"video": ["a.mp4"], "q": [b"\0"]}) == sentence

    def test_more_media_than_a_model_sees(self) -> None:
        sentence = "TOO_MANY_MEDIA: 1,025 media cannot be captioned together, but 1,024 at most"
        assert refusal(generator(), {"video": ["a.mp4"] * 1025}) == sentence
        assert len(generator().requests({"video": ["a.mp4"] * 1024})[0].media()) == 1024
        sentence = "TOO_MANY_MEDIA: column 'videos' holds 10,001 videos, more than 10,000"
        assert refusal(captioner(), {"videos": ["a.mp4"] * 10_001}) == sentence

    def test_texts_that_no_model_holds(self) -> None:
        long = "x" * (LONGEST_TEXT + 1)
        sentence = "TOO_LONG: the prompt has 10,000,001 characters, more than 10,000,000"
        assert refusal(captioner(prompt_key="q"), {"videos": ["a.mp4"], "q": long}) == sentence
        assert refusal(generator(prompt_template="{q}"), {"video": ["a.mp4"], "q": long}) == sentence
        sentence = "TOO_LONG: column 'text' has 10,000,001 characters, more than 10,000,000"
        assert refusal(captioner(), {"videos": ["a.mp4"], "text": long}) == sentence
        with pytest.raises(ValueError, match="too long"):
            json_in_cell("[" + " " * LONGEST_TEXT + "]")

    def test_values_that_python_does_not_write(self) -> None:
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        assert short_repr(deep) == "a huge list"
        assert short_repr(10**5000) == "a huge int"

    def test_texts_to_compare_with_halves_of_surrogate_pairs(self) -> None:
        assert most_similar("a red \ud800 ball", ["a blue box", "a red \udc00 ball"]) == 1


@pytest.mark.parametrize("depth", [1, MOST_NESTED, MOST_NESTED + 1, 900, 3000, 100_000])
@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}")])
def test_json_in_a_cell(depth: int, begin: str, end: str) -> None:
    text = begin * depth + "1" + end * depth
    if depth <= MOST_NESTED:
        assert json_in_cell(text) == json.loads(text)
    else:
        with pytest.raises(ValueError, match="nested too deeply"):
            json_in_cell(text)


DEEP = [2, MOST_NESTED - 1, MOST_NESTED, 100, 700, 960, 965, 968, 970, 972, 974, 976, 978, 980, 990, 2000]
"""Around 970 Python reads what it cannot read a second time from a little further down."""


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("format_", ["jsonl", "json", "parquet", "csv"])
def test_a_row_that_is_nested_too_deeply_costs_itself_alone(tmp_path: Path, format_: str, alone: bool) -> None:
    """`alone`: nobody else has the column, so that its type is what is nested, and not JSON."""
    deep = [f'{{"n": {depth}, "text": "good words", "x": {"[" * depth}{"]" * depth}}}\n' for depth in DEEP]
    rows = [*deep, '{"n": 0, "text": "good words"}\n', *([] if alone else ['{"n": 1, "text": "good words", "x": 5}\n'])]
    (tmp_path / "data.jsonl").write_text("".join(rows))
    recipe = tmp_path / "recipe.yaml"
    process = "process:\n- whitespace_normalization_mapper:\n- text_length_filter:\n"
    recipe.write_text(
        f"dataset_path: {tmp_path}/data.jsonl\nexport_path: {tmp_path}/out/a.{format_}\nmax_rejected: 100\n{process}"
    )
    assert juicecap.run(recipe).exit_code == 0
    lines = (tmp_path / "out/a.run/rejected.jsonl").read_text().splitlines()
    assert [json.loads(line)["code"] for line in lines] == ["BROKEN_RECORD"] * sum(depth >= MOST_NESTED for depth in DEEP)
    assert "nested too deeply. Flatten the record." in lines[0]


TOKENS = SpecialTokens("<__dj__video>", "<__dj__image>", "<__dj__audio>", "<|__dj__eoc|>")


@given(
    st.lists(st.sampled_from([*vars(TOKENS).values(), "<__dj_", "_video>", "<|__dj", "__eoc|>", "<", ">", " x "]), max_size=14)
)
def test_tokens_inside_of_tokens_go_as_they_went_round_by_round(pieces: list[str]) -> None:
    text = by_rounds = "".join(pieces)
    while TOKENS.pattern().search(by_rounds):
        by_rounds = TOKENS.pattern().sub("", by_rounds)
    assert TOKENS.stripped(text) == by_rounds.strip()


def cleaned(text: str) -> object:
    return catalog.find("caption_cleaning_mapper")()({"text": [text]})


LONG = 300_000
SLOW: dict[str, tuple[Callable[[str], object], str]] = {
    "tokens inside of tokens": (TOKENS.stripped, "<__dj__" * LONG + "video>" * LONG),
    "tokens that begin": (TOKENS.stripped, "<__dj__" * LONG),
    "media tokens": (without_tokens, "<image" * LONG),
    "media tokens and lines": (without_tokens, "<image>\n" * LONG),
    "a conversation": (lambda text: read_conversation([{"from": "human", "value": text}], "c"), "<video><image" * LONG),
    "addresses": (display_path, "a://" * LONG),
    "addresses with names": (display_path, "a://" + "@" * LONG),
    "addresses with questions": (display_path, "https://a" + "?#" * LONG),
    "what may be an address": (is_remote, "a+" * LONG),
    "lists in cells": (json_in_cell, "[" + "[]," * LONG + "1]"),
    "control tokens": (neutralised, "<|" * LONG),
    "control tokens with digits": (neutralised, "<row_" + "1" * LONG),
    "control tokens in capitals": (neutralised, "<" + "A" * LONG + "<" + "A" * LONG),
    "spaces of captions": (cleaned, " \n" * LONG + "x"),
    "marks around captions": (cleaned, "\"'*" * LONG),
    "preambles": (cleaned, "Sure! Here is " * LONG),
    "closings": (cleaned, "I hope this helps! " * LONG),
    "scripts": (mixes_scripts, "\u201c(「é一" * LONG),
    "words": (lambda text: most_similar(text, [text, text]), "a " * 20_000),
}


@pytest.mark.parametrize("name", SLOW)
def test_long_texts_take_no_longer_than_they_are_long(name: str) -> None:
    """Seconds at most; what takes the square of a text's length would take hours."""
    work, text = SLOW[name]
    began = time.monotonic()
    work(text)
    assert time.monotonic() - began < 60
