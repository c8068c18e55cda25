"""The key `dataset` of a recipe: `{configs: [{type: local, path: …, weight: …}], max_sample_num: …}` names several datasets.

It is Data-Juicer's. What it names becomes the text that `dataset_path` would have (see `data/source/mixture.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from juicecap.data.source.mixture import Share, written
from juicecap.recipe.problems import Problem, suggestion
from juicecap.recipe.yaml.source import Source
from juicecap.recipe.yaml.values import KeyPath
from juicecap.sample import short_repr

KEY = "dataset"
_KNOWN = ("configs", "max_sample_num")
_OF_CONFIGS = ("type", "source", "path", "weight")


def dataset_of(source: Source, problems: list[Problem]) -> tuple[str, int | None]:
    """The text that names the datasets, and how many rows are drawn of them; what is wrong goes to `problems`."""
    value = source.values.get(KEY)
    if is_empty(value):
        return "", None
    if source.values.get("dataset_path"):
        problems.append(source.problem((KEY,), "dataset and dataset_path are both set: keep one of them", at="key"))
        return "", None
    if not isinstance(value, Mapping):  # which is reported already
        return "", None
    problems.extend(_unknown(source, (KEY,), value, _KNOWN))
    most = value.get("max_sample_num")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        problems.append(_problem(source, (KEY, "max_sample_num"), f"must be a whole number from 1, not {short_repr(most)}"))
        most = None
    configs = value.get("configs")
    if not isinstance(configs, list) or not configs:
        problems.append(source.problem((KEY,), "dataset needs configs: a list of {type: local, path: …}"))
        return "", None
    shares = [_share(source, (KEY, "configs", index), each, problems) for index, each in enumerate(configs)]
    named = [share for share in shares if share]
    if len(named) == 1 and most is None:
        return named[0].path, None
    return written(named), most


def schema(variable: Mapping[str, Any]) -> dict[str, Any]:
    """What may stand there, as JSON Schema; a `variable` may stand for a number or a choice."""
    config = {
        "type": "object",
        "properties": {
            "type": {"anyOf": [{"enum": ["local", "remote"]}, variable]},
            "source": {},
            "path": {"type": "string", "minLength": 1},
            "weight": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, variable]},
        },
        "required": ["path"],
        "additionalProperties": False,
        "if": {"properties": {"type": {"const": "remote"}}, "required": ["type"]},
        "then": {"properties": {"source": {"anyOf": [{"const": "huggingface"}, variable]}}, "required": ["source"]},
    }
    return {
        "type": ["object", "array", "null", "string"],
        "properties": {
            "configs": {"type": "array", "items": config, "minItems": 1},
            "max_sample_num": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}, variable]},
        },
        "additionalProperties": False,
        "anyOf": [{"required": ["configs"]}, {"maxProperties": 0}],
        "maxItems": 0,
        "pattern": variable["pattern"],
    }


def is_empty(value: Any) -> bool:
    """Whether the key names no dataset: Data-Juicer's recipes write its default out, which is an empty list."""
    return value in (None, [], {})


def _share(source: Source, trail: KeyPath, config: Any, problems: list[Problem]) -> Share | None:
    if not isinstance(config, Mapping) or not isinstance(config.get("path"), str) or not config["path"]:
        problems.append(_problem(source, trail, f"must be a mapping with a path, not {short_repr(config)}"))
        return None
    problems.extend(_unknown(source, trail, config, _OF_CONFIGS))
    kind, weight = config.get("type", "local"), config.get("weight", 1.0)
    if kind != "local" and not (kind == "remote" and config.get("source") == "huggingface"):
        problems.append(
            _problem(source, (*trail, "type"), f"must be local, or remote with source: huggingface, not {short_repr(kind)}")
        )
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
        problems.append(_problem(source, (*trail, "weight"), f"must be a number larger than 0, not {short_repr(weight)}"))
        weight = 1.0
    return Share(config["path"], float(weight))


def _unknown(source: Source, trail: KeyPath, value: Mapping[Any, Any], known: tuple[str, ...]) -> list[Problem]:
    where = ".".join(map(str, trail))
    return [
        source.problem((*trail, key), f"{where} has no key {key!r}", at="key", hint=suggestion(key, known))
        for key in value
        if key not in known
    ]


def _problem(source: Source, trail: KeyPath, sentence: str) -> Problem:
    return source.problem(trail, f"{'.'.join(map(str, trail))} {sentence}")
