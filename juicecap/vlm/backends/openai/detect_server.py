"""What is found out about a server before any sample is touched: whether it is there, has the model, and how it takes a video.

The last is tried out: four small frames are sent in each way, until one is taken; with the parameters that requests are going to
have, so that what the server does not take of them is known before the first sample. The question alone may have as long an
answer: a limit beyond what the server allows is told here too, and a model that ends a thought shows that it has begun one. A
server that silently drops what it does not know would caption nothing at all; so a way counts only if the prompt has more tokens
than the question alone (where the server tells).
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, get_args

import numpy as np

from juicecap.errors import EnvironmentFailure, ModelError
from juicecap.media.encode import mp4
from juicecap.media.picture import MediaFrames
from juicecap.text import nearest, valid
from juicecap.vlm.backends.openai import error_mapping as refusals
from juicecap.vlm.backends.openai import transports
from juicecap.vlm.backends.openai.answers import Reply
from juicecap.vlm.backends.openai.chat_client import ChatClient
from juicecap.vlm.backends.openai.http.breaker import Breaker
from juicecap.vlm.backends.openai.http.retry import RetryingServer, RetryPolicy
from juicecap.vlm.backends.openai.http.server import PATIENCE, CallFailed, Server
from juicecap.vlm.backends.openai.lessons import ServerLessons
from juicecap.vlm.backends.openai.options import ServerOptions, Transport
from juicecap.vlm.base import Message, ModelSettings, Part, Prepared, Request
from juicecap.vlm.reasoning import spoken

_QUESTION = "What is this?"
_TRIAL_TOKENS = 16
_FPS = 2
_EXTENDED = ("vllm", "sglang")
"""Servers that take sampling parameters beyond OpenAI's; they say who they are in their list of models."""

_MOST_NAMES, _MOST_COMPARED, _LONGEST_NAME = 20, 2000, 256
"""Models that an error lists, and that are compared with the one that was not found; characters of such a name."""

_ATTEMPTS = 3


class ServerAbsent(EnvironmentFailure):
    """No server is there, or it answers nothing yet; another attempt may find it."""


@dataclass(frozen=True)
class ServerInfo:
    """How to talk to a server. `extended`: it takes vLLM's sampling parameters; `limit`: its name of `max_tokens`.

    `context` and `root` are how many tokens fit, and what the model's name stands for, where the server tells.
    """

    transport: Transport
    extended: bool
    limit: str
    context: int | None = None
    root: str = ""


async def detect_server(
    server: Server,
    patience: RetryPolicy,
    settings: ModelSettings,
    options: ServerOptions,
    lessons: ServerLessons,
    first: Request | None = None,
    transport: Transport | None = None,
) -> ServerInfo:
    """See the module. `transport` is the one that is set, or that was found before: no other is tried.

    `first` is like what is going to be asked; what is learnt goes into `lessons`.

    Raises:
        ServerAbsent: the server is not there.
        EnvironmentFailure: it refuses the key.
        ModelError: it has no such model, or takes no video.
    """
    models = await _greet(server, settings, options)
    extended = any(model.get("owned_by") in _EXTENDED for model in models)
    patience = replace(patience, max_attempts=min(_ATTEMPTS, patience.max_attempts))
    asking = ChatClient(
        RetryingServer(server, patience, Breaker(options.display_url)), settings.model, options, lessons, extended=extended
    )
    trial = Trial(asking, settings, options, lessons, first)
    try:
        async with asyncio.timeout(options.timeout):
            taken = await _try_out(trial, settings, options, transport or options.transport)
    except TimeoutError:
        raise _absent(options, f"no answer within {options.timeout:g} seconds") from None
    return ServerInfo(taken, extended, asking.limit, *_told_of(settings.model, models))


def _told_of(model: str, models: list[dict[str, Any]]) -> tuple[int | None, str]:
    """How many tokens fit, and what the name stands for, as vLLM and SGLang list it."""
    told = next((each for each in models if each.get("id") == model), {})
    context, root = told.get("max_model_len"), told.get("root")
    return context if type(context) is int else None, root if isinstance(root, str) and len(root) <= _LONGEST_NAME else ""


async def _greet(server: Server, settings: ModelSettings, options: ServerOptions) -> list[dict[str, Any]]:
    """What the server lists, if it has the model or no list."""
    try:
        async with asyncio.timeout(PATIENCE):
            models = await server.models()
    except TimeoutError:
        raise _absent(options, f"silent for {PATIENCE:g} seconds") from None
    except CallFailed as failed:
        if failed.silent:
            raise _absent(options, failed.message) from None
        if error := refusals.fatal(failed, options, settings.model):
            raise (ModelError(str(error)) if failed.kind == "redirect" else error) from None
        models = []  # the list is no use; the trial will tell
    names = [model["id"] for model in models if isinstance(model.get("id"), str) and model["id"]]
    if names and not _is_among(settings.model, names):
        compared = [valid(name) for name in names if len(name) <= _LONGEST_NAME][:_MOST_COMPARED]
        near = nearest(settings.model, compared, _MOST_NAMES)
        rest = f"{len(names) - len(near)} more" if len(names) > len(near) else ""
        has = " and ".join(filter(None, [server.hidden(", ".join(near)), rest]))
        raise ModelError(f"{options.display_url} has no model {settings.model!r}; it has {has}: name one as hf_model")
    return models


def _is_among(model: str, names: list[str]) -> bool:
    """Routers take `model:variant`, some list `models/model`, and Ollama lists `model:latest`."""
    return any(name in (model, f"{model}:latest", model.partition(":")[0]) or name.endswith(f"/{model}") for name in names)


def _absent(options: ServerOptions, why: str) -> ServerAbsent:
    return ServerAbsent(f"{options.display_url}: no server answers ({why}); start it or mend api_base; running again resumes")


async def _try_out(asking: Trial, settings: ModelSettings, options: ServerOptions, only: Transport | None) -> Transport:
    """The transport that is set, or the first that is taken."""
    words: dict[str, str] = {}
    down = True
    alone = await asking.alone({"messages": [{"role": "user", "content": _QUESTION}]})
    for transport in [only] if only else get_args(Transport):
        trial = await asking.prompt_tokens(await asyncio.to_thread(_clip, transport, settings))
        if isinstance(trial, int) and isinstance(alone, int) and 0 < trial <= alone:
            words[transport] = "it answers as if nothing had been sent"
        elif isinstance(trial, int):
            return transport
        else:
            words[transport] = trial.message
            down &= trial.transient
    told = "; ".join(f"{transport}: {said}" for transport, said in words.items())
    if down and not any(said.startswith("it answers") for said in words.values()):
        raise ServerAbsent(f"{options.display_url} fails on every request ({told}); running again resumes")
    hint = "; leave transport out to have all ways tried" if options.transport else ""
    if only and not options.transport:
        hint = "; answers so far were asked for this way: set transport in model_params, or run with --fresh"
    raise ModelError(f"{settings.model} at {options.display_url} takes no video that is sent this way ({told}){hint}")


@dataclass(frozen=True)
class Trial:
    """Sends questions with the parameters of `first`."""

    asking: ChatClient
    settings: ModelSettings
    options: ServerOptions
    lessons: ServerLessons
    first: Request | None

    async def alone(self, body: dict[str, Any]) -> int | CallFailed:
        """How many tokens the prompt of a question without media had, as `prompt_tokens`.

        Raises:
            ModelError: the server refuses a value that the recipe sets.
        """
        most = self.first.sampling.max_tokens if self.first else _TRIAL_TOKENS
        try:
            reply = await self._reply(body, most)
        except CallFailed as failed:
            if self.first and (wrong := refusals.wrong_value(failed, self.first)):
                where = f"{self.options.display_url} refuses {wrong} ({failed})"
                raise ModelError(f"{where}: set another one in sampling_params") from None
            return failed
        self.lessons.thinks |= any(spoken(each.text).ended for each in reply.candidates)
        return reply.prompt_tokens

    async def prompt_tokens(self, body: dict[str, Any]) -> int | CallFailed:
        """How many tokens a trial's prompt had; 0 if the server does not tell."""
        try:
            return (await self._reply(body, _TRIAL_TOKENS)).prompt_tokens
        except CallFailed as failed:
            return failed

    async def _reply(self, body: dict[str, Any], most: int) -> Reply:
        try:
            if self.first is None:
                return await self.asking.limited(body, most)
            return await self.asking.reply(body, self.first, self.first.seed % 2**31, most)
        except CallFailed as failed:
            if failed.silent:
                raise _absent(self.options, failed.message) from None
            if error := refusals.fatal(failed, self.options, self.settings.model):
                wrong = failed.kind == "redirect" or failed.status == HTTPStatus.NOT_FOUND
                raise (ModelError(str(error)) if wrong else error) from None
            raise


def _clip(transport: Transport, settings: ModelSettings) -> dict[str, Any]:
    """Four frames of 64 x 64 pixels that grow brighter, and the question what they are."""
    pixels = np.stack([np.full((64, 64, 3), 60 * number, np.uint8) for number in range(4)])
    if transport == "file":
        video = {"url": f"data:video/mp4;base64,{base64.b64encode(mp4(pixels, _FPS)).decode()}"}
        content = [{"type": "video_url", "video_url": video}, {"type": "text", "text": _QUESTION}]
        return {"messages": [{"role": "user", "content": content}]}
    picture = MediaFrames(pixels=pixels, times=tuple(number / _FPS for number in range(4)), duration=4 / _FPS)
    request = Request(model=settings, messages=(Message("user", (Part("video", "trial"), Part("text", _QUESTION))),))
    return transports.compose(Prepared(request=request, pictures=(picture,), seed=0), transport)
