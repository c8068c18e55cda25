"""`juicecap check RECIPE`: every problem at once; no model, GPU or network is touched."""

from __future__ import annotations

import argparse
import sys

from juicecap.recipe import check, load_recipe
from juicecap.recipe.problems import render


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("recipe", help="the recipe, a YAML file")
    parser.add_argument("--set", dest="overrides", metavar="KEY=VALUE", action="append", default=[], help="change a value")


def main(options: argparse.Namespace) -> int:
    """Print what is wrong; 0 if nothing is, else 1."""
    recipe = load_recipe(options.recipe, options.overrides)
    report = check(recipe)
    if report.problems:
        print(render(report.problems, recipe.source.text), file=sys.stderr)
        return 1
    for line in (*recipe.notices, *(warning.message for warning in report.warnings), *report.unseen):
        print(f"note: {line}")
    rows = f"{report.looked_at_rows:,} rows looked at" if report.looked_at_rows else "no rows looked at"
    print(f"{options.recipe}: no problems ({len(recipe.steps)} ops, {rows})")
    return 0
