"""Sampling parameters and candidates in the words of one server, learnt from what it refuses.

What a server turns out not to take is remembered as long as it is open: `max_tokens` where it wants `max_completion_tokens`,
and `n` where it answers one candidate at a time. Then candidate i is asked for singly with its seed, which is the first one's
plus i, as vLLM does for `n`. Other parameters are left out (`lessons`), unless the recipe sets them by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from juicecap.errors import ModelError
from juicecap.notice import say_once
from juicecap.vlm.backends.openai.answers import Reply
from juicecap.vlm.backends.openai.error_mapping import LIMITS, refused_parameter, refuses_n, wants_completion_tokens
from juicecap.vlm.backends.openai.http.server import CallFailed
from juicecap.vlm.backends.openai.lessons import ServerLessons, sampling_fields
from juicecap.vlm.backends.openai.options import ServerOptions
from juicecap.vlm.base import Prepared, Request

Json = dict[str, Any]


class ChatServer(Protocol):
    """A server, asked once (`PooledServer`) or several times (`RetryingServer`)."""

    async def chat(self, body: Json) -> Reply:
        """As `Server.chat`."""


class ChatClient:
    """Asks one model of one server."""

    def __init__(
        self,
        server: ChatServer,
        model: str,
        options: ServerOptions,
        lessons: ServerLessons,
        *,
        extended: bool,
        limit: str = "max_tokens",
    ) -> None:
        self._server = server
        self._model = model
        self._place = options.display_url
        self._extra_body = options.extra_body
        self._lessons = lessons
        self._extended = extended
        self._takes_n = True
        self.limit = limit
        """What the server calls `max_tokens`."""

    async def candidates(self, composed: Json, prepared: Prepared) -> list[Reply]:
        """Replies with a candidate for each of the request's seeds, in their order. `composed` is the request as it is sent.

        Raises:
            CallFailed: one of them cannot be had.
            EnvironmentFailure: the server is gone.
            ModelError: it does not take what the recipe sets by name.
        """
        request, seeds = prepared.request, prepared.seeds
        replies: list[Reply] = []
        takes_n = self._takes_n
        if len(seeds) > 1 and takes_n:
            try:
                replies.append(await self.reply({**composed, "n": len(seeds)}, request, seeds[0]))
                takes_n = len(replies[0].candidates) > 1
            except CallFailed as failed:
                if not refuses_n(failed):
                    raise
                takes_n = False
        had = sum(len(reply.candidates) for reply in replies)
        replies += [await self.reply(composed, request, seed) for seed in seeds[had:]]
        self._takes_n &= takes_n  # only now, since the same request without n was answered
        return replies

    async def reply(self, body: Json, request: Request, seed: int, max_tokens: int | None = None) -> Reply:
        """The server's answer to a body with what the request says about sampling, as far as the server takes it.

        Raises:
            CallFailed: there is none.
            EnvironmentFailure: the server is gone.
            ModelError: it does not take what the recipe sets by name.
        """
        fields = sampling_fields(request, seed, extended=self._extended, own=self._extra_body)
        while True:
            sent = self._lessons.without(fields, request.named)
            try:
                return await self.limited({**body, **sent}, max_tokens or request.sampling.max_tokens)
            except CallFailed as failed:
                self._learn(failed, sent, request.named)

    async def limited(self, body: Json, max_tokens: int) -> Reply:
        """The server's answer to a body, which gets the model, the recipe's own fields and the limit.

        Raises:
            CallFailed: there is none.
            EnvironmentFailure: the server is gone.
            ModelError: it takes the limit by neither of its names.
        """
        whole = {**merged(self._extra_body, body), "model": self._model}
        limit = self.limit
        try:
            return await self._server.chat({**whole, limit: max_tokens})
        except CallFailed as failed:
            if limit != "max_tokens" or not wants_completion_tokens(failed):
                raise
        try:
            answer = await self._server.chat({**whole, "max_completion_tokens": max_tokens})
        except CallFailed as failed:
            if not refused_parameter(failed, dict.fromkeys(LIMITS)):
                raise
            raise ModelError(f"{self._place} takes neither max_tokens nor max_completion_tokens: {failed}") from None
        self.limit = "max_completion_tokens"
        return answer

    def _learn(self, failed: CallFailed, sent: Mapping[str, Any], named: Sequence[str]) -> None:
        """Note what is to be left out from now on.

        Raises:
            CallFailed: the refusal, if it is about something else.
            ModelError: the recipe sets that by name.
        """
        refused = refused_parameter(failed, sent)
        if not refused:
            raise failed
        name, value = refused
        spare = [each for each in name.split("+") if each not in named]
        if not spare:
            what = name.replace("+", " and ")
            raise ModelError(f"{self._place} does not take {what} as set in the recipe ({failed}): leave it out") from None
        self._lessons.learn(name, value)
        say_once(f"{self._place} does not take {spare[-1]} ({failed}): it is left out, and the server decides")


def merged(below: Json, above: Json) -> Json:
    """Both, one in the other; where they contradict each other, `above` counts."""
    both = {**below, **above}
    for name in below.keys() & above.keys():
        if isinstance(below[name], dict) and isinstance(above[name], dict):
            both[name] = merged(below[name], above[name])
    return both
