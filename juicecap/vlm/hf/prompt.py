"""The prompt as text, by the model's own chat template."""

from __future__ import annotations

import re
from typing import Any

from juicecap.vlm.base import Request


def render(processor: Any, request: Request) -> str:
    """The prompt with a placeholder for each medium; control tokens in texts from recipe or data are neutralised."""
    turns = []
    for message in request.messages:
        content = [
            {"type": "text", "text": neutralised(part.value, processor.tokenizer)} if part.kind == "text" else {"type": part.kind}
            for part in message.parts
        ]
        turns.append({"role": message.role, "content": content})
    text: str = processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return text


def neutralised(text: str, tokenizer: Any) -> str:
    """The text with a space inside of each of the tokenizer's control tokens, so that they are read as text."""
    tokens = sorted(set(tokenizer.all_special_tokens) | set(tokenizer.get_added_vocab()), key=len, reverse=True)
    if not tokens:
        return text
    return re.sub("|".join(map(re.escape, tokens)), lambda found: f"{found[0][0]} {found[0][1:]}", text)
