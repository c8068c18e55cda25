"""What comes from a server as JSON: read, made valid Unicode, and held against the shape of the chat interface.

Only what an answer stands or falls with has to have its shape: choices, messages and their texts. Other fields may be anything;
`answers` takes those that it cannot use as not there.
"""

from __future__ import annotations

import json
from typing import Any

from juicecap.vlm.unicode import valid

_BROKEN_OFF = ("error", "abort")
"""Finish reasons by which servers say that they failed in the middle of an answer."""


def parsed(content: bytes) -> Any:
    """The value that is written there.

    Raises:
        ValueError: it is not JSON, or nested too deeply.
    """
    try:
        value = json.loads(content)
        text = json.dumps(value, ensure_ascii=False)
        try:
            text.encode()
        except UnicodeEncodeError:
            value = json.loads(valid(text))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def misshapen(answer: dict[str, Any]) -> str:
    """Why this cannot be an answer to a chat request; empty if it can."""
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, dict) for choice in choices):
        return "the server's answer has no choices"
    for choice in choices:
        if choice.get("finish_reason") in _BROKEN_OFF:
            return f"the server broke off its answer ({choice['finish_reason']})"
        message = choice.get("message")
        if not isinstance(message, dict | None):
            return "the server's answer has a message that is no object"
        if message and not _is_text(message.get("content")):
            return "the server's answer has a message that is no text"
    return ""


def _is_text(content: object) -> bool:
    """Whether it is a text, nothing, or parts of which those of type text hold texts."""
    if not isinstance(content, list):
        return isinstance(content, str | None)
    return all(
        isinstance(part, dict) and (part.get("type") != "text" or isinstance(part.get("text"), str | None)) for part in content
    )
