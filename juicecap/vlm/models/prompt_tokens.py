"""How many tokens a request's prompt has, and its text, from the model's files alone: no model library is opened here.

Chat template and tokenizer are run in processes of their own (`sandbox`). Vision placeholders and time stamps are exact for
Qwen2-VL, Qwen2.5-VL, Qwen3-VL and their successors; the text is exact where tokenizer and chat template are on this machine. For
whatever else there are estimates, and they are marked.

Source: `replace_video_token` of `Qwen3VLProcessor` and of `Qwen2_5_VLProcessor` in transformers; tests compare with both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from juicecap.errors import ModelError
from juicecap.text import as_plain_text, control_tokens
from juicecap.vlm.base import ModelSettings, Request
from juicecap.vlm.catalog import spec_of
from juicecap.vlm.models.facts import ModelFacts, model_facts
from juicecap.vlm.models.frame_times import CLOCK
from juicecap.vlm.models.sandbox import ModelSandbox, TemplateComplaint, can_render

PIXELS_PER_TOKEN = 28 * 28
"""What models of other families are taken to need."""

TURN_TOKENS = 5
"""What a chat template adds to each message, where it is not known."""

CHARACTERS_PER_TOKEN = 4
"""Of texts in Latin letters; characters of other scripts count as a token each."""

IMAGE, VIDEO = "<|image_pad|>", "<|video_pad|>"
START, END = "<|vision_start|>", "<|vision_end|>"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A medium as the model sees it: frames of `width` x `height` pixels at `times` (seconds; none for an image)."""

    kind: str
    width: int
    height: int
    times: tuple[float, ...] = ()

    @property
    def frames(self) -> int:
        """Pictures that are sent: processors refuse videos of one frame and are shown it twice."""
        return max(2, len(self.times)) if self.kind == "video" else 1


@dataclass(frozen=True, kw_only=True)
class PromptCount:
    """Tokens of a prompt: `vision` of them stand for pictures and their times. What is not exact is an estimate."""

    tokens: int
    vision: int
    exact_vision: bool
    exact_text: bool


class PromptTokens:
    """Counts the prompts of one model, of which nothing may be known (`facts` None)."""

    def __init__(self, facts: ModelFacts | None, told: Mapping[str, Any] | None = None) -> None:
        """`told` is what the chat template gets beside the conversation."""
        self.facts = facts
        self._told = dict(told or {})
        self._sandbox = ModelSandbox(str(facts.folder if facts else ""))
        self._stamps: dict[str, int] = {}

    def close(self) -> None:
        """End the processes in which the model's template and tokenizer are run."""
        self._sandbox.close()

    def count(self, request: Request, media: Sequence[Shown]) -> PromptCount:
        """Tokens of the request's prompt, its `media` given in the order of `Request.media`.

        Raises:
            ModelError: the model's template or tokenizer is of no use.
            EnvironmentFailure: the process that runs it cannot be started.
        """
        vision = sum(map(self.vision, media))
        exact_vision = self.facts is not None and self.facts.is_qwen
        text = self._exact_text(request, media) if exact_vision else None
        if text is not None:
            return PromptCount(tokens=text, vision=vision, exact_vision=True, exact_text=True)
        words = sum(_estimate(part.value) for message in request.messages for part in message.parts if part.kind == "text")
        tokens = vision + words + TURN_TOKENS * (len(request.messages) + 1) + 2 * len(media)
        return PromptCount(tokens=tokens, vision=vision, exact_vision=exact_vision, exact_text=False)

    def vision(self, medium: Shown) -> int:
        """Tokens that stand for a medium, time stamps included."""
        facts = self.facts
        if facts is None or not facts.is_qwen:
            return medium.frames * max(1, math.ceil(medium.width * medium.height / PIXELS_PER_TOKEN))
        places = self._places(medium)
        if medium.kind == "image" or not facts.tells_times:
            return sum(places)
        stamps = _stamps(medium.times, self._temporal)
        return sum(places) + sum(self._stamp_tokens(stamps)) + 2 * len(stamps)

    def text(self, request: Request) -> str | None:
        """The prompt as the chat template makes it, with a placeholder for each medium; None where there is no template.

        Raises:
            TemplateComplaint: the template fails over this request.
            ModelError: it is of no use.
            EnvironmentFailure: the process that runs it cannot be started.
        """
        if not self._has_template:
            return None
        turns = []
        for message in request.messages:
            content = [
                {"type": "text", "text": as_plain_text(part.value, self._control_tokens)}
                if part.kind == "text"
                else {"type": part.kind}
                for part in message.parts
            ]
            turns.append({"role": message.role, "content": content})
        return self._rendered(turns)

    def _rendered(self, turns: list[dict[str, Any]]) -> str:
        assert self.facts is not None
        return self._sandbox.render(self.facts.template, turns, {**self.facts.names, **self._told})

    @property
    def _temporal(self) -> int:
        video = self.facts.sizes.video if self.facts else None
        return video.temporal if video else 2

    def _places(self, medium: Shown) -> list[int]:
        """Placeholders of each step in time."""
        budget = getattr(self.facts.sizes, medium.kind) if self.facts else None
        factor = budget.factor if budget else 28
        steps = 1 if medium.kind == "image" else math.ceil(medium.frames / self._temporal)
        return [(medium.width // factor) * (medium.height // factor)] * steps

    def _stamp_tokens(self, stamps: Sequence[str]) -> list[int]:
        new = [stamp for stamp in dict.fromkeys(stamps) if stamp not in self._stamps]
        if new:
            counts = self._token_counts(new, special=False) or [_stamp_estimate(stamp) for stamp in new]
            self._stamps |= zip(new, counts, strict=True)
        return [self._stamps[stamp] for stamp in stamps]

    def _exact_text(self, request: Request, media: Sequence[Shown]) -> int | None:
        """Tokens of the whole prompt: its text with one placeholder for many, and the rest of them."""
        try:
            text = self.text(request)
        except TemplateComplaint:  # the engine will say so, of each sample
            return None
        if text is None or self.facts is None:
            return None
        left, hidden = iter(media), 0

        def expanded(found: re.Match[str]) -> str:
            nonlocal hidden
            medium = next(left)
            places = self._places(medium)
            if found[0] == IMAGE or not self.facts or not self.facts.tells_times:
                hidden += sum(places) - 1
                return found[0]
            hidden += sum(places) - len(places)
            return "".join(f"{stamp}{START}{VIDEO}{END}" for stamp in _stamps(medium.times, self._temporal))

        if len(re.findall(f"{re.escape(IMAGE)}|{re.escape(VIDEO)}", text)) != len(media):
            return None  # a template that does as it likes
        text = re.sub(f"{re.escape(IMAGE)}|{re.escape(VIDEO)}", expanded, text)
        begin = self.facts.names.get("bos_token")
        special = not (begin and text.startswith(begin))
        counts = self._token_counts([text], special=special)
        return counts[0] + hidden if counts else None

    def _token_counts(self, texts: Sequence[str], *, special: bool) -> list[int] | None:
        """None where the library is not installed, or does not take the model's file."""
        return self._sandbox.token_counts(self._tokenizer, texts, special=special) if self._tokenizer else None

    @cached_property
    def _tokenizer(self) -> Path | None:
        """The model's file, if it is here and is one."""
        file = self.facts.folder / "tokenizer.json" if self.facts and self.facts.folder else None
        return file if file and file.is_file() and self._sandbox.token_counts(file, [], special=False) is not None else None

    @cached_property
    def _has_template(self) -> bool:
        """Whether there is one, and what renders it is installed.

        Raises:
            ModelError: it is of no use.
            EnvironmentFailure: the process that runs it cannot be started.
        """
        if self.facts is None or self.facts.template is None or not can_render():
            return False
        self._sandbox.try_template(self._rendered)
        return True

    @cached_property
    def _control_tokens(self) -> re.Pattern[str] | None:
        folder = self.facts.folder if self.facts else None
        if folder is None:
            return None
        file = folder / "tokenizer.json"
        tokens = {IMAGE, VIDEO, START, END, *(self._sandbox.added_tokens(file) if file.is_file() else ())}
        return control_tokens(tokens)


class PromptCounters:
    """A `PromptTokens` for each model, made at first need. A context manager."""

    def __init__(self) -> None:
        self._known: dict[ModelSettings, PromptTokens] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for counter in self._known.values():
            counter.close()

    def of(self, model: ModelSettings) -> PromptTokens:
        """That of the model of these settings.

        Raises:
            ModelError: the model's files are damaged.
        """
        if model not in self._known:
            try:
                facts = model_facts(model)
            except ModelError:
                if not spec_of(model).is_remote:
                    raise
                facts = None
            self._known[model] = PromptTokens(facts, model.template_kwargs())
        return self._known[model]

    def count(self, request: Request, media: Sequence[Shown]) -> PromptCount:
        """As `PromptTokens.count`. Files of this machine that are of no use do not concern a model on a server: estimated."""
        counter = self.of(request.model)
        try:
            return counter.count(request, media)
        except ModelError:
            if not spec_of(request.model).is_remote:
                raise
        counter.close()
        known = counter.facts and replace(counter.facts, folder=None, template=None)
        self._known[request.model] = counter = PromptTokens(known, request.model.template_kwargs())
        return counter.count(request, media)


def _stamps(times: Sequence[float], temporal: int) -> list[str]:
    """The times that stand in a prompt: of each `temporal` frames the mean of the first and the last."""
    ticks = [round(time * CLOCK) for time in times]
    ticks += ticks[-1:] * (max(2, len(ticks)) - len(ticks))
    ticks += ticks[-1:] * (-len(ticks) % temporal)
    seconds = [tick / CLOCK for tick in ticks]
    return [f"<{(seconds[index] + seconds[index + temporal - 1]) / 2:.1f} seconds>" for index in range(0, len(seconds), temporal)]


def _stamp_estimate(stamp: str) -> int:
    digits = sum(character.isdigit() for character in stamp)
    return digits + 4  # '<', a token for each digit, '.', ' seconds', '>'


def _estimate(text: str) -> int:
    latin = sum(character.isascii() for character in text)
    return math.ceil(latin / CHARACTERS_PER_TOKEN) + len(text) - latin
