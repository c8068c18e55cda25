"""The captioning op, as Data-Juicer's documentation has it, on the demo model and with made-up answers."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from make_clips import packets_of, write_clip

import juicecap
from juicecap.errors import SampleError, SettingsError
from juicecap.ops import VideoCaptioningFromVLMMapper
from juicecap.ops.captioning.provenance import provenance
from juicecap.ops.mapper.video_captioning_from_vlm_mapper import DEFAULT_PROMPT
from juicecap.sample import ORIGIN
from juicecap.vlm.base import Answer, Failure, Outcome, Part
from juicecap.vlm.pipeline import core

pytestmark = pytest.mark.model

DEMO = "juicecap-demo-vlm"
HOT = {"temperature": 2.5, "max_tokens": 24}
"""Hot enough for a sure model to ramble."""


def mapper(**settings: Any) -> VideoCaptioningFromVLMMapper:
    return VideoCaptioningFromVLMMapper(**{"hf_model": DEMO, **settings})


def texts(op: VideoCaptioningFromVLMMapper, samples: Sequence[list[str]]) -> list[str]:
    return op({"videos": list(samples)})["text"]


def processed(op: VideoCaptioningFromVLMMapper, sample: dict[str, Any], *outcomes: Any) -> list[dict[str, Any]]:
    asked = zip(outcomes, op.requests(sample), strict=True)
    return list(op.process(sample, [replace(outcome, request=request) for outcome, request in asked]))


def asked(op: VideoCaptioningFromVLMMapper, sample: dict[str, Any]) -> list[str]:
    """The prompts that a sample's requests hold."""
    return [request.messages[-1].parts[1].value for request in op.requests(sample)]


def rejected(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(SampleError) as caught:
        call()
    return caught.value.code, caught.value.message


class TestDefaults:
    def test_one_caption_for_each_video_behind_its_original(self, clips):
        videos = [[clips.paths[0]], [clips.paths[1]]]
        out = mapper()({"videos": videos, "text": ["<__dj__video> <|__dj__eoc|>", None], "n": [1, 2]})
        assert out["videos"] == [[clips.paths[0]]] * 2 + [[clips.paths[1]]] * 2
        assert out["text"] == ["<__dj__video> <|__dj__eoc|>", clips.text(0), None, clips.text(1)]
        assert out["n"] == [1, 1, 2, 2]
        assert [entry and len(entry) for entry in out["caption_provenance"]] == [None, 1, None, 1]

    def test_signature(self):
        op = VideoCaptioningFromVLMMapper()
        assert op.hf_model == "Qwen/Qwen3-VL-8B-Instruct"
        assert (op.caption_num, op.keep_candidate_mode, op.keep_original_sample) == (1, "random_any", None)
        assert (op.prompt, op.prompt_key, op.system_prompt, op.caption_field, op.text_update_strategy) == (None,) * 5
        assert (op.enable_vllm, op.backend, op.model_params, op.sampling_params) == (False, "hf", None, None)
        assert (op.legacy_split_by_text_token, op.provenance_field, op.seed) == (True, "caption_provenance", 0)
        assert (op.fps, op.num_frames, op.min_frames, op.max_frames) == (2.0, None, 4, 768)
        assert (op.min_pixels, op.max_pixels) == (None, None)

    def test_the_default_prompt_is_data_juicers_letter_for_letter(self):
        assert asked(mapper(), {"videos": ["a.mp4"]}) == ["\nDescribe the input video in 1-2 sentences.\n"]

    def test_names(self):
        assert VideoCaptioningFromVLMMapper.name == "video_captioning_from_vlm_mapper"
        assert mapper().columns_required() == (("video_key", "videos"),)
        assert mapper(video_key="clips", prompt_key="ask").columns_required() == (("video_key", "clips"), ("prompt_key", "ask"))
        assert mapper().media_columns() == ("videos",)


class TestCandidates:
    @pytest.mark.parametrize("originals", [True, False])
    @pytest.mark.parametrize("mode", ["random_any", "similar_one_simhash", "all"])
    def test_order_and_counts(self, mode, originals, outcome):
        op = mapper(caption_num=3, keep_candidate_mode=mode, keep_original_sample=originals)
        new = {"random_any": 1, "similar_one_simhash": 1, "all": 3}[mode]
        out = [processed(op, {"videos": [name], "text": None}, outcome("a b", "c d", "e f")) for name in ("1.mp4", "2.mp4")]
        for name, samples in zip(("1.mp4", "2.mp4"), out, strict=True):
            assert len(samples) == new + originals
            assert all(sample["videos"] == [name] for sample in samples)
            assert [sample["text"] is None for sample in samples] == [True] * originals + [False] * new

    def test_all_on_the_model(self, clips):
        op = mapper(caption_num=3, keep_candidate_mode="all", sampling_params={"temperature": 0.01})
        out = op({"videos": [[clips.paths[0]], [clips.paths[1]]], "text": ["one", "two"]})
        assert out["text"] == ["one", *[clips.text(0)] * 3, "two", *[clips.text(1)] * 3]
        numbers = [[entry["candidate"] for entry in entries or []] for entries in out["caption_provenance"]]
        assert numbers == [[], [0], [1], [2], [], [0], [1], [2]]

    def test_several_candidates_are_sampled_where_nothing_is_said(self):
        sampling = mapper(caption_num=3).token_sampling(3)
        assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.7, 0.9, 512)
        assert mapper().token_sampling(1).temperature == 0

    def test_all_pairs_the_candidates_of_several_videos(self, outcome):
        op = mapper(caption_num=2, keep_candidate_mode="all", keep_original_sample=False)
        out = processed(op, {"videos": ["a", "b"]}, outcome("a0", "a1"), outcome("b0", "b1"))
        assert [sample["text"] for sample in out] == [
            "<__dj__video> a0 <__dj__video> b0 <|__dj__eoc|>",
            "<__dj__video> a1 <__dj__video> b1 <|__dj__eoc|>",
        ]

    def test_an_empty_candidate_takes_its_whole_sample_with_it(self, outcome):
        op = mapper(caption_num=3, keep_candidate_mode="all", keep_original_sample=False)
        out = processed(op, {"videos": ["a", "b"]}, outcome("a0", "", "a2"), outcome("b0", "b1", "b2"))
        assert [sample["text"] for sample in out] == [
            "<__dj__video> a0 <__dj__video> b0 <|__dj__eoc|>",
            "<__dj__video> a2 <__dj__video> b2 <|__dj__eoc|>",
        ]
        assert [[entry["candidate"] for entry in sample["caption_provenance"]] for sample in out] == [[0, 0], [2, 2]]

    @pytest.mark.parametrize("mode", ["random_any", "similar_one_simhash", "all"])
    def test_answers_without_a_word_are_rejected(self, mode, outcome):
        op = mapper(caption_num=2, keep_candidate_mode=mode)
        empty = outcome("", " <__dj__video> ")
        assert rejected(lambda: processed(op, {"videos": ["a"]}, empty)) == ("EMPTY_ANSWER", "the model's answer is empty")

    @pytest.mark.parametrize("mode", ["random_any", "similar_one_simhash"])
    def test_an_empty_candidate_is_never_chosen(self, mode, outcome):
        op = mapper(caption_num=3, keep_candidate_mode=mode, keep_original_sample=False)
        for seed in range(8):
            (out,) = processed(op, {"videos": ["a"]}, outcome("", "words", "", seed=seed))
            assert out["text"] == "<__dj__video> words <|__dj__eoc|>"
            assert out["caption_provenance"][0]["candidate"] == 1

    def test_random_any_is_drawn_from_the_requests_seed(self, outcome):
        op = mapper(caption_num=3, keep_original_sample=False, caption_field="caption")
        drawn = [processed(op, {"videos": ["a"]}, outcome("x", "y", "z", seed=seed))[0]["caption"][0] for seed in range(300)]
        again = [processed(op, {"videos": ["a"]}, outcome("x", "y", "z", seed=seed))[0]["caption"][0] for seed in range(300)]
        assert drawn == again
        assert min(Counter(drawn).values()) > 60

    def test_random_any_draws_for_each_video_by_itself(self, outcome):
        op = mapper(caption_num=4, keep_original_sample=False, caption_field="caption")
        four = ("0", "1", "2", "3")
        two = {"videos": ["a", "b"]}
        pairs = {
            tuple(processed(op, two, outcome(*four, seed=seed), outcome(*four, seed=seed + 1000))[0]["caption"])
            for seed in range(60)
        }
        assert len({left == right for left, right in pairs}) == 2


class TestSimilarOne:
    def chosen(self, outcome, text, *candidates):
        op = mapper(caption_num=len(candidates), keep_candidate_mode="similar_one_simhash", caption_field="caption")
        return processed(op, {"videos": ["a"], "text": text}, outcome(*candidates))[0]["caption"]

    def test_the_nearest_is_kept(self, outcome):
        reference = "<__dj__video> a red circle moves to the right over black <|__dj__eoc|>"
        near, far = "A red circle moves to the right over gray", "Two dogs play with a ball in the park"
        assert self.chosen(outcome, reference, far, near) == [near]
        assert self.chosen(outcome, reference, near, far) == [near]

    def test_the_first_one_on_ties(self, outcome):
        assert self.chosen(outcome, "some other words", "Same Words here", "same words here") == ["Same Words here"]

    def test_without_a_reference_the_first_one_and_that_is_said_once(self, outcome, said):
        for text in (None, "", "<__dj__video> <|__dj__eoc|>"):
            assert self.chosen(outcome, text, "first one", "second one") == ["first one"]
        assert said == [
            "video_captioning_from_vlm_mapper: some samples have no text to compare captions with; their first candidate is taken"
        ]

    def test_chinese_is_compared_by_characters(self, outcome):
        text = "<__dj__video>一个红色的圆形向右移动<|__dj__eoc|>"
        assert self.chosen(outcome, text, "两只狗在公园里玩球", "红色的圆形向右边移动") == ["红色的圆形向右边移动"]

    def test_each_video_is_compared_with_its_own_chunk(self, outcome):
        op = mapper(caption_num=2, keep_candidate_mode="similar_one_simhash", caption_field="caption")
        dogs, circle = "two dogs play in the park", "a red circle moves to the right"
        text = f"<__dj__video> {dogs} <|__dj__eoc|><__dj__video> {circle} <|__dj__eoc|>"
        out = processed(op, {"videos": ["a", "b"], "text": text}, outcome(circle, dogs), outcome(dogs, circle))
        assert out[0]["caption"] == [dogs, circle]


class TestTexts:
    def rewritten(self, clips, text, *numbers, **settings):
        op = mapper(keep_original_sample=False, **settings)
        return op({"videos": [[clips.paths[number] for number in numbers]], "text": [text]})["text"]

    def test_two_videos_in_one_chunk_get_their_captions_in_order(self, clips):
        captions = clips.captions
        assert self.rewritten(clips, "<__dj__video><__dj__video> see <|__dj__eoc|>", 0, 1) == [
            f"<__dj__video> {captions[0]} <__dj__video> {captions[1]} <|__dj__eoc|>"
        ]

    def test_several_chunks_and_other_tokens_letter_for_letter(self, clips):
        text = (
            "<__dj__image> a photo <__dj__video> old words <__dj__audio><|__dj__eoc|> no medium here <|__dj__eoc|>"
            "<__dj__image> only a photo <|__dj__eoc|>tail <__dj__video> and <__dj__video>"
        )
        first, second, third = clips.captions[2:5]
        assert self.rewritten(clips, text, 2, 3, 4) == [
            f"<__dj__image><__dj__video> {first} <__dj__audio><|__dj__eoc|>"
            f"<__dj__video> {second} <__dj__video> {third} <|__dj__eoc|>"
        ]

    @pytest.mark.parametrize("text", [None, "", "   ", "words without tokens", "words <|__dj__eoc|> more"])
    def test_a_text_without_video_tokens_gets_all_videos_as_one_chunk(self, clips, text):
        assert self.rewritten(clips, text, 0, 1) == [clips.text(0, 1)]

    def test_no_text_column(self, clips):
        out = mapper(keep_original_sample=False)({"videos": [[clips.paths[5]]]})
        assert out["text"] == [clips.text(5)]

    def test_tokens_of_other_media_stay_where_the_text_names_no_video(self, outcome):
        op = mapper(keep_original_sample=False)
        out = processed(op, {"videos": ["a"], "text": "<__dj__image> x <__dj__audio> y <|__dj__eoc|>"}, outcome("cap"))
        assert out[0]["text"] == "<__dj__image><__dj__audio><__dj__video> cap <|__dj__eoc|>"

    def test_more_tokens_than_videos_is_rejected(self):
        sample = {"videos": ["a"], "text": "<__dj__video><__dj__video>"}
        assert rejected(lambda: mapper().requests(sample)) == (
            "MORE_TOKENS_THAN_VIDEOS",
            "the text has 2 video tokens for 1 videos",
        )

    def test_fewer_tokens_leave_the_last_videos_alone_and_that_is_said_once(self, clips, said):
        for _ in range(2):
            assert self.rewritten(clips, "<__dj__video>", 0, 1) == [clips.text(0)]
        assert (
            said.count(
                "video_captioning_from_vlm_mapper: some samples have more videos than video tokens; "
                "their last videos are left alone"
            )
            == 1
        )

    def test_legacy_split_off_takes_all_videos(self, outcome):
        op = mapper(legacy_split_by_text_token=False, keep_original_sample=False)
        for text in ("<__dj__video> one", "<__dj__video><__dj__video><__dj__video>", "none", None):
            sample = {"videos": ["a", "b"], "text": text}
            assert [request.media()[0].value for request in op.requests(sample)] == ["a", "b"]
            assert processed(op, sample, outcome("A"), outcome("B"))[0]["text"] == (
                "<__dj__video> A <__dj__video> B <|__dj__eoc|>"
            )

    def test_tokens_and_columns_of_ones_own(self, outcome):
        op = mapper(
            text_key="words",
            video_key="clips",
            video_special_token="<v>",
            image_special_token="<i>",
            audio_special_token="<a>",
            eoc_special_token="<e>",
            keep_original_sample=False,
        )
        sample = {"clips": ["a", "b"], "words": "<i><v> old <__dj__video> <e> gone <e><a><v><e>"}
        assert processed(op, sample, outcome("A"), outcome("B"))[0] | {"caption_provenance": 0} == {
            "clips": ["a", "b"],
            "words": "<i><v> A <e><a><v> B <e>",
            "caption_provenance": 0,
        }
        assert op.columns_written()["words"] == "text"

    def test_special_tokens_in_an_answer_do_not_reach_the_text(self, outcome):
        op = mapper(keep_original_sample=False, caption_field="caption", text_update_strategy="rewrite")
        answer = " a <__dj__<__dj__image>video> cat<|__dj__eoc|> "
        (out,) = processed(op, {"videos": ["v"]}, outcome(answer))
        assert out["caption"] == ["a  cat"]
        assert out["text"] == "<__dj__video> a  cat <|__dj__eoc|>"

    @pytest.mark.parametrize("value", [7, ["a"]])
    def test_a_text_that_is_none_is_rejected(self, value):
        assert rejected(lambda: mapper().requests({"videos": ["a"], "text": value})) == (
            "BAD_TEXT",
            f"column 'text' holds {value!r}, not a text",
        )

    @pytest.mark.parametrize(
        ("tokens", "problem"),
        [
            ({"eoc_special_token": ""}, "eoc_special_token '' is empty or part of another special token"),
            ({"image_special_token": "__dj__"}, "image_special_token '__dj__' is empty or part of another special token"),
        ],
    )
    def test_tokens_that_cannot_be_told_apart(self, tokens, problem):
        with pytest.raises(SettingsError) as caught:
            mapper(**tokens)
        assert caught.value.problems == [(next(iter(tokens)), problem)]


class TestNoVideo:
    @pytest.mark.parametrize("value", [None, [], ""])
    def test_the_original_stays(self, value):
        out = mapper()({"videos": [value], "text": ["<__dj__video> words"], "n": [3]})
        assert out == {"videos": [value], "text": ["<__dj__video> words"], "n": [3], "caption_provenance": [None]}

    def test_without_originals_it_is_rejected(self):
        (fate,) = mapper(keep_original_sample=False).fates({"videos": [[]], "text": ["words"]})
        assert (fate.kind, fate.failure.code, fate.failure.message) == ("rejected", "NO_VIDEO", "column 'videos' holds no video")

    def test_a_column_that_is_not_there_is_no_video(self):
        assert rejected(lambda: mapper(keep_original_sample=False)({"text": ["words"]}))[0] == "NO_VIDEO"


class TestPrompts:
    def test_a_prompt_is_literal(self, clips):
        op = mapper(prompt="{text} %s {0} {{}}")
        assert asked(op, {"videos": ["a"], "text": "x"}) == ["{text} %s {0} {{}}"]

    def test_an_empty_prompt_is_the_default(self):
        assert asked(mapper(prompt=""), {"videos": ["a"]}) == [DEFAULT_PROMPT]
        assert asked(mapper(prompt=" "), {"videos": ["a"]}) == [" "]

    def test_the_prompt_reaches_the_model(self, clips):
        op = mapper(prompt="Please describe the video in detail.", keep_original_sample=False, caption_field="caption")
        assert op({"videos": [[clips.paths[0]]]})["caption"] == [[clips.details[0]]]

    def test_a_column_of_prompts(self, clips):
        op = mapper(prompt_key="ask", keep_original_sample=False, caption_field="caption")
        prompts = ["What color is the object?", "How does the object move?", None]
        out = op({"videos": [[clips.paths[0]]] * 3, "ask": prompts})
        assert out["caption"] == [["red"], ["It moves right."], [clips.captions[0]]]
        assert [entries[0]["prompt"] for entries in out["caption_provenance"]] == [*prompts[:2], DEFAULT_PROMPT]

    @pytest.mark.parametrize("sample", [{}, {"ask": None}, {"ask": ""}, {"ask": 7}, {"ask": ["x"]}])
    def test_a_value_that_is_no_text_falls_back(self, sample):
        assert asked(mapper(prompt_key="ask", prompt="P"), {"videos": ["a"], **sample}) == ["P"]
        assert asked(mapper(prompt_key="ask", prompt=""), {"videos": ["a"], **sample}) == [DEFAULT_PROMPT]
        assert asked(mapper(prompt_key="ask"), {"videos": ["a"], **sample}) == [DEFAULT_PROMPT]

    def test_the_column_wins_and_both_are_warned_about_once(self, said):
        op = mapper(prompt_key="ask", prompt="P")
        for _ in range(2):
            assert asked(op, {"videos": ["a"], "ask": "own"}) == ["own"]
        assert said == [
            "video_captioning_from_vlm_mapper: prompt_key and prompt are both set; prompt is used where 'ask' holds no text"
        ]

    def test_messages(self):
        (plain,) = mapper(prompt="P").requests({"videos": ["a"]})
        assert [(each.role, each.parts) for each in plain.messages] == [("user", (Part("video", "a"), Part("text", "P")))]
        (system,) = mapper(prompt="P", system_prompt="be {brief}").requests({"videos": ["a"]})
        assert [(each.role, each.parts) for each in system.messages] == [
            ("system", (Part("text", "be {brief}"),)),
            ("user", (Part("video", "a"), Part("text", "P"))),
        ]


class TestColumns:
    def test_caption_field_receives_a_list_and_leaves_the_text(self, clips):
        out = mapper(caption_field="caption")({"videos": [[clips.paths[0], clips.paths[1]], clips.paths[2]], "text": ["a", "b"]})
        assert out["caption"] == [clips.captions[:2], clips.captions[2:3]]
        assert out["text"] == ["a", "b"]

    def test_a_text_column_that_is_not_there_is_not_made(self, clips):
        out = mapper(caption_field="caption", provenance_field=None)({"videos": [[clips.paths[0]]]})
        assert out == {"videos": [[clips.paths[0]]], "caption": [[clips.captions[0]]]}

    def test_both(self, outcome):
        op = mapper(caption_field="caption", text_update_strategy="rewrite")
        (out,) = processed(op, {"videos": ["a"], "text": "old"}, outcome("new words"))
        assert (out["caption"], out["text"]) == (["new words"], "<__dj__video> new words <|__dj__eoc|>")

    def test_caption_field_with_all(self, outcome):
        op = mapper(caption_field="caption", caption_num=2, keep_candidate_mode="all")
        out = processed(op, {"videos": ["a", "b"]}, outcome("a0", "a1"), outcome("b0", "b1"))
        assert [sample["caption"] for sample in out] == [["a0", "b0"], ["a1", "b1"]]

    def test_one_caption_as_a_text(self, outcome):
        op = mapper(caption_field="caption", caption_as="text", provenance_field=None)
        sample = {"videos": ["a.mp4"], "text": "old"}
        assert processed(op, sample, outcome(" a cat ")) == [{**sample, "caption": "a cat"}]
        assert op.columns_written() == {"caption": "text"}
        everything = mapper(caption_field="caption", caption_as="text", caption_num=2, keep_candidate_mode="all")
        assert [row["caption"] for row in processed(everything, sample, outcome("a", "b"))] == ["a", "b"]

    def test_the_text_itself_may_be_replaced_and_is_what_candidates_are_compared_with(self, outcome):
        op = mapper(
            text_key="caption",
            caption_field="caption",
            caption_as="text",
            caption_num=3,
            keep_candidate_mode="similar_one_simhash",
            provenance_field=None,
        )
        sample = {"videos": ["a.mp4"], "caption": "<__dj__video> a red circle moves left <|__dj__eoc|>"}
        candidates = ("the sea at night", "a red circle moves left", "two dogs in a park")
        assert processed(op, sample, outcome(*candidates)) == [{"videos": ["a.mp4"], "caption": "a red circle moves left"}]

    def test_one_caption_as_a_text_takes_one_video(self):
        op = mapper(caption_field="caption", caption_as="text")
        message = "caption_as: text takes samples with one video, and there are more: set caption_as: list"
        assert rejected(lambda: op.requests({"videos": ["a.mp4", "b.mp4"]})) == ("SEVERAL_VIDEOS", message)
        assert len(op.requests({"videos": ["a.mp4", "b.mp4"], "text": "<__dj__video> one <|__dj__eoc|>"})) == 1
        assert rejected(lambda: op.process({"videos": []}, [])) == ("NO_VIDEO", "column 'videos' holds no video")

    def test_other_columns_are_copied(self, outcome):
        sample = {"videos": ["a"], "id": 7, "meta": {"deep": [1, None]}, "text": "t"}
        original, new = processed(mapper(), sample, outcome("c"))
        assert original == sample
        assert {key: new[key] for key in ("videos", "id", "meta")} == {key: sample[key] for key in ("videos", "id", "meta")}

    def test_declared_columns(self):
        assert list(mapper().columns_written()) == ["text", "caption_provenance"]
        assert list(mapper(caption_field="c", provenance_field=None).columns_written()) == ["c"]
        assert mapper(caption_field="c", text_update_strategy="rewrite", provenance_field="p").columns_written().keys() == {
            "text",
            "c",
            "p",
        }

    @pytest.mark.parametrize(
        ("settings", "parameter", "sentence"),
        [
            (
                {"caption_field": "c", "keep_original_sample": True},
                "keep_original_sample",
                "keep_original_sample: true and caption_field exclude each other: set one of them",
            ),
            (
                {"text_update_strategy": "keep_origin"},
                "text_update_strategy",
                "text_update_strategy: keep_origin would throw the captions away: set caption_field",
            ),
            (
                {"caption_as": "text"},
                "caption_as",
                "caption_as: text says what caption_field receives: set caption_field",
            ),
            (
                {"caption_as": "text", "caption_field": "text", "text_update_strategy": "rewrite"},
                "text_update_strategy",
                "text_update_strategy: rewrite and caption_field both write the column 'text': leave one out",
            ),
            (
                {"caption_field": "text"},
                "caption_field",
                "caption_field and text_key both name the column 'text': name another",
            ),
            ({"caption_num": 0}, "caption_num", "caption_num must be int > 0, not 0"),
            ({"caption_num": True}, "caption_num", "caption_num must be int > 0, not True"),
            ({"caption_num": "3"}, "caption_num", "caption_num must be int > 0, not '3'"),
            (
                {"keep_candidate_mode": "best"},
                "keep_candidate_mode",
                "keep_candidate_mode must be random_any | similar_one_simhash | all, not 'best'",
            ),
            ({"hf_model": Path("x")}, "hf_model", f"hf_model must be str, not {Path('x')!r}"),
            (
                {"caption_num": 2, "sampling_params": {"temperature": 0}},
                "sampling_params",
                "2 candidates at temperature 0 are all alike: set a temperature above 0, or caption_num 1",
            ),
        ],
    )
    def test_settings_that_cannot_work(self, settings, parameter, sentence):
        with pytest.raises(SettingsError) as caught:
            mapper(**settings)
        assert caught.value.problems == [(parameter, sentence)]
        assert str(caught.value) == f"video_captioning_from_vlm_mapper: {sentence}"


class TestProvenance:
    def test_every_key(self, clips):
        op = mapper(
            caption_num=2,
            keep_candidate_mode="all",
            keep_original_sample=False,
            system_prompt="be brief",
            sampling_params={"temperature": 0.01, "max_new_tokens": 20},
            seed=5,
        )
        out = op({"videos": [[clips.paths[0]]]})
        first, second = (entries[0] for entries in out["caption_provenance"])
        tokens = len(clips.captions[0].split()) + 1 + 1  # words, the full stop, the end
        assert first | {"revision": "", "seed": 0, "prompt_tokens": 0} == {
            "op": "video_captioning_from_vlm_mapper",
            "model": DEMO,
            "revision": "",
            "prompt": DEFAULT_PROMPT,
            "system_prompt": "be brief",
            "sampling": json.dumps(
                {
                    "temperature": 0.01,
                    "top_p": 1.0,
                    "top_k": 0,
                    "min_p": 0.0,
                    "max_tokens": 20,
                    "repetition_penalty": 1.0,
                    "presence_penalty": 0.0,
                    "stop": [],
                }
            ),
            "seed": 0,
            "candidate": 0,
            "finish_reason": "stop",
            "prompt_tokens": 0,
            "completion_tokens": tokens,
            "frame_times": first["frame_times"],
            "unreadable": 0,
            "damage": None,
            "tone_mapped": False,
            "source": clips.paths[0],
            "backend": "hf",
            "engine": first["engine"],
            "frames": '{"fps": 2.0, "min_frames": 4, "max_frames": 768}',
            "frame_sizes": ["64x64"],
        }
        engine = json.loads(first["engine"])
        assert (engine["juicecap"], engine["backend"], engine["dtype"]) == (juicecap.__version__, "hf", "float32")
        assert engine["libraries"]["transformers"] == metadata.version("transformers")
        assert len(engine["chat_template"]) == 32
        assert len(first["revision"]) == 12
        assert first["prompt_tokens"] > 40
        assert len(first["frame_times"]) == 4
        assert first["frame_times"] == sorted(set(first["frame_times"]))
        assert (first["frame_times"][0], first["frame_times"][-1]) == (0.0, pytest.approx(23 / 12, abs=0.001))
        assert (second["candidate"], second["seed"]) == (1, first["seed"] + 1)
        assert list(first) == list(op.columns_written()["caption_provenance"][0])

    def test_it_names_the_parts_and_times_count_from_their_start(self, clips):
        path = clips.paths[0]
        op = mapper(keep_original_sample=False, start_key="from", end_key="to", num_frames=4)
        out = op({"videos": [[path], [f"{path}#t=0:01"]], "from": [0.5, None], "to": ["0:01", None]})
        first, second = (entries[0] for entries in out["caption_provenance"])
        assert (first["source"], second["source"]) == (f"{path}#t=0.5,1", f"{path}#t=1")
        assert first["frame_times"] == [0.0, 0.167, 0.333, 0.417]
        assert second["frame_times"] == [0.0, 0.333, 0.667, 0.917]
        request = op.requests({"videos": [path], "from": 0.5, ORIGIN: {"id": "a.jsonl:1", "folder": ""}})[0]
        sample = {"videos": [path], "from": 0.5, ORIGIN: {"id": "a.jsonl:1", "folder": ""}}
        answer = Answer(text="a", finish_reason="stop", tokens=1, seed=0)
        assert provenance("op", sample, ("videos",), Outcome(request=request), answer)["source"] == "a.jsonl:1#t=0.5"

    def test_a_file_cut_in_half_is_captioned_and_told_or_refused(self, tmp_path):
        path = write_clip(tmp_path / "half.mp4", 100, gop=1, muxing={"movflags": "faststart"})
        path.write_bytes(path.read_bytes()[: packets_of(path)[50][0]])
        out = mapper(num_frames=4, keep_original_sample=False)({"videos": [[str(path)]]})
        ((entry,),) = out["caption_provenance"]
        assert entry["unreadable"] == 50
        assert entry["damage"] == "the file is cut off; 50 packets cannot be read; 50% of the frames asked for are lost"
        assert entry["frame_times"] == [0.0, 1.6, 3.3, 4.9]
        with pytest.raises(SampleError, match=r"^DAMAGED: .*more than 49% \(media_max_damage\)"):
            mapper(num_frames=4, media_max_damage=0.49)({"videos": [[str(path)]]})

    def test_one_entry_for_each_caption_in_order(self, outcome):
        op = mapper(keep_original_sample=False, provenance_field="made")
        (out,) = processed(op, {"videos": ["a", "b"]}, outcome("A", seed=3), outcome("B c", seed=9, finish="length"))
        assert [(each["seed"], each["finish_reason"], each["completion_tokens"]) for each in out["made"]] == [
            (3, "stop", 1),
            (9, "length", 2),
        ]

    def test_entries_of_an_earlier_op_stay_in_front(self, outcome):
        op = mapper(keep_original_sample=False)
        (out,) = processed(op, {"videos": ["a"], "caption_provenance": [{"op": "earlier"}]}, outcome("A"))
        assert [each["op"] for each in out["caption_provenance"]] == ["earlier", "video_captioning_from_vlm_mapper"]

    def test_it_can_be_left_out(self, clips):
        out = mapper(provenance_field=None, keep_original_sample=False)({"videos": [[clips.paths[0]]]})
        assert list(out) == ["videos", "text"]


class TestSampling:
    def test_both_spellings_say_the_same(self):
        ours = mapper(sampling_params={"temperature": 0.5, "top_p": 0.8, "top_k": 5, "max_tokens": 30, "repetition_penalty": 1.2})
        hf = mapper(
            sampling_params={
                "do_sample": True,
                "temperature": 0.5,
                "top_p": 0.8,
                "top_k": 5,
                "max_new_tokens": 30,
                "repetition_penalty": 1.2,
            }
        )
        assert ours.token_sampling(1) == hf.token_sampling(1)

    def test_a_caption_that_is_cut_stays_and_is_counted(self, clips):
        op = mapper(keep_original_sample=False, sampling_params={"max_tokens": 3})
        (fate,) = op.fates({"videos": [[clips.paths[0]]]})
        (out,) = fate.outputs
        assert out["text"] == "<__dj__video> A red circle <|__dj__eoc|>"
        assert out["caption_provenance"][0]["finish_reason"] == "length"
        assert (fate.usage.captions, fate.usage.truncated, fate.usage.completion_tokens) == (1, 1, 3)
        assert fate.usage.prompt_tokens == out["caption_provenance"][0]["prompt_tokens"]


class TestSeeds:
    @pytest.fixture(scope="class")
    @staticmethod
    def many(clips) -> list[list[str]]:
        """Sixteen samples of different lengths."""
        return [[path] for path in clips.paths] + [[clips.paths[number], clips.paths[number + 1]] for number in range(4)]

    @pytest.mark.slow
    @pytest.mark.parametrize("temperature", [1.5, 2.0, 3.0])
    def test_batch_size_does_not_matter(self, many, temperature):
        op = mapper(
            caption_num=2,
            keep_candidate_mode="all",
            keep_original_sample=False,
            sampling_params={"temperature": temperature, "max_tokens": 24},
        )
        whole = op({"videos": many})
        for size in (1, 3):
            parts = [op({"videos": many[start : start + size]}) for start in range(0, len(many), size)]
            assert {key: [value for part in parts for value in part[key]] for key in whole} == whole
        assert temperature < 3 or len(set(whole["text"])) == 2 * len(many)

    def test_the_order_of_samples_does_not_matter(self, many):
        op = mapper(keep_original_sample=False, sampling_params=HOT)
        assert texts(op, many[::-1])[::-1] == texts(op, many)

    def test_the_same_clip_under_another_name_gets_the_same_answer(self, clips, tmp_path):
        op = mapper(keep_original_sample=False, sampling_params=HOT)
        copy = shutil.copy(clips.paths[3], tmp_path / "copy.mp4")
        first, second = texts(op, [[clips.paths[3]], [str(copy)]])
        assert first == second

    def test_another_seed_gives_other_answers(self, many):
        one, two = (mapper(keep_original_sample=False, sampling_params=HOT, seed=seed) for seed in (0, 1))
        assert texts(one, many) != texts(two, many)

    def test_more_candidates_keep_the_first_ones(self, clips):
        def candidates(count: int) -> list[list[tuple[str, int]]]:
            op = mapper(caption_num=count, keep_candidate_mode="all", keep_original_sample=False, sampling_params=HOT)
            out = op({"videos": [[path] for path in clips.paths[:4]]})
            pairs = [(text, entries[0]["seed"]) for text, entries in zip(out["text"], out["caption_provenance"], strict=True)]
            return [pairs[start : start + count] for start in range(0, len(pairs), count)]

        two, four = candidates(2), candidates(4)
        assert [each[:2] for each in four] == two
        assert [each[:1] for each in two] == candidates(1)
        for each in four:
            assert [seed for _, seed in each] == list(range(each[0][1], each[0][1] + 4))
            assert len({text for text, _ in each}) == 4


class TestFailures:
    def test_a_bad_video_is_rejected_alone(self, clips, tmp_path):
        bad = tmp_path / "bad.mp4"
        bad.write_text("no video")
        op = mapper(keep_original_sample=False)
        fates = op.fates({"videos": [[clips.paths[0]], [str(bad)], [str(tmp_path / "none.mp4")], [clips.paths[1]]]})
        assert [fate.kind for fate in fates] == ["kept", "rejected", "rejected", "kept"]
        assert [fate.failure and fate.failure.code for fate in fates] == [None, "UNREADABLE", "FILE_NOT_FOUND", None]
        assert [fate.outputs[0]["text"] for fate in (fates[0], fates[3])] == [clips.text(0), clips.text(1)]

    def test_one_bad_video_of_two_rejects_the_sample_with_its_original(self, clips):
        (fate,) = mapper().fates({"videos": [[clips.paths[0], "none.mp4"]]})
        assert (fate.kind, fate.outputs, fate.failure.code) == ("rejected", (), "FILE_NOT_FOUND")

    def test_an_engines_failure_becomes_the_samples(self, clips, script):
        script.answers["P"] = Failure(code="SERVER", message="down", retryable=True)
        op = mapper(hf_model=script.model, prompt="P")
        (fate,) = op.fates({"videos": [[clips.paths[0]]]})
        assert (fate.failure.code, fate.failure.message, fate.failure.retryable) == ("SERVER", "down", True)


class TestDataJuicersFaults:
    """What is wrong in Data-Juicer 1.4.5 to 1.6.1 (see the op's page in the docs)."""

    def test_a_batch_that_is_not_empty_is_not_returned_as_nothing(self, clips):
        out = mapper()({"videos": [[path] for path in clips.paths[:4]]})
        assert out["text"] == [text for number in range(4) for text in (None, clips.text(number))]

    @pytest.mark.parametrize("params", [None, {"max_tokens": 64}, {"max_new_tokens": 64}, {"temperature": 0}])
    def test_greedy_decoding_takes_its_token_limit_once(self, clips, params):
        assert texts(mapper(keep_original_sample=False, sampling_params=params), [[clips.paths[0]]]) == [clips.text(0)]

    def test_do_sample_is_no_stranger(self, clips):
        op = mapper(keep_original_sample=False, sampling_params={"do_sample": True, "temperature": 0.01, "max_new_tokens": 64})
        assert texts(op, [[clips.paths[0]]]) == [clips.text(0)]

    def test_two_captions_do_not_both_follow_the_first_token_in_reverse(self, clips):
        text = "<__dj__video> <__dj__video> <|__dj__eoc|>"
        out = mapper(keep_original_sample=False)({"videos": [clips.paths[:2]], "text": [text]})
        assert out["text"] == [clips.text(0, 1)]

    def test_one_bad_video_does_not_empty_the_batch(self, clips):
        fates = mapper().fates({"videos": [[clips.paths[0]], ["none.mp4"], [clips.paths[2]]]})
        kept = [output["text"] for fate in fates for output in fate.outputs if "text" in output]
        assert kept == [clips.text(0), clips.text(2)]
        assert [len(fate.outputs) for fate in fates] == [2, 0, 2]


def test_all_samples_of_a_batch_and_their_candidates_are_asked_at_once(clips, script):
    script.together = 20  # the first group is a quarter of it
    op = mapper(hf_model=script.model, caption_num=3)
    op({"videos": [[path] for path in clips.paths[:5]]})
    assert [[each.request.candidates for each in batch] for batch in script.batches] == [[3] * 5]


def test_a_batch_without_requests_asks_nobody(monkeypatch):
    monkeypatch.setattr(core, "ask", lambda requests: pytest.fail("asked"))
    assert mapper()({"videos": [[], None]})["videos"] == [[], None]


def test_the_model_belongs_to_the_state_of_a_step(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    op = mapper(hf_model=str(folder))
    before = op.external_fingerprint()
    (folder / "config.json").write_text('{"a": 1}')
    assert before
    assert op.external_fingerprint() != before
    assert mapper(hf_model="org/on-the-hub").external_fingerprint() == ""
