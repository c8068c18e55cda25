"""Which bytes of a file stand for it in a digest that has to hold on any machine: all of them, or blocks of a large file.

A digest of a large file is one over its size and equally long blocks, evenly spread from its first byte to its last one, so that
what it costs does not grow with the file. It sees another size, another head or tail (where containers keep their tables), and
every change that is longer than the distance between two blocks. It does not see a change that leaves the size as it is and lies
between two blocks. Names, paths and times of files are no part of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

WHOLE_UP_TO = 64 * 2**20
"""Bytes of a file up to which all of it counts."""


def blocks(fd: int, size: int, *, length: int, number: int) -> Iterator[bytes]:
    """The blocks of an open file that has `size` bytes: so many, each of this length, in order.

    Raises:
        OSError: it cannot be read.
    """
    for index in range(number):
        yield os.pread(fd, length, max(0, size - length) * index // (number - 1))
