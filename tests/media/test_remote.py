"""Fetching media from a real server on this machine, which a test has to allow, and from a store of fsspec's."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest
from make_clips import number_in, write_clip

from juicecap.errors import EnvironmentFailure, MediaError, SampleError
from juicecap.media.access import remote, temporary
from juicecap.media.access.remote import fetch, is_public, rules_of
from juicecap.media.rules import MediaLimits
from juicecap.ops import VideoDurationFilter
from juicecap.vlm.base import Limits, Message, ModelSettings, Part, Request
from juicecap.vlm.pipeline import core

OPEN = MediaLimits(allow_remote=True, remote_seconds=20.0)


class Server(ThreadingHTTPServer):
    """Says what stands in `answers` under a path: (status, headers, body), one after the other; the last one stays."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[tuple[int, dict[str, str], bytes]]] = {}
        self.asked: list[tuple[str, str]] = []
        self.slow: dict[str, float] = {}

    def url(self, path: str, host: str = "films.test") -> str:
        return f"http://{host}:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Host"]))
        answers = self.server.answers[self.path.partition("?")[0]]
        status, headers, body = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        for start in range(0, len(body), 1000):
            self.wfile.write(body[start : start + 1000])
            time.sleep(self.server.slow.get(self.path, 0))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose address counts as public, for this test alone; `films.test` and `[::1]` are names for it."""
    running, plain = Server(), socket.getaddrinfo

    def looked_up(host: object, port: object, *given: object, **named: object) -> object:
        return plain("127.0.0.1" if host == "films.test" else host, port, *given, **named)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    monkeypatch.setattr(remote, "is_public", lambda address: address == "127.0.0.1" or is_public(address))
    monkeypatch.setattr(remote, "PAUSE", 0.01)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def got(url: str, rules: MediaLimits = OPEN) -> bytes:
    fetched = asyncio.run(fetch(url, rules))
    return Path(fetched.path).read_bytes()


def refusal(url: str, rules: MediaLimits = OPEN) -> tuple[str, bool]:
    with pytest.raises(MediaError) as caught:
        asyncio.run(fetch(url, rules))
    left = set(os.listdir(temporary.folder_of_this_process().path)) - {"lock"}
    assert not left
    return str(caught.value), caught.value.retryable


def test_a_file_is_here_as_long_as_somebody_has_it(server: Server) -> None:
    server.answers["/a.mp4"] = [(200, {}, b"film" * 1000)]
    fetched = asyncio.run(fetch(server.url("/a.mp4"), OPEN))
    path = Path(fetched.path)
    assert path.read_bytes() == b"film" * 1000
    assert path.stat().st_mode & 0o777 == 0o600
    assert server.asked == [("/a.mp4", f"films.test:{server.server_port}")]
    del fetched
    assert not path.exists()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
        "[fe80::1]",
        "0.0.0.0",
    ],
)
def test_hosts_of_private_networks_are_refused(host: str) -> None:
    sentence, retryable = refusal(f"http://{host}/latest/meta-data")
    assert sentence == (
        f"REMOTE_REFUSED: http://{host}/latest/meta-data is not fetched: {host.strip('[]')} is in a private network"
    )
    assert not retryable


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("::ffff:93.184.215.14", True),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::5db8:d70e", True),
        ("64:ff9b:1::7f00:1", False),
        ("::127.0.0.1", False),
        ("fec0::1", False),
        ("2002:7f00:1::", False),
        ("fc00::1", False),
        ("fe80::1%lo", False),
        ("224.0.1.1", False),
        ("ff0e::1", False),
        ("100.64.0.1", False),
        ("192.0.2.1", False),
        ("::", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_the_address_that_was_checked_is_the_one_that_is_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads to the public address when it is checked, and to another one when it is looked up again."""
    looked_up, plain = [], socket.getaddrinfo

    def rebinding(host: object, port: object, *given: object, **named: object) -> object:
        if host == "films.test":
            looked_up.append(host)
            host = "127.0.0.1" if len(looked_up) == 1 else "127.0.0.2"
        return plain(host, port, *given, **named)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    server.answers["/a.mp4"] = [(200, {}, b"film")]
    assert got(server.url("/a.mp4")) == b"film"
    assert looked_up == ["films.test"]


def test_redirects_are_followed_and_each_is_checked(server: Server) -> None:
    server.answers["/a.mp4"] = [(302, {"Location": "/b.mp4?x=1"}, b"")]
    server.answers["/b.mp4"] = [(200, {}, b"film")]
    assert got(server.url("/a.mp4")) == b"film"
    assert [path for path, _ in server.asked] == ["/a.mp4", "/b.mp4?x=1"]
    for place, why in {
        "http://10.0.0.7/b.mp4": "10.0.0.7 is in a private network",
        "http://[::1]/b.mp4": "::1 is in a private network",
        "file:///etc/passwd": "it leads to an address that is not of the web",
        "http://me:secret@films.test/b.mp4": "an address holds no user or password",
    }.items():
        server.answers["/a.mp4"] = [(302, {"Location": place}, b"")]
        sentence = f"REMOTE_REFUSED: {server.url('/a.mp4')} is not fetched: {why}"
        assert refusal(server.url("/a.mp4")) == (sentence, False)
    server.answers["/a.mp4"] = [(302, {"Location": "/a.mp4"}, b"")]
    assert refusal(server.url("/a.mp4")) == (
        f"REMOTE_FAILED: {server.url('/a.mp4')} cannot be fetched: it is redirected more than 5 times", False,
    )  # fmt: skip


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (500, 3), (503, 3), (429, 3)])
def test_what_the_server_says(server: Server, status: int, tries: int) -> None:
    server.answers["/a.mp4"] = [(status, {}, b"no")]
    sentence = f"REMOTE_FAILED: {server.url('/a.mp4')}?… cannot be fetched: the server says {status}"
    assert refusal(server.url("/a.mp4?signature=secret")) == (sentence, tries > 1)
    assert len(server.asked) == tries


def test_a_server_that_fails_once_is_asked_again(server: Server) -> None:
    server.answers["/a.mp4"] = [(503, {}, b"later"), (200, {}, b"film")]
    assert got(server.url("/a.mp4")) == b"film"


def test_size(server: Server) -> None:
    server.answers["/a.mp4"] = [(200, {}, bytes(5000))]
    assert len(got(server.url("/a.mp4"), MediaLimits(allow_remote=True, remote_bytes=5000))) == 5000
    large = f"TOO_LARGE: {server.url('/a.mp4')} has 5000 bytes, more than 4999 (remote_max_mb)"
    assert refusal(server.url("/a.mp4"), MediaLimits(allow_remote=True, remote_bytes=4999)) == (large, False)


def test_size_that_is_not_announced(server: Server) -> None:
    body = b"1388\r\n" + bytes(5000) + b"\r\n0\r\n\r\n"
    server.answers["/a.mp4"] = [(200, {"Transfer-Encoding": "chunked", "Content-Length": ""}, body)]
    Handler.protocol_version = "HTTP/1.1"
    try:
        found = refusal(server.url("/a.mp4"), MediaLimits(allow_remote=True, remote_bytes=4999))[0]
    finally:
        Handler.protocol_version = "HTTP/1.0"
    assert found.startswith((f"TOO_LARGE: {server.url('/a.mp4')} has ", f"REMOTE_FAILED: {server.url('/a.mp4')}"))


def test_time(server: Server) -> None:
    server.answers["/a.mp4"] = [(200, {}, bytes(100_000))]
    server.slow["/a.mp4"] = 0.1
    found = refusal(server.url("/a.mp4"), MediaLimits(allow_remote=True, remote_seconds=0.5))
    sentence = f"REMOTE_TIMEOUT: {server.url('/a.mp4')}: fetching it took more than 0.5 seconds (remote_seconds)"
    assert found == (sentence, True)


def test_half_a_file_is_no_file(server: Server) -> None:
    server.answers["/a.mp4"] = [(200, {"Content-Length": "5000"}, bytes(2000))]
    sentence, retryable = refusal(server.url("/a.mp4"))
    assert sentence.startswith(f"REMOTE_FAILED: {server.url('/a.mp4')} cannot be fetched: the connection failed (")
    assert retryable


def test_what_is_compressed_is_not_unpacked(server: Server) -> None:
    server.answers["/a.mp4"] = [(200, {"Content-Encoding": "gzip"}, b"x")]
    sentence = f"REMOTE_FAILED: {server.url('/a.mp4')} cannot be fetched: the server sends it compressed, which nobody asked for"
    assert refusal(server.url("/a.mp4")) == (sentence, False)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a.test/b.mp4", "memory://a", "zip://a::s3://b"])
def test_other_kinds_of_addresses(url: str) -> None:
    kinds = "https, http, abfs, abfss, az, gcs, gs, hf, oss, s3, s3a"
    sentence = f"REMOTE_REFUSED: {url} is not fetched: an address begins with one of {kinds}"
    assert refusal(url) == (sentence, False)


def test_a_store_of_fsspecs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "BUCKETS", ("memory",))
    monkeypatch.setattr(remote, "PAUSE", 0.01)
    with fsspec.open("memory://films/a.mp4", "wb") as file:
        file.write(b"film" * 100)
    assert got("memory://films/a.mp4") == b"film" * 100
    large = "TOO_LARGE: memory://films/a.mp4 has 400 bytes, more than 399 (remote_max_mb)"
    assert refusal("memory://films/a.mp4", MediaLimits(allow_remote=True, remote_bytes=399)) == (large, False)
    gone = "REMOTE_FAILED: memory://films/b.mp4 cannot be fetched: there is no such object"
    assert refusal("memory://films/b.mp4") == (gone, False)


def test_no_room_is_a_failure_of_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, *_: object) -> None:
            pass

        def expect(self, size: int) -> None:
            pass

        def write(self, chunk: bytes) -> None:
            raise remote._DiskFailed(28, "No space left on device")

    monkeypatch.setattr(remote, "_Room", Full)
    server.answers["/a.mp4"] = [(200, {}, b"film")]
    with pytest.raises(EnvironmentFailure, match=r"cannot be written \(No space left on device\); running again resumes"):
        asyncio.run(fetch(server.url("/a.mp4"), OPEN))


def test_what_a_killed_process_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "import os, signal; from juicecap.media.access.temporary import folder_of_this_process as folder; "
        "os.close(folder().new_file()[0]); print(folder().path, flush=True); {}"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}

    def run(end: str) -> Path:
        command = [sys.executable, "-c", script.format(end)]
        return Path(subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout.strip())

    assert not run("pass").exists()
    killed = run("os.kill(os.getpid(), signal.SIGKILL)")
    assert len(list(killed.iterdir())) == 2
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    alive = temporary.Folder()
    assert not killed.exists()
    run("pass")
    assert Path(alive.path).exists()
    alive.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_was_fetched_need_not_lie_in_the_root(server: Server, tmp_path: Path) -> None:
    rules = MediaLimits(allow_remote=True, root=str(tmp_path))
    server.answers["/a.mp4"] = [(200, {}, b"film")]
    fetched = asyncio.run(fetch(server.url("/a.mp4"), rules))
    assert rules_of(fetched.path, rules).root == ""
    assert rules_of("/etc/passwd", rules) == rules
    assert rules_of(f"{fetched.path}/../../x", rules) == rules


def asked_about(script: object, url: str, media: MediaLimits) -> object:
    question = Message("user", (Part("video", url), Part("text", "what")))
    return core.ask([Request(model=ModelSettings(model=script.model), messages=(question,))], Limits(media=media))[0]


def test_a_model_is_asked_about_an_address(server: Server, tmp_path: Path, script: object) -> None:
    server.answers["/a.mp4"] = [(200, {}, write_clip(tmp_path / "a.mp4", 12).read_bytes())]
    server.answers["/b.mp4"] = [(200, {}, b"prose")]
    rules = MediaLimits(allow_remote=True, root=str(tmp_path / "nowhere"))
    outcome = asked_about(script, server.url("/a.mp4"), rules)
    assert [answer.text for answer in outcome.answers] == ["what 0"]
    (prepared,) = script.batches[0]
    assert len(prepared.pictures[0].times) == 4
    assert number_in(prepared.pictures[0].pixels[0]) >= 0
    failure = asked_about(script, server.url("/b.mp4?key=secret"), rules).failure
    assert (failure.code, failure.message.partition(" (")[0]) == (
        "UNREADABLE", f"{server.url('/b.mp4')}?… is not a video that can be read",
    )  # fmt: skip
    refused = asked_about(script, server.url("/a.mp4"), MediaLimits()).failure
    assert (refused.code, refused.message) == (
        "REMOTE_NOT_ALLOWED", f"{server.url('/a.mp4')} is an address, and remote media are off (allow_remote)",
    )  # fmt: skip
    script.batches.clear()
    del prepared
    for _ in range(200):
        if (left := os.listdir(temporary.folder_of_this_process().path)) == ["lock"]:
            break
        time.sleep(0.01)
    assert left == ["lock"]


def test_the_parts_of_a_film_are_fetched_together(server: Server, tmp_path: Path, script: object) -> None:
    server.answers["/a.mp4"] = [(200, {}, write_clip(tmp_path / "a.mp4", 40).read_bytes())]
    parts = [Part("video", server.url(f"/a.mp4#t={each}")).located() for each in ("1,2", "3,4", "9")]
    requests = [
        Request(model=ModelSettings(model=script.model), messages=(Message("user", (part, Part("text", "what"))),))
        for part in parts
    ]
    outcomes = core.ask(requests, Limits(media=MediaLimits(allow_remote=True)))
    assert [len(each.answers) for each in outcomes] == [1, 1, 0]
    assert (outcomes[2].failure.code, outcomes[2].failure.message) == (
        "BEHIND_THE_END",
        f"{server.url('/a.mp4')} lasts 4.00 seconds, and the part #t=9 begins behind its end",
    )
    shown = [number_in(prepared.pictures[0].pixels[0]) for batch in script.batches for prepared in batch]
    assert sorted(shown) == [10, 30]
    assert [path for path, _ in server.asked] == ["/a.mp4"]


def test_a_filter_looks_at_a_part_of_an_address(server: Server, tmp_path: Path) -> None:
    server.answers["/a.mp4"] = [(200, {}, write_clip(tmp_path / "a.mp4", 40).read_bytes())]
    batch = {"videos": [[server.url("/a.mp4#t=1,1.5")], [server.url("/a.mp4#t=1")]]}
    kept = VideoDurationFilter(min_duration=1.0, allow_remote=True)(batch)
    assert kept == {"videos": [[server.url("/a.mp4#t=1")]]}
    assert {path for path, _ in server.asked} == {"/a.mp4"}


def test_a_filter_looks_at_an_address(server: Server, tmp_path: Path) -> None:
    server.answers["/a.mp4"] = [(200, {}, write_clip(tmp_path / "a.mp4", 12).read_bytes())]
    batch = {"videos": [[server.url("/a.mp4")]]}
    assert VideoDurationFilter(min_duration=1.0, allow_remote=True)(batch) == batch
    assert VideoDurationFilter(min_duration=2.0, allow_remote=True)(batch) == {"videos": []}
    with pytest.raises(SampleError, match=r"REMOTE_NOT_ALLOWED: .*/a\.mp4 is an address, and remote media are off"):
        VideoDurationFilter(min_duration=2.0)(batch)
