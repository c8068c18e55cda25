"""Conversations in the shapes of ShareGPT, LLaVA and OpenAI."""

from __future__ import annotations

import pytest

from juicecap.errors import SampleError
from juicecap.ops.captioning.conversation import Medium, read_conversation, without_tokens


def read(value: object):
    return read_conversation(value, "talk")


def complaint(value: object) -> str:
    with pytest.raises(SampleError) as caught:
        read(value)
    assert caught.value.code == "BAD_CONVERSATION"
    return caught.value.message


class TestShareGPT:
    def test_the_first_human_turn_is_asked(self):
        talk = read([{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}, {"from": "human", "value": "And?"}])
        assert (talk.text, talk.human, talk.system, talk.media) == ("Why?", 0, "", ())

    def test_a_system_turn_in_front(self):
        talk = read([{"from": "system", "value": "Be brief."}, {"from": "human", "value": "Why?"}])
        assert (talk.system, talk.text, talk.human) == ("Be brief.", "Why?", 1)

    def test_a_gpt_turn_in_front_is_passed_over(self):
        talk = read([{"from": "gpt", "value": "Hello."}, {"from": "human", "value": "Why?"}])
        assert (talk.text, talk.human) == ("Why?", 1)

    def test_tokens_stand_for_media_in_order(self):
        talk = read([{"from": "human", "value": "<image>\n<video>\nWhat <image> is it?"}, {"from": "human", "value": "<video>?"}])
        assert talk.media == (Medium("image"), Medium("video"), Medium("image"), Medium("video"))
        assert talk.text == "What  is it?"

    def test_tokens_that_others_say_stand_for_nothing(self):
        assert read([{"from": "human", "value": "a"}, {"from": "gpt", "value": "an <image>"}]).media == ()


class TestOpenAI:
    def test_texts(self):
        talk = read([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}])
        assert (talk.system, talk.text) == ("Be brief.", "Why?")

    def test_parts(self):
        parts = [
            {"type": "image_url", "image_url": {"url": "file:///data/a.png"}},
            {"type": "video", "video": "b.mp4"},
            {"type": "image"},
            {"type": "text", "text": "Why?"},
            {"type": "text", "text": "How?"},
        ]
        talk = read([{"role": "user", "content": parts}])
        assert talk.media == (Medium("image", "/data/a.png"), Medium("video", "b.mp4"), Medium("image"))
        assert talk.text == "Why?\nHow?"


class TestNothing:
    @pytest.mark.parametrize("value", [None, "", [], "[]"])
    def test_no_turns(self, value):
        talk = read(value)
        assert (talk.turns, talk.human, talk.text) == ((), None, "")

    def test_a_cell_of_a_csv_file(self):
        assert read('[{"from": "human", "value": "Why?"}]').text == "Why?"

    def test_a_turn_without_a_value_is_empty(self):
        assert read([{"from": "human", "value": None}]).text == ""
        assert read([{"from": "human"}]).text == ""


class TestComplaints:
    @pytest.mark.parametrize(
        ("value", "sentence"),
        [
            ("Why?", "column 'talk' holds 'Why?', not a list of turns"),
            ("[Why?", "column 'talk' holds '[Why?', not a list of turns"),
            (7, "column 'talk' holds 7, not a list of turns"),
            ({"from": "human"}, "column 'talk' holds {'from': 'human'}, not a list of turns"),
            (["Why?"], "column 'talk' holds 'Why?' where a turn should be"),
            ([None], "column 'talk' holds None where a turn should be"),
            ([{"value": "Why?"}], "column 'talk' has a turn that names no speaker: {'value': 'Why?'}"),
            ([{"from": "human", "value": 7}], "column 'talk' has a turn that holds 7, not a text"),
            ([{"from": "gpt", "value": "A cat."}], "column 'talk' has a turn of 'gpt' and none of a human"),
            ([{"role": "user", "content": ["Why?"]}], "column 'talk' holds 'Why?' where a part of a turn should be"),
            (
                [{"role": "user", "content": [{"type": "image", "image": 7}]}],
                "column 'talk' holds 7 where a path should be",
            ),
            (
                [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}],
                "column 'talk' holds 'data:image/png;base64,AA'; write it to a file and name that",
            ),
        ],
    )
    def test_what_is_no_conversation(self, value, sentence):
        assert complaint(value) == sentence


class TestWithPrompt:
    def test_the_example_of_the_contract(self):
        talk = read([{"from": "human", "value": ""}])
        assert talk.with_prompt("Tell.", "talk") == [{"from": "human", "value": "Tell."}]

    def test_only_the_text_of_the_first_human_turn_changes(self):
        turns = [
            {"from": "system", "value": "Be brief."},
            {"value": "old", "from": "human", "weight": 2},
            {"from": "gpt", "value": "So."},
            {"from": "human", "value": "And?"},
        ]
        new = read(turns).with_prompt("Tell.", "talk")
        assert new == [turns[0], {"value": "Tell.", "from": "human", "weight": 2}, *turns[2:]]
        assert list(new[1]) == ["value", "from", "weight"]
        assert turns[1]["value"] == "old"

    @pytest.mark.parametrize("value", [None, "", []])
    def test_a_turn_is_made_where_there_is_none(self, value):
        assert read(value).with_prompt("Tell.", "conversation") == [{"from": "human", "value": "Tell."}]
        assert read_conversation(value, "messages").with_prompt("Tell.", "messages") == [{"role": "user", "content": "Tell."}]

    def test_it_is_made_behind_the_system_turn(self):
        for system, human in (
            ({"from": "system", "value": "S"}, {"from": "human", "value": "Tell."}),
            ({"role": "system", "content": "S"}, {"role": "user", "content": "Tell."}),
        ):
            assert read([system]).with_prompt("Tell.", "talk") == [system, human]

    @pytest.mark.parametrize(
        ("old", "prompt", "new"),
        [
            ("<video>\nold", "Tell.", "<video>\nTell."),
            ("old\n<image>", "Tell.", "<image>\nTell."),
            ("<image>\n<video>\n", "Tell.", "<image>\n<video>\nTell."),
            ("<video>\nold", "<video>\nTell.", "<video>\nTell."),
            ("<video>\n<video>\nold", "<video> Tell.", "<video>\n<video> Tell."),
        ],
    )
    def test_tokens_stay_and_are_not_doubled(self, old, prompt, new):
        assert read([{"from": "human", "value": old}]).with_prompt(prompt, "talk")[0]["value"] == new

    def test_parts_stay(self):
        image = {"type": "image_url", "image_url": {"url": "a.png"}}
        parts = [{"type": "text", "text": "old"}, image, {"type": "text", "text": "older"}]
        talk = read([{"role": "user", "content": parts}])
        assert talk.with_prompt("Tell.", "talk")[0]["content"] == [{"type": "text", "text": "Tell."}, image]
        silent = read([{"role": "user", "content": [image]}])
        assert silent.with_prompt("Tell.", "talk")[0]["content"] == [image, {"type": "text", "text": "Tell."}]


def test_text_without_tokens_stays_as_it_is_but_for_white_space_around_it():
    assert without_tokens("Why\n  not? ") == "Why\n  not?"
