"""What the libraries that we stand on need of the system, and without which they end in whatever way; a container may lack it.

And what they do to it unasked: `datasets` draws progress bars, and many of them warn.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from juicecap.errors import EnvironmentFailure

NEEDED = ("/dev/null", "/dev/urandom")
"""`datasets` opens the first when it is imported, torch the second."""


def check_devices() -> None:
    """Make sure that the devices are there.

    Raises:
        EnvironmentFailure: one is not.
    """
    for device in NEEDED:
        if not os.path.exists(device):
            raise EnvironmentFailure(
                f"there is no {device} here, without which datasets and torch do not work. Mount a /dev in this container or "
                "chroot and run again."
            )


def check_working_directory() -> None:
    """Make sure that there is one: torch ends the process where there is none.

    Raises:
        EnvironmentFailure: it was removed.
    """
    try:
        os.getcwd()  # noqa: PTH109
    except OSError as error:
        reason = error.strerror or error
        raise EnvironmentFailure(
            f"the working directory cannot be used ({reason}). Change to another one and run again."
        ) from error


def import_datasets() -> None:
    """Import `datasets` without a word: where a notebook has no widgets, the library of its progress bars warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")
        import datasets  # noqa: F401


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """A run has a progress display of its own.

    Raises:
        EnvironmentFailure: `datasets` cannot work here.
    """
    check_devices()
    import_datasets()
    from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """A time in which no library's warnings are shown, whether they are Python's or in a log. juicecap's own are loguru's."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
