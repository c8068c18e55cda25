"""Whether a model that failed still answers.

An error on a GPU can break a model for good (a device-side assert takes the whole CUDA context with it): from then on every call
fails, whatever it is about. So samples are to blame for their failures only if the model answers something afterwards: another
sample, or, if none came, what it answered before or a plain question. Want of memory breaks nothing and is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from juicecap.errors import EnvironmentFailure, SampleError
from juicecap.sample import display_path
from juicecap.text import first_line
from juicecap.vlm.backends.hf.groups import EncodedRequest
from juicecap.vlm.backends.hf.inputs import Row, encode
from juicecap.vlm.backends.hf.load import LoadedModel
from juicecap.vlm.base import Message, ModelSettings, Part, Prepared, Request, Sampling

ONE_TOKEN = Sampling(max_tokens=1)


class Health:
    """What is known of one model's health. The thread that asks the model uses it."""

    def __init__(self, settings: ModelSettings, loaded: LoadedModel) -> None:
        self._answerable = _plain_question(settings, loaded)
        self._proven = False  # whether it was ever answered
        self._failure = ""  # the first since the last answer

    def answered(self, members: Sequence[EncodedRequest]) -> None:
        """The model answered these."""
        self._failure = ""
        if not self._proven:
            request = replace(members[0].prepared.request, sampling=ONE_TOKEN, candidates=1)
            self._answerable = _member(request, members[0].row)
            self._proven = True

    def failed(self, members: Sequence[EncodedRequest], error: Exception) -> None:
        """The model failed on these, which it was asked together."""
        if self._failure:
            return
        request, others = members[0].prepared.request, len(members) - 1
        what = next((display_path(part.label) for part in request.media()), "a text") + (f" and {others} more" if others else "")
        hint = "batch_size: 1 finds the sample" if others else "leave that sample out"
        self._failure = (
            f"{request.model.model} answers nothing any more; it began with {what}: {type(error).__name__}: {first_line(error)}. "
            f"Running again goes on; if it ends there again, {hint}."
        )

    def check(self, ask: Callable[[list[EncodedRequest]], object]) -> None:
        """Do nothing if the model answered after it failed, or does so now.

        Raises:
            EnvironmentFailure: it is broken for good.
        """
        if self._failure and self._answerable and not _answers(ask, self._answerable):
            raise EnvironmentFailure(self._failure)
        self._failure = ""


def _answers(ask: Callable[[list[EncodedRequest]], object], member: EncodedRequest) -> bool:
    try:
        ask([member])
    except Exception:  # noqa: BLE001  (a foreign model's door)
        return False
    return True


def _plain_question(settings: ModelSettings, loaded: LoadedModel) -> EncodedRequest | None:
    """A text without pictures, if the processor takes one."""
    request = Request(model=settings, messages=(Message("user", (Part("text", "Hello"),)),), sampling=ONE_TOKEN)
    try:
        return _member(request, encode(loaded, Prepared(request=request, pictures=(), seed=0)))
    except SampleError:
        return None


def _member(request: Request, row: Row) -> EncodedRequest:
    return EncodedRequest(-1, Prepared(request=request, pictures=(), seed=0), row)
