"""A run's figures in the text format of Prometheus, for the textfile collector of its node exporter.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from juicecap.data.writing.outputs import output_file, write_output
from juicecap.errors import UsageError
from juicecap.recipe import Recipe
from juicecap.recipe.checks.overwrites import output_at
from juicecap.runner.reporting.status import AT_WORK, RunStatus, StepStatus

_COUNTERS: dict[str, tuple[str, Callable[[StepStatus], float]]] = {
    "captions_total": ("Answers to samples, replayed and shared ones included.", lambda step: step.captions),
    "answers_asked_total": ("Answers that engines gave.", lambda step: step.asked),
    "answers_shared_total": ("Answers that an equal request of this run has got as well.", lambda step: step.shared),
    "answers_replayed_total": ("Answers of earlier runs, from the journal.", lambda step: step.replayed),
    "answers_failed_total": ("Answers that did not come.", lambda step: step.unanswered),
    "prompt_tokens_total": ("Tokens that engines read.", lambda step: step.prompt_tokens),
    "completion_tokens_total": ("Tokens that engines wrote.", lambda step: step.completion_tokens),
    "engine_busy_seconds_total": ("Seconds in which an engine had something to answer.", lambda step: step.engine_seconds),
}
_GAUGES: dict[str, tuple[str, Callable[[StepStatus], float]]] = {
    "samples": ("Samples that the op is given.", lambda step: step.samples),
    "requests_in_flight": ("Requests that engines are working on.", lambda step: step.in_flight),
    "step_seconds": ("Seconds since the op began, or that it took.", lambda step: step.seconds),
}


BEGINNING = b"# HELP juicecap_run_up "
"""The first bytes of a metrics file, in all versions, by which it is recognised."""


def check_metrics(recipe: Recipe, path: Path) -> None:
    """Make sure that the metrics file may be written there.

    Raises:
        UsageError: the run reads or writes something else there, or somebody else's file is there, or no file.
        DataError: its folder is not there.
    """
    if what := output_at(recipe, path):
        raise UsageError(f"--metrics {path}: that is {what}; give the path of a new file")
    output_file(path, BEGINNING)


def write_metrics(path: Path, status: RunStatus, owner: str) -> None:
    """Replace the metrics file, unless the path holds something else.

    Raises:
        UsageError, DataError, EnvironmentFailure: it cannot be written.
    """
    write_output(path, BEGINNING, metrics_text(status).encode(errors="replace"), owner)


def metrics_text(status: RunStatus) -> str:
    """The figures, a family after the other."""
    return "".join(f"{line}\n" for line in _lines(status))


def _lines(status: RunStatus) -> Iterator[str]:
    run = _labels(run=status.work_dir)
    yield from _family("run_up", "gauge", "Whether the run is at work.")
    yield f"juicecap_run_up{run} {int(status.state in AT_WORK)}"
    yield from _family("run_seconds", "gauge", "Seconds since the run began, or that it took.")
    yield f"juicecap_run_seconds{run} {status.seconds:.3f}"
    if status.exit_code is not None:
        yield from _family("run_exit_code", "gauge", "How the run ended.")
        yield f"juicecap_run_exit_code{run} {status.exit_code}"
    if not status.steps:
        return
    yield from _family("samples_done_total", "counter", "Samples that met their fate, by fate.")
    for step in status.steps:
        fates = {"filtered": step.filtered, "rejected": step.rejected, "kept": step.done - step.filtered - step.rejected}
        for fate, count in fates.items():
            yield f"juicecap_samples_done_total{_of(status, step, fate=fate)} {count}"
    for kind, families in (("counter", _COUNTERS), ("gauge", _GAUGES)):
        for name, (what, value) in families.items():
            yield from _family(name, kind, what)
            yield from (f"juicecap_{name}{_of(status, step)} {round(value(step), 3)}" for step in status.steps)


def _family(name: str, kind: str, what: str) -> Iterator[str]:
    yield f"# HELP juicecap_{name} {what}"
    yield f"# TYPE juicecap_{name} {kind}"


def _of(status: RunStatus, step: StepStatus, **others: str) -> str:
    return _labels(run=status.work_dir, op=step.op, step=str(step.number), **others)


def _labels(**labels: str) -> str:
    escaped = {name: value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for name, value in labels.items()}
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"
