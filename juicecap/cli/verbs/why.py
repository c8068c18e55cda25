"""`juicecap why DIR [ID]`: where the samples of a run went, or what became of one of them. It only reads."""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.cli.printing import show, show_json
from juicecap.errors import UsageError

if TYPE_CHECKING:
    from juicecap.runner.lineage.history import History
    from juicecap.runner.lineage.story import Story

AT_ONCE = 1000
"""Lines that are printed together."""

KINDS = {
    "filtered": "list the samples that ops dropped, with what was measured",
    "rejected": "list the samples that failed, with the reason",
    "cut": "list the samples with captions that max_tokens cut",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="the run folder: the recipe's work_dir")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("id", nargs="?", metavar="ID", help="a sample, as the lists name it: clips.jsonl:3, or a path in a folder")
    for kind, what in KINDS.items():
        which.add_argument(f"--{kind}", dest="kind", action="store_const", const=kind, help=what)
    parser.add_argument("--json", action="store_true", help="print JSON: one object, or of a list one a line")


def main(options: argparse.Namespace) -> int:
    """Print what is asked."""
    from juicecap.data.surroundings import quiet_datasets
    from juicecap.runner.lineage.history import read_history

    with quiet_datasets():
        history = read_history(options.folder)
        if options.kind:
            _list(history, options)
        elif options.id:
            _tell(history, options)
        else:
            _count(history, options)
    return 0


def _list(history: History, options: argparse.Namespace) -> None:
    from juicecap.report.why import record_text
    from juicecap.runner.lineage.records import records

    shown = ("id", "source", "op", "code", "message", "measured", "duplicate_of", "wanted", "captions", "cut")
    found = records(history, options.kind)
    lines: Iterator[str] = (
        json.dumps({name: record[name] for name in shown if name in record}) if options.json else record_text(record)
        for record in found
    )
    while some := list(itertools.islice(lines, AT_ONCE)):
        show("\n".join(some))


def _tell(history: History, options: argparse.Namespace) -> None:
    from juicecap.report.why import story_text
    from juicecap.runner.lineage.story import story_of

    story = story_of(history, options.id)
    if story is None:
        raise UsageError(_unknown(history, options.id))
    if options.json:
        show_json(_facts(history, story))
    else:
        show(story_text(history, story))


def _facts(history: History, story: Story) -> dict[str, Any]:
    output = history.whole.export_path if history.whole and story.rows is not None else None
    return {**asdict(story), "output": output, "complete": history.is_complete}


def _unknown(history: History, name: str) -> str:
    from juicecap.report.why import unfinished
    from juicecap.runner.lineage.story import an_id, near_names

    near = near_names(history, name)
    told = f"no op of the run in {history.folder} has met a sample {name!r}"
    example = "" if near else an_id(history)
    more = f"; did you mean {near!r}?" if near else f"; ids here are like {example!r}" if example else ""
    return f"{told}{more}" if history.is_complete else f"{told}{more}\n{unfinished(history)}"


def _count(history: History, options: argparse.Namespace) -> None:
    from juicecap.report.why import totals_text
    from juicecap.runner.lineage.totals import totals_of

    totals = totals_of(history)
    if options.json:
        show_json({**asdict(totals), "complete": history.is_complete})
    else:
        show(totals_text(history, totals))
