"""Keeping `datasets` from drawing progress bars of its own."""

from __future__ import annotations

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
