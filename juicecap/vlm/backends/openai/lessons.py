"""What a server turns out not to take: left out from then on, and kept with the transport, since answers depend on it.

A parameter is refused whatever its value (`seed`), with one value (`temperature` 0), or beside another one (`temperature` and
`top_p`). What the recipe sets by name is never left out: it is sent, and the refusal is the user's to read.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from juicecap.vlm.base import Request, canonical_json
from juicecap.vlm.lessons import Lessons

_NEUTRAL = {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
"""What is said to servers that take the model's own values where a request is silent. Others need not hear it, and might refuse
it."""

_MOST_VALUES = 100
"""Refused values of one parameter that are remembered."""


class ServerLessons(Lessons):
    """Names of parameters that a server refuses; `a+b` stands for two that exclude each other. None: whatever the value."""

    def __init__(self, refused: Mapping[str, list[Any] | None] | None = None, *, thinks: bool = False) -> None:
        super().__init__(thinks=thinks)
        self._refused: dict[str, list[Any] | None] = dict(refused or {})

    @classmethod
    def of_pin(cls, pin: str) -> tuple[str, ServerLessons]:
        """The transport and the lessons that `pinned` wrote down; what it did not write teaches nothing."""
        transport, _, rest = pin.partition(" ")
        try:
            told: Any = json.loads(rest) if rest else {}
        except (ValueError, RecursionError):
            told = {}
        told = told if isinstance(told, dict) else {}
        refused = told.get("refused")
        fits = isinstance(refused, dict) and all(isinstance(each, list | None) for each in refused.values())
        return transport, cls(refused if fits else None, thinks=told.get("thinks") is True)

    def pinned(self, transport_choice: str) -> str:
        """The transport, and behind it in JSON what was learnt, if anything was."""
        told: dict[str, Any] = {"refused": self._refused} if self._refused else {}
        told |= {"thinks": True} if self.thinks else {}
        return f"{transport_choice} {canonical_json(told)}" if told else transport_choice

    def copy(self) -> ServerLessons:
        """The same, to be taught apart."""
        return ServerLessons(self._refused, thinks=self.thinks)

    def beyond(self, others: ServerLessons) -> list[str]:
        """The names of parameters that were learnt here and are not, or not so, among the others."""
        return [name for name, values in self._refused.items() if others._refused.get(name, []) != values]

    def learn(self, name: str, value: Any = None) -> None:
        """The server does not take this parameter: with this value, or with none (None)."""
        before = self._refused.get(name, [])
        if before is None or value is None or len(before) >= _MOST_VALUES:
            self._refused[name] = None
        else:
            self._refused[name] = [*before, value]

    def learn_from(self, other: Lessons) -> None:
        """See `Lessons`."""
        super().learn_from(other)
        if isinstance(other, ServerLessons):
            for name, values in other._refused.items():  # noqa: SLF001  (its own class)
                for value in [None] if values is None else values:
                    if not self._refuses(name, value):
                        self.learn(name, value)

    def unsent(self, request: Request) -> tuple[str, ...]:
        """See `Lessons`."""
        fields = sampling_fields(request, 0, extended=True)
        return tuple(sorted(fields.keys() - self.without(fields, request.named).keys()))

    def without(self, fields: Mapping[str, Any], named: Collection[str]) -> dict[str, Any]:
        """The fields of a request that the server takes, and those that are `named`."""
        left = {name: value for name, value in fields.items() if name in named or not self._refuses(name, value)}
        for pair in self._refused:
            first, _, second = pair.partition("+")
            if second and first in left and second in left and (spare := [each for each in (second, first) if each not in named]):
                del left[spare[0]]
        return left

    def _refuses(self, name: str, value: Any) -> bool:
        values = self._refused.get(name, [])
        return values is None or value in values


def sampling_fields(request: Request, seed: int, *, extended: bool, own: Collection[str] = ()) -> dict[str, Any]:
    """What a request says about how tokens are drawn: what the recipe sets, and what the answer depends on.

    `extended`: to a server that takes vLLM's parameters. `own` are those that the recipe sends by itself. The limit of tokens is
    not among them.
    """
    sampling, named = request.sampling, request.named
    fields: dict[str, Any] = {"temperature": sampling.temperature}
    if sampling.temperature > 0:
        fields["seed"] = seed
    if sampling.presence_penalty or "presence_penalty" in named:
        fields["presence_penalty"] = sampling.presence_penalty
    if sampling.stop:
        fields["stop"] = list(sampling.stop)
    for name, neutral in _NEUTRAL.items():
        value = sampling.top_k or -1 if name == "top_k" else getattr(sampling, name)
        if value != neutral or (name == "top_p" and name in named) or (extended and name not in own):
            fields[name] = value
    return fields
