"""Keeping libraries from talking to the terminal: progress bars of `datasets`, warnings of all."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from juicecap.data.surroundings import check_devices


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """A run has a progress display of its own.

    Raises:
        EnvironmentFailure: `datasets` cannot work here.
    """
    check_devices()
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
