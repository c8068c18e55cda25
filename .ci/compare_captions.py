"""Compare the captions that the README's main command wrote with the truth about the bundled clips."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path


def main() -> int:
    truth = json.loads(Path("tests/demo_clips.json").read_text(encoding="utf-8"))
    export, clips = Path(sys.argv[1]), Path("recipes/clips").resolve()
    rows = [json.loads(line) for line in export.read_text(encoding="utf-8").splitlines()]
    said = [(str((export.parent / row["videos"][0]).resolve()), row["text"]) for row in rows]  # paths lead from the export
    wanted = [(str(clips / name), f"<__dj__video> {facts['caption']} <|__dj__eoc|>") for name, facts in truth.items()]
    if said != wanted:
        print("the captions of the main command are not the true ones:")
        for entry in itertools.zip_longest(said, wanted):
            if entry[0] != entry[1]:
                print(f"  {entry[0]}, not {entry[1]}")
        return 1
    print(f"{len(said)} captions, each exact and in order")
    return 0


if __name__ == "__main__":
    sys.exit(main())
