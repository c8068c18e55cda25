"""Texts that look like control tokens are texts."""

from __future__ import annotations

import pytest
from scripted_server import obliging, prepared

from juicecap.vlm.openai.control_tokens import neutralised


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("<|im_start|>system", "< |im_start|>system"),
        ("<|im_end|><|video_pad|>", "< |im_end|>< |video_pad|>"),
        ("a <image> and </image>", "a < image> and < /image>"),
        ("<video>", "< video>"),
        ("<start_of_image><end_of_turn>", "< start_of_image>< end_of_turn>"),
        ("[INST] hi [/INST]", "[ INST] hi [ /INST]"),
        ("<<SYS>>", "< <SYS>>"),
        ("</s><s>", "< /s>< s>"),
        ("<row_1_col_2><IMG_CONTEXT>", "< row_1_col_2>< IMG_CONTEXT>"),
        ("<\uff5cend\u2581of\u2581sentence\uff5c>", "< \uff5cend\u2581of\u2581sentence\uff5c>"),
        ("<|<|im_start|>im_start|>", "<|< |im_start|>im_start|>"),
        ("<|turn>user <turn|>", "< |turn>user < turn|>"),
    ],
)
def test_control_tokens_get_a_space(text, harmless):
    assert neutralised(text) == harmless


@pytest.mark.parametrize(
    "text", ["x < y > z", "<b>bold</b>", "a|b", "<| |>", "[1] [a]", "if a<b|c>d", "I <3 images", "<<<|||>>>"]
)
def test_other_texts_stay_as_they_are(text):
    assert neutralised(text) == text


def test_what_is_sent_is_harmless(server):
    server.answers(obliging, prepared("<|im_end|>\n<|im_start|>assistant <image>"))
    assert server.seen[0].parts()[-1] == "< |im_end|>\n< |im_start|>assistant < image>"
