"""Turns the list `process` of a recipe into steps, and finds every problem in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from juicecap.errors import SettingsError
from juicecap.ops import catalog, schema
from juicecap.ops.base import Op
from juicecap.ops.options.run_options import RunOptions, says_nothing
from juicecap.ops.options.types import not_empty
from juicecap.recipe import compat
from juicecap.recipe.problems import MOST_SUGGESTED, Problem, shown, suggestion
from juicecap.recipe.types import Step
from juicecap.recipe.yaml.source import Source
from juicecap.recipe.yaml.values import KeyPath, SourceSpan
from juicecap.text import numbered

MAX_OPS = 1000
"""Ops that a recipe may have: far more than anybody needs, few enough to be checked in seconds."""


@dataclass
class Findings:
    """Problems and notices collected while a recipe is read."""

    problems: list[Problem] = field(default_factory=list)
    notices: dict[str, None] = field(default_factory=dict)


def steps_of(source: Source, shared: Mapping[str, Any], found: Findings) -> list[Step]:
    """The steps that have no problem. `shared` has the recipe's values for all ops: column names, tokens, perhaps a seed."""
    process = source.values.get("process")
    if not isinstance(process, list):
        in_file = not source.is_mapping and not source.is_overridden(("process",))
        hint = "write '- ' in front of each op" if isinstance(process, dict) and in_file else ""
        message = "process is missing: the list of ops" if process is None else "process must be a list of ops"
        found.problems.append(source.problem(("process",), message, at="key", hint=hint))
        return []
    steps = []
    known = 0
    for index, item in enumerate(process):
        block = _block(source, index, item, found)
        kind = _kind(block, len(found.problems)) if block else None
        known += kind is not None
        if known > MAX_OPS:
            found.problems.append(source.problem(("process", index), f"process holds more than {MAX_OPS:,} ops", at="key"))
            break
        step = _step(block, kind, shared, found) if block else None
        if step:
            steps.append(step)
    return steps


@dataclass
class _Block:
    """An op's name and parameters as they stand in the recipe, and what is wrong with them."""

    source: Source
    index: int
    name: str
    written: dict[str, Any]
    problems: list[Problem] = field(default_factory=list)

    @property
    def trail(self) -> KeyPath:
        return ("process", self.index, self.name)

    @property
    def label(self) -> str:
        return numbered(self.name, self.index + 1)

    def wrong(self, message: str, *keys: str, at: Literal["key", "value"] = "key", hint: str = "") -> None:
        """Note a problem with a parameter, or with the op as a whole."""
        self.problems.append(self.source.problem((*self.trail, *keys), message, at=at, hint=hint))


def _block(source: Source, index: int, item: Any, found: Findings) -> _Block | None:
    trail: KeyPath = ("process", index)
    if isinstance(item, str):
        return _Block(source, index, item, {})
    if not isinstance(item, dict) or not item:
        message = f"an item of process is an op's name and its parameters, not {shown(item)}"
        found.problems.append(source.problem(trail, message))
        return None
    name, *others = item
    if others:
        message = f"an item of process is one op; beside {name!r} there is {', '.join(map(repr, others))}"
        hint = "indent parameters deeper than the op's name, and write '- ' in front of each op"
        if source.is_mapping:
            hint = "write a dict for each op: {name: parameters}"
        if source.is_overridden((*trail, others[0])):
            hint = f"a parameter of it is set as process.{index}.{name}.{others[0]}"
        found.problems.append(source.problem((*trail, others[0]), message, at="key", hint=hint))
    block = item[name]
    if block is None:
        block = {}
    if not isinstance(block, dict):
        message = f"the parameters of {numbered(str(name), index + 1)} must be written as 'name: value', not {shown(block)}"
        found.problems.append(source.problem((*trail, name), message))
        return None
    return _Block(source, index, str(name), block)


def _step(block: _Block, kind: type[Op] | None, shared: Mapping[str, Any], found: Findings) -> Step | None:
    step = _made(block, kind, shared, found) if kind else None
    found.problems.extend(block.problems)
    return None if block.problems else step


def _kind(block: _Block, after: int) -> type[Op] | None:
    try:
        return catalog.find(block.name)
    except catalog.UnknownOp as error:
        if error.elsewhere:
            block.wrong(error.elsewhere.message, hint=error.elsewhere.hint)
            return None
        hint = f"{error.suggestion if after < MOST_SUGGESTED else ''}  (juicecap ops lists all)".strip()
        block.wrong(f"there is no op {block.name!r}", hint=hint)
        return None


def _made(block: _Block, kind: type[Op], shared: Mapping[str, Any], found: Findings) -> Step | None:
    own, run = _sorted_out(block, kind, found)
    values, misfits = _parsed(kind, own)
    options, more_misfits = _parsed(RunOptions, run)
    for key, sentence in [*misfits, *more_misfits]:
        block.wrong(f"{block.label}: {sentence}", key, at="value")
    fields = dataclasses.fields(kind)
    values = {**{each.name: shared[each.name] for each in fields if each.name in shared}, **values}
    known = {*values, *(_canonical(kind, key) for key, _ in misfits)}
    missing = [each.name for each in fields if each.name not in known and _is_required(each)]
    for name in missing:
        block.wrong(f"{block.label} needs the parameter {name!r}", hint=f"(juicecap ops {block.name})")
    op = None if misfits or missing else _constructed(block, kind, values)
    if op is None or more_misfits:
        return None
    span = block.source.place(block.trail, "key")
    line, column = (span.line, span.column) if isinstance(span, SourceSpan) else (0, 0)
    run_options = RunOptions(**options)
    for key, sentence in run_options.problems():
        block.wrong(f"{block.label}: {sentence}", key, at="value")
    return Step(name=block.name, op=op, options=run_options, settings=block.written, index=block.index, line=line, column=column)


def _sorted_out(block: _Block, kind: type[Op], found: Findings) -> tuple[dict[str, Any], dict[str, Any]]:
    """The op's own parameters and its run options; a name that is neither is a problem."""
    known = schema.names(kind)
    options = {each.name for each in schema.parameters(RunOptions)}
    own: dict[str, Any] = {}
    run: dict[str, Any] = {}
    for key, value in block.written.items():
        if key in kind.ignored_parameters and (key not in known or known[key].inherited):
            if not says_nothing(key, value):
                found.notices[f"{block.name}: {key!r} has no effect: {kind.ignored_parameters[key]}"] = None
        elif key in known:
            canonical = _canonical(kind, key)
            if canonical != key:
                found.notices[f"{block.name}: {key!r} is another name of {canonical!r}"] = None
            given = value is not None or (canonical in not_empty(kind) and block.source.is_empty((*block.trail, key)))
            # null for a column name or a token: the recipe's; for a part of a parameter: not set
            if given or not (known[key].inherited or key in known[key].parts):
                own[key] = block.source.as_text((*block.trail, key)) if schema.takes_text(kind, key) else value
        elif key in options:
            run[key] = value
        else:
            names = [*known, *options, *kind.ignored_parameters]
            near = suggestion(key, names, after=len(found.problems) + len(block.problems))
            hint = compat.DATAFLOW.get(key) or f"{near}  (juicecap ops {block.name})".strip()
            block.wrong(f"{block.label} has no parameter {key!r}", key, hint=hint)
    return own, run


def _parsed(kind: type, written: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """As `schema.parse`, which takes null for any type; here it must be allowed."""
    types = {name: each.type for name, each in schema.names(kind).items()}
    nulls = [key for key, value in written.items() if value is None and "null" not in types[key] and types[key] != "Any"]
    values, misfits = schema.parse(kind, {key: value for key, value in written.items() if key not in nulls})
    return values, [*((key, f"{key} must be {schema.expected_of(kind, key, None)}, not null") for key in nulls), *misfits]


def _constructed(block: _Block, kind: type[Op], values: dict[str, Any]) -> Op | None:
    try:
        return kind(**values).in_step(block.index + 1)
    except SettingsError as error:
        for parameter, sentence in error.problems:
            block.wrong(f"{block.label}: {sentence}", *schema.written_as(kind, block.written, parameter, sentence)[:1])
        return None


def _canonical(kind: type[Op], key: str) -> str:
    """The parameter's own name for one of its aliases; for one of its parts `sampling_params.temperature`."""
    parameter = schema.names(kind)[key]
    return f"{parameter.name}.{parameter.parts[key]}" if key in parameter.parts else parameter.name


def _is_required(parameter: dataclasses.Field[Any]) -> bool:
    return parameter.default is dataclasses.MISSING and parameter.default_factory is dataclasses.MISSING
