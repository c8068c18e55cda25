"""`juicecap.run` and `juicecap.merge`: what the runner does, for people in Python, who see progress and results in a notebook."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, cast

from juicecap import runner
from juicecap.notebook.result import Result
from juicecap.notebook.silence import showing
from juicecap.recipe import Recipe, load_recipe

__all__ = ["Result", "merge", "run"]

P = ParamSpec("P")
Given = Recipe | str | Path | Mapping[str, Any]
"""A recipe, or what one is read from."""


def _in_python(work: Callable[Concatenate[Given, P], runner.RunResult]) -> Callable[Concatenate[Given, P], Result]:
    """The same with the same signature: silent unless asked, and with a result that shows itself."""

    @functools.wraps(work)
    def shown(recipe: Given, *args: P.args, **options: P.kwargs) -> Result:
        bound = inspect.signature(work).bind(recipe, *args, **options)
        arguments = bound.arguments
        loaded = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, arguments.pop("overrides", ()))
        with showing(arguments.get("progress"), loaded.hidden) as (progress, warnings):
            arguments.update(recipe=loaded, progress=progress)
            result = work(*bound.args, **bound.kwargs)
        notices = map(loaded.hidden.text, loaded.notices)  # which are logged once, and hold for each run
        return Result.of(result, [*dict.fromkeys([*notices, *warnings])])

    return cast("Callable[Concatenate[Given, P], Result]", shown)


run = _in_python(runner.run)
merge = _in_python(runner.merge)
