"""What the fuzz targets share: a corpus that is kept between runs, and libFuzzer with limits on time and memory."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import atheris
from loguru import logger

ROOT = Path(__file__).resolve().parent.parent


def fuzz(target: Callable[[bytes], None], seeds: Iterable[bytes], words: Iterable[str], *limits: str) -> None:
    """Give `target` bytes that grow out of `seeds` and `words` until an option of the command line says to stop.

    An exception, or more time or memory than `limits` allow, is a finding: libFuzzer writes the bytes to a file and ends.
    """
    kept = ROOT / "out" / "fuzz" / Path(sys.argv[0]).stem
    (kept / "corpus").mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (kept / "corpus" / hashlib.sha256(seed).hexdigest()[:32]).write_bytes(seed)
    dictionary = kept / "words"
    dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in words))
    given = [os.path.abspath(each) if os.path.exists(each) else each for each in sys.argv[1:]]
    replays = any(not each.startswith("-") for each in given)
    corpus = [] if replays else [str(kept / "corpus")]
    logger.remove()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        os.chdir(folder)
        options = [f"-dict={dictionary}", f"-artifact_prefix={kept}/", "-print_final_stats=1", *limits]
        atheris.Setup([sys.argv[0], *options, *given, *corpus], target)
        atheris.Fuzz()


def _escaped(word: str) -> str:
    return "".join(char if char.isalnum() else f"\\x{ord(char):02x}" for char in word)
