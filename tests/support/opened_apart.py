"""Opening a dataset that may crash, hang or swell whoever reads it, in a program of its own that is watched."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

SCRIPT = """
import json, resource, sys
from pathlib import Path
from juicecap.data.source import open_source
path, cache, options = json.loads(sys.argv[1])
try:
    dataset = open_source(path, cache_folder=Path(cache), **options)
    rows = sum(len(batch[dataset.column_names[0]]) for batch in dataset.iter(1000))
    said = {"rows": rows}
except Exception as error:
    said = {"error": type(error).__name__, "message": str(error), "rows": 0}
# What `getrusage` says of this process is that of whoever started it, if that is more.
own = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps({**said, "megabytes": own + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10}))
"""


class Opened(NamedTuple):
    """What came of it."""

    rows: int
    error: str
    """The class, or what ended the program."""
    message: str
    megabytes: int
    """Resident memory at its peak, of the program and its largest child together."""


def opened_apart(path: Path, cache: Path, *, seconds: float = 120, **options: Any) -> Opened:
    """Open a dataset and read all of its rows."""
    command = [sys.executable, "-c", SCRIPT, json.dumps([str(path), str(cache), options])]
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return Opened(0, "hung", "", 0)
    if done.returncode:
        return Opened(0, f"ended with {done.returncode}", done.stderr.decode(errors="replace")[-2000:], 0)
    said = json.loads(done.stdout.splitlines()[-1])
    return Opened(said["rows"], said.get("error", ""), said.get("message", ""), said["megabytes"])
