"""`juicecap merge RECIPE`: prove that all shards are there, make one run of them, export, and print a short summary."""

from __future__ import annotations

import argparse
from functools import partial

from juicecap.cli.numbers import whole
from juicecap.cli.recipe_arguments import add_arguments as add_recipe
from juicecap.cli.verbs.run import add_output_arguments, shown
from juicecap.recipe import load_recipe
from juicecap.recipe.shards import MOST_SHARDS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_recipe(parser)
    parser.add_argument("--shards", type=whole(MOST_SHARDS), metavar="N", help="merge those of N, if there are others too")
    add_output_arguments(parser)


def main(options: argparse.Namespace) -> int:
    """Merge the shards; the exit code is that of the run that they make."""
    recipe = load_recipe(options.recipe, options.overrides)  # not compared with media, which need not be here
    from juicecap.runner import merge

    return shown(options, recipe, partial(merge, recipe, shards=options.shards))
