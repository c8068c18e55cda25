"""What an engine's process runs in place of the program's `__main__`: its output goes to the file that `LOG` names."""

import os

LOG = "JUICECAP_VLLM_LOG"


def _write_to(path: str) -> None:
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)


if __name__ == "__mp_main__" and LOG in os.environ:  # `multiprocessing` says so to the main module of a spawned process
    _write_to(os.environ[LOG])
