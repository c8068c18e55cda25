"""What a model says to people, out of all that it says: reasoning is split off, and what stands behind the end is cut.

Reasoning stands between two marks (`<think>…</think>`, and those of other families below). The first mark is missing where the
chat template has written it (`opened`), and the second where the answer was cut. A mark without its partner is taken for what it
is; one that opens must begin a line. Reasoning in a field of its own does not come here.

Behind the end stand the tokens with which turns end and begin, where a server or a tokenizer does not take them for special. What
follows the first of them is a turn that the model made up. A role's name behind a token in front goes with it.

Not covered: turns that are made up in plain words (`User: …`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MARKS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<|channel>thought", "<channel|>"),
)
"""Where reasoning begins and ends, by families of models."""

_NAMES = (
    "im_end", "im_start", "endoftext", "end_of_text", "begin_of_text", "eot_id", "eom_id", "start_header_id", "end", "eos", "bos",
    "eot", "return", "start", "user", "assistant", "system", "observation", "startoftext", "end_of_turn", "EOT", "eod",
)  # fmt: skip
_TURN = re.compile(
    rf"<\|(?:{'|'.join(_NAMES)})\|>"
    r"|<\uff5c(?:begin\u2581of\u2581sentence|end\u2581of\u2581sentence|User|Assistant)\uff5c>"
    r"|</?(?:start_of_turn|end_of_turn|end_of_utterance|\|?turn\|?)>|<\|turn>|<turn\|>"
    r"|</s>(?=\s*(?:\Z|[<\[]))|<(?:eos|pad|bos)>(?=\s*(?:\Z|<))|\[/?INST\]"
)
"""A token with which a turn ends or begins."""

_FRONT = re.compile(rf"\s*(?:(?:{_TURN.pattern}|<s>)\s*(?:(?:assistant|model)\s*(?:<\|end_header_id\|>|\n)\s*)?)+")
_LAST = re.compile(r"(?:\s*<(?:\||\uff5c)[\w\u2581]{1,64}(?:\||\uff5c)>)+\s*\Z")
_WRAPPED = re.compile(
    r"\s*(?:<answer>(?P<answer>.*?)(?:</answer>\s*)?|<\|begin_of_box\|>(?P<box>.*?)(?:<\|end_of_box\|>\s*)?)\Z", re.DOTALL
)


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """An answer in two. `ended`: a thought ended in it that had not begun in it, so the template begins one."""

    text: str
    reasoning: str = ""
    ended: bool = False


def spoken(said: str, *, opened: bool = False) -> Spoken:
    """Split what came; a text with nothing to be cut stays as it is. `opened`: the prompt ends in the middle of a thought."""
    thoughts: list[str] = []
    text, ended = said, False
    for begin, end in MARKS:
        if begin in text or end in text:
            text, more, closed = _split(text, begin, end, opened=opened and not ended)
            thoughts, ended = thoughts + more, ended or closed
    if opened and not ended:
        return Spoken(text="", reasoning=_joined([*thoughts, text]))
    if thoughts and (wrapped := _WRAPPED.match(text)):
        text = wrapped["answer"] or wrapped["box"] or ""
    text = _without_turns(text)
    return Spoken(text=said if text == said.strip() else text, reasoning=_joined(thoughts), ended=ended)


def opens_thought(prompt: str) -> bool:
    """Whether a prompt ends where a thought has begun."""
    return prompt.rstrip().endswith(tuple(begin for begin, _ in MARKS))


def is_marked(said: str) -> bool:
    """Whether a mark of reasoning stands there."""
    return any(mark in said for pair in MARKS for mark in pair)


def _split(text: str, begin: str, end: str, *, opened: bool) -> tuple[str, list[str], bool]:
    """What is left of a text, its thoughts, and whether the first of them had begun before it."""
    thoughts: list[str] = []
    first_end, first_begin = text.find(end), text.find(begin)
    ended = first_end >= 0 and (opened or not 0 <= first_begin < first_end)
    if ended:
        thought, _, text = text.partition(end)
        thoughts.append(thought.replace(begin, "", 1))
    kept: list[str] = []
    while begin in text:
        before, _, behind = text.partition(begin)
        thought, closed, rest = behind.partition(end)
        if not closed and before.rpartition("\n")[2].strip():
            break  # a word in a line
        kept.append(before)
        thoughts.append(thought)
        text = rest
    return "".join([*kept, text]).replace(end, ""), thoughts, ended


def _without_turns(text: str) -> str:
    front = _FRONT.match(text)
    text = text[front.end() :] if front else text
    if found := _TURN.search(text):
        text = text[: found.start()]
    return _LAST.sub("", text).strip()


def _joined(thoughts: list[str]) -> str:
    return "\n".join(filter(None, (thought.strip() for thought in thoughts)))
