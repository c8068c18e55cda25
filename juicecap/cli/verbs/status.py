"""`juicecap status DIR`: the state of a run and its shards, from another terminal or afterwards. It only reads."""

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
from juicecap.report.shards import whole_text
from juicecap.runner.reporting.shard_status import WholeStatus, read_whole_status

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


def _print(options: argparse.Namespace) -> WholeStatus:
    status = read_whole_status(options.folder)
    if options.json:
        show_json(_facts(status))
    else:
        show(_text(status))
    return status


def _facts(status: WholeStatus) -> dict[str, object]:
    """The run as one object; its shards, if it has any, are a list in it."""
    facts = asdict(status.merged) if status.merged else {}
    if status.shards:
        shards = [{"shard": str(each.shard), **(asdict(each.status) if each.status else {})} for each in status.shards]
        facts = {**facts, "shards": shards}
    return facts


def _print_changes(options: argparse.Namespace) -> None:
    """Without a terminal to draw on: print everything again each time that an op ends, and at the end."""
    shown: tuple[object, ...] = ()
    while True:
        status = read_whole_status(options.folder)
        runs = (status.merged, *(each.status for each in status.shards))
        state = tuple((run.state, *(step.state for step in run.steps)) for run in runs if run)
        if state != shown:
            show(_text(status))
        shown = state
        if not status.at_work:
            return
        time.sleep(BETWEEN)


def _draw(folder: Path, console: Console) -> None:
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            status = read_whole_status(folder)
            live.update(Text(_text(status, console.width)), refresh=True)
            if not status.at_work:
                return
            time.sleep(BETWEEN)


def _text(status: WholeStatus, width: int | None = None) -> str:
    return whole_text(status, width or (os.get_terminal_size().columns if sys.stdout.isatty() else 100))
