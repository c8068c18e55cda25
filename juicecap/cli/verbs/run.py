"""`juicecap run RECIPE`: check, run, export, and print a short summary; with `--shard` only a part of the records."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from juicecap.cli import recipe_arguments
from juicecap.cli.numbers import whole
from juicecap.cli.printing import say, show
from juicecap.cli.progress.warnings import not_an_error
from juicecap.errors import EnvironmentFailure
from juicecap.recipe.shards import MOST_SHARDS, read_shard

if TYPE_CHECKING:
    from juicecap.recipe import Recipe
    from juicecap.runner import RunResult


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    recipe_arguments.add_arguments(parser)
    recipe_arguments.add_limit(parser)
    parser.add_argument(
        "--shard", metavar="K/N", help="work on shard K of N, counted from 1, on this machine; `juicecap merge` joins them"
    )
    parser.add_argument("--shards", type=whole(MOST_SHARDS), metavar="N", help="run N shards one after the other, and merge them")
    parser.add_argument("--retry-rejected", action="store_true", help="retry samples that an earlier run rejected permanently")
    parser.add_argument("--fresh", action="store_true", help="ignore answers and steps of earlier runs")
    add_output_arguments(parser)


def main(options: argparse.Namespace) -> int:
    """Run the recipe; the exit code is the run's."""
    if options.shard is not None:
        read_shard(options.shard)  # what is wrong with it is told before anything is read
    recipe, _ = recipe_arguments.checked(options)
    from juicecap.runner import run

    facts = {name: getattr(options, name) for name in ("limit", "retry_rejected", "fresh", "shard", "shards")}
    return shown(options, recipe, partial(run, recipe, **facts))


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what a run and a merge share: what they may replace, and what they show."""
    add_overwriting_arguments(parser)
    parser.add_argument(
        "--quiet",
        action="store_true",
        help="show only warnings, errors, and why the exit code is not 0: no progress and no summary",
    )
    parser.add_argument("--json", action="store_true", help="print events, one JSON object per line; the rest goes to stderr")
    parser.add_argument(
        "--metrics", type=Path, metavar="PATH", help="keep a metrics file in the text format of Prometheus up to date"
    )


def add_overwriting_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what may be replaced; whatever somebody wrote is kept."""
    parser.add_argument(
        "--keep-edits", action="store_true", help="carry what somebody edited in an output into the new one, cell by cell"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an output that another run wrote or somebody edited; a copy is kept"
    )
    parser.add_argument(
        "--overwrite-texts", action="store_true", help="replace texts beside media that somebody edited; copies are kept"
    )


def shown(options: argparse.Namespace, recipe: Recipe, work: Callable[..., RunResult]) -> int:
    """Do the work with its progress on display, and print the summary; returns the exit code."""
    from juicecap.cli.progress.display import display
    from juicecap.cli.progress.events import JsonProgress
    from juicecap.report.summary import exit_reason, summary

    logger.remove()
    with JsonProgress() if options.json else display(quiet=options.quiet) as progress:
        warnings = partial(progress.warnings, hidden=recipe.hidden)
        logger.add(warnings, level="WARNING", filter=not_an_error, format="{message}", colorize=False)
        result = work(
            overwrite=options.overwrite,
            overwrite_texts=options.overwrite_texts,
            keep_edits=options.keep_edits,
            progress=progress,
            metrics=options.metrics,
            began=options.began,
        )
    if not options.quiet:
        with suppress(OSError, EnvironmentFailure):  # the exit code is the run's, whether or not anybody reads the summary
            (say if options.json else show)(summary(result))
    elif result.exit_code:
        say(exit_reason(result))
    return result.exit_code
