"""The prompt as text, by the model's own chat template."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from jinja2.exceptions import TemplateError

from juicecap.vlm.base import Request


def render(processor: Any, request: Request, frames: Sequence[int] | None = None) -> str:
    """The prompt with a placeholder for each medium; control tokens in texts from recipe or data are neutralised.

    `frames` says how many images stand in the place of each video, for requests of which `frames_as_images` is true.
    """
    counts = iter(frames) if frames is not None else None
    turns = []
    for message in request.messages:
        content: list[dict[str, str]] = []
        for part in message.parts:
            if part.kind == "text":
                content.append({"type": "text", "text": neutralised(part.value, processor)})
            elif part.kind == "video" and counts is not None:
                content += [{"type": "image"}] * next(counts)
            else:
                content.append({"type": part.kind})
        turns.append({"role": message.role, "content": content})
    return _templated(processor, turns)


def frames_as_images(processor: Any, request: Request) -> bool:
    """Whether the frames of this request's videos are shown as images, one after the other.

    That is so for models without videos, and where a request has images and videos and the processor would hand over both
    under one name, of which the model would see one only (SmolVLM).
    """
    kinds = {part.kind for part in request.media()}
    if "video" not in kinds:
        return False
    return not takes_video(processor) or ("image" in kinds and _one_name(processor))


@lru_cache(maxsize=8)
def takes_video(processor: Any) -> bool:
    """Whether videos have a place of their own in processor and chat template."""
    token = getattr(processor, "video_token", None)
    if token is None or getattr(processor, "video_processor", None) is None:
        return False
    try:
        text = _templated(processor, [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "?"}]}])
    except TemplateError:  # templates refuse what they do not know
        return False
    return str(token) in text


def neutralised(text: str, processor: Any) -> str:
    """The text with a space inside of each control token of the tokenizer or the processor, so that it is read as text."""
    pattern = _control_tokens(processor)
    return pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text) if pattern else text


@lru_cache(maxsize=8)
def _control_tokens(processor: Any) -> re.Pattern[str] | None:
    """Processors replace some of their placeholders as plain text, whether or not the tokenizer knows them."""
    tokenizer = processor.tokenizer
    tokens = set(tokenizer.all_special_tokens) | set(tokenizer.get_added_vocab())
    tokens |= {str(value) for name, value in vars(processor).items() if name.endswith(("_token", "_tag")) and value}
    written = sorted((token for token in tokens if len(token.strip()) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, written))) if written else None


def _one_name(processor: Any) -> bool:
    image, video = ({*getattr(processor, f"{kind}_processor").model_input_names} for kind in ("image", "video"))
    return bool(image & video)


def _templated(processor: Any, turns: list[dict[str, Any]]) -> str:
    text: str = processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return text
