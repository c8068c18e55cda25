"""What can be seen from outside of a run: how far it has come, what its journal holds, and what it left."""

from __future__ import annotations

import json
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PHASES = ("starting", "flowing", "an op sealed", "two ops sealed", "exporting", "closing", "ending")
"""How far a run has come, in order."""


@dataclass
class Left:
    """What a run left: its output's bytes, its rejections without the time, and the bytes of its filtered samples."""

    output: bytes
    rejected: list[dict[str, Any]]
    filtered: bytes

    @classmethod
    def of(cls, folder: Path) -> Left:
        run = folder / "out" / "captions.run"
        lines = (run / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
        rejected = [{name: value for name, value in json.loads(line).items() if name != "when"} for line in lines]
        return cls((folder / "out" / "captions.jsonl").read_bytes(), rejected, (run / "filtered.jsonl").read_bytes())

    def samples(self) -> Counter[str]:
        """How often each sample stands in it."""
        rows = [json.loads(line) for line in self.output.splitlines()]
        return Counter(str(row["n"]) for row in rows) + Counter(str(each["id"]) for each in self.rejected)


def entries(folder: Path, shard: str = "") -> list[tuple[str, int, dict[str, Any]]]:
    """What the journal of a killed run, or of the shard with this folder, holds, read from a copy: who looks must not mend it."""
    source = folder / "out" / "captions.run" / shard / "journal.sqlite"
    with tempfile.TemporaryDirectory() as place:
        for part in source.parent.glob(f"{source.name}*") if source.parent.exists() else ():
            if not part.name.endswith("-shm"):
                shutil.copy(part, place)
        copy = Path(place) / source.name
        if not copy.exists():
            return []
        with closing(sqlite3.connect(copy)) as database:
            try:
                rows = database.execute("SELECT key, candidate, entry FROM answers").fetchall()
            except sqlite3.OperationalError:  # killed before it had tables
                return []
    return [(key.hex(), candidate, json.loads(entry)) for key, candidate, entry in rows]


def phase_of(folder: Path) -> int:
    """How far a run has come, by what is on disk, as a place in `PHASES`."""
    run = folder / "out" / "captions.run"
    if (run / "manifest.json").exists():
        return 6
    if (folder / "out" / "captions.jsonl").exists():
        return 5
    if not (run / "steps").exists():
        return 0
    return 1 + min(3, len({path.name[:2] for path in run.glob("steps/0*.arrow")}))


def claimed(folder: Path, pid: int) -> bool:
    """Whether this process has begun to work in its run folder."""
    with suppress(OSError, ValueError):
        return json.loads((folder / "out" / "captions.run" / ".lock").read_text())["pid"] == pid
    return False


def wait_for_handlers(run: subprocess.Popen[str]) -> None:
    """Wait until the program handles SIGTERM: before, it has not begun."""
    while run.poll() is None:
        with suppress(OSError):
            status = Path(f"/proc/{run.pid}/status").read_text()
            if int(re.search(r"SigCgt:\s+(\w+)", status)[1], 16) >> (signal.SIGTERM - 1) & 1:
                return
        time.sleep(0.005)
