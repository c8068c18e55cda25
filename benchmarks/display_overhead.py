"""What it costs to watch a run: the same recipe with a display on a terminal and with none, taking turns.

    python benchmarks/display_overhead.py [--runs N] [--samples N]

The recipe is `recipes/video_caption.yaml` on its clips, each many times over. `share` is the CPU time of the code that watches
(drawing; counting; the reporter that works out figures and writes `status.json`), measured inside of the run by the clocks of
its threads, over the wall time of the run: the figure to go by. `wall_share` is the median wall time with a display over that
without, less one; `wall_noise` is the spread of runs without one, which on a small machine is larger than what is looked for.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from common import ROOT, conclude

INSIDE = """
import json, sys, time
from juicecap.cli import main
from juicecap.runner.reporting import reporter
from juicecap.runner.reporting.progress import SilentProgress

spent = {"thread": 0.0, "run": 0.0}
watch, started, ended, count = (getattr(reporter.Reporter, name) for name in ("_watch", "started", "ended", "count"))

def whole_thread(self):
    watch(self)
    spent["thread"] = time.thread_time()

def timed(method):
    def wrapper(*arguments, **options):
        began = time.thread_time()
        try:
            return method(*arguments, **options)
        finally:
            spent["run"] += time.thread_time() - began
    return wrapper

reporter.Reporter._watch = whole_thread
for method in (started, ended, count):
    setattr(reporter.Reporter, method.__name__, timed(method))
began = time.monotonic()
code = main(json.loads(sys.argv[1]))
spent["wall"] = time.monotonic() - began
with open(sys.argv[2], "w") as stream:
    json.dump(spent, stream)
sys.exit(code)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="of each kind")
    parser.add_argument("--samples", type=int, default=600)
    options = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {"with": [], "without": []}
    with tempfile.TemporaryDirectory() as folder:
        recipe = _recipe(Path(folder), options.samples)
        for _ in range(options.runs):
            for kind, told in found.items():
                told.append(_run(Path(folder), recipe, watched=kind == "with"))
    walls = {kind: [each["wall"] for each in told] for kind, told in found.items()}
    shares = [(each["thread"] + each["run"]) / each["wall"] for each in found["with"]]
    share = statistics.median(shares)
    wall_share = statistics.median(walls["with"]) / statistics.median(walls["without"]) - 1
    noise = (max(walls["without"]) - min(walls["without"])) / statistics.median(walls["without"])
    for kind, seconds in walls.items():
        print(f"{kind + ' display:':17}{statistics.median(seconds):.2f} s ({', '.join(f'{each:.2f}' for each in seconds)})")
    each_share = ", ".join(f"{100 * each:.2f}" for each in shares)
    print(f"CPU of the display and its figures: {100 * share:.2f} % of the run ({each_share})")
    print(
        f"difference of the wall times: {100 * wall_share:.1f} %, of runs without a display among themselves: {100 * noise:.1f} %"
    )
    conclude(share=share, wall_share=wall_share, wall_noise=noise)


def _recipe(folder: Path, samples: int) -> list[str]:
    lines = (ROOT / "recipes" / "clips" / "clips.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    for row in rows:
        row["videos"] = [str(ROOT / "recipes" / "clips" / video) for video in row["videos"]]
    data = folder / "data.jsonl"
    data.write_text("".join(json.dumps({**rows[n % len(rows)], "id": n}) + "\n" for n in range(samples)), encoding="utf-8")
    # Another question for each sample: equal ones are asked once.
    prompt = "video_captioning_from_vlm_mapper.prompt=What happens in video {id}?"
    settings = ["--set", f"dataset_path={data}", "--set", prompt]
    return ["run", str(ROOT / "recipes" / "video_caption.yaml"), "--fresh", *settings]


def _run(folder: Path, arguments: list[str], *, watched: bool) -> dict[str, float]:
    """One run in a process of its own, on a terminal that is read by a thread."""
    figures, output = folder / "figures.json", folder / f"out-{time.monotonic_ns()}.jsonl"
    given = [*arguments, "--set", f"export_path={output}", *([] if watched else ["--quiet"])]
    ours, theirs = pty.openpty()
    reader = threading.Thread(target=_drain, args=(ours,), daemon=True)
    reader.start()
    command = [sys.executable, "-c", INSIDE, json.dumps(given), str(figures)]
    environment = {**os.environ, "TERM": "xterm-256color", "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=ROOT, stdout=theirs, stderr=theirs, env=environment, check=True)
    os.close(theirs)
    told: dict[str, float] = json.loads(figures.read_text())
    return told


def _drain(terminal: int) -> None:
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:  # the program has ended
        os.close(terminal)


if __name__ == "__main__":
    main()
