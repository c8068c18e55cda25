"""The few lines at the end of a run: they fit a screen of 80 columns and 24 lines, however many ops and reasons there are."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from juicecap.ops.apply.fate import FAILURES
from juicecap.recipe.work_dir import EDITS
from juicecap.report.edits import edit_lines
from juicecap.report.exports import export_lines
from juicecap.report.words import plural
from juicecap.runner.result import RunResult, StepResult

WIDTH = 80
"""Columns; only paths may make a line longer."""

MOST_STEPS, MOST_REASONS, MOST_TIMES = 5, 3, 3
"""Ops, reasons of an op, and ops by time that are shown; `manifest.json` has all."""

TOLD_FROM, SHORTEST_TIME = 0.1, 0.05
"""An op's time is shown from this share of that of all ops on, and from these seconds."""

_ODD = {"empty": "empty", "looping": "in a loop", "refused": "refused", "mixed": "of mixed scripts"}

_TOO_MANY, _WRITTEN = "more samples were rejected than max_rejected", "the output is written, the exit code is 3"

_INDENT = " " * 10


def summary(result: RunResult) -> str:
    """Counts, cost, time and where things are. In + added by mappers = out + filtered + rejected."""
    return "\n".join(_lines(result))


def exit_reason(result: RunResult) -> str:
    """Why the exit code is not 0, for those who do not see the summary."""
    counts = f"{result.rejected:,} of {plural(result.samples, 'sample')}{_reasons(result.reasons)}"
    return f"{_TOO_MANY} ({result.max_rejected}) allows: {counts}, see {result.work_dir / 'rejected.jsonl'}; {_WRITTEN}"


def _lines(result: RunResult) -> Iterator[str]:
    yield f"in        {plural(result.samples, 'sample')}"
    yield from _steps(result)
    yield from _folded(
        f"out       {plural(result.exported, 'sample')}; {result.filtered:,} filtered, {result.rejected:,} rejected on the way"
    )
    if captions := result.total("captions"):
        odd = {"cut by max_tokens": result.total("truncated"), **{word: result.total(name) for name, word in _ODD.items()}}
        cut = "".join(f", {count:,} {word}" for word, count in odd.items() if count)
        yield from _folded(f"captions  {captions:,}{cut}")
    yield from _answers(result)
    if damaged := result.total("damaged"):
        yield from _folded(f"damaged   {plural(damaged, 'sample')} with captions of damaged media (see the provenance)")
    yield from _time(result)
    yield from _outputs(result)
    if result.filtered or result.rejected:
        yield f"why       juicecap why {result.work_dir}"
    if result.rejected:
        yield f"rejected  {result.work_dir / 'rejected.jsonl'}"
    if result.failed:
        yield f"failed    those that stayed have the reason in column {FAILURES!r}"
    if result.exit_code:
        yield f"{_TOO_MANY} ({result.max_rejected}) allows; {_WRITTEN}"


def _outputs(result: RunResult) -> Iterator[str]:
    """What was written, or what has to be done until it is."""
    if result.next:
        yield from _folded(f"next      {result.next}")
        return
    if result.has_table:
        yield f"output    {result.export_path}"
    for export in result.exports:
        yield from export_lines(export)
    yield from edit_lines(result.edits)
    if any(each.cells for each in result.edits):
        yield f"          all edits are in {result.work_dir / EDITS}"
    if result.promise:
        yield from _folded(f"bytes     {result.promise}")


def _steps(result: RunResult) -> Iterator[str]:
    """The ops that changed how many samples there are; where there are many, those that changed most, in order."""
    changed = [(step, changes) for step in result.steps if (changes := _changes(step))]
    most = sorted(changes_of for _, changes in changed if (changes_of := sum(changes.values())))[-MOST_STEPS:]
    shown = 0
    for step, changes in changed:
        if shown < MOST_STEPS and sum(changes.values()) >= most[0]:
            shown += 1
            counts = ", ".join(f"{count:,} {what}" for what, count in changes.items())
            yield from _folded(f"{_INDENT}{step.label}: {counts}{_reasons(step.reasons)}")
    if len(changed) > shown:
        yield f"{_INDENT}{plural(len(changed) - shown, 'other op')} changed fewer; manifest.json has all"


def _changes(step: StepResult) -> dict[str, int]:
    changes = {
        "added": step.counts.given - step.counts.kept,
        "filtered": step.counts.filtered,
        "rejected": step.counts.rejected,
        "failed and stayed": step.counts.failed,
        "tried again": step.tried_again,
    }
    return {what: count for what, count in changes.items() if count}


def _reasons(reasons: Mapping[str, int]) -> str:
    if not reasons:
        return ""
    shown = [f"{code} {count:,}" for code, count in list(reasons.items())[:MOST_REASONS]]
    others = sum(list(reasons.values())[MOST_REASONS:])
    return f" ({', '.join([*shown, *([f'{others:,} others'] if others else [])])})"


def _answers(result: RunResult) -> Iterator[str]:
    """Where answers came from: the parts add up to what ops received. Then the tokens of those that cost something."""
    counts, before = result.answers, result.received_before
    if not (result.received or counts.failed):
        return
    parts = {
        "asked": counts.asked,
        "shared within the run": counts.shared,
        "replayed": counts.replayed,
        "of ops that an earlier run finished": before,
    }
    told = " + ".join(f"{count:,} {what}" for what, count in parts.items() if count) or "none"
    failed = f"; {counts.failed:,} failed" if counts.failed else ""
    yield from _folded(f"answers   {result.received:,}: {told}{failed}")
    if counts.asked or counts.prompt_tokens:
        yield from _folded(f"asked     {_tokens(counts.prompt_tokens, counts.completion_tokens)}: what a server bills")
    if counts.replayed:
        paid = _tokens(counts.replayed_prompt_tokens, counts.replayed_completion_tokens)
        yield from _folded(f"replayed  {paid} of earlier runs")


def _tokens(prompt: int, completion: int) -> str:
    return f"{prompt:,} prompt tokens, {completion:,} completion tokens"


def _time(result: RunResult) -> Iterator[str]:
    """The whole time, then what it was spent on."""
    times = result.times
    yield f"time      {result.seconds:.1f} s"
    yield f"{_INDENT}start-up {times.start_up:.1f} s"
    yield f"{_INDENT}loading {times.loading:.1f} s"
    seconds, where = times.ops, ""
    if result.shards:
        seconds, where = sum(step.seconds for step in result.steps), f" in {plural(result.shards, 'shard')}"
    yield from _folded(f"{_INDENT}ops {seconds:.1f} s{where}{_slow(result, seconds)}")
    if not result.next:
        yield f"{_INDENT}export {times.export:.1f} s"


def _slow(result: RunResult, seconds: float) -> str:
    """The ops that took long, the longest first."""
    slow = sorted(result.steps, key=lambda step: -step.seconds)[:MOST_TIMES]
    shown = [f"{step.label} {step.seconds:.1f} s" for step in slow if step.seconds >= max(SHORTEST_TIME, TOLD_FROM * seconds)]
    return f": {', '.join(shown)}" if shown else ""


def _folded(line: str) -> list[str]:
    indent = " " * (len(_INDENT) + (2 if line.startswith(_INDENT) else 0))
    return textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
