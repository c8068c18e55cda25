"""What a child process needs from its parent, and what it imposes on itself before it touches foreign bytes."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path


def environment() -> dict[str, str]:
    """The parent's own, and the places where it finds its modules, in the same order."""
    places = os.pathsep.join(entry for entry in sys.path if isinstance(entry, str))
    return os.environ | {"PYTHONPATH": places, "OMP_NUM_THREADS": "1"}


def settle_signals() -> None:
    """Ctrl-C is for the parent. The CPU limit must kill, also where the parent ignores or blocks its signal."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def own_memory(untold: int = 0) -> int:
    """Bytes of private memory that this process has now, or `untold` where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return untold
    found = re.search(r"^VmData:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else untold


def limit_memory(most: int) -> None:
    """Limit private memory, in bytes. Shared memory and mapped files do not count."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def lift_memory() -> None:
    """Take the limit of memory back, as far as the process was allowed to take any."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def give_back_memory() -> None:
    """Let the allocator give free memory to the system, where it can (glibc): it keeps pieces of it, more with each file read."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def limit_cpu(seconds: float) -> None:
    """Let the system kill this process once it has used so many CPU seconds more, also inside of foreign code; 0 is no limit."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def signal_name(number: int) -> str:
    """The name of a signal, such as SIGSEGV."""
    return next((each.name for each in signal.Signals if each == number), str(number))
