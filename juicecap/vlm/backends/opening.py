"""From the name of a backend to the backend: its libraries are imported here, and nowhere before.

What is missing, broken, or finds no memory is said as what it is.
"""

from __future__ import annotations

import importlib
import resource
import subprocess
import sys
import traceback
from collections.abc import Collection
from pathlib import Path
from types import ModuleType

from juicecap.errors import EnvironmentFailure, MissingLibrary, causes, short_of_memory
from juicecap.isolated.limits import environment, signal_name
from juicecap.text import first_line
from juicecap.vlm.base import Describe, ModelSettings
from juicecap.vlm.catalog import spec_of
from juicecap.vlm.installed import install_command

ENOUGH = 2**33
"""Bytes. Under a limit of memory that is lower, libraries are opened in another process first: some crash where they get none."""

TRY_SECONDS = 600.0

_HERE = str(Path(__file__).parents[2])


def describer(settings: ModelSettings) -> Describe:
    """Import the backend: the function that describes it. Nothing is loaded yet.

    Raises:
        MissingLibrary: the backend's libraries are not installed.
        EnvironmentFailure: they cannot be opened.
    """
    spec = spec_of(settings)
    module, _, attribute = spec.describe.partition(":")
    describe: Describe = getattr(opened(module, spec.libraries, spec.extra), attribute)
    return describe


def check_settings(settings: ModelSettings) -> None:
    """Do nothing if the backend can work with these settings, as far as it knows without opening anything.

    Raises:
        ModelError: they can never work.
        EnvironmentFailure: something is not here that may be where the recipe runs, such as a key.
    """
    module, _, attribute = spec_of(settings).check_settings.partition(":")
    if module:
        getattr(importlib.import_module(module), attribute)(settings)


def opened(module: str, libraries: Collection[str], extra: str) -> ModuleType:
    """Import the module of a backend, and with it the `libraries` that the `extra` installs.

    Raises:
        MissingLibrary: one of them is not installed.
        EnvironmentFailure: one of them cannot be opened.
    """
    limit = _limit()
    if limit < ENOUGH:
        _try_elsewhere(module, extra, limit)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in libraries:
            raise MissingLibrary(missing, install_command(extra) if extra else f"pip install {missing}") from error
        if missing == "juicecap":
            raise
        raise _broken(extra, str(error)) from error
    except Exception as error:  # the door to libraries that are opened here for the first time
        if any(map(short_of_memory, causes(error))):
            raise _no_memory(extra, str(error), limit) from error
        if not isinstance(error, ImportError | OSError) and _is_ours(error):
            raise
        raise _broken(extra, f"{type(error).__name__}: {error}") from error


def _limit() -> int:
    limits = [resource.getrlimit(each)[0] for each in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return min((limit for limit in limits if limit != resource.RLIM_INFINITY), default=sys.maxsize)


def _try_elsewhere(module: str, extra: str, limit: int) -> None:
    """Do nothing if a process with the same limits survives opening it; errors that it survives are met here again."""
    command = [sys.executable, "-P", "-c", f"import {module}"]
    try:
        done = subprocess.run(command, capture_output=True, env=environment(), timeout=TRY_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _no_memory(extra, str(error), limit) from error
    words = [line.strip() for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    if done.returncode and not (words and words[-1].startswith(("ModuleNotFoundError", "ImportError", "MemoryError", "OSError"))):
        how = f"signal {signal_name(-done.returncode)}" if done.returncode < 0 else f"exit status {done.returncode}"
        raise _no_memory(extra, ": ".join([how, *words[-1:]]), limit)


def _is_ours(error: BaseException) -> bool:
    """Whether it was raised by a line of juicecap."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename.startswith(_HERE)


def _broken(extra: str, cause: str) -> EnvironmentFailure:
    how = f'install them anew (pip install --force-reinstall "juicecap[{extra}]")'
    return EnvironmentFailure(
        f"the libraries of backend {extra} cannot be opened ({first_line(cause)}): {how}; running again resumes"
    )


def _no_memory(extra: str, cause: str, limit: int) -> EnvironmentFailure:
    allowed = (
        f"this process may take {limit >> 20} MB (ulimit -v, ulimit -d)" if limit < sys.maxsize else "the machine has no more"
    )
    said = f" ({first_line(cause)})" if cause else ""
    return EnvironmentFailure(
        f"there is too little memory to open the libraries of backend {extra}{said}; {allowed}; running again resumes"
    )
