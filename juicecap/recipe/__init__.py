"""Recipes: YAML text to a `Recipe`, with every problem at its line and column."""

from __future__ import annotations

from juicecap.recipe.checks.columns import missing_columns, taken_columns
from juicecap.recipe.checks.examine import Extent, Report, check, examine
from juicecap.recipe.load import load_recipe
from juicecap.recipe.types import Recipe, Step

__all__ = ["Extent", "Recipe", "Report", "Step", "check", "examine", "load_recipe", "missing_columns", "taken_columns"]
