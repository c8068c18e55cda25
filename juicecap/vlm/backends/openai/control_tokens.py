"""Texts from recipe and data cannot end their turn or pose as a picture.

The tokenizer of a server is not known here. What is neutralised is what the usual vision-language models have for tokens:
everything of the forms `<|name|>`, `<|name>` and `<name|>` (also with DeepSeek's wide bars), and the names below, exactly as they
are written there. As with the other backends, a space is put behind the first character.

Not covered: a model with tokens of another form whose names are not here; and what looks like one token in this text and is
ordinary text for the model gets its space all the same (`<point>`).
"""

from __future__ import annotations

import re

_MEDIA = (
    "image", "video", "audio", "img", "vid", "imgpad", "IMG_CONTEXT", "image_soft_token", "audio_soft_token",
    "image_placeholder", "video_placeholder", "image_pad", "video_pad", "image_newline", "image_id", "image_start",
    "image_end", "video_start", "video_end", "img_start", "img_end", "vision_start", "vision_end", "im_start", "im_end",
    "im_patch", "im_col", "low_res_im_start", "frame_start", "frame_end", "begin_of_image", "start_of_image",
    "end_of_image", "start_of_audio", "end_of_audio", "fake_token_around_image", "global-img", "row_[0-9]+(?:_col_[0-9]+)?",
    "patch_newline", "slice", "placeholder", "sound", "asr", "so_embedding", "so_start", "so_end",
)  # fmt: skip
_PLACES = ("ref", "box", "quad", "point", "poly", "loc_?[0-9]+", "seg_?[0-9]+")
_TURNS = (
    "start_of_turn", "end_of_turn", "end_of_utterance", "begin_of_text", "end_of_text", "turn", "channel", "think",
    "tool_call", "tool_response", "tool_output", "arg_key", "arg_value", "TOOLCALL", "AVAILABLE_TOOLS", "query", "unit",
    "seed:[a-z_]+",
)  # fmt: skip
_ENDS = (
    "bos", "eos", "pad", "s", "unk", "mask", "cls", "sep", "sop", "eop", "eod", "PAD", "UNK", "CLS", "SEP", "MASK",
    "[A-Z]+_TOKEN", "unused[0-9]+", "extra_id_[0-9]+", "reserved_[0-9]+", "SPECIAL_[0-9]+",
)  # fmt: skip
_BRACKETS = (
    "INST", "IMG", "IMG_BREAK", "IMG_END", "AUDIO", "BEGIN_AUDIO", "SYSTEM_PROMPT", "MODEL_SETTINGS", "TOOL_CALLS",
    "TOOL_RESULTS", "TOOL_CONTENT", "AVAILABLE_TOOLS", "CALL_ID", "ARGS", "THINK", "PREFIX", "MIDDLE", "SUFFIX", "gMASK",
    "sMASK", "MASK", "BOS", "EOS", "SEP", "CLS", "PAD", "UNK", "unused[0-9]+", "UNUSED_TOKEN_[0-9]+",
)  # fmt: skip
_TOKEN = re.compile(
    r"<(?=\|[^<>|\s]{1,64}\|?>|[^<>|\s]{1,64}\|>|\uff5c[^<>\uff5c\s]{1,64}\uff5c>"
    rf"|/?(?:{'|'.join((*_MEDIA, *_PLACES, *_TURNS, *_ENDS))})>"
    r"|</?SYS>>)"
    rf"|\[(?=/?(?:{'|'.join(_BRACKETS)})\])"
)


def neutralised(text: str) -> str:
    """The text with a space inside of each control token, so that it is read as text."""
    return _TOKEN.sub(lambda found: f"{found[0]} ", text)
