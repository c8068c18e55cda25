"""What an answer says, out of what a model said."""

from __future__ import annotations

import pytest

from juicecap.vlm.reasoning import Spoken, opens_thought, spoken

BALL = "A red ball rolls."


class TestThoughts:
    @pytest.mark.parametrize(
        ("said", "reasoning", "ended"),
        [
            (BALL, "", False),
            (f"<think>\nLet me look.\n</think>\n\n{BALL}", "Let me look.", False),
            (f"Okay, a ball.\nMaybe red.\n</think>\n\n{BALL}", "Okay, a ball.\nMaybe red.", True),
            (f"<think></think>{BALL}", "", False),
            (f"<think>one</think>\n<think>two</think>{BALL}", "one\ntwo", False),
            (f"<think>it opens <think> twice</think>{BALL}", "it opens <think> twice", False),
            (f"[THINK]hm[/THINK]{BALL}", "hm", False),
            (f"\u25c1think\u25b7hm\u25c1/think\u25b7{BALL}", "hm", False),
            (f"<|channel>thought\nhm\n<channel|>{BALL}", "hm", False),
            (f"<think>hm</think><answer>{BALL}</answer>", "hm", False),
            (f"<think>hm</think><|begin_of_box|>{BALL}<|end_of_box|>", "hm", False),
            (f"<think>hm</think>{BALL}</think>", "hm", False),
        ],
    )
    def test_are_split_off(self, said, reasoning, ended):
        assert spoken(said) == Spoken(text=BALL, reasoning=reasoning, ended=ended)

    def test_that_were_cut_leave_nothing(self):
        assert spoken("<think>\nLet me look at every") == Spoken(text="", reasoning="Let me look at every")

    def test_behind_an_answer_go_too(self):
        assert spoken(f"{BALL}\n<think>Was that") == Spoken(text=BALL, reasoning="Was that")

    def test_that_the_prompt_opened(self):
        assert spoken("Let me look at every", opened=True) == Spoken(text="", reasoning="Let me look at every")
        assert spoken(f"hm</think>{BALL}", opened=True) == Spoken(text=BALL, reasoning="hm", ended=True)
        assert spoken(f"<think>hm</think>{BALL}", opened=True) == Spoken(text=BALL, reasoning="hm", ended=True)

    def test_a_mark_in_a_line_is_a_word(self):
        assert spoken("The shirt reads <think> in white.").text == "The shirt reads <think> in white."

    @pytest.mark.parametrize(
        ("prompt", "opens"),
        [
            ("<|im_start|>assistant\n<think>\n", True),
            ("<|im_start|>assistant\n<think>\n\n</think>\n\n", False),
            ("<|im_start|>assistant\n", False),
            ("say <think> first<|im_end|>\n<|im_start|>assistant\n", False),
        ],
    )
    def test_whether_a_prompt_opens_one(self, prompt, opens):
        assert opens_thought(prompt) is opens


class TestTheEnd:
    @pytest.mark.parametrize(
        "said",
        [
            f"{BALL}<|im_end|>",
            f"{BALL}<|endoftext|><|im_start|>assistant\n{BALL}",
            f"{BALL}<|im_end|>\n<|im_start|>user\nAnd now?",
            f"{BALL}</s>",
            f"{BALL}</s><s>[INST] And now? [/INST]",
            f"{BALL}[/INST]",
            f"{BALL}<end_of_turn>\n<start_of_turn>user\nAnd now?",
            f"{BALL}<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nAnd now?",
            f"{BALL}<turn|>\n<|turn>user\nAnd now?",
            f"{BALL}<\uff5cend\u2581of\u2581sentence\uff5c>",
            f"{BALL}<eos><eos>",
            f"{BALL} <|fim_pad|>",
            f"<|im_start|>assistant\n{BALL}<|im_end|>",
            f"<s>{BALL}</s>",
            f"<|start_header_id|>assistant<|end_header_id|>\n\n{BALL}",
        ],
    )
    def test_tokens_and_turns_behind_it_are_cut(self, said):
        assert spoken(said).text == BALL

    @pytest.mark.parametrize(
        "said",
        [
            '```json\n{"caption": "A red ball rolls."}\n```',
            "A sign says </s> in a row of <b>tags</b>, a < b | c > d.",
            "[INSTANT] appears on screen; an assistant\nhelps.",
            "Model\nA is next to model\nB.",
            " \u00fc\n",
            "at <|box_start|>(1,2)<|box_end|> a ball",
        ],
    )
    def test_other_texts_stay(self, said):
        assert spoken(said).text == said
