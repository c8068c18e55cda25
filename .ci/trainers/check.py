"""Whether libraries of trainers load what is exported for them: every medium by its content, every caption by its text.

    python .ci/trainers/check.py webdataset PYTHON      # PYTHON: the interpreter of an environment with webdataset
    python .ci/trainers/check.py ms_swift PYTHON

The exports are made here, of ten clips and of a set that is hard to export; the other interpreter runs `read_NAME.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support"), str(ROOT / "tools")]

from exporting import NASTY, Exporting, digest  # noqa: E402

TEN = {f"clip_{number:02}.mp4": f"Caption {number}." for number in range(10)}
EXPORTS = {"webdataset": {"to": "out/set", "as": "webdataset"}, "ms_swift": {"to": "out/set", "for": "ms_swift"}}


def main(name: str, python: str) -> int:
    wrong = 0
    for title, captions in (("ten", TEN), ("nasty", NASTY)):
        with tempfile.TemporaryDirectory() as folder:
            exporting = Exporting(Path(folder), ROOT / "recipes" / "clips" / "clip_00.mp4", captions)
            exporting.run(EXPORTS[name])
            reader = Path(__file__).with_name(f"read_{name}.py")
            done = subprocess.run(  # noqa: S603  (the interpreter that was named)
                [python, str(reader), str(Path(folder) / "out" / "set")], capture_output=True, text=True, check=False, cwd=folder
            )
            if done.returncode:
                print(done.stderr[-4000:], file=sys.stderr)
                return 1
            read = [tuple(pair) for pair in json.loads(done.stdout.splitlines()[-1])]
            wanted = [
                (digest(exporting.clip(clip)), caption.replace("<video>", "< video>") if name == "ms_swift" else caption)
                for clip, caption in exporting.first_captions().items()
                if caption is not None
            ]
            same = read == wanted
            wrong += not same
            told = "all as exported" if same else f"other than exported: {read}"
            print(f"{name}, {title}: {len(read)} of {len(wanted)} loaded, {told}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
