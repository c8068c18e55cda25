"""Recipes: YAML text to a `Recipe`, with every problem at its line and column."""

from __future__ import annotations

from juicecap.recipe.check.examine import Report, check, examine
from juicecap.recipe.check.columns import missing_columns, taken_columns
from juicecap.recipe.load import load_recipe
from juicecap.recipe.types import Recipe, Step

__all__ = ["Recipe", "Report", "Step", "check", "examine", "load_recipe", "missing_columns", "taken_columns"]
