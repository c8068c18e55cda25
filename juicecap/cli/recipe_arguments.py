"""What the verbs that take a recipe share: its arguments, and reading and checking it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from loguru import logger

from juicecap.cli.numbers import whole
from juicecap.cli.printing import say
from juicecap.data.source.options import MOST_RECORDS
from juicecap.data.surroundings import quiet_datasets
from juicecap.hidden import Hidden
from juicecap.recipe import Extent, Recipe, Report, examine
from juicecap.recipe.problems import failure

if TYPE_CHECKING:
    from loguru import Message


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the recipe and its overrides."""
    parser.add_argument("recipe", help="the recipe, a YAML file")
    parser.add_argument("--set", dest="overrides", metavar="KEY=VALUE", action="append", default=[], help="override a value")


def add_limit(parser: argparse.ArgumentParser) -> None:
    """Declare how many samples of the dataset are used."""
    parser.add_argument("--limit", type=whole(MOST_RECORDS), metavar="N", help="use only the first N samples")


def checked(options: argparse.Namespace, extent: Extent | None = None) -> tuple[Recipe, Report]:
    """Load the recipe and check it against its data, or the samples that `--limit` leaves.

    Raises:
        RecipeError: something is wrong; every problem is in its text.
    """
    recipe, report = examine(options.recipe, options.overrides, extent or Extent(limit=getattr(options, "limit", None)))
    if report.problems:
        raise failure(report.problems, recipe.source.text)
    return recipe, report


@contextmanager
def in_silence(recipe: Recipe) -> Iterator[None]:
    """A block in which only warnings are shown, each as a line, and `datasets` draws nothing.

    Warnings, and errors that leave the block, show the names of the recipe's variables, not their values.
    """
    logger.remove()
    sink = logger.add(partial(_note, recipe.hidden), level="WARNING", format="{message}")
    try:
        with quiet_datasets(), recipe.hidden.in_errors():
            yield
    finally:
        logger.remove(sink)


def _note(hidden: Hidden, message: Message) -> None:
    say(f"note: {hidden.text(message.record['message'])}")
