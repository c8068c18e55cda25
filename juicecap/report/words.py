"""How figures of a run are written, wherever they are shown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size

from juicecap.runner.reporting.status import RunStatus, StepStatus
from juicecap.sample import short_repr
from juicecap.vlm.cluster.engine_status import EngineStatus

_WHOLE = 100
"""Rates from here on have no digits behind the point."""


def duration(seconds: float) -> str:
    """Hours, minutes and seconds: `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    whole, minutes = divmod(minutes, 60)
    return f"{whole:,}:{minutes:02d}:{rest:02d}"


def rate(number: float) -> str:
    """A number per second: with a digit behind the point where that tells something."""
    return f"{number:,.0f}" if number >= _WHOLE else f"{number:.1f}"


def plural(number: int, noun: str) -> str:
    """`1 sample`, `2 samples`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def as_json(value: object) -> str:
    """A value that is no text, as JSON writes it."""
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (RecursionError, ValueError):  # nested more deeply, or a number with more digits, than Python writes
        return short_repr(value)


def title(step: StepStatus, of: int) -> str:
    """The op with its place among all."""
    return f"[{step.number}/{of}] {step.op}"


def progress(step: StepStatus) -> list[str]:
    """How far a step that runs has come, how fast it goes on, and until when."""
    pieces = [f"{step.done:,}/{step.samples:,} samples", f"{rate(step.samples_per_second)} samples/s"]
    return [*pieces, f"ETA {duration(step.eta_seconds)}"] if step.eta_seconds is not None else pieces


def engine(step: StepStatus) -> list[str]:
    """What the engines do for a step; nothing for an op that uses no model."""
    if step.engine_busy is None:
        return []
    pieces = [
        f"{rate(step.captions_per_second)} captions/s",
        f"{rate(step.prompt_tokens_per_second)} tokens/s in",
        f"{rate(step.completion_tokens_per_second)} tokens/s out",
        f"engine {step.engine_busy:.0%} busy",
    ]
    return [*pieces, f"{step.in_flight:,} in flight"] if step.state == "running" else pieces


def engines(status: RunStatus) -> list[str]:
    """The engines of a cluster, by node; nothing for a run on one machine."""
    nodes: dict[str, list[EngineStatus]] = {}
    for each in status.engines:
        nodes.setdefault(each.node, []).append(each)
    return [f"{node or 'waiting for room'}: {_together(several)}" for node, several in sorted(nodes.items())]


def _together(several: Sequence[EngineStatus]) -> str:
    states = Counter(each.state for each in several)
    pieces = [f"{plural(count, 'engine')} {state}" for state, count in sorted(states.items())]
    if any(each.state == "ready" for each in several):
        flight, answered = sum(each.in_flight for each in several), sum(each.answered for each in several)
        pieces += [f"{flight:,} in flight", f"{answered:,} answered"]
    return ", ".join(pieces)


def losses(step: StepStatus) -> list[str]:
    """Samples that did not go on, and where answers came from, in the words of the summary."""
    answers = {"asked": step.asked, "shared": step.shared, "replayed": step.replayed, "answers failed": step.unanswered}
    counts = {"filtered": step.filtered, "rejected": step.rejected, **answers}
    return [f"{count:,} {what}" for what, count in counts.items() if count]


def ended(step: StepStatus) -> list[str]:
    """A step that is done."""
    if step.state == "done before":
        return ["done before", *losses(step)]
    pieces = [plural(step.samples, "sample"), duration(step.seconds), f"{rate(step.samples_per_second)} samples/s"]
    return [*pieces, *engine(step), *losses(step)]


def told(step: StepStatus) -> list[str]:
    """The figures of a step, whether it runs or is done."""
    return [*progress(step), *engine(step), *losses(step)] if step.state == "running" else ended(step)


def wrapped(pieces: Iterable[str], width: int, indent: str = "") -> list[str]:
    """The pieces on as few lines as hold them, none of them broken; what is wider than a line is cut, the indent first."""
    lines: list[str] = []
    for piece in pieces:
        longer = f"{lines[-1]}  {piece}" if lines else ""
        if lines and cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(cut(f"{indent}{piece}" if cell_len(f"{indent}{piece}") <= width else piece, width))
    return lines


def cut(text: str, width: int) -> str:
    """The text, cut to this many columns."""
    return text if cell_len(text) <= width else f"{set_cell_size(text, max(0, width - 1)).rstrip()}…"
