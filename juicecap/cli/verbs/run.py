"""`juicecap run RECIPE`: check, run, export, and print a short summary."""

from __future__ import annotations

import argparse
from contextlib import suppress
from functools import partial
from pathlib import Path

from loguru import logger

from juicecap.cli import recipe_arguments
from juicecap.cli.numbers import whole
from juicecap.cli.printing import say, show
from juicecap.cli.progress.warnings import not_an_error
from juicecap.data.source.options import MOST_RECORDS
from juicecap.errors import EnvironmentFailure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    recipe_arguments.add_arguments(parser)
    parser.add_argument("--limit", type=whole(MOST_RECORDS), metavar="N", help="use only the first N samples")
    parser.add_argument("--overwrite", action="store_true", help="replace an output that another run wrote")
    parser.add_argument(
        "--overwrite-texts", action="store_true", help="replace texts beside media that somebody edited; copies are kept"
    )
    parser.add_argument("--retry-rejected", action="store_true", help="retry samples that an earlier run rejected permanently")
    parser.add_argument("--fresh", action="store_true", help="ignore answers and steps of earlier runs")
    parser.add_argument("--quiet", action="store_true", help="show only warnings and errors: no progress and no summary")
    parser.add_argument("--json", action="store_true", help="print events, one JSON object per line; the rest goes to stderr")
    parser.add_argument(
        "--metrics", type=Path, metavar="PATH", help="keep a metrics file in the text format of Prometheus up to date"
    )


def main(options: argparse.Namespace) -> int:
    """Run the recipe; the exit code is the run's."""
    recipe, _ = recipe_arguments.checked(options)
    from juicecap.cli.progress.display import display
    from juicecap.cli.progress.events import JsonProgress
    from juicecap.report.summary import summary
    from juicecap.runner import run

    logger.remove()
    with JsonProgress() if options.json else display(quiet=options.quiet) as progress:
        warnings = partial(progress.warnings, hidden=recipe.hidden)
        logger.add(warnings, level="WARNING", filter=not_an_error, format="{message}", colorize=False)
        result = run(
            recipe,
            limit=options.limit,
            overwrite=options.overwrite,
            overwrite_texts=options.overwrite_texts,
            retry_rejected=options.retry_rejected,
            fresh=options.fresh,
            progress=progress,
            metrics=options.metrics,
        )
    if not options.quiet:
        with suppress(OSError, EnvironmentFailure):  # the exit code is the run's, whether or not anybody reads the summary
            (say if options.json else show)(summary(result))
    return result.exit_code
