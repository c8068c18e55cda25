"""Whether memory grows with the number of samples.

    python benchmarks/memory.py [--few N] [--many N]

Runs the captioning recipe in a process of its own over few and over many clips and compares the peaks of resident memory.
`growth_samples`: the peak for many over that for few.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from common import DEMO_MODEL, conclude, film

DISTINCT = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--many", type=int, default=1000)
    parser.add_argument("--child", nargs=2, metavar=("RECIPE", "SAMPLES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(*options.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        film(Path(folder), DISTINCT, seed=55)
        peaks = [_peak(Path(folder), count) for count in (options.few, options.many)]
    for count, peak in zip((options.few, options.many), peaks, strict=True):
        print(f"{count:6d} samples: peak {peak / 1024:.0f} MiB")
    conclude(growth_samples=peaks[1] / peaks[0], few_mib=peaks[0] / 1024, many_mib=peaks[1] / 1024)


def _peak(folder: Path, count: int) -> int:
    """Peak resident memory in KiB of a run over `count` clips, each a name of its own."""
    rows = []
    for index in range(count):
        name = folder / f"run_{count}_{index}.mp4"
        os.link(folder / f"{index % DISTINCT:05d}.mp4", name)
        rows.append(json.dumps({"videos": [str(name)]}))
    (folder / f"{count}.jsonl").write_text("\n".join(rows) + "\n")
    recipe = folder / f"{count}.yaml"
    op = {"video_captioning_from_vlm_mapper": {"hf_model": DEMO_MODEL, "sampling_params": {"max_tokens": 32}}}
    recipe.write_text(
        json.dumps(
            {
                "dataset_path": str(folder / f"{count}.jsonl"),
                "export_path": str(folder / f"out_{count}.jsonl"),
                "process": [{"video_duration_filter": {}}, op],
            }
        )
    )
    done = subprocess.run(
        [sys.executable, __file__, "--child", str(recipe), str(count)], check=True, capture_output=True, text=True
    )
    return int(done.stdout.split()[-1])


def _child(recipe: str, samples: str) -> None:
    import juicecap

    result = juicecap.run(recipe)
    assert result.rejected == 0
    assert result.samples == int(samples)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main()
