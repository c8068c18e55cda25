"""The caption as the answer of a conversation: in the shape of the other turns, and without tokens of media."""

from __future__ import annotations

from typing import Any

import pytest

from juicecap.ops.captioning.answer_turn import AnswerMode, with_caption
from juicecap.ops.captioning.conversation import read_conversation


def turns(talk: Any, how: AnswerMode, caption: str = "new", prompt: str | None = None) -> list[Any]:
    return with_caption(read_conversation(talk, "messages"), prompt, caption, "messages", how)


def test_messages_keep_their_shape_and_their_other_keys() -> None:
    question = {"role": "user", "content": "What?", "id": 1}
    assert turns([question], "replace") == [question, {"role": "assistant", "content": "new"}]
    old = {"role": "assistant", "content": "old", "loss": True}
    assert turns([question, old], "replace") == [question, {"role": "assistant", "content": "new", "loss": True}]
    assert turns([question, old], "append", prompt="And?") == [
        question, old, {"role": "user", "content": "And?"}, {"role": "assistant", "content": "new"}
    ]  # fmt: skip


def test_messages_with_parts_get_parts() -> None:
    question = {"role": "user", "content": [{"type": "video", "video": "a.mp4"}, {"type": "text", "text": "What?"}]}
    answer = {"role": "assistant", "content": [{"type": "text", "text": "new"}]}
    assert turns([question], "append") == [question, answer]
    old = {"role": "assistant", "content": [{"type": "text", "text": "old", "n": 1}, {"type": "text", "text": "older"}]}
    assert turns([question, old], "replace") == [
        question,
        {"role": "assistant", "content": [{"type": "text", "text": "new", "n": 1}]},
    ]


def test_only_the_answer_to_the_first_question_is_replaced() -> None:
    talk = [
        {"from": "system", "value": "Be brief."},
        {"from": "human", "value": "a?"},
        {"from": "gpt", "value": "a"},
        {"from": "human", "value": "b?"},
        {"from": "gpt", "value": "b"},
    ]
    assert turns(talk, "replace") == [*talk[:2], {"from": "gpt", "value": "new"}, *talk[3:]]


def test_an_answer_goes_between_two_questions() -> None:
    talk = [{"from": "human", "value": "a?"}, {"from": "human", "value": "b?"}]
    assert turns(talk, "replace") == [talk[0], {"from": "gpt", "value": "new"}, talk[1]]


@pytest.mark.parametrize("how", ["replace", "append"])
def test_tokens_in_a_caption_stand_for_nothing(how: AnswerMode) -> None:
    talk = [{"from": "human", "value": "<video>\nWhat?"}]
    assert turns(talk, how, "a <video> of an <image>")[-1] == {"from": "gpt", "value": "a < video> of an < image>"}


def test_the_old_tokens_do_not_count_twice_in_a_new_round() -> None:
    talk = [{"from": "human", "value": "<video>\nWhat?"}, {"from": "gpt", "value": "old"}]
    assert turns(talk, "append")[2:] == [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "new"}]


def test_what_was_read_is_not_changed() -> None:
    talk = [{"from": "human", "value": "a?"}, {"from": "gpt", "value": "a"}]
    turns(talk, "replace", prompt="b?")
    assert talk == [{"from": "human", "value": "a?"}, {"from": "gpt", "value": "a"}]
