"""Addresses from a dataset, and what strange servers say: each costs its own medium, and nothing but a `MediaError` comes out."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from juicecap.errors import EnvironmentFailure, MediaError, SampleError
from juicecap.media.access import remote, temporary
from juicecap.media.access.remote import fetch, is_public
from juicecap.media.rules import MediaLimits
from juicecap.ops import VideoCaptioningFromVLMMapper, VideoDurationFilter

RULES = MediaLimits(allow_remote=True, remote_seconds=20.0)

NO_PORT = "REMOTE_REFUSED: {} is not fetched: a port is a number from 1 to 65535"
NO_ADDRESS = "REMOTE_REFUSED: {} is not fetched: it is no address ("
NOT_OF_THE_WEB = "REMOTE_REFUSED: {} is not fetched: it leads to an address that is not of the web"
NO_HOST = "REMOTE_FAILED: {} cannot be fetched: no host "
NO_CONNECTION = "REMOTE_FAILED: {} cannot be fetched: the connection failed ("
REFUSED_SOMEHOW = "REMOTE_"

ODD = {
    "http://1.1.1.1:99999/x.mp4": NO_PORT,
    "http://1.1.1.1:65536/x.mp4": NO_PORT,
    "http://1.1.1.1:0/x.mp4": NO_PORT,
    "https://1.1.1.1:99999999999999999999999999/x.mp4": NO_PORT,
    f"http://1.1.1.1:{'9' * 5000}/x.mp4": NO_ADDRESS,
    "http://1.1.1.1:-1/x.mp4": NO_PORT,
    "http://[::1/x.mp4": NO_ADDRESS,
    "http://[fe80::1%eth0]/x.mp4": REFUSED_SOMEHOW,
    "http://a\0b/x.mp4": NO_ADDRESS,
    "http://\ud800/x.mp4": NO_ADDRESS,
    "http://films.test/\ud800.mp4": NO_ADDRESS,
    f"http://xn--{'9' * 5000}/x.mp4": NO_ADDRESS,
    f"http://films.test/{'x' * 100_000}": NO_ADDRESS,
    f"http://{'a' * 70}.test/x.mp4": NO_HOST,
    "http://.films.test/x.mp4": NO_HOST,
    "http:///x.mp4": NOT_OF_THE_WEB,
    "http://?": NOT_OF_THE_WEB,
    "http://films.test:1/x.mp4": NO_CONNECTION,
}
"""Address to what is said of it, as far as that does not depend on libraries."""


@pytest.fixture(scope="module", autouse=True)
def world() -> Iterator[None]:
    """Every name leads to this machine, which counts as public; nobody listens but who is started, and one try is enough."""
    plain = socket.getaddrinfo

    def looked_up(host: str, port: int, *given: object, **named: object) -> object:
        host.encode("idna")  # as the real one does, before it asks anybody
        return plain("127.0.0.1", port, *given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", looked_up)
        patch.setattr(remote, "is_public", lambda address: address == "127.0.0.1")
        patch.setattr(remote, "TRIES", 1)
        yield


def refusal(url: str) -> str:
    with pytest.raises(MediaError) as caught:
        asyncio.run(fetch(url, RULES))
    assert set(os_listing()) == {"lock"}
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 1000
    return str(caught.value)


def met(url: str) -> bytes | str:
    """What was fetched, or the code of the refusal."""
    try:
        fetched = asyncio.run(fetch(url, RULES))
        return Path(fetched.path).read_bytes()
    except MediaError as error:
        return error.code if error.message.isprintable() else error.message


def os_listing() -> list[str]:
    return [each.name for each in Path(temporary.folder_of_this_process().path).iterdir()]


@pytest.mark.parametrize("url", ODD, ids=lambda url: ascii(url[:40]))
def test_odd_addresses(url: str) -> None:
    assert refusal(url).startswith(ODD[url].format(remote.display_path(url)))


@pytest.mark.parametrize("port", [99999, 0, "9" * 30])
def test_one_of_them_costs_its_own_sample_in_a_filter_and_in_a_captioner(script: object, port: object) -> None:
    url = f"http://1.1.1.1:{port}/x.mp4"
    sentence = NO_PORT.format(url)
    with pytest.raises(SampleError) as caught:
        VideoDurationFilter(allow_remote=True)({"videos": [[url]]})
    assert str(caught.value) == sentence.replace(": ", f": {url}: ", 1)
    captioner = VideoCaptioningFromVLMMapper(hf_model=script.model, allow_remote=True)
    (fate,) = captioner.fates({"videos": [[url]], "text": [""]})
    assert str(fate.failure) == sentence


WORDS = (
    "http:// https:// HTTP:// s3:// // / ? # @ : % [ ] xn-- .. \\ \0 \ud800 1.1.1.1 ::1 fe80::1%1 v1. %00 %ff 99999 "
    "\uff41 \u0301 \u200d \xdf \t \n a films.test"
)
PIECES = st.sampled_from(WORDS.split(" "))
ADDRESSES = st.builds(
    str.__add__, st.sampled_from(["http://", "https://"]), st.lists(PIECES | st.text(st.characters(), max_size=3)).map("".join)
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(ADDRESSES)
def test_whatever_the_address_it_costs_its_medium_alone(url: str) -> None:
    assert met(url) in ("REMOTE_REFUSED", "REMOTE_FAILED")


@given(st.ip_addresses(v=6), st.text("abc0123456789.-_~", min_size=1, max_size=8))
def test_a_zone_makes_no_address_public(address: object, zone: str) -> None:
    assert is_public(f"{address}%{zone}") == is_public(str(address))


class Stranger:
    """A server that says what stands in `says`, byte for byte, to whoever asks."""

    def __init__(self) -> None:
        self.says = b""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://films.test:{self._listening.getsockname()[1]}/a.mp4"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    connection.sendall(self.says)
                except OSError:
                    continue

    def close(self) -> None:
        self._listening.close()


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    started = Stranger()
    yield started
    started.close()


LED_ASTRAY = {
    b"http://1.1.1.1:99999/b.mp4": NO_PORT,
    b"//1.1.1.1:0/b.mp4": NO_PORT,
    b"http://[::1": NO_ADDRESS,
    b"//xn--" + b"9" * 3000: REFUSED_SOMEHOW,
    b"http://\xed\xa0\x80/": NO_ADDRESS,
    b"http://films.test:x/": NO_ADDRESS,
    b"\xff\xfe": "REMOTE_FAILED: {} cannot be fetched: it is redirected more than 5 times",
    b"data:video/mp4,x": NOT_OF_THE_WEB,
}


@pytest.mark.parametrize("place", LED_ASTRAY, ids=lambda place: ascii(place[:30]))
def test_odd_redirects(stranger: Stranger, place: bytes) -> None:
    stranger.says = b"HTTP/1.1 302 Found\r\nLocation: " + place + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    assert refusal(stranger.url).startswith(LED_ASTRAY[place].format(stranger.url))


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: " + b"9" * 5000,
        b"Content-Length: \xb2\xb3",
        b"Content-Length: -1",
        b"Content-Length: 5, 6",
        b"Transfer-Encoding: \xd9\xa5",
        b"\x80: x",
        b"Set-Cookie: \xb2=\xb3\r\nLocation: /b.mp4",
        b"Set-Cookie: a=b; Max-Age=" + b"9" * 5000 + b"\r\nLocation: /b.mp4",
    ],
)
def test_odd_headers(stranger: Stranger, header: bytes) -> None:
    status = b"302 Found" if b"Location" in header else b"200 OK"
    stranger.says = b"HTTP/1.1 " + status + b"\r\n" + header + b"\r\nConnection: close\r\n\r\nfilm"
    assert met(stranger.url) in (b"film", b"", "REMOTE_FAILED", "TOO_LARGE")


HEADERS = st.tuples(
    st.sampled_from([b"Content-Length", b"Transfer-Encoding", b"Content-Encoding", b"Location", b"Set-Cookie", b"Connection"]),
    st.sampled_from([b"", b"0", b"-1", b"9" * 30, b"chunked", b"gzip", b"identity", b"close", b"/b", b"//", b"\xff"])
    | st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"").replace(b"\r", b"")),
)
ANSWERS = st.tuples(
    st.sampled_from([b"200", b"302", b"308", b"304", b"100", b"999", b"-1", b""]),
    st.lists(HEADERS, max_size=4),
    st.sampled_from([b"", b"film", b"4\r\nfilm\r\n0\r\n\r\n", b"ffffffffffffffffffff\r\nx"]) | st.binary(max_size=20),
).map(
    lambda parts: (
        b"HTTP/1.1 " + parts[0] + b" x\r\n" + b"".join(b"%b: %b\r\n" % header for header in parts[1]) + b"\r\n" + parts[2]
    )
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(ANSWERS)
def test_whatever_the_server_says_it_costs_its_medium_alone(stranger: Stranger, says: bytes) -> None:
    stranger.says = says
    found = met(stranger.url)
    assert isinstance(found, bytes) or found in ("REMOTE_REFUSED", "REMOTE_FAILED", "TOO_LARGE")


def test_no_folder_for_what_is_fetched_is_a_failure_of_the_environment(
    stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporary.folder_of_this_process(), "path", "/nowhere/at/all")
    with pytest.raises(
        EnvironmentFailure, match=r"^no temporary file can be made .* \(No such file or directory\); running again"
    ):
        asyncio.run(fetch(stranger.url, RULES))
