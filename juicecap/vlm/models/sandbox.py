"""Runs the executable parts of a model's folder, its chat template and its tokenizer, in processes with limits.

A template is a program: it can loop, recurse and multiply texts. A tokenizer's expressions can run for ever, and the library that
reads them can crash. Here that becomes an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from juicecap.errors import ModelError
from juicecap.isolated import IsolatedProcess, Stopped

TEMPLATE_SECONDS = 10.0
"""CPU seconds that rendering a conversation may take. Templates of real models take a thousandth of one."""

TEMPLATE_MEMORY = 2**28
"""Bytes of memory that it may take."""

TOKENIZER_SECONDS = 60.0
"""CPU seconds that a tokenizer may take over some texts, its loading included. The largest of today load in three."""

TOKENIZER_MEMORY = 2**30
"""Bytes of memory that it may take. The largest of today take a third."""

BY_THE_CLOCK = 10
"""How many times as long either may take by the clock, for machines with other work."""

GIVEN_UP = 3
"""The number of conversations in a row whose rendering had to be stopped after which the template is to blame."""

TRIED = ("".join(map(chr, range(32, 0x250))), " \n\t", "字幕 Видео فيديو 🎬 ", "aaaa" * 64, "0.5 seconds" * 16, "<|>" * 64, "")
"""Texts with which a tokenizer is tried."""

_TEXT = {"type": "text", "text": "What happens?"}
_QUESTIONS: tuple[list[dict[str, Any]], ...] = tuple(
    [*system, {"role": "user", "content": [*({"type": kind} for kind in kinds), _TEXT]}]
    for kinds in (["video"], ["image"], [])
    for system in ([], [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]}])
)
"""What ops ask: about a video, an image or nothing, with a system prompt or without."""


class TemplateComplaint(ModelError):
    """A chat template ends in an error, which may be about this conversation alone. The text is the error's: `TypeError: …`."""


class TemplateStopped(ModelError):
    """A chat template takes too long or too much memory, or crashes, perhaps over this conversation alone."""


class ModelSandbox:
    """The chat template and the tokenizer of `model` (a name for messages). Its processes are started at first need."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._templates = IsolatedProcess(memory=TEMPLATE_MEMORY)
        self._tokenizers = IsolatedProcess(memory=TOKENIZER_MEMORY)
        self._stopped = 0

    def render(self, template: object, messages: Sequence[Mapping[str, Any]], names: Mapping[str, Any]) -> str:
        """What a chat template makes of a conversation, with a place for an answer.

        `names` is what else it is told: the tokenizer's special tokens, `chat_template_kwargs`.

        Raises:
            TemplateComplaint: it ends in an error.
            TemplateStopped: it takes too long or too much memory, or crashes.
            ModelError: so it did several times in a row.
            EnvironmentFailure: no process can be started.
        """
        question = {"template": template, "messages": messages, "names": names}
        if not isinstance(template, str):
            raise TemplateComplaint(f"TypeError: it is no text but {type(template).__name__}")
        try:
            reply = _ask(self._templates, "juicecap.vlm.models.chat_template:render", question, TEMPLATE_SECONDS)
        except Stopped as stopped:
            self._stopped += 1
            kind = ModelError if self._stopped >= GIVEN_UP else TemplateStopped
            raise kind(self._unusable(stopped)) from stopped
        self._stopped = 0
        if "complaint" in reply:
            raise TemplateComplaint(reply["complaint"])
        return str(reply["text"])

    def template_names(self, template: str) -> list[str] | None:
        """The names at which a chat template looks, without what it is always told; None: that cannot be seen.

        Raises:
            EnvironmentFailure: no process can be started.
        """
        try:
            found: list[str] | None = _ask(self._templates, "juicecap.vlm.models.chat_template:names", template, TEMPLATE_SECONDS)
        except Stopped:
            return None
        return found

    def try_template(self, render: Callable[[list[dict[str, Any]]], str]) -> None:
        """Do nothing if `render`, which comes back here, makes a text of some question that ops ask.

        Raises:
            ModelError: it does of none, or takes too long or too much memory.
            EnvironmentFailure: no process can be started.
        """
        complaints = []
        for messages in _QUESTIONS:
            try:
                render(messages)
            except TemplateComplaint as complaint:
                complaints.append(complaint)
            else:
                return
        raise ModelError(self._unusable(complaints[0])) from complaints[0]

    def token_counts(self, file: Path, texts: Sequence[str], *, special: bool) -> list[int] | None:
        """How many tokens each text has by a `tokenizer.json`, with those that it adds by itself if `special`; None: it is none.

        Raises:
            ModelError: it takes too long or too much memory, or crashes.
            EnvironmentFailure: no process can be started.
        """
        question = {"file": str(file), "texts": texts, "special": special}
        found = self._of_tokenizer("counts", question)
        return found if isinstance(found, list) else None

    def added_tokens(self, file: Path) -> list[str]:
        """The special and added tokens of a `tokenizer.json`; none if it is damaged.

        Raises:
            ModelError: it takes too long or too much memory, or crashes.
            EnvironmentFailure: no process can be started.
        """
        found: list[str] = self._of_tokenizer("added", str(file))
        return found

    def try_tokenizer(self, file: Path) -> None:
        """Do nothing if a `tokenizer.json` can be loaded, takes texts and can be copied, or is refused in good order.

        Raises:
            ModelError: it takes too long or too much memory, or crashes.
            EnvironmentFailure: no process can be started.
        """
        self._of_tokenizer("tried", {"file": str(file), "texts": TRIED})

    def close(self) -> None:
        """End the processes; the next question starts others."""
        self._templates.close()
        self._tokenizers.close()

    def _of_tokenizer(self, function: str, argument: Any) -> Any:
        try:
            return _ask(self._tokenizers, f"juicecap.vlm.models.tokenizer_file:{function}", argument, TOKENIZER_SECONDS)
        except Stopped as stopped:
            raise ModelError(
                f"the tokenizer of {self._model} cannot be used: {stopped}; name another model as hf_model"
            ) from stopped

    def _unusable(self, cause: Exception) -> str:
        return f"the chat template of {self._model} cannot be used: {cause}; name another model as hf_model"


def can_render() -> bool:
    """Whether what renders templates is installed: it comes with the libraries of models."""
    return find_spec("jinja2") is not None


def _ask(process: IsolatedProcess, function: str, argument: Any, seconds: float) -> Any:
    return process.call(function, argument, cpu_seconds=seconds, wall_seconds=seconds * BY_THE_CLOCK)
