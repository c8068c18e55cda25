"""How many tokens a request's prompt has, and its text, from the model's files alone: no model library is opened.

Vision placeholders and time stamps are exact for Qwen2-VL, Qwen2.5-VL, Qwen3-VL and their successors; the text is exact where
tokenizer and chat template are on this machine. For whatever else there are estimates, and they are marked.

Source: `replace_video_token` of `Qwen3VLProcessor` and of `Qwen2_5_VLProcessor` in transformers; tests compare with both.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from juicecap.vlm.base import Request
from juicecap.vlm.frame_times import CLOCK
from juicecap.vlm.model_files import ModelFacts

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

    def __init__(self, facts: ModelFacts | None) -> None:
        self.facts = facts

    def count(self, request: Request, media: Sequence[Shown]) -> PromptCount:
        """Tokens of the request's prompt, its `media` given in the order of `Request.media`."""
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
        return sum(places) + sum(self._stamp_tokens(stamp) + 2 for stamp in _stamps(medium.times, self._temporal))

    def text(self, request: Request) -> str | None:
        """The prompt as the chat template makes it, with a placeholder for each medium; None where there is no template.

        Raises:
            ValueError: the template fails.
        """
        template = self._template
        if template is None:
            return None
        turns = []
        for message in request.messages:
            content = [
                {"type": "text", "text": self._neutralised(part.value)} if part.kind == "text" else {"type": part.kind}
                for part in message.parts
            ]
            turns.append({"role": message.role, "content": content})
        return template(turns)

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

    def _stamp_tokens(self, stamp: str) -> int:
        if self._tokenizer is not None:
            return len(self._tokenizer.encode(stamp, add_special_tokens=False))
        digits = sum(character.isdigit() for character in stamp)
        return digits + 4  # '<', a token for each digit, '.', ' seconds', '>'

    def _exact_text(self, request: Request, media: Sequence[Shown]) -> int | None:
        """Tokens of the whole prompt: its text with one placeholder for many, and the rest of them."""
        try:
            text = self.text(request)
        except ValueError:  # the engine will say so, of each sample
            return None
        if text is None or self._tokenizer is None or self.facts is None:
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
        return len(self._tokenizer.encode(text, add_special_tokens=special)) + hidden

    @cached_property
    def _tokenizer(self) -> Any:
        """The library's tokenizer, if it is installed and the model's file is here."""
        folder = self.facts.folder if self.facts else None
        if folder is None:
            return None
        try:
            from tokenizers import Tokenizer  # a library of models, of which a base install has none

            return Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception:  # noqa: BLE001  (a foreign loader's door; it raises bare Exceptions)
            return None

    @cached_property
    def _template(self) -> Callable[[list[dict[str, Any]]], str] | None:
        facts = self.facts
        if facts is None or facts.template is None:
            return None
        try:
            return _compiled(facts.template, dict(facts.names))
        except (ImportError, ValueError):
            return None

    @cached_property
    def _control_tokens(self) -> re.Pattern[str] | None:
        folder = self.facts.folder if self.facts else None
        if folder is None:
            return None
        try:
            added = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")).get("added_tokens") or []
        except (OSError, ValueError):
            added = []
        tokens = {IMAGE, VIDEO, START, END, *(str(each.get("content", "")) for each in added)}
        written = sorted((token for token in tokens if len(token.strip()) > 1), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, written)))

    def _neutralised(self, text: str) -> str:
        """As `vlm.hf.prompt.neutralised`, by the tokenizer's file."""
        pattern = self._control_tokens
        return pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text) if pattern else text


def _stamps(times: Sequence[float], temporal: int) -> list[str]:
    """The times that stand in a prompt: of each `temporal` frames the mean of the first and the last."""
    ticks = [round(time * CLOCK) for time in times]
    ticks += ticks[-1:] * (max(2, len(ticks)) - len(ticks))
    ticks += ticks[-1:] * (-len(ticks) % temporal)
    seconds = [tick / CLOCK for tick in ticks]
    return [f"<{(seconds[index] + seconds[index + temporal - 1]) / 2:.1f} seconds>" for index in range(0, len(seconds), temporal)]


def _estimate(text: str) -> int:
    latin = sum(character.isascii() for character in text)
    return math.ceil(latin / CHARACTERS_PER_TOKEN) + len(text) - latin


def _compiled(template: str, names: dict[str, str]) -> Callable[[list[dict[str, Any]]], str]:
    """The template as a function from messages to text, in a sandbox with what transformers gives templates.

    Raises:
        ImportError: jinja2 is not installed.
        ValueError: it is no template.
    """
    from jinja2 import TemplateError  # a library of models' libraries, of which a base install has none
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise ValueError(message)

    def tojson(value: Any, indent: int | None = None) -> str:
        return json.dumps(value, ensure_ascii=False, indent=indent)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = tojson
    environment.globals |= {"raise_exception": refuse, "strftime_now": lambda words: datetime.now().strftime(words)}  # noqa: DTZ005  (as transformers has it)
    try:
        compiled = environment.from_string(template)
    except TemplateError as error:
        raise ValueError(str(error)) from error

    def render(messages: list[dict[str, Any]]) -> str:
        try:
            return compiled.render(messages=messages, add_generation_prompt=True, tools=None, documents=None, **names)
        except (TemplateError, TypeError) as error:
            raise ValueError(str(error)) from error

    return render
