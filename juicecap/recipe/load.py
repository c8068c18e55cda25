"""Reads a recipe, a file or a dict, into a `Recipe`, or raises one error with everything that is wrong with it.

This module checks what depends on the recipe alone: its YAML, its keys, each op's parameters and their types and contradictions.
`recipe/checks` compares it with the data and the disk.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from juicecap.data.source import sidecar
from juicecap.errors import ArgumentError, DataError, RecipeError
from juicecap.naming import unnameable
from juicecap.ops import catalog, registry, schema
from juicecap.ops.options.common_options import ColumnsAndTokens
from juicecap.ops.options.media_options import MediaOptions
from juicecap.ops.options.run_options import OnError, at_failure, contradictions
from juicecap.ops.options.types import as_number, empty_problems, not_empty
from juicecap.recipe import compat, dataset_key, export_key
from juicecap.recipe.compat import data_juicer_defaults
from juicecap.recipe.keys import IGNORED, RecipeKeys
from juicecap.recipe.problems import Problem, failure, shown, suggestion
from juicecap.recipe.steps import Findings, steps_of
from juicecap.recipe.types import Recipe
from juicecap.recipe.work_dir import JOURNAL, RECIPE
from juicecap.recipe.yaml import include
from juicecap.recipe.yaml.environment import strings
from juicecap.recipe.yaml.mapping import of_mapping
from juicecap.recipe.yaml.overrides import apply_overrides
from juicecap.recipe.yaml.path_starts import key_start
from juicecap.recipe.yaml.source import Source
from juicecap.recipe.yaml.values import Parsed, bare, is_named_yaml, parse, read
from juicecap.sample import display_path, short_repr
from juicecap.vlm.cluster.options import ClusterOptions, options_of

COLUMNS_AND_TOKENS = tuple(each.name for each in fields(ColumnsAndTokens))
"""Keys that a recipe sets for all of its ops; `text_keys` is the ops' `text_key`."""

FOR_MEDIA = tuple(each.name for each in fields(MediaOptions))
"""Keys that a recipe sets for those of its ops that read media."""

KNOWN = tuple(each.name for each in fields(RecipeKeys))

NOT_EMPTY = not_empty(RecipeKeys)

HOME_OF_ANCHORS = "x-"
"""Keys with this prefix hold values that YAML anchors use elsewhere; they have no meaning themselves."""


@dataclass(frozen=True)
class Draft:
    """A recipe as far as it can be read: wrong values have their defaults, and ops with problems are left out."""

    recipe: Recipe
    problems: tuple[Problem, ...]


def load_recipe(recipe: str | os.PathLike[str] | Mapping[str, Any], overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe: a file, or a dict of what would stand in one. `overrides` are `KEY=VALUE` texts as `--set` takes them.

    Relative paths start at the working directory. Files named in `custom_operator_paths` are run.

    Raises:
        RecipeError: the recipe is wrong; every problem is in the report, at its line, or in a dict at the path of its key.
        UsageError: an override is not `KEY=VALUE`, or leads nowhere.
        ArgumentError: it is neither a path nor a dict.
    """
    draft = draft_recipe(recipe, overrides)
    if draft.problems:
        raise failure(draft.problems, draft.recipe.source.text)
    return draft.recipe


def draft_recipe(recipe: str | os.PathLike[str] | Mapping[str, Any], overrides: Sequence[str] = ()) -> Draft:
    """As `load_recipe`, but problems that leave the rest readable are returned, not raised."""
    source, problems = _source(_parsed(recipe))
    apply_overrides(source, overrides, {*KNOWN, *compat.DATA_JUICER, *compat.DATAFLOW})
    problems = (*problems, *source.fill_variables())
    unset = [repr(text) for trail, text in strings(source.values) if trail not in source.filled]
    found = Findings(problems=list(problems))
    keys = _keys(source, found)
    _load_operators(source, _listed(keys.custom_operator_paths), found)
    shared = {name: getattr(keys, name) for name in (*COLUMNS_AND_TOKENS, *FOR_MEDIA)}
    shared["text_key"] = (*_listed(keys.text_keys), "text")[0]
    if source.values.get("seed") is not None:
        shared["seed"] = keys.seed
    steps = steps_of(source, shared, found)
    cluster = _cluster(source, keys, found)
    datasets, max_sample_num = dataset_key.dataset_of(source, found.problems)
    exports = export_key.exports_of(source, keys.dataset_path or datasets, found.problems)
    unreadable = {each.place for each in problems}
    news = (each for each in found.problems if each.place not in unreadable and not any(text in each.message for text in unset))
    wrong = [*problems, *news]
    only_exports = bool(exports) and source.values.get("export_path") is None
    export_path = None if only_exports else Path(keys.export_path)
    work_dir = Path(keys.work_dir) if keys.work_dir else run_folder_beside(export_path or exports[0].place)
    read = Recipe(
        path=work_dir / RECIPE if source.is_mapping else Path(source.file),
        project_name=keys.project_name,
        dataset_path=keys.dataset_path or datasets,
        max_sample_num=max_sample_num,
        export_path=export_path,
        exports=exports,
        work_dir=work_dir,
        steps=tuple(steps),
        custom_operator_paths=_listed(keys.custom_operator_paths),
        text_keys=_listed(keys.text_keys),
        **{name: getattr(keys, name) for name in COLUMNS_AND_TOKENS},
        seed=keys.seed,
        max_rejected=keys.max_rejected,
        on_error=at_failure(_on_error(source, keys), skip_op_error=keys.skip_op_error) or "reject",
        journal=Path(keys.journal) if keys.journal else work_dir / JOURNAL,
        use_cache=keys.use_cache,
        cluster=cluster,
        pipeline=keys.pipeline if isinstance(keys.pipeline, str) else "on" if keys.pipeline else "off",
        keep_steps=keys.keep_steps,
        suffixes=_listed(keys.suffixes),
        sidecar_suffixes=sidecar.with_dots(keys.sidecar_suffix),
        export_type=keys.export_type,
        export_shard_size=keys.export_shard_size,
        export_csv_formulas=keys.export_csv_formulas,
        export_paths=keys.export_paths,
        notices=tuple(found.notices),
        resolved=source.written,
        source=source,
    )
    return Draft(read, tuple(wrong))


def _parsed(recipe: str | os.PathLike[str] | Mapping[str, Any]) -> Parsed:
    """The values of a file, or of a dict."""
    if isinstance(recipe, Mapping):
        return of_mapping(recipe)
    if not isinstance(recipe, str | os.PathLike):
        raise ArgumentError(
            f"a recipe is the path of a YAML file, or a dict of what would stand in one, not {short_repr(recipe)}"
        )
    file = os.fspath(recipe)
    text = read(Path(file))
    try:
        parsed = parse(text, file)
    except RecipeError as error:
        if is_named_yaml(file):
            raise
        raise failure([bare(problem) for problem in error.problems], "") from None
    if not isinstance(parsed.values, dict):
        what = "is empty" if parsed.values is None else f"is a {type(parsed.values).__name__}, not a mapping of keys"
        example = "it holds keys such as dataset_path, export_path and process"
        raise failure([Problem(file=file, line=1, column=1, message=f"the recipe {what}", hint=example)], parsed.text)
    return parsed


def _source(parsed: Parsed) -> tuple[Source, tuple[Problem, ...]]:
    """The values of a recipe and of the files that it includes, and the problems of their texts that leave the rest readable."""
    included = include.with_includes(parsed)
    for key in [key for key in parsed.values if str(key).startswith(HOME_OF_ANCHORS)]:
        del parsed.values[key]
    source = Source(
        file=parsed.file,
        text=parsed.text,
        values=parsed.values,
        keys=parsed.keys,
        places=parsed.places,
        texts=included.texts,
        included=tuple(included.paths),
        is_mapping=parsed.is_mapping,
    )
    return source, tuple(parsed.problems)


def _keys(source: Source, found: Findings) -> RecipeKeys:
    """The keys of the top level; a wrong or null value is replaced by the default."""
    values, misfits = schema.parse(RecipeKeys, _written(source, found))
    found.problems += [source.problem((key,), sentence) for key, sentence in misfits]
    limit = as_number(source.values.get("max_rejected"))
    if _is_limit(limit):
        values["max_rejected"] = limit
    elif limit is not None:
        message = f"max_rejected must be a share from 0.0 to 1.0 or a number of samples, not {shown(limit)}"
        found.problems.append(source.problem(("max_rejected",), message))
    empty = dict(empty_problems(RecipeKeys, values))
    empty |= {key: f"{key} must not be empty" for key in ("text_keys", *COLUMNS_AND_TOKENS) if not values.get(key, key)}
    found.problems += [source.problem((key,), sentence) for key, sentence in empty.items()]
    keys = RecipeKeys(**{key: value for key, value in values.items() if key not in empty})
    for key, sentence in contradictions(_on_error(source, keys), skip_op_error=keys.skip_op_error):
        found.problems.append(source.problem((key,), sentence))
    _say_ignored(source, keys, found)
    return keys


def _written(source: Source, found: Findings) -> dict[str, Any]:
    """The values of the known keys, except null ones and the two keys that have their own rules."""
    written: dict[str, Any] = {}
    for key, value in source.values.items():
        if key == include.KEY:  # included files are read before options are applied
            message = "include can stand in the recipe only"
            found.problems.append(source.problem((key,), message, hint="give what is to be included as KEY=VALUE"))
        elif key not in KNOWN:
            _other(source, key, value, found)
        elif key == "custom_operator_paths":
            written[key] = _named(source.as_text((key,)))
        elif key in ("process", "max_rejected", export_key.KEY) or (key == dataset_key.KEY and dataset_key.is_empty(value)):
            continue
        elif value is not None or (key in NOT_EMPTY and source.is_empty((key,))):
            written[str(key)] = source.as_text((key,)) if schema.takes_text(RecipeKeys, str(key)) else value
    return written


def _on_error(source: Source, keys: RecipeKeys) -> OnError | None:
    """What the recipe says itself."""
    return None if source.values.get("on_error") is None else keys.on_error


def _other(source: Source, key: str | int, value: Any, found: Findings) -> None:
    """A key that is not taken: a problem, unless it is one of Data-Juicer's and nothing is lost with it."""
    answer = compat.answer(key)
    if answer and data_juicer_defaults.is_harmless(key, value):
        return
    if answer and key in compat.EFFECTLESS:
        found.notices[f"{key!r} has no effect: {answer}"] = None
    else:
        found.problems.append(_unknown(source, key, len(found.problems)))


def _unknown(source: Source, key: str | int, after: int) -> Problem:
    answer = compat.answer(key)
    if answer:
        message = f"{key!r} is a key of Data-Juicer's that juicecap does not take"
        return source.problem((key,), message, at="key", hint=answer)
    if key in compat.DATAFLOW:
        message = f"{key!r} is a setting of DataFlow's storage that juicecap does not take"
        return source.problem((key,), message, at="key", hint=compat.DATAFLOW[str(key)])
    hint = "ops stand in the list 'process'" if key in catalog.names() else suggestion(key, KNOWN, after=after)
    return source.problem((key,), f"a recipe has no key {key!r}", at="key", hint=hint)


def _is_limit(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return (isinstance(value, int) and value >= 0) or (isinstance(value, float) and 0 <= value <= 1)


def _say_ignored(source: Source, keys: RecipeKeys, found: Findings) -> None:
    for key, reason in IGNORED.items():
        if getattr(keys, key) != getattr(RecipeKeys, key):
            found.notices[f"{key!r} has no effect: {reason}"] = None
    if source.values.get("export_path") is None and not source.values.get(export_key.KEY):
        found.notices[f"export_path is not set: the captions go to {keys.export_path}"] = None


def _cluster(source: Source, keys: RecipeKeys, found: Findings) -> ClusterOptions | None:
    """The cluster on which the recipe runs, if it runs on one."""
    on_ray = keys.executor_type == "ray"
    if keys.executor_type not in ("default", "ray"):
        message = f"executor_type must be 'default' or 'ray', not {keys.executor_type!r}"
        found.problems.append(source.problem(("executor_type",), message))
    options, problems = options_of(keys.ray or {}, keys.ray_address)
    found.problems += [source.problem(("ray", name), sentence) for name, sentence in problems]
    if keys.ray and not on_ray:
        found.notices["'ray' has no effect without executor_type: ray"] = None
    return options if on_ray else None


def _load_operators(source: Source, paths: Sequence[str], found: Findings) -> None:
    key = "custom_operator_paths"
    for path in paths:
        trail = next((each for each in source.filled if each[:1] == (key,) and source.as_text(each) == path), (key,))
        if why := unnameable(path):
            found.problems.append(source.problem((key,), source.named.message(trail, f"{display_path(path)} {why}")))
            continue
        try:
            registry.load_files([path])
        except DataError as error:
            message, hint = source.named.message(trail, str(error)), key_start(path, Path(source.file).parent)
            found.problems.append(source.problem((key,), message, hint=source.named.message(trail, hint)))
        else:
            if os.path.isdir(path):
                files = ", ".join(file.name for file in registry.files_of(path)) or "none"
                notice = f"{key}: {path} is a folder; its Python files were run: {files}"
                found.notices[source.named.message(trail, notice)] = None


def run_folder_beside(output: Path) -> Path:
    """The run folder for an output, unless the recipe sets another as `work_dir`."""
    output = output if output.name else Path(os.path.abspath(output))
    return output.parent / f"{output.stem}.run"


def _named(paths: Any) -> Any:
    """The paths among what a key takes for one path or several: nothing, and an empty text, name none."""
    listed = paths if isinstance(paths, list) else [paths]
    if all(path is None or isinstance(path, str) for path in listed):
        return [path for path in listed if path and path.strip()]
    return paths


def _listed(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
