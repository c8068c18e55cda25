"""Everything that juicecap raises on purpose.

    JuicecapError
    ├── UsageError              the command line is wrong                          exit 2
    │   └── ArgumentError       an argument in Python is of a wrong kind or name   exit 2
    ├── RecipeError             the recipe is wrong; carries every problem found   exit 1
    ├── SettingsError           an op's settings are wrong                         exit 1
    ├── UnknownOp               no op has this name (`ops.catalog`)                exit 1
    ├── ModelError              the model that is named cannot do the job          exit 1
    │   ├── TemplateComplaint   its chat template raises an error (`vlm.models.sandbox`)
    │   └── TemplateStopped     its chat template exceeds a limit, or crashes (`vlm.models.sandbox`)
    ├── DataError               a dataset or an output cannot be read or written   exit 1
    │   ├── BrokenRecord        one record cannot be read (`data.record`)
    │   ├── NotComparedError    edits of an output cannot be told (`data.edits.found_rows`)
    │   └── OtherAnswers        shards were answered otherwise than lower ones (`runner.shards.merge`)
    ├── EnvironmentFailure      engine, server, disk or library failed             exit 4
    │   ├── MissingLibrary      an optional library is not installed
    │   └── ServerAbsent        a server is not there (`vlm.backends.openai.detect_server`)
    ├── BugError                juicecap broke its own promise                     exit 70
    └── SampleError             one sample failed; a runner turns it into a rejection
        └── MediaError          its video or image cannot be used

An expected error is a sentence: what is wrong, where, and what to do next. Exceptions of other libraries are translated
where that library is called.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

_SHORT = re.compile(
    r"failed to map segment from shared object|can(?:not|'t) (?:allocate memory|start new thread)|std::bad_alloc", re.IGNORECASE
)


class JuicecapError(Exception):
    """Base of all errors that juicecap raises on purpose."""

    exit_code = 70

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the error without calling its constructor, whatever arguments that takes: errors travel between processes."""
        return _again, (type(self), self.args, vars(self))

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of the error: the lines of the caller, and the sentence; of a bug the whole traceback."""
        if self.exit_code == JuicecapError.exit_code:
            return [line.rstrip("\n") for line in traceback.format_exception(self)]
        frames = [each for each in traceback.extract_tb(self.__traceback__) if _IPYTHON not in each.filename]
        inside = (number for number, frame in enumerate(frames) if frame.filename.startswith(_HERE))
        lines = traceback.format_list(frames[: next(inside, None)])
        return [*(line.rstrip("\n") for line in lines), f"{type(self).__name__}: {self}"]


_HERE, _IPYTHON = os.path.join(os.path.dirname(__file__), ""), f"{os.sep}IPython{os.sep}"  # noqa: PTH120  (text, as frames have it)
"""The package, and a part of the paths of IPython's own files."""


def _again(kind: type[JuicecapError], args: tuple[Any, ...], state: dict[str, Any]) -> JuicecapError:
    error = kind.__new__(kind, *args)
    vars(error).update(state)
    return error


class UsageError(JuicecapError):
    """The command line is wrong."""

    exit_code = 2


class ArgumentError(UsageError, TypeError):
    """An argument of a function or a parameter of an op, in Python, is of a wrong kind, or has a name that does not exist."""


class RecipeError(JuicecapError):
    """The recipe is wrong. `str()` of it is the full report; `problems` lists them one by one (`recipe.problems.Problem`)."""

    exit_code = 1

    def __init__(self, report: str, problems: Sequence[Any] = ()) -> None:
        super().__init__(report)
        self.problems = tuple(problems)


class ModelError(JuicecapError):
    """The model that a recipe names does not exist, is not a vision-language model, or refuses its parameters."""

    exit_code = 1


class DataError(JuicecapError):
    """A dataset or an output file cannot be read or written."""

    exit_code = 1


class EnvironmentFailure(JuicecapError):
    """Something outside the recipe and its data failed; running again resumes."""

    exit_code = 4


class MissingLibrary(EnvironmentFailure):
    """An optional library is not installed; `command` installs it."""

    def __init__(self, library: str, command: str) -> None:
        super().__init__(f"{library} is not installed. Install it with: {command}")


class BugError(JuicecapError):
    """juicecap noticed that it broke its own promise, such as counts that do not add up."""


class SampleError(JuicecapError):
    """One sample cannot be processed.

    `code` is a constant in capitals that programs can compare. `retryable` is true if the same sample may succeed on
    another day (a server was down), and false if it never will (a text file named mp4). `attempts` counts the tries. `parameter`
    is the op's parameter that does not fit the sample, so that the recipe is to be changed; empty if the sample is at fault.
    """

    exit_code = 1
    kept: Any = None
    """The dataset that `Op.run` would have returned with `rejected`: all other samples are done."""

    def __init__(self, code: str, message: str, *, retryable: bool = False, attempts: int = 1, parameter: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.attempts = attempts
        self.parameter = parameter

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class MediaError(SampleError):
    """A video or an image cannot be used."""


class SettingsError(JuicecapError):
    """An op was given settings that contradict each other or lie outside their range.

    `problems` holds (parameter, sentence) pairs; a recipe reports each at the parameter's own line and column.
    """

    exit_code = 1

    def __init__(self, op: str, problems: list[tuple[str, str]]) -> None:
        super().__init__("\n".join(f"{op}: {sentence}" for _, sentence in problems))
        self.problems = problems


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes, the latest first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def short_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, as Python, the system or a library reports it."""
    return isinstance(error, MemoryError) or (isinstance(error, Exception) and _SHORT.search(str(error)) is not None)


def not_ours(error: BaseException) -> EnvironmentFailure | None:
    """The failure of the machine behind an untranslated error: memory ran out, or a library is broken. None: it may be a bug."""
    if any(map(short_of_memory, causes(error))):
        how = "raise what it may take (ulimit -v, ulimit -d, ulimit -u, the limits of its container), or ask for less"
        return EnvironmentFailure(f"this process got no more memory, or no more threads: {how}; running again resumes")
    if isinstance(error, ImportError) and not (error.name or "").startswith("juicecap"):
        library, said = (error.name or "a library").partition(".")[0], next(iter(str(error).splitlines()), "")
        how = "install it anew (pip install --force-reinstall juicecap)"
        return EnvironmentFailure(f"{library} cannot be opened ({said}): {how}; running again resumes")
    return None
