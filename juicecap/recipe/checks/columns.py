"""Whether each op of a recipe finds the columns that it reads, and does not write over others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields

from juicecap.naming import quoted
from juicecap.nested import is_among, names_in
from juicecap.ops import schema
from juicecap.ops.apply.arguments import lacking
from juicecap.ops.base import Op
from juicecap.recipe.problems import Problem
from juicecap.recipe.types import Recipe, Step
from juicecap.recipe.yaml.values import KeyPath
from juicecap.text import near


def missing_columns(recipe: Recipe, columns: Iterable[str]) -> list[Problem]:
    """A problem for each column that an op needs and that neither the data (`columns`) has nor an op before it writes."""
    present = dict.fromkeys(columns)
    problems = []
    for step in _unbroken(recipe):
        for parameter, column in step.op.columns_required():
            if not is_among(column, present):
                message, hint = lacking(step.op, parameter, column, present), _near(column, present)
                problems.append(problem_of(recipe, step, parameter, message, hint))
        present.update(dict.fromkeys(names_in(step.op.columns_written(), lambda spec: spec == "json")))
    return problems


def taken_columns(recipe: Recipe, columns: Iterable[str]) -> list[Problem]:
    """A problem for each column that an op would overwrite and that the data (`columns`) has, or an op before it writes."""
    present = set(columns)
    problems = []
    for step in _unbroken(recipe):
        for parameter, column in step.op.columns_refused():
            if column in present:
                message = f"there is a column {column!r} already, which {parameter} names"
                hint = f"name another one, or set overwrite_output: true  (juicecap ops {step.name})"
                problems.append(problem_of(recipe, step, parameter, message, hint))
        present.update(names_in(step.op.columns_written()))
    return problems


def video_columns(op: Op) -> list[str]:
    """Those of the columns whose media an op reads that hold videos."""
    named = [getattr(op, each.name) for each in fields(op) if "video" in each.name]
    return [column for column in op.media_columns() if column in named]


def problem_of(recipe: Recipe, step: Step, parameter: str, message: str, hint: str = "") -> Problem:
    """A problem with an op's parameter, where that was set: in its block, else at the top level, else nowhere (the op's name)."""
    own: KeyPath = ("process", step.index, step.name)
    top = "text_keys" if parameter == "text_key" else parameter
    message = f"{step.label}: {message}"
    for key in schema.written_as(type(step.op), step.settings, parameter, message):
        return recipe.source.problem((*own, key), message, hint=hint)
    if top in recipe.source.values:
        return recipe.source.problem((top,), message, hint=hint)
    return recipe.source.problem(own, message, at="key", hint=hint)


def _unbroken(recipe: Recipe) -> Iterator[Step]:
    """The steps before the first one that was left out for its problems: what that one would write is not known."""
    for position, step in enumerate(recipe.steps):
        if step.index != position:
            return
        yield step


def _near(column: str, present: dict[str, None]) -> str:
    found = near(column, present)
    return f"did you mean {quoted(found)}?" if found else ""
