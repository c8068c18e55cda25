"""From a server's answers to candidates: a refusal or nothing at all is a failure, never a caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from juicecap.vlm.base import Answer, Failure, Outcome, Prepared
from juicecap.vlm.outcomes import answered

REFUSED, CUT = "content_filter", "length"
"""Finish reasons; all others (`stop`, `end_turn`, …) are `stop` to us."""

_LONGEST_REASON = 300


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What one choice says. `refusal` is why the model will not answer, in its words or the server's."""

    text: str
    finish_reason: str
    tokens: int
    refusal: str = ""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What one answer says, candidates in order."""

    candidates: tuple[Candidate, ...]
    prompt_tokens: int
    revision: str


def read(answer: dict[str, Any]) -> Reply:
    """What is in an answer.

    Servers tell how many tokens all candidates have together. Where there are several, each is given a share in proportion to the
    length of its text, so that the sum is right; with one candidate the number is exact.
    """
    usage = answer.get("usage") or {}
    choices = sorted(answer["choices"], key=lambda choice: choice.get("index") or 0)
    said = [(_text(choice), _refusal(choice), choice.get("finish_reason")) for choice in choices]
    shares = _shares(usage.get("completion_tokens") or 0, [len(text.encode("utf-8", "replace")) for text, _, _ in said])
    candidates = tuple(
        Candidate(
            text="" if refusal else text,
            finish_reason=REFUSED if refusal else CUT if finish == CUT else "stop",
            tokens=tokens,
            refusal=refusal,
        )
        for (text, refusal, finish), tokens in zip(said, shares, strict=True)
    )
    revision = "/".join(str(answer[name]) for name in ("model", "system_fingerprint") if answer.get(name))
    return Reply(candidates=candidates, prompt_tokens=usage.get("prompt_tokens") or 0, revision=revision)


def outcome(prepared: Prepared, replies: Sequence[Reply]) -> Outcome:
    """The outcome of a request whose candidates came in one or several replies.

    One candidate of several that is refused or empty keeps its place, with an empty text.
    """
    candidates = [candidate for reply in replies for candidate in reply.candidates][: len(prepared.seeds)]
    answers = tuple(
        Answer(text=each.text, finish_reason=each.finish_reason, tokens=each.tokens, seed=seed)
        for each, seed in zip(candidates, prepared.seeds, strict=False)
    )
    if not prepared.first and not any(answer.text for answer in answers):
        return Outcome(failure=_nothing_said(candidates), seed=prepared.seed)
    return answered(prepared, answers, prompt_tokens=replies[0].prompt_tokens, revision=replies[0].revision)


def _nothing_said(candidates: Sequence[Candidate]) -> Failure:
    refusals = [candidate.refusal for candidate in candidates if candidate.refusal]
    if refusals:
        return Failure(code="REFUSED", message=f"the model refuses to answer: {refusals[0][:_LONGEST_REASON]}")
    if all(candidate.finish_reason == CUT for candidate in candidates):
        return Failure(
            code="EMPTY_ANSWER", message="the model's answer is empty: max_tokens was reached before it said anything; raise it"
        )
    return Failure(code="EMPTY_ANSWER", message="the model's answer is empty")


def _message(choice: dict[str, Any]) -> dict[str, Any]:
    message = choice.get("message")
    return message if isinstance(message, dict) else {}


def _text(choice: dict[str, Any]) -> str:
    content = _message(choice).get("content")
    if isinstance(content, list):  # some servers answer in parts
        parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        content = "".join(part for part in parts if isinstance(part, str))
    return content.strip() if isinstance(content, str) else ""


def _refusal(choice: dict[str, Any]) -> str:
    refusal = _message(choice).get("refusal")
    if refusal:
        return str(refusal)
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
