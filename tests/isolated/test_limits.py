"""What a process gives back to the system."""

from __future__ import annotations

import ctypes
from pathlib import Path

from juicecap.isolated.limits import give_back_memory


def private_memory() -> int:
    """Bytes of this process without pages of files."""
    return int(Path("/proc/self/status").read_text().partition("RssAnon:")[2].split()[0]) * 1024


def test_free_memory_between_what_is_in_use_is_given_back() -> None:
    blocks = [ctypes.create_string_buffer(4000) for _ in range(20_000)]
    kept = blocks[::50]
    before = private_memory()
    del blocks
    give_back_memory()
    assert private_memory() < before - 40_000_000
    assert len(kept) == 400
