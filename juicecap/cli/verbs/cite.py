"""`juicecap cite RUN`: how captions were made, as a paragraph for a paper and as BibTeX. It only reads."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from juicecap.cli.printing import say, show, show_json
from juicecap.report.bibtex import bibtex
from juicecap.report.citation import caveats, methods
from juicecap.runner.citing.cited_run import cited_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("source", metavar="RUN", help="the folder of a run, its output, or its recipe")
    parser.add_argument("--json", action="store_true", help="print paragraph, BibTeX and facts as one JSON object")


def main(options: argparse.Namespace) -> int:
    """Print the paragraph and the entries; what is to be known beside them goes to stderr."""
    run = cited_run(options.source)
    if options.json:
        facts = {**asdict(run), "folder": str(run.folder)}
        text = {"methods": methods(run), "bibtex": bibtex(run), "notes": caveats(run)}
        show_json({**text, "run": facts}, indent=2, ensure_ascii=False)
        return 0
    show(f"{methods(run)}\n\n{bibtex(run)}")
    for each in caveats(run):
        say(f"note: {each}")
    return 0
