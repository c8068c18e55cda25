"""`juicecap check RECIPE`: every problem at once; no model, GPU or network is touched.

With `--media` headers of media are read for a second, and with `--cluster` the nodes of its Ray cluster are asked what they see
and have.
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
from juicecap.recipe import Extent, Recipe, Report, examine
from juicecap.recipe.problems import Problem, failure
from juicecap.recipe.shards import MOST_SHARDS, division, phases


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    recipe_arguments.add_arguments(parser)
    recipe_arguments.add_limit(parser)
    parser.add_argument("--media", action="store_true", help="read headers of media for a second, and name those that are broken")
    parser.add_argument("--shards", type=whole(MOST_SHARDS), metavar="N", help="also tell what N shards do, and what their merge")
    parser.add_argument("--json", action="store_true", help="print what was found as one JSON object, for programs")
    parser.add_argument("--cluster", action="store_true", help="ask the nodes of the recipe's Ray cluster what they see and have")


def main(options: argparse.Namespace) -> int:
    """Report that nothing is wrong; problems are raised."""
    if options.json:
        return _as_json(options)
    recipe, report = recipe_arguments.checked(options, _extent(options))
    for line in (*recipe.notices, *map(str, report.warnings), *report.unseen):
        show(f"note: {line}")
    if options.shards:
        for line in division(recipe, options.shards):
            show(line)
    if options.cluster:
        _check_cluster(recipe)
    for line in _needs(report):
        show(f"needs: {line}")
    rows = f"{report.looked_at_rows:,} rows looked at" if report.looked_at_rows else "no rows looked at"
    show(f"{options.recipe}: no problems ({', '.join([f'{len(recipe.steps)} ops', rows, *_media(report)])})")
    return 0


def _extent(options: argparse.Namespace) -> Extent:
    return Extent(limit=options.limit, libraries=True, media=options.media)


def _needs(report: Report) -> list[str]:
    """The libraries that the recipe needs, a line for each backend."""
    needs: dict[str, list[str]] = {}
    for library in report.libraries:
        needs.setdefault(library.needed_by, []).append(str(library))
    return [f"{', '.join(names)} ({who})" for who, names in needs.items()]


def _media(report: Report) -> list[str]:
    """How many media were looked into, if they were."""
    if report.media is None:
        return []
    looked_into, media = report.media.looked_into, report.media.media
    return [f"{looked_into:,} of {media:,} media looked into", f"{len(report.media.broken):,} broken"]


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
        recipe, report = examine(options.recipe, options.overrides, _extent(options))
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
            "libraries": [asdict(each) for each in report.libraries],
            **({"media": asdict(report.media)} if report.media else {}),
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
