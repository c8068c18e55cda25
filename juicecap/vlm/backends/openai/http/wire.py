"""What comes from a server as JSON: read within bounds, and held against the shape of the chat interface.

Only what an answer stands or falls with has to have its shape: choices, messages and their texts. Other fields may be anything;
`answers` takes those that it cannot use as not there. Texts may hold halves of characters (`unicode.valid`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

MOST_VALUES = 2**20
"""Lists, objects and commas in what a server sends: each can take a few hundred bytes of memory once it is read."""

LEAST_TEXT, TEXT_OF_A_TOKEN = 2**16, 256
"""Characters that the text of one choice may always have, and for each token that it was allowed. The longest tokens of the usual
vocabularies have 128."""

_BROKEN_OFF = ("error", "abort")
"""Finish reasons by which servers say that they failed in the middle of an answer."""


def parsed(content: bytes) -> Any:
    """The value that is written there.

    Raises:
        ValueError: it is not JSON, nested too deeply, or holds too many values.
    """
    if sum(content.count(mark) for mark in (b"[", b"{", b",")) > MOST_VALUES:
        raise ValueError(f"has more than {MOST_VALUES} values")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("is no valid JSON") from None


def shape_error(answer: dict[str, Any], max_tokens: int = 2**20) -> str:
    """Why this cannot be an answer to a chat request with that limit; empty if it can."""
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
        longest = max(LEAST_TEXT, TEXT_OF_A_TOKEN * max_tokens)
        if message and sum(map(len, _texts(message))) > longest:
            return f"the server's answer has a text of more than {longest} characters"
    return ""


def _is_text(content: object) -> bool:
    """Whether it is a text, nothing, or parts of which those of type text hold texts."""
    if not isinstance(content, list):
        return isinstance(content, str | None)
    return all(
        isinstance(part, dict) and (part.get("type") != "text" or isinstance(part.get("text"), str | None)) for part in content
    )


def _texts(message: dict[str, Any]) -> Iterator[str]:
    """What a message of the right shape says, and why it says no more."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    yield from (part.get("text") or "" for part in parts if part.get("type") == "text")
    if isinstance(refusal := message.get("refusal"), str):
        yield refusal
