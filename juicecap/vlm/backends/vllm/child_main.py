"""What an engine's process runs in place of the program's `__main__`.

Its output goes to the file that `LOG` names. It ends when the program does, however that ends: vLLM's processes would stay, with
all of the GPU's memory, after a program that is killed.
"""

import os
import signal
import threading
import time

LOG = "JUICECAP_VLLM_LOG"

LOOK_EVERY = 1.0
"""Seconds between two looks at whether the parent is alive."""

GRACE_SECONDS = 5.0


def _write_to(path: str) -> None:
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__mp_main__":  # so `multiprocessing` calls the main module of a process that it spawned
    if LOG in os.environ:
        _write_to(os.environ[LOG])
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
