"""`juicecap check RECIPE`: every problem at once; no model, GPU or network is touched."""

from __future__ import annotations

import argparse

from juicecap.cli import recipe as recipe_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    recipe_arguments.add_arguments(parser)


def main(options: argparse.Namespace) -> int:
    """Say that nothing is wrong; what is wrong is raised."""
    recipe, report = recipe_arguments.checked(options)
    for line in (*recipe.notices, *(warning.message for warning in report.warnings), *report.unseen):
        print(f"note: {line}")
    rows = f"{report.looked_at_rows:,} rows looked at" if report.looked_at_rows else "no rows looked at"
    print(f"{options.recipe}: no problems ({len(recipe.steps)} ops, {rows})")
    return 0
