"""`juicecap status DIR`: the state of a run, from another terminal or afterwards. It only reads, and disturbs no run."""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from juicecap.cli.printing import show, show_json
from juicecap.report.status import status_text
from juicecap.runner.reporting.status import RunStatus, read_status

BETWEEN = 1.0
"""Seconds between two looks with `--watch`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="the run folder: the recipe's work_dir")
    parser.add_argument("--watch", action="store_true", help="refresh every second until the run ends")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")


def main(options: argparse.Namespace) -> int:
    """Print the state of the run; the exit code is 0 whatever that is."""
    console = Console(highlight=False, soft_wrap=True)
    if options.json or not options.watch:
        status = _print(options)
        while options.watch and status.at_work:
            time.sleep(BETWEEN)
            status = _print(options)
    elif console.is_terminal and not console.is_dumb_terminal:
        _draw(options.folder, console)
    else:
        _print_changes(options)
    return 0


def _print(options: argparse.Namespace) -> RunStatus:
    status = read_status(options.folder)
    if options.json:
        show_json(asdict(status))
    else:
        show(_text(status))
    return status


def _print_changes(options: argparse.Namespace) -> None:
    """Without a terminal to draw on: print everything again each time that an op ends, and at the end."""
    shown: tuple[object, ...] = ()
    while True:
        status = read_status(options.folder)
        state = status.state, [step.state for step in status.steps]
        if state != shown:
            show(_text(status))
        shown = state
        if not status.at_work:
            return
        time.sleep(BETWEEN)


def _draw(folder: Path, console: Console) -> None:
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            status = read_status(folder)
            live.update(Text(_text(status, console.width)), refresh=True)
            if not status.at_work:
                return
            time.sleep(BETWEEN)


def _text(status: RunStatus, width: int | None = None) -> str:
    return status_text(status, width or (os.get_terminal_size().columns if sys.stdout.isatty() else 100))
