"""`juicecap preview RECIPE`: the whole recipe on a few samples, with prompts, frames and candidates to look at."""

from __future__ import annotations

import argparse
import webbrowser

from juicecap.cli import recipe_arguments
from juicecap.cli.numbers import MOST_PREVIEWED, whole
from juicecap.cli.printing import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    recipe_arguments.add_arguments(parser)
    parser.add_argument(
        "-n", "--number", type=whole(MOST_PREVIEWED), default=3, metavar="N", help="how many samples, 3 unless told"
    )
    parser.add_argument("--open", action="store_true", help="show the page with the frames in a browser")


def main(options: argparse.Namespace) -> int:
    """Print the preview and write its page."""
    recipe, _ = recipe_arguments.checked(options)
    with recipe_arguments.in_silence(recipe):
        from juicecap.data.writing.outputs import write_output
        from juicecap.recipe.work_dir import PAGE
        from juicecap.report.preview import preview_page, preview_text
        from juicecap.runner.estimate.preview import run_preview

        preview = run_preview(recipe, options.number)
        page = preview.folder / "preview.html"
        write_output(page, PAGE, recipe.hidden.text(preview_page(preview)).encode("utf-8", "backslashreplace"))
    show(recipe.hidden.text(preview_text(preview)))
    show(f"page    {page}")
    if options.open:
        webbrowser.open(page.absolute().as_uri())
    return 0
