"""`juicecap run RECIPE`: check, run, export, and say in a few lines what came of it."""

from __future__ import annotations

import argparse
from contextlib import suppress
from typing import TYPE_CHECKING

from loguru import logger

from juicecap.cli import recipe as recipe_arguments
from juicecap.cli.display import LiveProgress
from juicecap.report.summary import summary

if TYPE_CHECKING:
    from loguru import Record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    recipe_arguments.add_arguments(parser)
    parser.add_argument("--limit", type=_positive, metavar="N", help="take the first N samples only")
    parser.add_argument("--overwrite", action="store_true", help="replace an output that another run wrote")
    parser.add_argument("--retry-rejected", action="store_true", help="try samples again that an earlier run rejected for good")
    parser.add_argument("--fresh", action="store_true", help="use neither answers nor steps of earlier runs")


def main(options: argparse.Namespace) -> int:
    """Run the recipe; the exit code is the run's."""
    recipe, _ = recipe_arguments.checked(options)
    logger.remove()
    with LiveProgress() as progress:
        # Errors end the run and are told at its end.
        logger.add(progress.write, level="WARNING", filter=_not_an_error, format="{message}", colorize=False)
        from juicecap.runner import run

        result = run(
            recipe,
            limit=options.limit,
            overwrite=options.overwrite,
            retry_rejected=options.retry_rejected,
            fresh=options.fresh,
            progress=progress,
        )
    with suppress(OSError):  # the exit code is the run's, whoever reads
        print(summary(result))
    return result.exit_code


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _not_an_error(record: Record) -> bool:
    return record["level"].name != "ERROR"
