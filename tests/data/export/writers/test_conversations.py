"""Conversations: the answer is the caption, and there are as many tokens as media."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from exporting import Exporting, lines
from PIL import Image

from juicecap.errors import DataError, RecipeError

OLD = [{"from": "human", "value": "<video>\nWhat happens?"}, {"from": "gpt", "value": "An old answer."}]


def entry(style: str, **options: Any) -> dict[str, Any]:
    return {"to": "data/train.jsonl", "as": "conversations", "style": style, **options}


def made(exporting: Exporting, row: dict[str, Any], style: str, **options: Any) -> dict[str, Any]:
    """The conversation that comes of a row."""
    Image.new("RGB", (8, 8)).save(exporting.folder / "data" / "p.png")
    exporting.write([row])
    exporting.run(entry(style, **options))
    (found,) = lines(exporting.folder / "data" / "train.jsonl")
    assert found.pop("id") == "data.jsonl:1"
    return found


ROW = {"videos": ["clip.mp4"], "caption": "A circle moves."}


class TestStyles:
    def test_llava(self, exporting: Exporting) -> None:
        turns = [{"from": "human", "value": "<video>\nDescribe this video."}, {"from": "gpt", "value": "A circle moves."}]
        assert made(exporting, ROW, "llava") == {"video": "clip.mp4", "conversations": turns}
        assert made(exporting, ROW, "llava", media_as="list")["video"] == ["clip.mp4"]
        other = made(exporting, ROW, "llava", token="<image>", media_as="text")
        assert (other["video"], other["conversations"][0]["value"]) == ("clip.mp4", "<image>\nDescribe this video.")

    def test_sharegpt_and_messages(self, exporting: Exporting) -> None:
        assert made(exporting, ROW, "sharegpt")["videos"] == ["clip.mp4"]
        assert made(exporting, {"images": ["p.png"], "caption": "Black."}, "messages") == {
            "messages": [
                {"role": "user", "content": "<image>\nDescribe this image."},
                {"role": "assistant", "content": "Black."},
            ],
            "images": ["p.png"],
        }

    def test_parts(self, exporting: Exporting) -> None:
        assert made(exporting, {"videos": ["clip.mp4"], "images": ["p.png"], "caption": "Both."}, "parts") == {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image", "image": "p.png", "path": "p.png"},
                        {"type": "video", "video": "clip.mp4", "path": "clip.mp4"},
                        {"type": "text", "text": "Describe this video."},
                    ],
                },
                {"role": "assistant", "content": [{"type": "text", "text": "Both."}]},
            ]
        }

    def test_a_json_file_is_a_list_and_llama_factory_finds_it(self, exporting: Exporting) -> None:
        exporting.run(
            {"to": "out/lf/train.json", "as": "conversations", "style": "messages", "dataset_info": "mine", "paths": "absolute"}
        )
        folder = exporting.folder / "out" / "lf"
        rows = json.loads((folder / "train.json").read_text())
        info = json.loads((folder / "dataset_info.json").read_text())["mine"]
        assert info["file_name"] == "train.json"
        assert info["columns"] == {"messages": "messages", "videos": "videos"}
        for row in rows:
            assert [turn[info["tags"]["role_tag"]] for turn in row["messages"]] == [
                info["tags"]["user_tag"],
                info["tags"]["assistant_tag"],
            ]
            assert all(Path(path).is_file() for path in row["videos"])


class TestAnswers:
    @pytest.mark.parametrize("column", ["conversations", "messages"])
    def test_the_old_answer_is_replaced_and_kept_under_a_name(self, exporting: Exporting, column: str) -> None:
        old = (
            OLD
            if column == "conversations"
            else [{"role": "user", "content": "<video>\nWhat happens?"}, {"role": "assistant", "content": "An old answer."}]
        )
        found = made(exporting, {**ROW, column: old}, "llava", old_answer="before")
        assert [turn["value"] for turn in found["conversations"]] == ["<video>\nWhat happens?", "A circle moves."]
        assert found["before"] == "An old answer."

    def test_a_conversation_without_an_answer_gets_one(self, exporting: Exporting) -> None:
        asked = [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "What happens?"}]
        found = made(exporting, {**ROW, "conversations": asked}, "messages")
        assert found["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "<video>\nWhat happens?"},
            {"role": "assistant", "content": "A circle moves."},
        ]

    def test_later_turns_stay(self, exporting: Exporting) -> None:
        more = [*OLD, {"from": "human", "value": "And then?"}, {"from": "gpt", "value": "It stops."}]
        found = made(exporting, {**ROW, "conversations": more}, "llava")
        assert [turn["value"] for turn in found["conversations"]][1:] == ["A circle moves.", "And then?", "It stops."]

    def test_questions(self, exporting: Exporting) -> None:
        row = {**ROW, "conversations": OLD, "ask": "Where?"}
        assert made(exporting, row, "llava", prompt="Who?")["conversations"][0]["value"] == "<video>\nWho?"
        assert made(exporting, row, "llava", prompt="Who?", prompt_key="ask")["conversations"][0]["value"] == "<video>\nWhere?"

    def test_parts_of_a_conversation_are_read(self, exporting: Exporting) -> None:
        parts = [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Before "},
                    {"type": "video", "video": "x.mp4"},
                    {"type": "text", "text": "after."},
                ],
            }
        ]
        assert made(exporting, {**ROW, "messages": parts}, "llava")["conversations"][0]["value"] == "Before <video>\nafter."

    def test_each_caption_is_a_conversation(self, exporting: Exporting) -> None:
        exporting.write([{"videos": ["clip.mp4"], "caption": ["a", "b"]}, {"videos": ["clip.mp4"], "caption": ["c"]}])
        exporting.run(entry("llava"))
        answers = [row["conversations"][1]["value"] for row in lines(exporting.folder / "data" / "train.jsonl")]
        assert answers == ["a", "b", "c"]
        exporting.run(entry("llava", captions="first"))
        assert [row["conversations"][1]["value"] for row in lines(exporting.folder / "data" / "train.jsonl")] == ["a"]


class TestTokens:
    @pytest.mark.parametrize(
        ("caption", "written"),
        [
            ("A <video> of it", "A < video> of it"),
            ("<IMAGE>", "< IMAGE>"),
            ("so</s> <|im_end|>", "so< /s> < |im_end|>"),
            ("a < b, <b>, x > y", "a < b, <b>, x > y"),
        ],
    )
    def test_a_token_in_a_caption_is_broken_up(self, exporting: Exporting, caption: str, written: str) -> None:
        found = made(exporting, {**ROW, "caption": caption}, "messages")
        assert found["messages"][1]["content"] == written

    def test_or_the_sample_is_left_out(self, exporting: Exporting) -> None:
        (told,) = exporting.run(entry("llava", tokens="reject")).exports
        assert dict(told.left_out) == {"without a caption": 1, "with a token in the caption": 1}
        assert (told.rows, told.escaped) == (4, 0)
        (told,) = exporting.run(entry("llava")).exports
        assert (told.rows, told.escaped) == (5, 1)

    def test_as_many_tokens_as_media(self, exporting: Exporting) -> None:
        two = [{"from": "human", "value": "First <video> then <video>?"}, {"from": "gpt", "value": "x"}]
        found = made(exporting, {"videos": ["clip.mp4", "UPPER.MP4"], "caption": "Both.", "conversations": two}, "sharegpt")
        assert found["conversations"][0]["value"] == "First <video> then <video>?"
        assert found["videos"] == ["clip.mp4", "UPPER.MP4"]
        exporting.write([{**ROW, "conversations": two}, {**ROW, "conversations": "no turns"}, ROW])
        (told,) = exporting.run(entry("sharegpt")).exports
        assert dict(told.left_out) == {
            "without a caption": 0,
            "with other tokens than media": 1,
            "with a conversation that cannot be read": 1,
        }
        assert told.rows == 1

    def test_a_style_that_cannot_hold_several_media_says_so(self, exporting: Exporting) -> None:
        exporting.write([{"videos": ["clip.mp4", "UPPER.MP4"], "caption": "Both."}])
        with pytest.raises(
            DataError, match="is one of several media of a sample, and media_as: text holds one; set media_as to list"
        ):
            exporting.run(entry("llava", media_as="text"))
        assert not (exporting.folder / "data" / "train.jsonl").exists()

    def test_options_of_another_style_are_problems(self, exporting: Exporting) -> None:
        with pytest.raises(RecipeError, match="media_as is for style: llava"):
            exporting.run(entry("messages", media_as="text"))
        with pytest.raises(RecipeError, match="dataset_info is for the styles sharegpt and messages"):
            exporting.run(entry("llava", dataset_info="mine"))
