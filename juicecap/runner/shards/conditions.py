"""What must be equal in all shards of a run, and naming what is not.

It is told by content, not by place: neither the paths of media and models nor the addresses of servers count, which may differ
from machine to machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import juicecap
from juicecap.ops.registry import source_of
from juicecap.recipe.shards import Phase
from juicecap.runner.steps import engines_of
from juicecap.text import numbered
from juicecap.vlm.base import digest_of
from juicecap.vlm.catalog import spec_of
from juicecap.vlm.installed import version_of

if TYPE_CHECKING:
    from juicecap.recipe import Recipe, Step

_PLACES = ("api_base", "api_key_env", "hf_model", "media_root")
"""Settings that say where something is. What the model is, its engine's identity tells."""

MADE_BY = ("juicecap", "models", "libraries")
"""Conditions that names of tables and keys of answers do not tell: no run notices what was made under others."""

_OF_MEDIA = ("av", "numpy", "pillow")
"""Libraries that decide what a model sees of a medium."""


def conditions(recipe: Recipe, phase: Phase, dataset: Mapping[str, Any], input_: str) -> dict[str, Any]:
    """What must be equal in all shards of a phase, as far as recipe and dataset tell.

    `input_` is the fingerprint of what the phase begins with; empty for the dataset itself.
    """
    steps = recipe.steps[phase.start : phase.barrier]
    return {
        "juicecap": juicecap.__version__,
        "dataset": dict(dataset),
        "input": input_,
        "ops": [op_conditions(recipe, step) for step in steps],
        "libraries": {name: version_of(name) for name in _libraries(steps)},
    }


def merge_conditions(recipe: Recipe, phase: Phase, dataset: Mapping[str, Any], input_: str) -> dict[str, Any]:
    """The same for a merge of the phase, which also decides what its ops say that need the whole dataset.

    Whoever merges needs none of the libraries that the shards need, so these are compared among the shards alone.
    """
    steps = recipe.steps[phase.barrier : phase.end]
    found = conditions(recipe, phase, dataset, input_) | {"at_merge": [op_conditions(recipe, step) for step in steps]}
    del found["libraries"]
    return found


def op_conditions(recipe: Recipe, step: Step) -> dict[str, Any]:
    """What tells one op with its settings from another."""
    op = step.op
    settings = {name: digest_of(value) for name, value in op.settings().items() if name not in _PLACES}
    settings["on_error"] = step.options.at_failure or recipe.on_error
    settings["batch_size"] = str(step.options.batch_size)
    source = [source_of(type(op)), *([task.name, task.version, task.source] for task in op.tasks())]
    return {"name": step.name, "number": step.number, "version": op.version, "source": digest_of(source), "settings": settings}


def differences(these: Mapping[str, Any], those: Any) -> list[str]:
    """What is different there, a phrase each; empty if nothing is. Only what both tell of is compared."""
    if not isinstance(those, Mapping):
        return ["its conditions cannot be read"]
    told = [each for name in ("juicecap", "input") if name in these for each in _fact(name, these[name], those.get(name))]
    if "dataset" in these:
        told += _dataset(these["dataset"], those.get("dataset"))
    for which in ("ops", "at_merge"):
        if which in these and which in those:
            told += _ops(these[which], those[which])
    for group in ("models", "libraries"):
        if group in these and group in those:
            told += _group(these[group], those[group])
    return told


def _libraries(steps: tuple[Step, ...]) -> list[str]:
    specs = [spec_of(engine) for engine in engines_of(steps)]
    found = {name for spec in specs if not spec.is_remote for name in spec.libraries}
    return sorted(found | ({*_OF_MEDIA} if any(step.op.asks() for step in steps) else set()))


def _fact(name: str, this: Any, that: Any) -> Iterator[str]:
    if this != that:
        yield "it goes on from another merge" if name == "input" else f"{name} {that} instead of {this}"


def _dataset(this: Mapping[str, Any], that: Any) -> Iterator[str]:
    if not isinstance(that, Mapping):
        yield "the dataset is not named"
        return
    named = [
        f"{name} {_said(that.get(name))} instead of {_said(this[name])}"
        for name in ("limit", "records")
        if _differ(name, this, that)
    ]
    columns, others = this["columns"], that.get("columns")
    if isinstance(others, Mapping) and columns != others:
        odd = sorted(name for name in {*columns, *others} if columns.get(name) != others.get(name))
        named.append(f"the columns {', '.join(map(repr, odd[:5]))} are others")
    if not named and this["digest"] != that.get("digest"):
        named = ["the dataset has other values"]
    yield from named


def _differ(name: str, this: Mapping[str, Any], that: Mapping[str, Any]) -> bool:
    return bool(this[name] != that.get(name))


def _said(value: Any) -> str:
    return "none" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _ops(these: list[Any], those: Any) -> Iterator[str]:
    if not isinstance(those, list) or [each["name"] for each in these] != [_get(each, "name") for each in those]:
        yield "the recipe has other ops"
        return
    for this, that in zip(these, those, strict=True):
        where = numbered(this["name"], this["number"])
        if this["version"] != _get(that, "version"):
            yield f"{where} has version {_get(that, 'version')} instead of {this['version']}"
        if this["source"] != _get(that, "source"):
            yield f"{where} has another source"
        settings, others = this["settings"], _get(that, "settings")
        others = others if isinstance(others, Mapping) else {}
        odd = sorted(name for name in {*settings, *others} if settings.get(name) != others.get(name))
        if odd:
            yield f"{where} has another {', '.join(odd)}"


def _group(these: Any, those: Any) -> Iterator[str]:
    if isinstance(these, Mapping) and isinstance(those, Mapping):
        for name in sorted(these):
            if these[name] != those.get(name):
                yield f"{name} {those.get(name)} instead of {these[name]}"
    elif these != those:
        yield "the model is another one, or of another revision"


def _get(facts: Any, name: str) -> Any:
    return facts.get(name) if isinstance(facts, Mapping) else None
