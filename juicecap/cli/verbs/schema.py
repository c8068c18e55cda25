"""`juicecap schema`: the JSON Schema of recipes, for editors."""

from __future__ import annotations

import argparse

from juicecap.cli import operators
from juicecap.cli.printing import show_json
from juicecap.recipe.authoring.schema import recipe_schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    operators.add_arguments(parser)


def main(options: argparse.Namespace) -> int:
    """Print the schema."""
    operators.load(options)
    show_json(recipe_schema(), indent=2, ensure_ascii=False)
    return 0
