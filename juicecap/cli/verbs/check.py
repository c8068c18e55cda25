"""`juicecap check RECIPE`: every problem at once; no model, GPU or network is touched.

With `--cluster` the nodes of its Ray cluster are asked what they see and have.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from juicecap.cli import recipe_arguments
from juicecap.cli.numbers import whole
from juicecap.cli.printing import show, show_json
from juicecap.errors import RecipeError
from juicecap.recipe import Recipe, examine
from juicecap.recipe.problems import Problem, failure
from juicecap.recipe.shards import MOST_SHARDS, division, phases


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    recipe_arguments.add_arguments(parser)
    parser.add_argument("--shards", type=whole(MOST_SHARDS), metavar="N", help="also tell what N shards do, and what their merge")
    parser.add_argument("--json", action="store_true", help="print what was found as one JSON object, for programs")
    parser.add_argument("--cluster", action="store_true", help="ask the nodes of the recipe's Ray cluster what they see and have")


def main(options: argparse.Namespace) -> int:
    """Report that nothing is wrong; problems are raised."""
    if options.json:
        return _as_json(options)
    recipe, report = recipe_arguments.checked(options)
    for line in (*recipe.notices, *map(str, report.warnings), *report.unseen):
        show(f"note: {line}")
    if options.shards:
        for line in division(recipe, options.shards):
            show(line)
    if options.cluster:
        _check_cluster(recipe)
    rows = f"{report.looked_at_rows:,} rows looked at" if report.looked_at_rows else "no rows looked at"
    show(f"{options.recipe}: no problems ({len(recipe.steps)} ops, {rows})")
    return 0


def _check_cluster(recipe: Recipe) -> None:
    """Show what the nodes of the cluster have.

    Raises:
        RecipeError: one of them cannot work in a run; every problem is in its text.
    """
    from juicecap.runner.cluster import check_cluster

    found = check_cluster(recipe)
    for line in (*found.nodes, *(f"note: {warning}" for warning in found.warnings)):
        show(line)
    if found.problems:
        raise failure([Problem(file="", message=sentence) for sentence in found.problems], recipe.source.text)


def _as_json(options: argparse.Namespace) -> int:
    try:
        recipe, report = examine(options.recipe, options.overrides)
    except RecipeError as error:
        found: dict[str, Any] = {"problems": _plain(error.problems)}
    else:
        nodes = _nodes(recipe) if options.cluster and not report.problems else {}
        found = {
            "problems": _plain(report.problems),
            "warnings": _plain(report.warnings),
            "notices": [*recipe.notices, *report.unseen],
            "ops": [step.name for step in recipe.steps],
            "rows": report.looked_at_rows,
            "all_rows": report.all_rows_looked_at,
            **nodes,
        }
        if options.shards:
            names = [step.name for step in recipe.steps]
            found["phases"] = [
                {"shards": names[each.start : each.barrier], "merge": names[each.barrier : each.end]} for each in phases(recipe)
            ]
        found["problems"] += found.pop("unfit", [])
    with suppress(BrokenPipeError):  # the exit code is that of the check, whether or not anybody reads the result
        show_json({"recipe": str(options.recipe), "ok": not found["problems"], **found}, indent=2, ensure_ascii=False)
    return failure([], "").exit_code if found["problems"] else 0


def _nodes(recipe: Recipe) -> dict[str, Any]:
    """The nodes of the cluster, and what is wrong with them as problems (`unfit`)."""
    from juicecap.runner.cluster import check_cluster

    found = check_cluster(recipe)
    problems = [Problem(file="", message=sentence) for sentence in found.problems]
    return {"nodes": found.nodes, "clocks": found.warnings, "unfit": _plain(problems)}


def _plain(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    return [{name: value for name, value in asdict(problem).items() if name != "excerpt"} for problem in problems]
