"""`juicecap preview RECIPE`: the whole recipe on a few samples, showing prompts, frames and candidates."""

from __future__ import annotations

import argparse
import webbrowser

from juicecap.cli import recipe_arguments
from juicecap.cli.numbers import MOST_PREVIEWED, whole
from juicecap.cli.printing import show
from juicecap.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    recipe_arguments.add_arguments(parser)
    recipe_arguments.add_limit(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "-n", "--number", type=whole(MOST_PREVIEWED), default=3, metavar="N", help="number of samples (default: 3)"
    )
    which.add_argument(
        "--samples", nargs="+", action="extend", default=[], metavar="ID", help="these samples, by their ids (clips.jsonl:3)"
    )
    parser.add_argument("--open", action="store_true", help="show the page with the frames in a browser")


def main(options: argparse.Namespace) -> int:
    """Print the preview and write its page."""
    if len(options.samples) > MOST_PREVIEWED:
        raise UsageError(f"--samples takes at most {MOST_PREVIEWED:,} ids, not {len(options.samples):,}")
    recipe, _ = recipe_arguments.checked(options)
    with recipe_arguments.in_silence(recipe):
        from juicecap.data.writing.outputs import write_output
        from juicecap.recipe.work_dir import PAGE
        from juicecap.report.page import preview_page
        from juicecap.report.preview import preview_text
        from juicecap.runner.estimate.preview import run_preview

        preview = run_preview(recipe, options.number, ids=options.samples, limit=options.limit)
        page = preview.folder / "preview.html"
        write_output(page, PAGE, preview_page(preview).encode())
    show(recipe.hidden.text(preview_text(preview)))
    show(f"page    {page}")
    if options.open:
        webbrowser.open(page.absolute().as_uri())
    return 0
