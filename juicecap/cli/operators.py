"""What the verbs that show ops share: the option that loads ops from a user's files."""

from __future__ import annotations

import argparse

from juicecap.ops import registry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the option."""
    what = "a Python file, or a folder of them, with ops of your own (as custom_operator_paths in a recipe); may be repeated"
    parser.add_argument("--operators", metavar="PATH", action="append", default=[], help=what)


def load(options: argparse.Namespace) -> None:
    """Run the files that were named.

    Raises:
        DataError: one of them does not exist, or its code fails.
    """
    registry.load_files(options.operators)
