"""Pixels that one process writes and another maps: nothing is copied on the way, and nothing is left behind.

They lie in a file without a name: in memory where the system has such files (Linux), else a temporary one that is unlinked
at once. Its descriptor is what travels.
"""

from __future__ import annotations

import ctypes
import errno
import math
import mmap
import os
import resource
import tempfile
import weakref
from collections.abc import Sequence

import numpy as np

_CHANNELS = 3

_NOT_HERE = (errno.ENOSYS, errno.EPERM, errno.EACCES)
"""What a sandbox says that has no such files."""


class NoRoom(MemoryError):
    """Not because of the frames: no file may grow, here and now."""


class SharedFrames:
    """Room for frames, to be handed to another process by its descriptor `fd`; closing frees this side of it."""

    def __init__(self) -> None:
        self.fd = nameless_file()

    def allocate(self, count: int, height: int, width: int) -> np.ndarray:
        """Frames (count, height, width, 3), uint8, from the start of the file: the same bytes as those allocated before.

        Raises:
            NoRoom: the disk is full, or files are limited to less.
            MemoryError: there is not so much room at all.
        """
        size = count * height * width * _CHANNELS
        try:
            os.ftruncate(self.fd, size)
            memory = mmap.mmap(self.fd, size)
        except (OSError, OverflowError) as error:
            full = isinstance(error, OSError) and (error.errno == errno.ENOSPC or size > _largest_file())
            raise (NoRoom if full else MemoryError)(f"no room for {size} bytes of frames") from error
        return np.frombuffer(memory, np.uint8).reshape(count, height, width, _CHANNELS)

    def close(self) -> None:
        """Close the descriptor; frames that are mapped stay."""
        os.close(self.fd)


def _largest_file() -> float:
    """Bytes that a file of this process may have."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return math.inf if limit == resource.RLIM_INFINITY else limit


def nameless_file() -> int:
    """A descriptor of a new file that goes away with its last user."""
    if hasattr(os, "memfd_create"):
        try:
            return os.memfd_create("juicecap-frames")
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
    with tempfile.TemporaryFile(prefix="juicecap-") as file:
        return os.dup(file.fileno())


def mapped(fd: int, shape: Sequence[int]) -> np.ndarray:
    """The uint8 array of `shape` at the start of a file, private to this process and writable; it needs `fd` no more.

    Python's own `mmap` keeps a descriptor for as long as the mapping lives (before 3.13 always), and pictures are many.

    Raises:
        OSError: it cannot be mapped.
    """
    size = int(np.prod(shape, dtype=np.int64))
    address = _libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE, fd, 0)
    if address == _FAILED:
        raise OSError(ctypes.get_errno(), f"{size} bytes of frames cannot be mapped")
    memory = (ctypes.c_ubyte * size).from_address(address)
    weakref.finalize(memory, _libc.munmap, address, size).atexit = False  # arrays may outlive that
    return np.ctypeslib.as_array(memory).reshape(shape)


_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_FAILED = ctypes.c_void_p(-1).value
