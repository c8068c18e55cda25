"""The status of a run: the figures that are shown, written to `status.json` and given to monitors, and reading them back.

`status.json` has the last report of the run. Whether the run is alive is known by the folder's lock, which the system releases
with the process, however that ends.
"""

from __future__ import annotations

import itertools
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from juicecap.data.writing.atomic import swap_in
from juicecap.errors import UsageError
from juicecap.plain import kind_at, read_plain
from juicecap.recipe.work_dir import LARGEST
from juicecap.runner.run_folder.lock import is_locked
from juicecap.vlm.cluster.engine_status import EngineState, EngineStatus
from juicecap.vlm.cluster.options import MOST_ENGINES

FILE = "status.json"

State = Literal["loading", "running", "exporting", "done", "failed", "interrupted", "killed"]
"""`killed`: the last status is that of a running run, and nobody holds its folder any more."""

StepState = Literal["running", "done", "done before"]

AT_WORK = ("loading", "running", "exporting")

SILENT_FOR = 30.0
"""Seconds without a report after which a run counts as gone, if the file system has no locks."""

_GIVE = "give the folder of a run: its work_dir, by default export_path without its suffix and .run"

LARGEST_NUMBER = 10**18
"""The largest count, time or rate of a run."""

MOST_STEPS = 5000
"""The largest number of ops that a recipe has."""

_LOOKED_INTO = 1000
"""Folders that are searched for the one that was probably meant."""


@dataclass(frozen=True, kw_only=True)
class StepStatus:
    """One op. Rates are those of the last half minute, and of the whole step when it is done."""

    op: str
    number: int
    state: StepState
    samples: int
    """Input samples of the op; if an earlier run did the rest, the retried ones. An estimate while ops before it run."""
    inside: int = 0
    """Samples that have come to the op and not left it yet."""
    done: int = 0
    """Samples that are done: kept, filtered or rejected."""
    filtered: int = 0
    rejected: int = 0
    captions: int = 0
    """Answers to these samples, replayed and shared ones included."""
    asked: int = 0
    """Answers that engines gave."""
    shared: int = 0
    """Answers that an equal request of this run has got as well."""
    replayed: int = 0
    """Answers of earlier runs, from the journal."""
    unanswered: int = 0
    """Answers that did not come."""
    prompt_tokens: int = 0
    """Tokens that engines read in this run."""
    completion_tokens: int = 0
    """Tokens that they wrote."""
    in_flight: int = 0
    """Requests that engines are working on."""
    seconds: float = 0.0
    samples_per_second: float = 0.0
    captions_per_second: float = 0.0
    """Answers of engines."""
    prompt_tokens_per_second: float = 0.0
    completion_tokens_per_second: float = 0.0
    engine_busy: float | None = None
    """Share of the time during which an engine had requests; None for an op that uses no model."""
    engine_seconds: float = 0.0
    eta_seconds: float | None = None
    """Until the step is done, if it goes on as it does."""


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """A run."""

    state: State
    recipe: str
    export_path: str
    work_dir: str
    """These three as absolute paths."""
    working_directory: str
    pid: int
    host: str
    started: str
    updated: str
    """Both in UTC, as ISO 8601 has it."""
    seconds: float
    steps: tuple[StepStatus, ...]
    """The steps that have begun."""
    step_count: int
    samples: int | None = None
    """Samples that were read; None until they are."""
    exported: int | None = None
    exit_code: int | None = None
    message: str = ""
    """Why the run failed."""
    fresh: bool = False
    """Whether it uses nothing of earlier runs, so that the same command does not go on where it stopped."""
    engines: tuple[EngineStatus, ...] = ()
    """The engines of a cluster, if the run has one."""

    @property
    def at_work(self) -> bool:
        """Whether the run goes on."""
        return self.state in AT_WORK

    @property
    def running(self) -> tuple[StepStatus, ...]:
        """The steps that run."""
        return tuple(step for step in self.steps if step.state == "running")

    @property
    def narrowest(self) -> StepStatus | None:
        """The step that holds up the others: the one with most samples inside, of several the last."""
        return max(self.running, key=lambda step: (step.inside, step.number), default=None)

    @property
    def rejected(self) -> int:
        """Samples that all steps rejected."""
        return sum(step.rejected for step in self.steps)


def write_status(status: RunStatus) -> None:
    """Replace the run folder's status file.

    Raises:
        DataError, EnvironmentFailure: it cannot be written.
    """
    swap_in(Path(status.work_dir) / FILE, json.dumps(asdict(status), indent=1).encode() + b"\n")


def read_status(folder: Path) -> RunStatus:
    """The status of this folder's run, current or final. Nothing is written.

    Raises:
        UsageError: it is not the folder of a run.
    """
    status = _read(folder)
    if status.at_work and not _alive(folder, status):
        status = _read(folder)  # it may have ended between the two looks
        return replace(status, state="killed") if status.at_work else status
    return status


def was_unfinished_and_fresh(folder: Path) -> bool:
    """Whether the last run of a folder, which this process holds now, used nothing of earlier ones and did not end well."""
    try:
        status = _read(folder)
    except UsageError:
        return False
    return status.fresh and status.state != "done"


def _read(folder: Path) -> RunStatus:
    file = folder / FILE
    try:
        return _status(json.loads(read_plain(file, LARGEST)))
    except FileNotFoundError:
        raise UsageError(_no_run(folder)) from None
    except NotADirectoryError:
        raise UsageError(f"{folder} is a file; {_GIVE}") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(f"{file} is not what a run writes; is {folder} the folder of a run?") from None


def _no_run(folder: Path) -> str:
    found: list[str] = []
    if not folder.is_dir():
        return f"there is no folder {folder}; {_GIVE}"
    with suppress(OSError), os.scandir(folder) as entries:
        found = sorted(each.name for each in itertools.islice(entries, _LOOKED_INTO) if kind_at(Path(each.path, FILE)) == "")
    hint = f"; did you mean {os.path.join(folder, found[0])}?" if found else ""
    return f"{folder} is not the folder of a run (it has no {FILE}){hint}"


def _alive(folder: Path, status: RunStatus) -> bool:
    locked = is_locked(folder)
    if locked is not None:
        return locked
    silent = datetime.now(UTC) - datetime.fromisoformat(status.updated)
    return silent.total_seconds() < SILENT_FOR


def _status(content: Any) -> RunStatus:
    steps = tuple(StepStatus(**_known(StepStatus, step)) for step in content["steps"]) if isinstance(content, dict) else ()
    listed = content.get("engines", ()) if isinstance(content, dict) else ()
    engines = tuple(EngineStatus(**_known(EngineStatus, engine)) for engine in listed)
    status = RunStatus(**{**_known(RunStatus, content), "steps": steps, "engines": engines})
    fields_of = [(field, value) for kind, value in _told(status) for field in fields(kind)]
    states: list[tuple[str, Any]] = [(status.state, State), *((step.state, StepState) for step in steps)]
    states += [(engine.state, EngineState) for engine in engines]
    if (
        len(steps) > MOST_STEPS
        or len(engines) > MOST_ENGINES
        or not all(_fits(getattr(value, field.name), str(field.type)) for field, value in fields_of)
        or not all(state in get_args(allowed) for state, allowed in states)
        or datetime.fromisoformat(status.updated).tzinfo is None
    ):
        raise ValueError("not a status")
    return status


def _fits(value: Any, written: str) -> bool:
    """Whether a value is of the type that its field has, and a number one that a run can have."""
    if written == "bool":
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, _TYPES.get(written, object)):
        return False
    return not isinstance(value, int | float) or 0 <= value <= LARGEST_NUMBER  # which NaN is not


def _told(status: RunStatus) -> list[tuple[type[Any], Any]]:
    parts = [*((StepStatus, step) for step in status.steps), *((EngineStatus, engine) for engine in status.engines)]
    return [(RunStatus, status), *parts]


_TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "int | None": (int, type(None)),
    "float | None": (int, float, type(None)),
}


def _known(kind: type[Any], content: Any) -> dict[str, Any]:
    """The facts that this version knows; a newer one may have more."""
    if not isinstance(content, dict):
        raise TypeError("not an object")
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in content.items() if name in names}
