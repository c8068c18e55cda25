"""Texts from recipe and data cannot end their turn or pose as a picture.

The tokenizer of a server is not known here. What is neutralised is what chat models use: everything of the forms `<|name|>`,
`<|name>` and `<name|>` (also with DeepSeek's wide bars); `<image>`, `<video>` and their kin (LLaVA, InternVL, SmolVLM, Gemma);
the turns of Gemma and SmolVLM; the brackets of Mistral, Llama 2 and GLM; beginnings and ends of sequences. As with the other
backends, a space is put behind the first character.
"""

from __future__ import annotations

import re

_TAGS = (
    "image", "video", "audio", "img", "IMG_CONTEXT", "image_soft_token", "audio_soft_token", "image_placeholder",
    "video_placeholder", "image_pad", "video_pad", "image_newline", "vision_start", "vision_end", "im_start", "im_end",
    "im_patch", "start_of_image", "end_of_image", "start_of_audio", "end_of_audio", "start_of_turn", "end_of_turn",
    "end_of_utterance", "end_of_text", "fake_token_around_image", "global-img", "row_[0-9]+_col_[0-9]+", "placeholder",
    "bos", "eos", "pad", "s", "unk", "turn", "channel",
)  # fmt: skip
_BRACKETS = ("INST", "IMG", "IMG_BREAK", "IMG_END", "SYSTEM_PROMPT", "TOOL_CALLS", "TOOL_RESULTS", "AVAILABLE_TOOLS", "gMASK")
_TOKEN = re.compile(
    r"<(?=\|[^<>|\s]{1,64}\|?>|[^<>|\s]{1,64}\|>|\uff5c[^<>\uff5c\s]{1,64}\uff5c>"
    rf"|/?(?:{'|'.join(_TAGS)})>"
    r"|</?SYS>>)"
    rf"|\[(?=/?(?:{'|'.join(_BRACKETS)})\])"
)


def neutralised(text: str) -> str:
    """The text with a space inside of each control token, so that it is read as text."""
    return _TOKEN.sub(lambda found: f"{found[0]} ", text)
