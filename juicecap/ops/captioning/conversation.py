"""Conversations as training data holds them: a list of turns, each by one speaker.

Two shapes are read, distinguished by the keys of each turn: ShareGPT's and LLaVA's (`from` is `human`, `gpt` or `system`; `value`
is a text in which `<image>` and `<video>` stand for media) and OpenAI's (`role` is `user`, `assistant` or `system`; `content` is
a text or a list of parts). A cell of a CSV file may hold the list as JSON. Nothing of a conversation is lost when a prompt is
written into it: turns, their other keys, and the places of media stay.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from juicecap.errors import SampleError
from juicecap.ops.captioning.part_frames import NO_SETTINGS, PartFrames, read_part_frames
from juicecap.sample import is_remote, list_in_cell, local_path, short_repr

Kind = Literal["image", "video"]

_HUMAN = ("human", "user")
_SYSTEM = ("system", "developer")
_TOKEN = re.compile(r"<(image|video)>")
_PARTS: Mapping[str, Kind] = {"image": "image", "image_url": "image", "video": "video", "video_url": "video"}
"""Types of the parts of a turn that stand for a medium."""

TURNS = [{"from": "text", "value": "text"}]
MESSAGES = [{"role": "text", "content": "text"}]


@dataclass(frozen=True)
class Medium:
    """An `<image>` or `<video>` token, or a part that stands for one; with its path if the part names one."""

    kind: Kind
    path: str | None = None
    pictures: tuple[str, ...] = ()
    """The pictures of a film, in place of a path."""
    frames: PartFrames = NO_SETTINGS
    """What the part says of its frames."""


@dataclass(frozen=True)
class Conversation:
    """A parsed conversation. `turns` belong to the sample and must not be changed."""

    turns: tuple[Mapping[str, Any], ...]
    system: str
    """Text of the system turn in front; empty if there is none."""
    human: int | None
    """Position of the first human turn."""
    text: str
    """Its text without tokens; empty if there is none."""
    media: tuple[Medium, ...]
    """The media that the human turns have tokens or parts for, in order."""
    answer: int | None = None
    """Position of the answer to the first human turn; None if it has none."""

    def with_prompt(self, prompt: str, column: str) -> list[Mapping[str, Any]]:
        """The turns with `prompt` as the text of the first human turn, which is made behind a system turn if there is none."""
        turns = list(self.turns)
        if self.human is None:
            turns.append(_new_turn(prompt, turns, column))
        else:
            key = keys_of(turns[self.human])[1]
            turns[self.human] = {**turns[self.human], key: _rewritten(turns[self.human].get(key), prompt)}
        return turns


def read_conversation(value: object, column: str) -> Conversation:
    """The conversation that a column holds; null, an empty text and an empty list are one without turns.

    Raises:
        SampleError: `BAD_CONVERSATION` if it is no list of turns, or has turns but no human one.
    """
    turns = _turns(value, column)
    speakers = [_speaker(turn, column) for turn in turns]
    human = next((index for index, speaker in enumerate(speakers) if speaker in _HUMAN), None)
    others = [speaker for speaker in speakers if speaker not in _SYSTEM]
    if human is None and others:
        raise SampleError("BAD_CONVERSATION", f"column {column!r} has a turn of {short_repr(others[0])} and none of a human")
    texts = [_text(turn, column) for turn in turns]
    media = [each for turn, speaker in zip(turns, speakers, strict=True) if speaker in _HUMAN for each in _media(turn, column)]
    return Conversation(
        turns=tuple(turns),
        system=texts[0] if speakers and speakers[0] in _SYSTEM else "",
        human=human,
        text="" if human is None else without_tokens(texts[human]),
        media=tuple(media),
        answer=_answer(speakers, human),
    )


def turns_spec(column: str) -> list[Any]:
    """The type of a conversation that is written into a new column."""
    return MESSAGES if column.rpartition(".")[2] == "messages" else TURNS


def without_media(text: str) -> str:
    """The text with a space in each media token, which then stands for nothing."""
    return _TOKEN.sub(r"< \1>", text)


def without_tokens(text: str) -> str:
    """The text without media tokens and the white space around it."""
    return re.sub(rf"{_TOKEN.pattern}\n?", "", text).strip()


def _turns(value: object, column: str) -> list[Mapping[str, Any]]:
    value = list_in_cell(value, indented=True)
    if value is None or value == "":
        return []
    if not isinstance(value, list | tuple):
        raise SampleError("BAD_CONVERSATION", f"column {column!r} holds {short_repr(value)}, not a list of turns")
    for turn in value:
        if not isinstance(turn, Mapping):
            raise SampleError("BAD_CONVERSATION", f"column {column!r} holds {short_repr(turn)} where a turn should be")
    return list(value)


def keys_of(turn: Mapping[str, Any]) -> tuple[str, str]:
    """The keys of a turn's speaker and of what it says."""
    return ("from", "value") if turn.get("from") is not None else ("role", "content")


def _speaker(turn: Mapping[str, Any], column: str) -> str:
    speaker = turn.get(keys_of(turn)[0])
    if not isinstance(speaker, str):
        raise SampleError("BAD_CONVERSATION", f"column {column!r} has a turn that names no speaker: {short_repr(dict(turn))}")
    return speaker


def _answer(speakers: Sequence[str], human: int | None) -> int | None:
    behind = len(speakers) if human is None else human + 1
    return behind if behind < len(speakers) and speakers[behind] not in (*_HUMAN, *_SYSTEM) else None


def _text(turn: Mapping[str, Any], column: str) -> str:
    value = turn.get(keys_of(turn)[1])
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return "\n".join(each["text"] for each in value if _is_text(each))
    if value is None:
        return ""
    raise SampleError("BAD_CONVERSATION", f"column {column!r} has a turn that holds {short_repr(value)}, not a text")


def _is_text(part: object) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _media(turn: Mapping[str, Any], column: str) -> list[Medium]:
    value = turn.get(keys_of(turn)[1])
    if not isinstance(value, list | tuple):
        return [Medium(_kind(token)) for token in _TOKEN.findall(value or "")]
    found = []
    for part in value:
        if _is_text(part):
            found += [Medium(_kind(token)) for token in _TOKEN.findall(part["text"])]
        elif isinstance(part, Mapping) and isinstance(part.get("type"), str) and part["type"] in _PARTS:
            found.append(_medium(part, column))
        else:
            raise SampleError("BAD_CONVERSATION", f"column {column!r} holds {short_repr(part)} where a part of a turn should be")
    return found


def _kind(token: str) -> Kind:
    return "image" if token == "image" else "video"


def _medium(part: Mapping[str, Any], column: str) -> Medium:
    """What a part stands for: `{"type": "image", "image": PATH}` or `{"type": "image_url", "image_url": {"url": PATH}}`.

    A video may be a list of pictures: `{"type": "video", "video": [PATH, PATH]}`.
    """
    kind, named = _PARTS[part["type"]], part.get(part["type"])
    if isinstance(named, Mapping):
        named = named.get("url")
    rows = list(named) if kind == "video" and isinstance(named, list | tuple) else []
    frames = read_part_frames(part, kind, column, listed=bool(rows))
    if rows:
        pictures = tuple(_path(each, column) for each in rows)
        if len({is_remote(each) for each in pictures}) > 1:
            raise SampleError("BAD_CONVERSATION", f"column {column!r} has a film of files and addresses: name one kind of them")
        return Medium(kind, pictures=pictures, frames=frames)
    return Medium(kind, None if named in (None, "", []) else _path(named, column), frames=frames)


def _path(named: object, column: str) -> str:
    if not isinstance(named, str) or not named:
        raise SampleError("BAD_CONVERSATION", f"column {column!r} holds {short_repr(named)} where a path should be")
    if named.startswith("data:"):
        raise SampleError("BAD_CONVERSATION", f"column {column!r} holds {short_repr(named)}; write it to a file and name that")
    try:
        return local_path(named)
    except ValueError as error:
        raise SampleError("BAD_CONVERSATION", f"column {column!r} holds {short_repr(named)}, which {error}") from None


def with_text(value: Any, rewrite: Callable[[str], str]) -> Any:
    """The value of a turn with another text: what `rewrite` makes of the old one. Of parts the first text has it."""
    if not isinstance(value, list | tuple):
        return rewrite(value or "")
    at = next((index for index, part in enumerate(value) if _is_text(part)), None)
    if at is None:
        return [*value, {"type": "text", "text": rewrite("")}]
    kept = [(index, part) for index, part in enumerate(value) if index == at or not _is_text(part)]
    texts = "\n".join(part["text"] for part in value if _is_text(part))
    return [{**part, "text": rewrite(texts)} if index == at else part for index, part in kept]


def _rewritten(value: Any, prompt: str) -> Any:
    """The value of a turn with `prompt` as its text."""
    return with_text(value, lambda before: _behind_tokens(before, prompt))


def _behind_tokens(before: str, prompt: str) -> str:
    """The prompt behind the tokens of the text before; those that the prompt has are not repeated."""
    have = Counter(_TOKEN.findall(prompt))
    tokens: list[str] = []
    for token in _TOKEN.findall(before):
        if have[token]:
            have[token] -= 1
        else:
            tokens.append(f"<{token}>\n")
    return "".join(tokens) + prompt


def _new_turn(prompt: str, turns: Sequence[Mapping[str, Any]], column: str) -> dict[str, str]:
    if (keys_of(turns[0])[0] if turns else "") == "role" or (not turns and turns_spec(column) is MESSAGES):
        return {"role": "user", "content": prompt}
    return {"from": "human", "value": prompt}
