"""Parses `sampling_params` of recipes, with the names of either library, into one `Sampling`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from juicecap.sample import same_value, short_repr
from juicecap.text import near
from juicecap.vlm.base import Sampling

ALIASES = {"max_new_tokens": "max_tokens", "stop_strings": "stop"}
FLOATS = ("temperature", "top_p", "min_p", "repetition_penalty", "presence_penalty")
CANDIDATE_TEMPERATURE, CANDIDATE_TOP_P = 0.7, 0.9
"""The defaults if several candidates are requested and no temperature is given: at 0 they would all be equal."""

WHOLE = ("top_k", "max_tokens", "max_new_tokens", "seed")
"""Parameters that are whole numbers."""

HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "best_of": (1,),
    "frequency_penalty": (0,),
    "ignore_eos": (False,),
    "length_penalty": (1,),
    "min_tokens": (0,),
    "n": (1,),
    "num_beams": (1,),
    "num_return_sequences": (1,),
    "skip_special_tokens": (True,),
    "stop_token_ids": ([],),
}
"""Parameters of the libraries that are not taken, and values at which they would change nothing: those say nothing wrong."""

_LARGEST_PRESENCE_PENALTY = 2
_RANGES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "temperature": ("a number >= 0", lambda value: _number(value) and value >= 0),
    "top_p": ("a number > 0 and <= 1", lambda value: _number(value) and 0 < value <= 1),
    "top_k": ("an integer >= 0 (0 is off)", lambda value: _integer(value) and value >= -1),
    "min_p": ("a number >= 0 and <= 1", lambda value: _number(value) and 0 <= value <= 1),
    "max_tokens": ("an integer > 0", lambda value: _integer(value) and value > 0),
    "repetition_penalty": ("a number > 0", lambda value: _number(value) and value > 0),
    "presence_penalty": ("a number from -2 to 2", lambda value: _number(value) and abs(value) <= _LARGEST_PRESENCE_PENALTY),
    "stop": ("a text or a list of texts", lambda value: _texts([value]) or _texts(value)),
}

_SEED: tuple[str, Callable[[Any], bool]] = ("an integer >= 0", lambda value: _integer(value) and value >= 0)

LEAST = {"temperature": 0.0001, "repetition_penalty": 0.01}
"""Below these (temperature 0 is greedy) computers have no numbers for the likelihood of a token."""

MOST = {"temperature": 100, "top_k": 2**31 - 1, "max_tokens": 10_000_000, "repetition_penalty": 100, "seed": 2**64 - 1}
"""Above these nothing changes any more, or no model answers."""

JSON_TYPES: dict[str, dict[str, Any]] = {
    "temperature": {"type": "number", "minimum": 0, "maximum": MOST["temperature"]},
    "top_p": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    "top_k": {"type": "integer", "minimum": -1, "maximum": MOST["top_k"]},
    "min_p": {"type": "number", "minimum": 0, "maximum": 1},
    "max_tokens": {"type": "integer", "exclusiveMinimum": 0, "maximum": MOST["max_tokens"]},
    "repetition_penalty": {"type": "number", "minimum": LEAST["repetition_penalty"], "maximum": MOST["repetition_penalty"]},
    "presence_penalty": {"type": "number", "minimum": -2, "maximum": 2},
    "stop": {"type": ["string", "array"], "items": {"type": "string"}},
    "seed": {"type": "integer", "minimum": 0, "maximum": MOST["seed"]},
    "do_sample": {"type": "boolean"},
}
"""The parameters and their ranges as JSON Schema; without aliases."""


def parse_sampling(params: Mapping[str, Any] | None, candidates: int) -> tuple[Sampling, list[str]]:
    """The sampling that `params` describe, with juicecap's defaults, and a sentence for each problem.

    A seed is checked and not part of the result. Both libraries' spellings are known: `max_new_tokens` is `max_tokens`,
    `do_sample: false` is temperature 0, `top_k: -1` is 0. What is null is not set.
    """
    given: dict[str, Any] = {}
    found: list[str] = []
    params = {name: value for name, value in (params or {}).items() if not _says_nothing(name, value)}
    for name, value in params.items():
        known = ALIASES.get(name, name)
        if name == "do_sample":
            continue
        if known not in (*_RANGES, "seed"):
            found.append(_unknown(name))
        elif must_be := _misfit(known, value):
            found.append(f"sampling_params: {name} must be {must_be}, not {short_repr(value)}")
        elif known == "seed":
            continue
        elif known in given:
            found.append(f"sampling_params: {name} is another name of {known}, which is set as well")
        else:
            given[known] = float(value) + 0.0 if known in FLOATS else value  # -0.0 is 0.0
    found += _resolve_greedy(params, given, candidates)
    if isinstance(given.get("stop"), str):
        given["stop"] = [given["stop"]]
    given["stop"] = tuple(given.get("stop", ()))
    given["top_k"] = max(0, given.get("top_k", 0))
    return Sampling(**given), found


def _says_nothing(name: str, value: object) -> bool:
    """Whether a parameter is null, as both libraries have it for what is not set, or at a default that changes nothing."""
    if value is None:
        return name in (*_RANGES, *ALIASES, *HARMLESS, "seed", "do_sample")
    return any(same_value(value, each) for each in HARMLESS.get(name, ()))


def named(params: Mapping[str, Any] | None) -> set[str]:
    """The names, in one spelling, of what `params` set."""
    names = {ALIASES.get(name, name) for name in params or {}}
    return names - {"do_sample"} | ({"temperature"} if "do_sample" in names else set())


def _resolve_greedy(params: Mapping[str, Any], given: dict[str, Any], candidates: int) -> list[str]:
    if "do_sample" in params and not isinstance(params["do_sample"], bool):
        return [f"sampling_params: do_sample must be true or false, not {params['do_sample']!r}"]
    if params.get("do_sample") is False:
        if given.get("temperature", 0) > 0:
            return ["sampling_params: do_sample is false, which is temperature 0, and temperature is set as well"]
        given["temperature"] = 0.0
    elif params.get("do_sample"):
        given.setdefault("temperature", 1.0)
    if candidates > 1 and "temperature" not in given:
        given["temperature"] = CANDIDATE_TEMPERATURE
        given.setdefault("top_p", CANDIDATE_TOP_P)
    if candidates > 1 and given["temperature"] == 0:
        return [f"{candidates} candidates at temperature 0 are all alike: set a temperature above 0, or caption_num 1"]
    return []


def _misfit(name: str, value: Any) -> str:
    """What a value should have been; empty if it is valid."""
    words, fits = _SEED if name == "seed" else _RANGES[name]
    if not fits(value):
        return words
    if name in MOST and value > MOST[name]:
        return f"at most {MOST[name]}"
    if name in LEAST and value < LEAST[name] and (name != "temperature" or value):
        return f"{'0 or ' if name == 'temperature' else ''}at least {LEAST[name]}"
    return ""


def _unknown(name: str) -> str:
    if name in ("n", "num_return_sequences", "best_of"):
        return f"sampling_params: {name} is not set here; caption_num is the number of candidates"
    found = near(name, [*_RANGES, *ALIASES, "do_sample"])
    hint = f"; did you mean {found!r}?" if found else f" (known: {', '.join(_RANGES)})"
    return f"sampling_params has no parameter {name!r}{hint}"


def _number(value: object) -> bool:
    return _integer(value) or (isinstance(value, float) and math.isfinite(value))


def _integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and each for each in value)
