"""The op for DataFlow's shape, on the demo model: the contract's example, conversations, order of media, input that is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from juicecap.errors import SampleError, SettingsError
from juicecap.fragment import Span
from juicecap.media.sampling import FrameSampling
from juicecap.ops import VideoToCaptionGenerator
from juicecap.sample import ORIGIN
from juicecap.vlm.base import Message, Part, Request
from juicecap.vlm.pipeline import core

pytestmark = pytest.mark.model

DEMO = "juicecap-demo-vlm"
RECIPES = Path(__file__).parents[3] / "recipes"
CLIPS = json.loads((Path(__file__).parents[2] / "demo_clips.json").read_text())
PROMPT = "Please describe the video in detail."
SYSTEM = "You are a helpful assistant."


def generator(**settings: Any) -> VideoToCaptionGenerator:
    return VideoToCaptionGenerator(**{"hf_model": DEMO, **settings})


def asked(op: VideoToCaptionGenerator, sample: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """The messages of the sample's one request: role, and parts as texts."""
    (request,) = op.requests(sample)
    return [(each.role, [part.value for part in each.parts]) for each in request.messages]


def processed(op: VideoToCaptionGenerator, sample: dict[str, Any], outcome: Any) -> dict[str, Any]:
    (request,) = op.requests(sample)
    (out,) = op.process(sample, [replace(outcome, request=request)])
    return out


def rejected(op: VideoToCaptionGenerator, sample: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(SampleError) as caught:
        op.requests(sample)
    return caught.value.code, caught.value.message


class TestContract:
    def test_the_example_letter_for_letter(self, outcome):
        line = '{"video": ["./videos/sample1.mp4"], "conversation": [{"from": "human", "value": ""}]}'
        out = processed(generator(), json.loads(line), outcome("This video shows …"))
        assert json.dumps(out, ensure_ascii=False) == (
            '{"video": ["./videos/sample1.mp4"], '
            '"conversation": [{"from": "human", "value": "Please describe the video in detail."}], '
            '"caption": "This video shows …"}'
        )

    def test_defaults(self):
        op = VideoToCaptionGenerator()
        assert (op.prompt_template, op.system_prompt, op.conversation_mode) == (None, SYSTEM, "overwrite")
        assert (op.input_image_key, op.input_video_key, op.input_conversation_key) == ("image", "video", "conversation")
        assert (op.output_key, op.overwrite_output, op.provenance_field) == ("caption", False, None)

    def test_what_is_asked(self):
        assert asked(generator(), {"video": "a.mp4"}) == [("system", [SYSTEM]), ("user", ["a.mp4", PROMPT])]
        assert asked(generator(system_prompt=None), {"video": "a.mp4"}) == [("user", ["a.mp4", PROMPT])]

    def test_the_demo_clips_are_captioned_right(self):
        paths = [str(RECIPES / "clips" / name) for name in CLIPS]
        out = generator()({"video": [[path] for path in paths], "conversation": [[{"from": "human", "value": ""}]] * 10})
        assert out["caption"] == [each["detail"] for each in CLIPS.values()]
        assert out["conversation"] == [[{"from": "human", "value": PROMPT}]] * 10

    def test_each_sample_gets_its_own_prompt_and_answer(self, clips):
        op = generator(prompt_template="{question}")
        questions = ["What color is the object?", "How does the object move?", PROMPT]
        empty = [{"from": "human", "value": ""}]
        out = op({"video": clips.paths[:3], "question": questions, "conversation": [empty, empty, empty]})
        assert out["caption"] == ["red", "It moves left.", clips.details[2]]
        assert [each[0]["value"] for each in out["conversation"]] == questions
        assert empty == [{"from": "human", "value": ""}]

    def test_provenance_where_it_is_asked_for(self, outcome):
        out = processed(generator(provenance_field="made"), {"video": "a.mp4"}, outcome("A cat.", seed=3, finish="length"))
        (entry,) = out["made"]
        assert (entry["op"], entry["prompt"], entry["system_prompt"]) == ("video_to_caption_generator", PROMPT, SYSTEM)
        assert (entry["seed"], entry["finish_reason"], entry["source"]) == (3, "length", "a.mp4")

    def test_an_empty_answer_is_no_caption(self, outcome):
        with pytest.raises(SampleError, match=r"^EMPTY_ANSWER: the model's answer is empty$"):
            processed(generator(), {"video": "a.mp4"}, outcome(" \n"))


class TestMedia:
    def test_images_then_videos_then_the_prompt(self):
        sample = {"video": ["a.mp4", "b.mp4"], "image": "c.png"}
        (request,) = generator().requests(sample)
        assert request.messages[1].parts == (
            Part("image", "c.png"),
            Part("video", "a.mp4"),
            Part("video", "b.mp4"),
            Part("text", PROMPT),
        )

    def test_the_answer_tells_that_the_image_came_before_the_video(self):
        """The demo model takes the end of the film from what it saw last."""
        clip, image = str(RECIPES / "clips" / "clip_00.mp4"), str(RECIPES / "images" / "image_00.png")
        op = generator()
        assert op({"video": [clip], "image": [image]})["caption"] == [CLIPS["clip_00.mp4"]["detail"]]
        (request,) = op.requests({"video": clip})
        swapped = (Part("video", clip), Part("image", image), Part("text", PROMPT))
        (other,) = core.ask(
            [Request(model=request.model, messages=(request.messages[0], Message("user", swapped)), frames=request.frames)]
        )
        assert other.answers[0].text.endswith("ends at the bottom right.")  # where the image's object is

    @pytest.mark.parametrize("column", [{"video": None}, {"video": []}, {"video": ""}, {}])
    def test_either_may_be_missing(self, column):
        assert asked(generator(), {**column, "image": ["c.png"]})[1] == ("user", ["c.png", PROMPT])
        assert rejected(generator(), column) == ("NO_MEDIA", "there is nothing to caption in 'image' and 'video'")
        assert rejected(generator(), {**column, "videos": ["a.mp4"], "id": 1}) == (
            "NO_MEDIA",
            "there is nothing to caption in 'image' and 'video'; the sample has 'videos', 'id'",
        )

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ([None, "b.mp4"], "column 'video' holds None where a path should be"),
            (7, "column 'video' holds 7, not a path or a list of paths"),
            ([7], "column 'video' holds 7 where a path should be"),
        ],
    )
    def test_what_is_no_path(self, value, message):
        assert rejected(generator(), {"video": value, "image": "c.png"}) == ("BAD_MEDIA_COLUMN", message)

    def test_a_missing_file_is_rejected_alone(self, clips, tmp_path):
        fates = generator().fates({"video": [clips.paths[0], str(tmp_path / "gone.mp4"), clips.paths[1]]})
        assert [fate.kind for fate in fates] == ["kept", "rejected", "kept"]
        assert fates[1].failure.code == "FILE_NOT_FOUND"
        assert [fate.outputs[0]["caption"] for fate in fates[::2]] == clips.details[:2]

    def test_paths_that_only_the_conversation_names(self):
        parts = [{"type": "video_url", "video_url": {"url": "a.mp4"}}, {"type": "image", "image": "/c.png"}]
        sample = {"messages": [{"role": "user", "content": parts}], "__juicecap_origin__": {"id": "x:1", "folder": "/data"}}
        op = generator(input_conversation_key="messages")
        assert asked(op, sample)[1] == ("user", ["/c.png", "/data/a.mp4", PROMPT])
        assert op.media_of(sample) == ["/c.png", "/data/a.mp4"]
        assert op.media_sources() == ("image", "video", "messages")
        assert asked(op, {**sample, "video": "/b.mp4"})[1] == ("user", ["/c.png", "/b.mp4", PROMPT])


class TestFramesOfParts:
    def parts(self, *content: Any, column: Any = None, **settings: Any) -> list[Part]:
        sample = {"messages": [{"role": "user", "content": list(content)}], "video": column, ORIGIN: {"folder": "/data"}}
        (request,) = generator(input_conversation_key="messages", **settings).requests(sample)
        return request.media()

    def test_they_hold_for_this_medium_alone(self):
        first = {"type": "video", "video": "a.mp4", "fps": 1.0, "video_end": 4.0}
        second = {"type": "video", "video": "b.mp4", "fps": None}
        own = FrameSampling(fps=1.0, end=4.0, max_frames=20)
        assert self.parts(first, second, max_frames=20, num_frames=8) == [
            Part("video", "/data/a.mp4", frames=own),
            Part("video", "/data/b.mp4"),
        ]

    def test_what_the_op_says_anyway_changes_nothing(self):
        assert self.parts({"type": "video", "video": "a.mp4", "fps": 2}) == [Part("video", "/data/a.mp4")]

    def test_parts_stand_for_the_media_of_the_columns_in_order(self):
        content = [{"type": "video"}, {"type": "video", "nframes": 3}]
        assert self.parts(*content, column=["/c.mp4", "/d.mp4", "/e.mp4"]) == [
            Part("video", "/c.mp4"),
            Part("video", "/d.mp4", frames=FrameSampling(num_frames=3)),
            Part("video", "/e.mp4"),
        ]

    def test_a_list_of_pictures_is_a_film(self):
        (film,) = self.parts({"type": "video", "video": ["2.png", "file:///f/1.png"], "sample_fps": 8})
        rate = FrameSampling(fps=8.0, picture_fps=8.0)
        assert film == Part("video", "/data/2.png", pictures=("/data/2.png", "/f/1.png"), frames=rate)
        (film,) = self.parts({"type": "video", "video": ["1.png"]}, picture_fps=4.0, fps=1.0)
        assert film.frames == FrameSampling(fps=4.0, picture_fps=4.0)

    def test_parts_of_films_are_named_in_columns_and_conversations(self):
        cut = {"type": "video", "video": "a.mp4#t=npt:10,20", "video_start": 2.0}
        (part,) = self.parts(cut)
        assert part == Part("video", "/data/a.mp4", frames=FrameSampling(start=2.0), span=Span(start=10.0, end=20.0))
        sample = {"video": ["/a.mp4#t=1,2", "/b.mp4"], "image": "/c.png"}
        op = generator()
        assert [part.label for part in op.requests(sample)[0].media()] == ["/c.png", "/a.mp4#t=1,2", "/b.mp4"]
        assert op.media_of(sample) == ["/c.png", "/a.mp4", "/b.mp4"]
        op = generator(start_key="from")
        assert [part.label for part in op.requests({"video": "/a.mp4", "from": 3})[0].media()] == ["/a.mp4#t=3"]

    def test_the_pictures_of_a_list_are_media_of_the_sample(self):
        content = [{"type": "video", "video": ["/1.png", "/2.png"]}]
        sample = {"messages": [{"role": "user", "content": content}]}
        assert generator(input_conversation_key="messages").media_of(sample) == ["/1.png", "/2.png"]

    @pytest.mark.parametrize(
        ("part", "code", "told"),
        [
            ({"video": "a.mp4", "fps": "2"}, "BAD_FRAME_SETTINGS", "fps must be float > 0 or null, not '2'"),
            (
                {"video": "a.mp4", "video_start": 2, "video_end": 1},
                "BAD_FRAME_SETTINGS",
                "end (1.0) is not later than start (2.0)",
            ),
            ({"video": ["1.png", 7]}, "BAD_CONVERSATION", "holds 7 where a path should be"),
            ({"video": ["1.png", ""]}, "BAD_CONVERSATION", "holds '' where a path should be"),
            ({"video": ["1.png", "https://a.test/2.png"]}, "BAD_CONVERSATION", "a film of files and addresses"),
            ({"video": "a.mp4#t=2,1"}, "BAD_FRAGMENT", "a.mp4#t=2,1 ends before it begins"),
            ({"video": ["1.png#t=1,2"]}, "PART_OF_PICTURE", "1.png#t=1,2 is a picture, which has no part in time"),
            ({"video": []}, "MORE_TOKENS_THAN_MEDIA", "the conversation has 1 of <video>"),
        ],
    )
    def test_what_cannot_be_followed(self, part, code, told):
        op = generator(input_conversation_key="messages")
        sample = {"messages": [{"role": "user", "content": [{"type": "video", **part}]}]}
        found = rejected(op, sample)
        assert (found[0], told in found[1]) == (code, True), found
        assert op.media_of(sample) == []


class TestConversations:
    def asked_and_left(self, outcome, turns: Any, **settings: Any) -> tuple[str, Any]:
        op, sample = generator(**settings), {"video": "a.mp4", "conversation": turns}
        (request,) = op.requests(sample)
        return request.messages[-1].parts[-1].value, processed(op, sample, outcome("A cat."))["conversation"]

    @pytest.mark.parametrize("turns", [None, [], "", [{"from": "human", "value": ""}], [{"from": "human", "value": "old"}]])
    @pytest.mark.parametrize("mode", ["overwrite", "fill_empty", "ignore"])
    def test_modes(self, outcome, turns, mode):
        old = turns == [{"from": "human", "value": "old"}]
        prompt, left = self.asked_and_left(outcome, turns, conversation_mode=mode)
        filled = [{"from": "human", "value": PROMPT}]
        assert prompt == ("old" if mode == "fill_empty" and old else PROMPT)
        assert left == (turns if mode == "ignore" or (mode == "fill_empty" and old) else filled)

    def test_a_missing_column_is_created_in_front_of_the_caption(self, outcome):
        out = processed(generator(), {"id": 1, "video": "a.mp4"}, outcome("A cat."))
        assert list(out.items()) == [
            ("id", 1),
            ("video", "a.mp4"),
            ("conversation", [{"from": "human", "value": PROMPT}]),
            ("caption", "A cat."),
        ]
        assert list(generator().columns_written()) == ["conversation", "caption"]

    def test_a_system_turn_is_kept_and_used(self, outcome):
        turns = [{"from": "system", "value": "Be brief."}, {"from": "human", "value": ""}]
        sample = {"video": "a.mp4", "conversation": turns}
        assert asked(generator(), sample)[0] == ("system", ["Be brief."])
        out = processed(generator(), sample, outcome("A cat."))
        assert out["conversation"] == [turns[0], {"from": "human", "value": PROMPT}]
        assert asked(generator(conversation_mode="ignore"), sample)[0] == ("system", [SYSTEM])

    def test_a_conversation_that_starts_with_gpt(self, outcome):
        turns = [{"from": "gpt", "value": "Hello."}, {"from": "human", "value": "old"}]
        assert self.asked_and_left(outcome, turns) == (PROMPT, [turns[0], {"from": "human", "value": PROMPT}])
        assert rejected(generator(), {"video": "a.mp4", "conversation": turns[:1]}) == (
            "BAD_CONVERSATION",
            "column 'conversation' has a turn of 'gpt' and none of a human",
        )

    def test_tokens_are_not_doubled(self, outcome):
        turns = [{"from": "human", "value": "<video>\nWhat is this?"}]
        assert self.asked_and_left(outcome, turns) == (PROMPT, [{"from": "human", "value": f"<video>\n{PROMPT}"}])
        assert self.asked_and_left(outcome, turns, conversation_mode="fill_empty") == ("What is this?", turns)
        only = [{"from": "human", "value": "<video>\n"}]
        assert self.asked_and_left(outcome, only, conversation_mode="fill_empty")[1] == [
            {"from": "human", "value": f"<video>\n{PROMPT}"}
        ]
        assert self.asked_and_left(outcome, only, prompt_template="<video>\nWhy?") == (
            "Why?",
            [{"from": "human", "value": "<video>\nWhy?"}],
        )

    def test_tokens_without_media(self):
        turns = [{"from": "human", "value": "<image>\n<video>\nWhat is this?"}]
        assert rejected(generator(), {"video": "a.mp4", "conversation": turns}) == (
            "MORE_TOKENS_THAN_MEDIA",
            "the conversation has 1 of <image>, and column 'image' holds 0",
        )
        sample = {"video": "a.mp4", "conversation": turns}
        assert asked(generator(conversation_mode="ignore"), sample)[1] == ("user", ["a.mp4", PROMPT])

    def test_llava_has_image_tokens_for_videos(self, outcome):
        turns = [{"from": "human", "value": "<image>\nWhat is this?"}]
        assert self.asked_and_left(outcome, turns) == (PROMPT, [{"from": "human", "value": f"<image>\n{PROMPT}"}])
        assert asked(generator(), {"video": "a.mp4", "conversation": turns})[1] == ("user", ["a.mp4", PROMPT])
        two = [{"from": "human", "value": "<image><image>\nWhat is this?"}]
        assert rejected(generator(), {"video": "a.mp4", "conversation": two})[0] == "MORE_TOKENS_THAN_MEDIA"

    @pytest.mark.parametrize("turns", ["describe it", 7, {"from": "human"}, ["describe it"], [{"from": "human", "value": 7}]])
    def test_what_is_no_conversation(self, turns):
        assert rejected(generator(), {"video": "a.mp4", "conversation": turns})[0] == "BAD_CONVERSATION"
        assert asked(generator(conversation_mode="ignore"), {"video": "a.mp4", "conversation": turns})[1][1][1] == PROMPT


OLD = [{"from": "human", "value": "<video>\nWhat is it?"}, {"from": "gpt", "value": "old"}]


class TestAnswers:
    @pytest.mark.parametrize(
        ("how", "turns"),
        [
            ("keep", [{"from": "human", "value": f"<video>\n{PROMPT}"}, OLD[1]]),
            ("replace", [{"from": "human", "value": f"<video>\n{PROMPT}"}, {"from": "gpt", "value": "new"}]),
            ("append", [*OLD, {"from": "human", "value": PROMPT}, {"from": "gpt", "value": "new"}]),
        ],
    )
    def test_what_becomes_of_an_old_answer(self, outcome, how, turns):
        sample = {"video": "a.mp4", "conversation": OLD}
        out = processed(generator(conversation_answer=how), sample, outcome("new"))
        assert (out["conversation"], out["caption"]) == (turns, "new")

    @pytest.mark.parametrize("how", ["replace", "append"])
    @pytest.mark.parametrize("turns", [None, [], [{"from": "human", "value": ""}]])
    def test_a_question_without_an_answer_gets_one(self, outcome, how, turns):
        out = processed(generator(conversation_answer=how), {"video": "a.mp4", "conversation": turns}, outcome("new"))
        assert out["conversation"] == [{"from": "human", "value": PROMPT}, {"from": "gpt", "value": "new"}]

    def test_a_question_of_its_own_is_answered(self, outcome):
        op = generator(conversation_answer="replace", conversation_mode="fill_empty")
        out = processed(op, {"video": "a.mp4", "conversation": OLD}, outcome("new"))
        assert out["conversation"] == [OLD[0], {"from": "gpt", "value": "new"}]

    def test_an_old_answer_that_stays_is_a_warning(self):
        sample = {"video": "a.mp4", "conversation": OLD}
        ((parameter, sentence),) = generator().sample_advice(sample)
        assert (parameter, sentence.partition(":")[0]) == (
            "conversation_answer",
            "the old answer stays behind the new prompt, and a trainer would learn it",
        )
        assert generator(conversation_answer="replace").sample_advice(sample) == ()
        assert generator(conversation_mode="fill_empty").sample_advice(sample) == ()
        assert generator(conversation_mode="ignore").sample_advice(sample) == ()
        assert generator().sample_advice({**sample, "conversation": OLD[:1]}) == ()

    def test_a_conversation_that_is_not_read_gets_no_answer(self):
        with pytest.raises(SettingsError, match="conversation_answer: replace and conversation_mode: ignore exclude each other"):
            generator(conversation_mode="ignore", conversation_answer="replace")


class TestTemplates:
    def test_columns_are_filled_in(self, outcome):
        op, sample = generator(prompt_template="A {title} of {year}. {{x}}"), {"video": "a.mp4", "title": "<b>", "year": 1999}
        assert asked(op, sample)[1][1] == ["a.mp4", "A <b> of 1999. {x}"]
        assert processed(op, sample, outcome("A cat."))["conversation"][0]["value"] == "A <b> of 1999. {x}"
        assert op.columns_required() == (("prompt_template", "title"), ("prompt_template", "year"))

    def test_columns_inside_of_objects(self, outcome):
        op = generator(
            input_video_key="clip.video",
            input_conversation_key="clip.messages",
            prompt_template="What does {clip.title} show?",
            output_key="clip.caption",
        )
        sample = {"clip": {"video": "a.mp4", "title": "'A'", "messages": [{"role": "user", "content": "old"}]}}
        assert asked(op, sample)[1] == ("user", ["a.mp4", "What does 'A' show?"])
        assert rejected(op, {"clip": {**sample["clip"], "caption": "old"}})[0] == "OUTPUT_EXISTS"
        assert rejected(op, {"clip": {"title": "A"}})[0] == "NO_MEDIA"
        assert rejected(op, {"clip": {"video": "a.mp4"}}) == (
            "NO_VALUE",
            "the prompt names the column 'clip.title', which is null here",
        )

    def test_a_value_that_is_missing(self):
        assert rejected(generator(prompt_template="A {title}"), {"video": "a.mp4"})[0] == "NO_VALUE"

    def test_braces_that_name_no_column(self):
        with pytest.raises(SettingsError) as caught:
            generator(prompt_template='Answer with {"a": 1}')
        assert caught.value.problems == [
            (
                "prompt_template",
                'prompt_template: {"a": 1} is no column\'s name: write {{ and }} for braces that name no column',
            )
        ]


class TestOutput:
    def test_a_caption_that_is_there_is_not_lost(self, outcome):
        sample = {"video": "a.mp4", "caption": "precious"}
        assert rejected(generator(), sample) == ("OUTPUT_EXISTS", "column 'caption' holds something: set overwrite_output: true")
        assert processed(generator(overwrite_output=True), sample, outcome("A cat."))["caption"] == "A cat."
        assert asked(generator(), {"video": "a.mp4", "caption": None})
        assert generator().columns_refused() == (("output_key", "caption"),)
        assert generator(overwrite_output=True).columns_refused() == ()

    @pytest.mark.parametrize(
        "settings", [{"output_key": "video"}, {"provenance_field": "caption"}, {"output_key": "conversation"}]
    )
    def test_columns_that_clash(self, settings):
        with pytest.raises(SettingsError, match="both name the column"):
            generator(**settings)


class TestKeys:
    def test_dataflows_variable_holds_the_key_if_it_is_set(self, monkeypatch):
        op = generator(backend="openai", api_base="http://localhost:1/v1")
        monkeypatch.delenv("DF_API_KEY", raising=False)
        assert op.engines()[0].api_key_env == ""
        monkeypatch.setenv("DF_API_KEY", "secret")
        assert op.engines()[0].api_key_env == "DF_API_KEY"
        assert generator(backend="openai", api_key_env="MINE").engines()[0].api_key_env == "MINE"
