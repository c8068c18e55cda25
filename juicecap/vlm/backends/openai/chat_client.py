"""Sampling parameters and candidates in the words of one server, learnt from what it refuses.

What a server turns out not to take is remembered as long as it is open: `max_tokens` where it wants `max_completion_tokens`,
and `n` where it answers one candidate at a time. Then candidate i is asked for singly with its seed, which is the first one's
plus i, as vLLM does for `n`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from juicecap.vlm.backends.openai.answers import Reply
from juicecap.vlm.backends.openai.error_mapping import refuses_n, wants_completion_tokens
from juicecap.vlm.backends.openai.http.retry import RetryingServer
from juicecap.vlm.backends.openai.http.server import CallFailed
from juicecap.vlm.backends.openai.options import ServerOptions
from juicecap.vlm.base import Sampling

Json = dict[str, Any]

_NEUTRAL = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
"""What is said to servers that know these names, since they take the model's own values where a request is silent. Others would
refuse them."""


class ChatClient:
    """Asks one model of one server."""

    def __init__(
        self, server: RetryingServer, model: str, options: ServerOptions, *, extended: bool, limit: str = "max_tokens"
    ) -> None:
        self._server = server
        self._model = model
        self._extra_body = options.extra_body
        self._extended = extended
        self._takes_n = True
        self.limit = limit
        """What the server calls `max_tokens`."""

    async def candidates(self, composed: Json, sampling: Sampling, seeds: Sequence[int]) -> list[Reply]:
        """Replies with a candidate for each of these seeds, which follow each other, in their order.

        Raises:
            CallFailed: one of them cannot be had.
            EnvironmentFailure: the server is gone.
        """
        body = {**composed, **self._sampling(sampling)}
        replies: list[Reply] = []
        takes_n = self._takes_n
        if len(seeds) > 1 and takes_n:
            try:
                replies.append(await self._reply({**body, "n": len(seeds)}, sampling, seeds[0]))
                takes_n = len(replies[0].candidates) > 1
            except CallFailed as failed:
                if not refuses_n(failed):
                    raise
                takes_n = False
        had = sum(len(reply.candidates) for reply in replies)
        replies += [await self._reply(body, sampling, seed) for seed in seeds[had:]]
        self._takes_n &= takes_n  # only now, since the same request without n was answered
        return replies

    async def limited(self, body: Json, max_tokens: int) -> Reply:
        """The server's answer to a body, which gets the model, the recipe's own fields and the limit.

        Raises:
            CallFailed: there is none.
            EnvironmentFailure: the server is gone.
        """
        whole = {**merged(self._extra_body, body), "model": self._model}
        limit = self.limit
        try:
            return await self._server.chat({**whole, limit: max_tokens})
        except CallFailed as failed:
            if limit != "max_tokens" or not wants_completion_tokens(failed):
                raise
        self.limit = "max_completion_tokens"
        return await self._server.chat({**whole, self.limit: max_tokens})

    async def _reply(self, body: Json, sampling: Sampling, seed: int) -> Reply:
        seeded = {"seed": seed} if sampling.temperature > 0 else {}
        return await self.limited({**body, **seeded}, sampling.max_tokens)

    def _sampling(self, sampling: Sampling) -> Json:
        body: Json = {"temperature": sampling.temperature, "top_p": sampling.top_p}
        if sampling.presence_penalty:
            body["presence_penalty"] = sampling.presence_penalty
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        beyond = {"top_k": sampling.top_k or -1, "min_p": sampling.min_p, "repetition_penalty": sampling.repetition_penalty}
        return body | {
            name: value
            for name, value in beyond.items()
            if value != _NEUTRAL[name] or (self._extended and name not in self._extra_body)
        }


def merged(below: Json, above: Json) -> Json:
    """Both, one in the other; where they contradict each other, `above` counts."""
    both = {**below, **above}
    for name in below.keys() & above.keys():
        if isinstance(below[name], dict) and isinstance(above[name], dict):
            both[name] = merged(below[name], above[name])
    return both
