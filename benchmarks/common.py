"""What the benchmarks share: clips to measure on, and the last line that programs read."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import synthetic_clips as clips  # noqa: E402  (found through the line above)

DEMO_MODEL = "juicecap-demo-vlm"


@dataclass(frozen=True)
class Clip:
    """A filmed scene."""

    path: Path
    scene: clips.Scene


def film(folder: Path, count: int, seed: int, *, backwards: bool = False) -> list[Clip]:
    """Film random scenes as h264 files in random formats; `backwards` plays the same frames in reverse order."""
    made = []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        scene, form = clips.random_scene(rng), clips.random_format(rng)
        images = clips.frames(scene, form, rng)
        path = folder / f"{index:05d}.mp4"
        clips.encode(list(images)[::-1] if backwards else images, form.fps, path)
        made.append(Clip(path, scene.backwards() if backwards else scene))
    return made


def long_clip(folder: Path, seconds: float, seed: int) -> Path:
    """A scene that is played over and over: 320x240, 10 frames per second, a key frame every 5 seconds."""
    scene, form = clips.random_scene(np.random.default_rng(seed)), clips.ClipFormat(320, 240, 10, 50)
    images = list(clips.frames(scene, form, np.random.default_rng(seed)))
    path = folder / f"long_{seed}_{seconds:.0f}.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast", "g": "50", "crf": "40"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        encoded = [packet for image in images for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24"))]
        encoded += stream.encode(None)
        facts = [(bytes(packet), packet.pts, packet.dts, packet.is_keyframe) for packet in encoded]
        for turn in range(max(1, round(seconds / 5))):  # encoded once, muxed many times
            for data, pts, dts, key in facts:
                packet = av.Packet(data)
                packet.stream, packet.time_base = stream, encoded[0].time_base
                shift = round(turn * 5 / encoded[0].time_base)
                packet.pts, packet.dts, packet.is_keyframe = pts + shift, dts + shift, key
                container.mux(packet)
    return path


def _processes() -> Iterator[tuple[int, list[str]]]:
    """All processes with the fields of their `/proc/PID/stat`, from the state on (Linux)."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended just now
                continue


def _started_by(root: int) -> Iterator[tuple[int, list[str]]]:
    """A process and all that it started, with their fields, as in `_processes`."""
    children, fields_of = defaultdict(list), {}
    for process, fields in _processes():
        children[int(fields[1])].append(process)
        fields_of[process] = fields
    waiting = [root] if root in fields_of else []
    while waiting:
        process = waiting.pop()
        yield process, fields_of[process]
        waiting += children[process]


def cpu_seconds() -> float:
    """CPU seconds of this process and all that it started, ended ones included (Linux)."""
    return sum(sum(map(int, fields[11:15])) for _, fields in _started_by(os.getpid())) / os.sysconf("SC_CLK_TCK")


def private_memory(root: int) -> int:
    """Bytes of memory of a process and all that it started, without pages of files (Linux)."""
    return 1024 * sum(_number(process, "status", "RssAnon:") for process, _ in _started_by(root))


def bytes_read() -> int:
    """Bytes that the processes that this one started have read, from whatever files (Linux)."""
    return sum(_number(process, "io", "rchar:") for process, _ in _started_by(os.getpid()) if process != os.getpid())


def _number(process: int, file: str, name: str) -> int:
    """The number behind a name in a file of a process; 0 if the process has ended."""
    try:
        facts = (Path("/proc") / str(process) / file).read_text()
    except OSError:
        return 0
    return int((facts.partition(name)[2].split() or ["0"])[0])


def processes_of(parent: int) -> list[str]:
    """The command lines of a process's children, ended ones included that nobody waited for (Linux)."""
    return [_command(process) for process, fields in _processes() if int(fields[1]) == parent]


def processes_of_session(session: int) -> list[str]:
    """The command lines of a session's living processes (Linux)."""
    return [_command(process) for process, fields in _processes() if int(fields[3]) == session and fields[0] != "Z"]


def _command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace") or "ended"
    except OSError:
        return "ended"


@contextmanager
def vllm_server(model: str, *options: str) -> Iterator[str]:
    """A vLLM server for a local model on a free port of this machine; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model, "--served-model-name", DEMO_MODEL]
    command += ["--host", "127.0.0.1", "--port", str(port), "--max-model-len", "2048", "--enforce-eager", "--dtype", "float32"]
    command += ["--trust-request-mm-kwargs", "--limit-mm-per-prompt", '{"video": 1, "image": 64}']
    command += ["--gpu-memory-utilization", "0.3"]  # on a CPU of all memory, of which others have taken some
    command += ["--no-enable-chunked-prefill", *options]  # a seeded prompt that is read in parts kills vLLM on a CPU
    with tempfile.TemporaryFile() as log:
        spoken = {**os.environ, "VLLM_LOGGING_LEVEL": "ERROR"}
        server = subprocess.Popen(command, env=spoken, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", server, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(timeout=60)


def _wait_for(address: str, server: subprocess.Popen, log) -> None:
    for _ in range(600):
        if server.poll() is not None:
            log.seek(0)
            raise SystemExit(f"the server did not start:\n{log.read().decode(errors='replace')[-4000:]}")
        try:
            urllib.request.urlopen(address, timeout=1)
            return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.5)
    raise SystemExit("the server does not answer")


def conclude(**figures: float) -> None:
    """Print the figures as one JSON object, the last line of every benchmark."""
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))
