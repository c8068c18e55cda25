"""Where samples went, as text: what `juicecap why` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from juicecap.printable import one_line, printable
from juicecap.report.words import plural
from juicecap.runner.lineage.history import History
from juicecap.runner.lineage.story import SampleFate, StepStory, Story
from juicecap.runner.lineage.totals import StepTotals, Totals

_Row = tuple[str, str, tuple[str, ...]]
"""An op, what happened there, and ids."""

LONGEST_ID, LONGEST_MESSAGE = 200, 2000
"""Characters that are shown."""


def totals_text(history: History, totals: Totals) -> str:
    """A line for each thing that happened to samples, with examples."""
    return printable("\n".join(_totals(history, totals)))


def _totals(history: History, totals: Totals) -> Iterator[str]:
    rows: list[_Row] = [("in", "" if totals.samples is None else plural(totals.samples, "sample"), ())]
    rows += [row for step in totals.steps for row in _step(step)]
    if totals.exported is not None:
        rows.append(("out", plural(totals.exported, "sample"), ()))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    shown = ""
    for op, what, examples in rows:
        ids = ", ".join(one_line(each, LONGEST_ID) for each in examples)
        yield f"{'' if op == shown else op:<{widths[0]}}  {what:<{widths[1]}}  {ids}".rstrip()
        shown = op
    if not history.is_complete:
        yield unfinished(history)


def unfinished(history: History) -> str:
    """What is not known because the run is not done."""
    ended = {step.label: None for _, step in history.steps()}
    known = f"only what {', '.join(ended)} did is known" if ended else "no op has finished"
    state = history.whole.state if history.whole else "not merged"
    why = {"done": "not merged"}.get(state, state)
    shards = [part for part in history.parts if part.folder != history.folder]
    if not shards:
        return f"The run is not complete ({why}): {known}."
    done = sum(1 for part in shards if part.status and part.status.state == "done")
    where = f"{done:,} of {plural(len(shards), 'shard')} {'is' if done == 1 else 'are'} done"
    return f"The run is not complete ({why}; {where}): {known}{', there' if ended else ''}."


def _step(step: StepTotals) -> Iterator[_Row]:
    def row(what: str, kind: str = "") -> _Row:
        return step.label, what, tuple(step.examples.get(kind, ()))

    if step.added:
        yield row(f"{step.added:,} added")
    if step.filtered:
        yield row(f"{step.filtered:,} filtered", "filtered")
    if step.rejected:
        for code, count in step.reasons.items():
            yield row(f"{count:,} rejected: {code}", code)
    if step.cut:
        yield row(f"{step.cut:,} of {plural(step.captions, 'caption')} cut by max_tokens", "cut")


def story_text(history: History, story: Story) -> str:
    """The sample, a line or more for each op that it came to, and where it is in the output."""
    return printable("\n".join(_story(history, story)))


def _story(history: History, story: Story) -> Iterator[str]:
    width = max(len("out"), *(len(step.op) for step in story.steps))
    yield f"{one_line(story.id, LONGEST_ID)}{f'  ({one_line(story.source, LONGEST_MESSAGE)})' if story.source else ''}"
    for step in story.steps:
        for number, line in enumerate(_fates(step)):
            yield f"{'' if number else step.op:<{width}}  {line}"
    if story.rows is None:
        yield unfinished(history)
    else:
        output = history.whole.export_path if history.whole else ""
        rows = f"row{'' if len(story.rows) == 1 else 's'} {', '.join(f'{row:,}' for row in story.rows)} of {output}"
        yield f"{'out':<{width}}  {rows if story.rows else 'nothing'}"


def _fates(step: StepStory) -> Iterator[str]:
    counts = Counter(fate_text(fate) for fate in step.fates)
    for text, count in counts.items():
        yield text if len(step.fates) == 1 else f"{count:,} of {len(step.fates):,}: {text}"


def fate_text(fate: SampleFate) -> str:
    """What became of a sample, in words."""
    if fate.kind == "filtered":
        return f"filtered{_because(reason_text(fate.dropped))}"
    if fate.kind == "rejected":
        return f"rejected: {fate.code}{_because(one_line(fate.message, LONGEST_MESSAGE))}"
    cut = f" ({fate.cut:,} cut by max_tokens)" if fate.cut else ""
    words = [f"{plural(fate.captions, 'caption')} added{cut}"] if fate.captions else []
    words += [f"gave {plural(fate.samples, 'sample')}"] if fate.samples > 1 else []
    words += [f"failed and stayed: {fate.code}"] if fate.code else []
    return ", ".join(["kept", *words])


def record_text(record: Mapping[str, Any]) -> str:
    """A filtered, rejected or cut sample on one line: its id, the op, and why, with tabs between them."""
    if "cut" in record:
        why = f"{record['cut']:,} of {plural(record['captions'], 'caption')} cut by max_tokens"
    elif "code" in record:
        why = f"{record['code']}{_because(str(record.get('message') or ''))}"
    else:
        why = reason_text(record)
    cells = (record["id"], record["op"], why)
    return "\t".join(one_line(str(cell), LONGEST_MESSAGE).replace("\t", " ") for cell in cells).rstrip()


def reason_text(dropped: Mapping[str, Any]) -> str:
    """Why a sample was filtered: `duration 3.2, wanted min_duration 5`; empty if that is not known."""
    measured, wanted = dropped.get("measured"), dropped.get("wanted")
    words = [_pairs(measured)] if isinstance(measured, dict) else []
    words += [f"wanted {_pairs(wanted)}"] if isinstance(wanted, dict) else []
    words += [f"duplicate of {dropped['duplicate_of']}"] if dropped.get("duplicate_of") else []
    return ", ".join(words)


def _pairs(values: Mapping[str, Any]) -> str:
    return " and ".join(f"{name} {_number(value)}" for name, value in values.items())


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _because(why: str) -> str:
    return f": {why}" if why else ""
