"""Reading what was written by others, where a library may crash, hang or take all memory over it: in a process with limits.

Arrow and Parquet are read by C++ that trusts offsets, lengths and counts. So it is a child process that opens such a file, looks
at every batch (`row_check`) and, for Parquet, writes it anew; this process maps only what passed. The child does not import
`datasets`, which acts on what a schema says of itself (`schema_check`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from juicecap.data.writing.atomic import remove_leftovers
from juicecap.errors import DataError, JuicecapError
from juicecap.isolated import IsolatedProcess, Stopped
from juicecap.text import reason_of

MEMORY = 1 << 30
"""Bytes that the child may take for any file."""

MEMORY_PER_BYTE, MOST_MEMORY = 4, 1 << 33
"""What it may take beyond that for each byte of the file, and at most: a row of Parquet is unpacked as a whole."""

CPU_SECONDS = 120.0
"""Seconds of the processor that the child may take for any file."""

CPU_SECONDS_PER_MB = 10.0
"""What it may take beyond that for each megabyte of the file: a hundred times what good files need."""


@dataclass(frozen=True)
class Refusal:
    """Makes the error from a reason, here and in a child: the words before it and behind it."""

    before: str
    after: str

    def __call__(self, reason: str) -> DataError:
        """The error."""
        return DataError(f"{self.before}{reason}{self.after}")


@contextmanager
def in_child(
    refuse: Refusal, *, size: int, cached: Path, beside: Path | None = None
) -> Iterator[Callable[[str, dict[str, Any]], Any]]:
    """Gives a function that calls others ("module:name") in a child, with limits for a source of `size` bytes.

    Their arguments also have the words of `refuse`, and an `owner`: they may write `cached`, and files beside it (and
    `beside` another one) with temporary names of that owner, which are taken away at the end.

    Raises:
        DataError: the child did not come to its end, or raised it.
        EnvironmentFailure: no process can be started, or what the child raises.
    """
    owner = f"-{secrets.token_hex(8)}"
    seconds = CPU_SECONDS + CPU_SECONDS_PER_MB * size / 1e6
    also = {"owner": owner, "refuse": [refuse.before, refuse.after]}
    try:
        with IsolatedProcess(memory=min(MEMORY + MEMORY_PER_BYTE * size, MOST_MEMORY)) as process:
            yield lambda function, argument: process.call(function, {**argument, **also}, cpu_seconds=seconds)
    except Stopped as stopped:
        raise refuse(str(stopped)) from stopped
    finally:
        for each in (cached, beside or cached):
            remove_leftovers(each, owner)


def settle_pyarrow() -> None:
    """What a child does first."""
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())  # the others reserve more than is used, which the limit would count
    pa.set_cpu_count(1)


@contextmanager
def foreign(refuse: Refusal) -> Iterator[None]:
    """The boundary around a library that is given foreign bytes: whatever it raises is an error about the bytes.

    Raises:
        DataError: made by `refuse` from the reason.
    """
    try:
        yield
    except (JuicecapError, MemoryError):  # want of memory is told by the child's loop
        raise
    except Exception as error:  # what libraries raise over damaged files has no bounds
        raise refuse(reason_of(error)) from error
