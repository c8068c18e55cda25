"""Whether a dataset, a server's answer or a model folder can crash juicecap, hang it, take its memory, or write where it likes.

    python benchmarks/hostile_data.py [--cases N] [--only dataset|answer|model] [--case NUMBER] [--keep]

Cases (see `hostile_cases.py`): 60 % datasets, 20 % answers of a server, 20 % model folders. Each is a folder of its own in which
the command line runs as a program, with a limit on the clock; the resident memory of its process tree is looked at ten times a
second, and a run that takes more than the limit is ended.

`crashed`: ended by a signal, or by more memory than the limit; `hung`: did not end in time; `exit_70`: called itself a bug;
`escaped`: made or changed a file outside of the run folder, the export and its own caches. All must be 0.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from common import conclude
from hostile_cases import KINDS, Case

MEMORY = 2 << 30
"""Bytes that the processes of a case may have in memory together."""

SECONDS = 120.0
"""What a verb may take, on a machine that does nothing else."""

OWN = ("run", "out.jsonl", "caches")
"""What a run may write in the folder of its case."""

EXPECTED = (0, 1, 3, 4)


@dataclass(frozen=True)
class Verdict:
    """What came of one verb of a case."""

    number: int
    name: str
    verb: str
    code: int
    fault: str
    words: str
    megabytes: int
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--case", type=int, help="this one alone")
    parser.add_argument("--keep", action="store_true", help="leave the folders of cases with a fault")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    numbers = [options.case] if options.case is not None else range(options.cases)
    faults: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    most = slowest = 0.0
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="hostile_data_") as home,
        Server() as server,
        ThreadPoolExecutor(options.jobs) as threads,
    ):
        for verdicts in threads.map(lambda number: _tried(number, options.only, Path(home), server, keep=options.keep), numbers):
            for each in verdicts:
                codes[f"{each.verb} {each.code}"] += 1
                most, slowest = max(most, each.megabytes), max(slowest, each.seconds)
                if each.fault:
                    faults[each.fault] += 1
                    print(
                        f"{each.fault}: case {each.number} ({each.name}), {each.verb}, code {each.code}: {each.words}", flush=True
                    )
        strangers = [path.name for path in Path(home).iterdir()]
    print(f"codes: {dict(sorted(codes.items()))}")
    print(f"at most {most:.0f} MB and {slowest:.1f} s; beside the cases: {strangers or 'nothing'}")
    faults["escaped"] += len(strangers) if not options.keep else 0
    figures = {name: faults[name] for name in ("crashed", "hung", "exit_70", "escaped")}
    conclude(cases=len(numbers), **figures, most_mb=most, wall_s=time.monotonic() - began)


def _kind(number: int) -> str:
    kinds = [kind for kind, (_, share) in KINDS.items() for _ in range(share)]
    return random.Random(number).choice(kinds)


def _tried(number: int, only: str | None, home: Path, server: Server, *, keep: bool) -> list[Verdict]:
    kind = only or _kind(number)
    case = KINDS[kind][0](number)
    folder = home / f"{number:05}"
    folder.mkdir()
    (folder / "canary").mkdir()
    case.make(folder)
    text = json.dumps({**case.recipe, "work_dir": "run"}).replace("{server}", server.address(number, case.answer))
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    verdicts = [_run(number, case, verb, folder) for verb in case.verbs]
    if not (keep and any(each.fault for each in verdicts)):
        shutil.rmtree(folder)
    return verdicts


def _run(number: int, case: Case, verb: str, folder: Path) -> Verdict:
    caches = folder / "caches"
    caches.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(caches), "HOME": str(caches), "HF_HOME": str(caches), "HF_HUB_OFFLINE": "1"}
    environment |= {"OPENAI_API_KEY": "sk-hostile-0123456789", "OMP_NUM_THREADS": "1"}
    before, began = _state(folder), time.monotonic()
    with (caches / "words").open("wb+") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "juicecap", verb, "recipe.yaml"],
            cwd=folder,
            env=environment,
            stdout=words,
            stderr=words,
            start_new_session=True,
        )
        code, megabytes, why = _watched(process)
        words.seek(0)
        said = words.read()[-2000:].decode(errors="replace").strip().splitlines() or [""]
    fault = why
    if not fault and code < 0:
        fault = "crashed"
    if not fault and code not in EXPECTED:
        fault = "exit_70"
    if not fault and (changed := _changed(before, _state(folder))):
        fault, said = "escaped", [f"{changed[:3]}"]
    return Verdict(number, case.name, verb, code, fault, said[-1][:300], megabytes, time.monotonic() - began)


def _watched(process: subprocess.Popen[bytes]) -> tuple[int, int, str]:
    """Exit code, most megabytes of the process tree, and why it was ended."""
    most, deadline, why = 0, time.monotonic() + SECONDS, ""
    while process.poll() is None:
        most = max(most, _resident(process.pid))
        if most > MEMORY:
            why = "crashed"
        elif time.monotonic() > deadline:
            why = "hung"
        if why:
            break
        time.sleep(0.1)
    for group in _groups(process.pid):
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    return process.wait(), most >> 20, why


def _session(pid: int) -> Iterator[tuple[int, list[str]]]:
    """The processes of a session, with their stat fields from the state on."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == pid:
                    yield int(entry.name), fields


def _groups(pid: int) -> set[int]:
    return {int(fields[2]) for _, fields in _session(pid)}


def _resident(pid: int) -> int:
    """Bytes; what processes share with files counts in each of them."""
    return sum(int(fields[21]) for _, fields in _session(pid)) * os.sysconf("SC_PAGE_SIZE")


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    """What stands in the folder of a case and is not the run's own."""
    state = {}
    for place, folders, files in os.walk(folder):
        if Path(place) == folder:
            folders[:] = [each for each in folders if each not in OWN]
            files = [each for each in files if each not in OWN]  # noqa: PLW2901
        for name in (*files, *folders):
            path = os.path.join(place, name)
            status = os.lstat(path)
            state[path] = (status.st_size, status.st_mtime_ns) if name in files else (0, 0)
    return state


def _changed(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> list[str]:
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


class Server:
    """Says to each question of a case what that case wants, byte by byte; its list of models is in order."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._answers: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def address(self, number: int, answer: bytes) -> str:
        self._answers[f"/{number}/"] = answer
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/{number}/v1"

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError):
            connection.settimeout(60)
            stream = connection.makefile("rb")
            path = stream.readline().split()[1].decode()
            length = 0
            while (line := stream.readline().strip()) != b"":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            asked = stream.read(length)
            trial = b"video_url" in asked or b"image_url" in asked
            models = b'{"object":"list","data":[{"id":"m","object":"model","owned_by":"me"}]}'
            plain = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            answer = next((each for key, each in self._answers.items() if path.startswith(key)), b"")
            if path.endswith("/models"):
                answer = plain % (len(models), models)
            elif b"What is this?" in asked or not answer:  # the trial at the opening
                tokens = 40 if trial else 9
                said = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}],'
                said += b'"usage":{"prompt_tokens":%d,"completion_tokens":1}}' % tokens
                answer = plain % (len(said), said)
            connection.sendall(answer)


if __name__ == "__main__":
    main()
