"""How long the command line takes from start to finish where nothing is run.

    python benchmarks/cli_start.py [--runs N]

`check_s`: median seconds of `juicecap check recipes/video_caption.yaml`; `help_s`: of `juicecap --help`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from common import ROOT, conclude


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    check = _median(["check", "recipes/video_caption.yaml"], options.runs)
    usage = _median(["--help"], options.runs)
    print(f"juicecap check recipes/video_caption.yaml: {check:.3f} s")
    print(f"juicecap --help:                           {usage:.3f} s")
    conclude(check_s=check, help_s=usage)


def _median(arguments: list[str], runs: int) -> float:
    seconds = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "juicecap", *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])  # the first one warms the disk


if __name__ == "__main__":
    main()
