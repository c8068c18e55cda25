"""What the settings say about a server, checked before anything is sent to it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from juicecap.errors import EnvironmentFailure, ModelError
from juicecap.sample import short_repr
from juicecap.secrecy import keep
from juicecap.text import near
from juicecap.vlm.base import TEMPLATE_KWARGS, ModelSettings
from juicecap.vlm.catalog import BACKENDS
from juicecap.vlm.model_params import problems

Transport = Literal["frames", "images", "file"]
"""How a video travels: a list of frames with their times, pictures one by one, or the file itself."""

DEFAULT_BASE = "https://api.openai.com/v1"
DEFAULT_KEY_NAME = "OPENAI_API_KEY"
NO_KEY = "EMPTY"
"""What is sent to a server that wants no key."""

AS_LONG_AS_A_KEY = 20
"""Characters; names in addresses are shorter."""

TIMEOUT, MAX_ATTEMPTS = 300.0, 6
LEAST_TIMEOUT, MOST_TIMEOUT = 0.01, 604_800
"""Seconds; a week."""

MOST_ATTEMPTS = 100
"""With pauses of up to a minute between them."""

_IN_FLIGHT, _FILES_IN_FLIGHT = 32, 8
"""Requests at a server at once; files are held in memory whole."""

KNOWN = (*BACKENDS["openai"].parameters, TEMPLATE_KWARGS)
_OURS = (
    "model", "messages", "n", "seed", "stream", "temperature", "top_p", "presence_penalty", "stop", "max_tokens",
    "max_completion_tokens",
)  # fmt: skip
"""Fields of a request that follow from the recipe; `extra_body` may not contradict it."""


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Where requests go, and how."""

    base: str
    """The server's address, without a slash at its end."""
    key: str = field(repr=False)
    key_name: str
    transport: Transport | None
    """None: the first one that the server takes."""
    timeout: float
    """Seconds for one attempt, from the connection to the last byte of the answer."""
    max_attempts: int
    extra_body: dict[str, Any]
    """Merged into the body of every request."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What the server is not to be repeated with: its key, however short, and what may be a key in its address."""
        parts = urlsplit(self.base)
        long = [part for part in parts.path.split("/") if len(part) >= AS_LONG_AS_A_KEY]
        return tuple(each for each in (self.key, parts.query, *long) if each not in ("", NO_KEY))

    @property
    def display_url(self) -> str:
        """The address as people are told it, without what may be a key: a query, and long parts of the path."""
        parts = urlsplit(self.base)
        path = "/".join(part if len(part) < AS_LONG_AS_A_KEY else "***" for part in parts.path.split("/"))
        return f"{parts.scheme}://{parts.netloc}{path}"


def in_flight(transport: Transport) -> int:
    """Requests at a server at once that keep it busy."""
    return _FILES_IN_FLIGHT if transport == "file" else _IN_FLIGHT


def options_of(settings: ModelSettings) -> tuple[ServerOptions, ...]:
    """The settings, checked, with their defaults: one for each server, alike but for the address.

    Raises:
        ModelError: they can never work.
        EnvironmentFailure: the key's variable is not set.
    """
    params = settings.engine_params()
    if problems := [*_unknown(params), *_wrong(params)]:
        raise ModelError("model_params: " + "; ".join(problems))
    first, *others = _bases(settings)
    transport, told = params.get("transport", "auto"), settings.template_kwargs()
    options = ServerOptions(
        base=first,
        key=_key(settings),
        key_name=settings.api_key_env or DEFAULT_KEY_NAME,
        transport=None if transport == "auto" else transport,
        timeout=float(params.get("timeout", TIMEOUT)),
        max_attempts=params.get("max_attempts", MAX_ATTEMPTS),
        extra_body={
            **(params.get("extra_body") or {}),
            **({TEMPLATE_KWARGS: told} if (told := settings.template_kwargs()) else {}),
        },
    )
    return (options, *(replace(options, base=base) for base in others))


def _unknown(params: dict[str, Any]) -> list[str]:
    found = []
    for name in params:
        if name not in KNOWN:
            known = near(name, KNOWN)
            hint = f"did you mean {known!r}?" if known else f"known are {', '.join(KNOWN)}; other fields go into extra_body"
            found.append(f"the openai backend has no parameter {name!r} ({hint})")
    return found


def _wrong(params: dict[str, Any]) -> list[str]:
    found = []
    transports = ("auto", *get_args(Transport))
    if (transport := params.get("transport", "auto")) not in transports:
        found.append(f"transport must be one of {', '.join(transports)}, not {transport!r}")
    timeout = params.get("timeout", TIMEOUT)
    if not isinstance(timeout, int | float) or isinstance(timeout, bool) or not timeout > 0:
        found.append(f"timeout must be a number of seconds above 0, not {short_repr(timeout)}")
    elif not LEAST_TIMEOUT <= timeout <= MOST_TIMEOUT:
        found.append(f"timeout must be from {LEAST_TIMEOUT} to {MOST_TIMEOUT} seconds (a week), not {short_repr(timeout)}")
    attempts = params.get("max_attempts", MAX_ATTEMPTS)
    if not isinstance(attempts, int) or isinstance(attempts, bool) or attempts < 1:
        found.append(f"max_attempts must be an integer above 0, not {short_repr(attempts)}")
    elif attempts > MOST_ATTEMPTS:
        found.append(f"max_attempts must be at most {MOST_ATTEMPTS}, not {short_repr(attempts)}")
    found += [sentence for sentence in problems("openai", params) if sentence.startswith(TEMPLATE_KWARGS)]
    extra = params.get("extra_body") or {}
    if not isinstance(extra, dict):
        found.append(f"extra_body must be a mapping, not {extra!r}")
    else:
        found += [f"extra_body must not set {name}, which follows from the recipe" for name in _OURS if name in extra]
        if TEMPLATE_KWARGS in extra and params.get(TEMPLATE_KWARGS):
            found.append(f"extra_body and model_params both set {TEMPLATE_KWARGS}: set one of them")
    return found


def _bases(settings: ModelSettings) -> list[str]:
    given = settings.api_base or DEFAULT_BASE
    bases = [_checked(each) for each in ([given] if isinstance(given, str) else given)]
    if twice := next((base for place, base in enumerate(bases) if base in bases[:place]), ""):
        raise ModelError(f"api_base names {twice} twice: name each server once")
    return bases


def _checked(address: str) -> str:
    base = address.strip().rstrip("/").removesuffix("/chat/completions")
    try:
        parts = urlsplit(base)
        fitting = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0  # which raises beyond 65535
    except ValueError:
        fitting = None
    if "@" in base:
        raise ModelError("api_base must be an address without a name and password: put the key into the variable of api_key_env")
    if not fitting:
        raise ModelError(f"api_base must be an address such as http://localhost:8000/v1, not {base!r}")
    return base


def _key(settings: ModelSettings) -> str:
    name = settings.api_key_env or DEFAULT_KEY_NAME
    key = os.environ.get(name, "").strip()
    if not key and settings.api_base and not settings.api_key_env:
        return NO_KEY
    if not key:
        source = ", which api_key_env names," if settings.api_key_env else ""
        raise EnvironmentFailure(f"the environment variable {name}{source} is not set: put the server's key into it")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise EnvironmentFailure(f"the environment variable {name} holds something that cannot be a key: check its spelling")
    if key != NO_KEY:
        keep(key, name)
    return key
