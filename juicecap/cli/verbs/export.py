"""`juicecap export RUN_OR_DATASET`: writes what trainers read, afterwards and without a model."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

from loguru import logger

from juicecap.cli.printing import say, show, show_json
from juicecap.cli.verbs.run import add_overwriting_arguments
from juicecap.data.export.presets import PRESETS
from juicecap.data.export.settings import KINDS, Export
from juicecap.data.surroundings import quiet_datasets
from juicecap.errors import UsageError
from juicecap.recipe.export_key import export_of
from juicecap.recipe.yaml.overrides import value_of
from juicecap.report.edits import edit_lines
from juicecap.report.exports import export_lines, preset_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("source", nargs="?", metavar="RUN_OR_DATASET", help="the folder of a run, or a dataset")
    parser.add_argument("--as", dest="kind", choices=[*KINDS], help="the writer")
    parser.add_argument("--for", dest="preset", choices=[*PRESETS], metavar="TRAINER", help="a trainer; --list shows them")
    parser.add_argument("--to", metavar="PATH", help="where the export goes: a file, or a folder")
    parser.add_argument("--caption", metavar="COLUMN", help="the column with the captions")
    parser.add_argument(
        "--set",
        dest="settings",
        metavar="OPTION=VALUE",
        action="append",
        default=[],
        help="set an option of the export, as in a recipe",
    )
    add_overwriting_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print what was written as one JSON object")
    parser.add_argument("--list", action="store_true", help="list the trainers, and what each of them wants")


def main(options: argparse.Namespace) -> int:
    """Export, and print what was written."""
    if options.list:
        show(preset_table())
        return 0
    if not options.source:
        raise UsageError("juicecap export needs the folder of a run or a dataset; --list shows the trainers")
    if bool(options.kind) == bool(options.preset):
        raise UsageError("juicecap export needs either --as (a writer) or --for (a trainer; --list shows them)")
    from juicecap.runner.exporting.afterwards import dataset_of_run, export_afterwards, is_run_folder
    from juicecap.runner.exporting.result_facts import edit_facts, export_facts

    dataset = dataset_of_run(options.source) if is_run_folder(options.source) else options.source
    export = _export(options, dataset)
    logger.remove()
    sink = logger.add(lambda message: say(f"note: {message.record['message']}"), level="WARNING")
    try:
        with quiet_datasets():
            work = partial(export_afterwards, options.source, export)
            how = {name: getattr(options, name) for name in ("overwrite", "overwrite_texts", "keep_edits")}
            result, kept = work(**how)
    finally:
        logger.remove(sink)
    if options.json:
        show_json({**export_facts(result), "edits": list(map(edit_facts, kept))}, ensure_ascii=False)
    else:
        show("\n".join([*export_lines(result), *edit_lines(kept)]))
    return 0


def _export(options: argparse.Namespace, dataset: str) -> Export:
    """The export that the options ask for.

    Raises:
        UsageError: something is wrong with it.
    """
    entry: dict[str, Any] = {"for" if options.preset else "as": options.preset or options.kind, **_settings(options.settings)}
    entry |= {name: getattr(options, name) for name in ("to", "caption") if getattr(options, name) is not None}
    export, faults = export_of(entry, dataset)
    if export is None or faults:
        lines = (f"{each.message}{f' ({each.hint})' if each.hint else ''}" for each in faults)
        raise UsageError("\n".join(f"juicecap export: {line}" for line in lines))
    return export


def _settings(given: Sequence[str]) -> dict[str, Any]:
    """The options of `--set`; a name with dots leads into a mapping (`columns.fps`)."""
    found: dict[str, Any] = {}
    for option in given:
        name, equals, value = option.partition("=")
        words = name.strip().split(".")
        if not equals or not all(words):
            raise UsageError(f"--set takes OPTION=VALUE, such as suffix=.caption, not {option!r}")
        holder = found
        for word in words[:-1]:
            holder = holder.setdefault(word, {})
            if not isinstance(holder, dict):
                raise UsageError(f"--set {option}: {word} has a value already")
        holder[words[-1]] = value_of(option, value.strip())
    return found
