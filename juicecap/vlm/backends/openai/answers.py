"""From a server's answers to candidates: a refusal or nothing at all is a failure, never a caption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from juicecap.secrecy import hidden
from juicecap.text import valid
from juicecap.vlm.base import Answer, Failure, Outcome, Prepared
from juicecap.vlm.outcomes import answered

REFUSED, CUT = "content_filter", "length"
"""Finish reasons; all others (`stop`, `end_turn`, …) are `stop` to us."""

_LONGEST_REASON = 300
_LONGEST_NAME = 256
"""Characters of a model's name; what is longer is none."""

_MOST_TOKENS = 2**31

_THOUGHT = ("reasoning_content", "reasoning", "thinking")
"""Fields of a message in which servers put reasoning that they have split off."""

_LONGEST_THOUGHT = 2**16
"""Characters of it that are kept."""


@dataclass(frozen=True, kw_only=True)
class ReplyCandidate:
    """What one choice says. `refusal` is why the model will not answer, in its words or the server's.

    `reasoning` is what came in a field of its own; a text may hold more of it.
    """

    text: str
    finish_reason: str
    tokens: int
    refusal: str = ""
    reasoning: str = ""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What one answer says, candidates in order."""

    candidates: tuple[ReplyCandidate, ...]
    prompt_tokens: int
    revision: str


def read(answer: dict[str, Any], asked: int | None = None, hide: Callable[[str], str] = hidden) -> Reply:
    """What is in an answer that has the right shape (`wire.shape_error`): as many candidates as were asked for, at most.

    Counts that make no sense are 0, as if not told. Reasons of refusals go through `hide`. Servers tell how many tokens all
    candidates have together. Where there are several, each is given a share in proportion to the length of its text, so that the
    sum is right; with one candidate the number is exact.
    """
    prompt_tokens, tokens = _usage(answer.get("usage"))
    choices = _in_order(answer["choices"], asked or 0)
    shares = _shares(tokens, [len(_text(choice).encode()) for choice in choices])
    candidates = tuple(_candidate(choice, share, hide) for choice, share in zip(choices[:asked], shares, strict=False))
    names = (answer.get(name) for name in ("model", "system_fingerprint"))
    known = (name for name in names if name and isinstance(name, str) and len(name) <= _LONGEST_NAME)
    return Reply(candidates=candidates, prompt_tokens=prompt_tokens, revision=hidden(valid("/".join(known))))


def outcome(prepared: Prepared, replies: Sequence[Reply]) -> Outcome:
    """The outcome of a request whose candidates came in one or several replies.

    One candidate of several that is refused or empty keeps its place, with an empty text.
    """
    candidates = [candidate for reply in replies for candidate in reply.candidates][: len(prepared.seeds)]
    answers = tuple(
        Answer(text=each.text, finish_reason=each.finish_reason, tokens=each.tokens, seed=seed, reasoning=each.reasoning)
        for each, seed in zip(candidates, prepared.seeds, strict=False)
    )
    if not prepared.first and not any(answer.text or answer.reasoning for answer in answers):
        return Outcome(failure=_nothing_said(candidates), seed=prepared.seed)
    return answered(prepared, answers, prompt_tokens=replies[0].prompt_tokens, revision=replies[0].revision)


def _nothing_said(candidates: Sequence[ReplyCandidate]) -> Failure:
    refusals = [candidate.refusal for candidate in candidates if candidate.refusal]
    if refusals:
        return Failure(code="REFUSED", message=f"the model refuses to answer: {refusals[0][:_LONGEST_REASON]}")
    if all(candidate.finish_reason == CUT for candidate in candidates):
        return Failure(
            code="EMPTY_ANSWER", message="the model's answer is empty: max_tokens was reached before it said anything; raise it"
        )
    return Failure(code="EMPTY_ANSWER", message="the model's answer is empty")


def _usage(usage: object) -> tuple[int, int]:
    """Tokens of the prompt and of all candidates, as far as they are told."""
    told = usage if isinstance(usage, dict) else {}
    return _count(told.get("prompt_tokens")), _count(told.get("completion_tokens"))


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_TOKENS:
        return 0
    return int(value)


def _in_order(choices: list[dict[str, Any]], asked: int) -> list[dict[str, Any]]:
    """By their index, with an empty one where one in between is left out; as they came if one of them has none."""
    if not all(type(choice.get("index")) is int for choice in choices):
        return choices
    known = {choice["index"]: choice for choice in choices}
    if len(known) == len(choices) and min(known, default=1) == 0 and max(known) < asked:
        return [known.get(number, {}) for number in range(max(known) + 1)]
    return sorted(choices, key=lambda choice: choice["index"])


def _candidate(choice: dict[str, Any], tokens: int, hide: Callable[[str], str]) -> ReplyCandidate:
    refusal, finish = _refusal(choice), choice.get("finish_reason")
    return ReplyCandidate(
        text="" if refusal else _text(choice),
        finish_reason=REFUSED if refusal else CUT if finish == CUT else "stop",
        tokens=tokens,
        refusal=hide(refusal),
        reasoning="" if refusal else _reasoning(choice, hide),
    )


def _text(choice: dict[str, Any]) -> str:
    content = (choice.get("message") or {}).get("content") or ""
    if isinstance(content, list):  # some servers answer in parts
        content = "".join(part.get("text") or "" for part in content if part.get("type") == "text")
    return valid(str(content)).strip()


def _reasoning(choice: dict[str, Any], hide: Callable[[str], str]) -> str:
    """What the model thought, from the first field that has it, or from parts of that type; its beginning is enough.

    It is hidden before it is cut, since half of a key would not be found.
    """
    message = choice.get("message") or {}
    content = message.get("content")
    parts = [part.get("thinking") for part in content if part.get("type") == "thinking"] if isinstance(content, list) else []
    texts = [text for text in (*(message.get(name) for name in _THOUGHT), *parts) if text and isinstance(text, str)]
    return hide(valid(texts[0][: 2 * _LONGEST_THOUGHT]))[:_LONGEST_THOUGHT].strip() if texts else ""


def _refusal(choice: dict[str, Any]) -> str:
    if refusal := (choice.get("message") or {}).get("refusal"):
        return valid(refusal) if isinstance(refusal, str) else "it does not say why"
    return "the server's content filter" if choice.get("finish_reason") == REFUSED else ""


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in whole numbers, in proportion to `weights`."""
    if not any(weights):
        weights = [1] * len(weights)
    whole, given, shares = sum(weights), 0, []
    passed = 0
    for weight in weights:
        passed += weight
        shares.append(total * passed // whole - given)
        given += shares[-1]
    return shares
