"""Outputs that somebody edited since the last run wrote them, which the next run leaves as they are."""

from __future__ import annotations

import os
from collections.abc import Iterator

from juicecap.recipe.checks.overwrites import outputs
from juicecap.recipe.edited_outputs import edited, find_output, what_next
from juicecap.recipe.exports_file import Exports
from juicecap.recipe.problems import Problem
from juicecap.recipe.types import Recipe
from juicecap.recipe.work_dir import EXPORTS


def edited_outputs(recipe: Recipe) -> Iterator[Problem]:
    """A warning for each output that was edited. Rows of large ones, and of Parquet, are left to the run."""
    if not os.path.isfile(recipe.work_dir / EXPORTS):
        return
    exports = Exports(recipe.work_dir / EXPORTS)
    for output in outputs(recipe):
        found = find_output(exports, output.path, quick=True)
        if found.whose == "edited" and found.edits:
            said, then = edited(output.path, found.edits), what_next(found.edits, recipe.work_dir)
            yield recipe.source.problem(output.trail, f"{output.trail[0]}: {said}. {then}")
