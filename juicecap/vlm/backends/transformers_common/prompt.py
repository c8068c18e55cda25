"""The prompt as text, by the model's own chat template, which is run in a process of its own (`vlm.sandbox`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from transformers import ProcessorMixin

from juicecap.errors import JuicecapError, ModelError, SampleError
from juicecap.text import as_plain_text, control_tokens
from juicecap.vlm.base import Request
from juicecap.vlm.model_params import unknown_to_template
from juicecap.vlm.models.sandbox import ModelSandbox, TemplateComplaint, TemplateStopped

CHANGES_NO_TEXT = {"load_audio_from_video", "processor_kwargs", "return_dict", "return_tensors"}
"""Options of `apply_chat_template` that concern what comes after the text."""

CHANGES_MORE = {
    "continue_final_message", "documents", "return_assistant_tokens_mask", "sanitize_control_tokens", "tokenize", "tools",
}  # fmt: skip
"""Options with which it does more than to render; only a model's own code, which is trusted, sets them."""


_TOLD = "juicecap_template_kwargs"
"""Attribute of a processor with what its template is told."""


class _Isolated(ProcessorMixin):
    """Stands between a processor's class and `ProcessorMixin`, and has the template rendered elsewhere."""

    sandbox: ModelSandbox

    def apply_chat_template(self, conversation: Any, chat_template: Any = None, **options: Any) -> Any:
        """As that of `ProcessorMixin`, whose other options are those of the template."""
        given = {name: value for name, value in options.items() if name not in CHANGES_NO_TEXT}
        more = {name: given.pop(name) for name in CHANGES_MORE & given.keys()}
        if any(more.values()) or not given.pop("add_generation_prompt", False):
            return super().apply_chat_template(conversation, chat_template, **options)
        template = chat_template
        if isinstance(self.chat_template, dict):
            template = self.chat_template.get("default" if chat_template is None else chat_template, chat_template)
        elif chat_template is None:
            template = self.chat_template
        return self.sandbox.render(template, conversation, {**self.tokenizer.special_tokens_map, **given})


def isolate(processor: Any, model: str, told: Mapping[str, Any] | None = None) -> None:
    """From now on a processor's chat template is rendered in a process of its own, whatever its class has to say to that.

    `told` is what the template gets beside the conversation.

    Raises:
        ModelError: the template is of no use: it takes too long or too much memory, or fails over all that ops ask; or what it is
            told is nothing to it.
        EnvironmentFailure: no process can be started.
    """
    kind = type(processor)
    if issubclass(kind, ProcessorMixin):  # others are a model's own code
        place = {"__module__": kind.__module__, "sandbox": ModelSandbox(model)}
        processor.__class__ = type(kind.__name__, (kind, _Isolated), place)
    if told:
        _check_told(processor, model, told)
        setattr(processor, _TOLD, dict(told))
    if isinstance(processor, _Isolated):
        processor.sandbox.try_template(partial(_templated, processor))


def _check_told(processor: Any, model: str, told: Mapping[str, Any]) -> None:
    """Do nothing if the template looks at all that it is told, as far as that can be seen."""
    template = processor.chat_template
    template = template.get("default") if isinstance(template, dict) else template
    if not isinstance(processor, _Isolated) or not isinstance(template, str):
        return
    known = processor.sandbox.template_names(template)
    if known is not None and (sentences := list(unknown_to_template(told, known))):
        raise ModelError(f"{model}: model_params: {'; '.join(sentences)}")


def let_go(processor: Any) -> None:
    """End the process in which the processor's chat template is rendered."""
    if isinstance(processor, _Isolated):
        processor.sandbox.close()


def render(processor: Any, request: Request, frames: Sequence[int] | None = None) -> str:
    """The prompt with a placeholder for each medium; control tokens in texts from recipe or data are neutralised.

    `frames` says how many images stand in the place of each video, for requests of which `frames_as_images` is true.

    Raises:
        SampleError: `PROCESSOR_FAILED`: the chat template fails.
        ModelError: it fails over everything.
        EnvironmentFailure: no process can be started.
    """
    counts = iter(frames) if frames is not None else None
    turns = []
    for message in request.messages:
        content: list[dict[str, str]] = []
        for part in message.parts:
            if part.kind == "text":
                content.append({"type": "text", "text": neutralised(part.value, processor)})
            elif part.kind == "video" and counts is not None:
                content += [{"type": "image"}] * next(counts)
            else:
                content.append({"type": part.kind})
        turns.append({"role": message.role, "content": content})
    try:
        return _templated(processor, turns)
    except TemplateComplaint as complaint:
        raise SampleError("PROCESSOR_FAILED", f"the model's chat template fails with {complaint}") from complaint
    except TemplateStopped as stopped:
        raise SampleError("PROCESSOR_FAILED", str(stopped)) from stopped


def frames_as_images(processor: Any, request: Request) -> bool:
    """Whether the frames of this request's videos are shown as images, one after the other.

    That is so for models without videos, and where a request has images and videos and the processor would hand over both
    under one name, of which the model would see one only (SmolVLM).
    """
    kinds = {part.kind for part in request.media()}
    if "video" not in kinds:
        return False
    return not takes_video(processor) or ("image" in kinds and _one_name(processor))


@lru_cache(maxsize=8)
def takes_video(processor: Any) -> bool:
    """Whether videos have a place of their own in processor and chat template."""
    token = getattr(processor, "video_token", None)
    if token is None or getattr(processor, "video_processor", None) is None:
        return False
    try:
        text = _templated(processor, [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "?"}]}])
    except TemplateComplaint:  # templates refuse what they do not know
        return False
    return str(token) in text


def neutralised(text: str, processor: Any) -> str:
    """The text with a space inside of each control token of the tokenizer or the processor, so that it is read as text."""
    return as_plain_text(text, _control_tokens(processor))


@lru_cache(maxsize=8)
def _control_tokens(processor: Any) -> re.Pattern[str] | None:
    """Processors replace some of their placeholders as plain text, whether or not the tokenizer knows them."""
    tokenizer = processor.tokenizer
    tokens = set(tokenizer.all_special_tokens) | set(tokenizer.get_added_vocab())
    tokens |= {str(value) for name, value in vars(processor).items() if name.endswith(("_token", "_tag")) and value}
    return control_tokens(tokens)


def _one_name(processor: Any) -> bool:
    image, video = ({*getattr(processor, f"{kind}_processor").model_input_names} for kind in ("image", "video"))
    return bool(image & video)


def _templated(processor: Any, turns: list[dict[str, Any]]) -> str:
    try:
        told = getattr(processor, _TOLD, {})
        text: str = processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **told)
    except JuicecapError:
        raise
    except Exception as error:  # a model's own code, or what a class adds to the template
        raise TemplateComplaint(f"{type(error).__name__}: {error}") from error
    return text
