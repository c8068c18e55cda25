"""Conversations that datasets have, and the turns of a new one: the question, with tokens for the media, and the caption.

Both shapes are read (LLaVA's `from` and `value`, OpenAI's `role` and `content`), and written in plain form: who speaks, and a
text in which `<image>` and `<video>` stand for media.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from juicecap.data.export.writers.captioned import Medium
from juicecap.sample import list_in_cell

Speaker = Literal["system", "user", "assistant"]

TOKEN = re.compile(r"<(?:image|video)>")

_SPEAKERS: Mapping[str, Speaker] = {
    "assistant": "assistant", "developer": "system", "gpt": "assistant", "human": "user", "system": "system", "user": "user",
}  # fmt: skip

_PARTS = {"image": "<image>", "image_url": "<image>", "video": "<video>", "video_url": "<video>"}


@dataclass(frozen=True)
class Turn:
    """What somebody says."""

    speaker: Speaker
    text: str


def turns_of(value: Any) -> list[Turn] | None:
    """The turns of a conversation that a column holds; None if it is no conversation that can be written anew."""
    value = list_in_cell(value, indented=True)
    if value is None or value == "":
        return []
    if not isinstance(value, list | tuple):
        return None
    turns = [_turn(each) for each in value]
    return None if None in turns else [turn for turn in turns if turn]


def answered(turns: Sequence[Turn], caption: str) -> tuple[list[Turn], str | None]:
    """The turns with the caption as the answer to the first question, and the answer that was there before."""
    asked = next((number for number, turn in enumerate(turns) if turn.speaker == "user"), len(turns))
    before, after = list(turns[: asked + 1]), list(turns[asked + 1 :])
    old = after.pop(0).text if after and after[0].speaker == "assistant" else None
    return [*before, Turn("assistant", caption), *after], old


def asking(turns: Sequence[Turn], prompt: str | None, otherwise: str) -> list[Turn]:
    """The turns with a question: `prompt` in place of the first one, or `otherwise` if there is none. Tokens stay in front."""
    asked = next((number for number, turn in enumerate(turns) if turn.speaker == "user"), None)
    if asked is None:
        return [*turns, Turn("user", prompt or otherwise)]
    if prompt is None:
        return list(turns)
    tokens = "".join(f"{token}\n" for token in TOKEN.findall(turns[asked].text))
    return [*turns[:asked], Turn("user", tokens + prompt), *turns[asked + 1 :]]


def with_tokens(turns: Sequence[Turn], media: Sequence[Medium], token: str | None) -> list[Turn] | None:
    """The turns with as many tokens as media, each for its kind, in order; None if they have others than there are media.

    Tokens stay where they are; if there are none, they stand in front of the first question.
    """
    count = sum(len(TOKEN.findall(turn.text)) for turn in turns if turn.speaker == "user")
    written = [token or f"<{medium.kind}>" for medium in media]
    if not count:
        asked = next(number for number, turn in enumerate(turns) if turn.speaker == "user")
        front = "".join(f"{each}\n" for each in written)
        return [*turns[:asked], replace(turns[asked], text=front + turns[asked].text), *turns[asked + 1 :]]
    if count != len(media):
        return None
    left = iter(written)
    return [replace(turn, text=TOKEN.sub(lambda _: next(left), turn.text)) if turn.speaker == "user" else turn for turn in turns]


def _turn(value: Any) -> Turn | None:
    if not isinstance(value, Mapping):
        return None
    who, said = (
        (value.get("from"), value.get("value")) if value.get("from") is not None else (value.get("role"), value.get("content"))
    )
    speaker = _SPEAKERS.get(who) if isinstance(who, str) else None
    if isinstance(said, list | tuple):
        said = _joined(said)
    return Turn(speaker, said or "") if speaker and (said is None or isinstance(said, str)) else None


def _joined(parts: Sequence[Any]) -> str | None:
    """The text of a turn in parts, with tokens for its media; None if a part is neither."""
    texts = []
    for part in parts:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif isinstance(kind, str) and kind in _PARTS:
            texts.append(_PARTS[kind] + "\n")
        else:
            return None
    return "".join(texts)
