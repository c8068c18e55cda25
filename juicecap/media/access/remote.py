"""Media that lie elsewhere: brought here as temporary files, within limits, and never from a network of one's own.

A host is looked up first, its addresses are checked, and the connection goes to the address that was checked, so that a name
that is looked up twice cannot lead elsewhere the second time. Each redirect goes through the same door. Proxies are not used:
behind one there would be nothing to check. Buckets (`s3://` and others) are read by fsspec; their addresses name no host.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

from juicecap.errors import EnvironmentFailure, MediaError
from juicecap.media.access.temporary import folder_of_this_process
from juicecap.media.rules import MediaLimits
from juicecap.sample import display_path

if TYPE_CHECKING:
    import httpx2

BUCKETS = ("abfs", "abfss", "az", "gcs", "gs", "hf", "oss", "s3", "s3a")
"""What fsspec may read: stores that are found by the user's own settings and not by a host in the address."""

TRIES, PAUSE = 3, 1.0
"""How often a file is asked for whose server is busy or gone, and seconds before the second time; then twice as many."""

MOST_REDIRECTS = 5

SILENCE = 30.0
"""Seconds without a byte after which a server counts as gone."""

_CHUNK = 2**20

_PORTS = range(1, 2**16)

_DIGITS = 18
"""Of the length of a file that a server announces; more would be more than a file can have, and Python reads 4,300 at most."""

_TRY_AGAIN = (408, 425, 429)


class Fetched:
    """A file that was brought here; it goes away with this object."""

    def __init__(self, url: str, path: str) -> None:
        self.url, self.path = url, path
        weakref.finalize(self, _remove, path)

    def renamed(self, message: str) -> str:
        """A message about the file, with its address in place of its path."""
        return message.replace(self.path, display_path(self.url))


async def fetch(url: str, rules: MediaLimits) -> Fetched:
    """Bring a file here.

    Raises:
        MediaError: `REMOTE_REFUSED` (its address leads to a private network, or is of no kind that is fetched), `REMOTE_FAILED`,
            `REMOTE_TIMEOUT` or `TOO_LARGE`.
        EnvironmentFailure: there is no room for it.
    """
    scheme = url.partition("://")[0].lower()
    if scheme not in ("http", "https", *BUCKETS):
        kinds = "https, http, " + ", ".join(BUCKETS)
        raise MediaError("REMOTE_REFUSED", f"{display_path(url)} is not fetched: an address begins with one of {kinds}")
    try:
        descriptor, path = folder_of_this_process().new_file()
    except OSError as error:
        what = f"no temporary file can be made for what is fetched ({error.strerror or error})"
        raise EnvironmentFailure(f"{what}; running again resumes") from error
    try:
        await _filled(url, scheme, descriptor, path, rules)
    except BaseException:
        _remove(path)
        raise
    return Fetched(url, path)


async def _filled(url: str, scheme: str, descriptor: int, path: str, rules: MediaLimits) -> None:
    try:
        with os.fdopen(descriptor, "wb") as file:  # closing it writes what is left
            async with asyncio.timeout(rules.remote_seconds):
                await _tried(url, scheme, file, rules)
    except TimeoutError as error:
        late = f"{display_path(url)}: fetching it took more than {rules.remote_seconds:g} seconds (remote_seconds)"
        raise MediaError("REMOTE_TIMEOUT", late, retryable=True) from error
    except OSError as error:
        way = "running again resumes once there is room (TMPDIR, or a smaller remote_max_mb)"
        raise EnvironmentFailure(f"{path} cannot be written ({error.strerror}); {way}") from error


def rules_of(path: str, rules: MediaLimits) -> MediaLimits:
    """The rules for a local path: what was brought here need not lie in `root`."""
    brought = rules.allow_remote and str(Path(path).parent) == folder_of_this_process().path
    return replace(rules, root="") if brought else rules


async def _tried(url: str, scheme: str, file: IO[bytes], rules: MediaLimits) -> None:
    for left in reversed(range(TRIES)):
        file.seek(0)
        file.truncate()
        try:
            if scheme in BUCKETS:
                await _from_bucket(url, scheme, file, rules)
            else:
                await _from_server(url, file, rules)
        except MediaError as error:
            if not (error.retryable and left):
                raise
            await asyncio.sleep(PAUSE * 2 ** (TRIES - 1 - left))
        else:
            return


async def _from_server(url: str, file: IO[bytes], rules: MediaLimits) -> None:
    import httpx2

    timeout = httpx2.Timeout(SILENCE)
    try:
        async with httpx2.AsyncClient(trust_env=False, verify=_trusted(), timeout=timeout, follow_redirects=False) as client:
            with _readable(url):
                there = httpx2.URL(url)
            for _ in range(MOST_REDIRECTS + 1):
                response = await client.send(await _request(client, url, there), stream=True)
                try:
                    if not response.has_redirect_location:
                        await _save(url, response, file, rules)
                        return
                    with _readable(url):
                        there = there.join(response.headers["Location"])
                finally:
                    await response.aclose()
    except (MediaError, _DiskFailed):
        raise
    except httpx2.TimeoutException as error:
        raise _failed(url, f"the server is silent for {SILENCE:g} seconds") from error
    except Exception as error:  # a foreign library's door, and behind it a stranger's server
        raise _failed(url, f"the connection failed ({type(error).__name__})") from error
    raise _failed(url, f"it is redirected more than {MOST_REDIRECTS} times", retryable=False)


@contextmanager
def _readable(url: str) -> Iterator[None]:
    """What cannot be read as an address, here or where a redirect leads, as a MediaError."""
    import httpx2

    try:
        yield
    except (httpx2.InvalidURL, ValueError) as error:  # of names that no IDNA knows, and halves of surrogate pairs
        why = display_path(str(error))
        raise MediaError("REMOTE_REFUSED", f"{display_path(url)} is not fetched: it is no address ({why})") from error


async def _request(client: httpx2.AsyncClient, url: str, there: httpx2.URL) -> httpx2.Request:
    """A request to an address that was looked up and checked, in the name of the host."""
    with _readable(url):
        host, port = there.host, there.port
        headers = {"Host": there.netloc.decode("ascii"), "Accept-Encoding": "identity"}
        name = {"sni_hostname": there.raw_host.decode("ascii")}
    if there.scheme not in ("http", "https") or not host:
        raise MediaError("REMOTE_REFUSED", f"{display_path(url)} is not fetched: it leads to an address that is not of the web")
    if there.userinfo:
        raise MediaError("REMOTE_REFUSED", f"{display_path(url)} is not fetched: an address holds no user or password")
    if port is None:
        port = 443 if there.scheme == "https" else 80
    if port not in _PORTS:
        raise MediaError("REMOTE_REFUSED", f"{display_path(url)} is not fetched: a port is a number from 1 to 65535")
    address = await _address(url, host, port)
    return client.build_request("GET", there.copy_with(host=address, fragment=None), headers=headers, extensions=name)


async def _address(url: str, host: str, port: int) -> str:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # or no name that could be looked up
        raise _failed(url, f"no host {display_path(host)} is found") from error
    addresses = [str(place[0]) for *_, place in found]
    public = next(filter(is_public, addresses), None)
    if public is None:
        raise MediaError("REMOTE_REFUSED", f"{display_path(url)} is not fetched: {display_path(host)} is in a private network")
    return public


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet, also one of IPv4 inside of one of IPv6."""
    parsed = ipaddress.ip_address(address)
    inner: list[ipaddress.IPv4Address | None] = []
    if isinstance(parsed, ipaddress.IPv6Address):
        low = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        inner = [parsed.ipv4_mapped, parsed.sixtofour, *(parsed.teredo or ()), low if parsed in _TRANSLATED else None]
        if parsed.ipv4_mapped:
            return is_public(str(parsed.ipv4_mapped))
        if any(parsed in network for network in _HIDDEN):
            return False
    return parsed.is_global and not parsed.is_multicast and all(is_public(str(each)) for each in inner if each)


_HIDDEN = [ipaddress.IPv6Network(network) for network in ("::/96", "64:ff9b:1::/48", "fec0::/10")]
"""Addresses that Python takes for public: IPv4's inside of old ones (RFC 4291), local translation (RFC 8215), sites' own."""

_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""Addresses of IPv4 as a translating router writes them (RFC 6052)."""


async def _save(url: str, response: httpx2.Response, file: IO[bytes], rules: MediaLimits) -> None:
    status = response.status_code
    if status != 200:  # noqa: PLR2004  (OK)
        raise _failed(url, f"the server says {status}", retryable=status >= 500 or status in _TRY_AGAIN)  # noqa: PLR2004
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise _failed(url, "the server sends it compressed, which nobody asked for", retryable=False)
    room = _Room(url, file, rules)
    length = response.headers.get("Content-Length", "")[:_DIGITS]
    room.expect(int(length) if length.isdecimal() else 0)
    async for chunk in response.aiter_raw(_CHUNK):
        await asyncio.to_thread(room.write, chunk)


async def _from_bucket(url: str, scheme: str, file: IO[bytes], rules: MediaLimits) -> None:
    stop = threading.Event()
    try:
        await asyncio.to_thread(_copy_from_bucket, url, scheme, _Room(url, file, rules), stop.is_set)
    finally:
        stop.set()


def _copy_from_bucket(url: str, scheme: str, room: _Room, stopped: Callable[[], bool]) -> None:
    import fsspec

    try:
        store = fsspec.filesystem(scheme)
        room.expect(store.info(url)["size"] or 0)
        with store.open(url, "rb") as source:
            while not stopped() and (chunk := source.read(_CHUNK)):
                room.write(chunk)
    except (MediaError, _DiskFailed):
        raise
    except ImportError as error:
        raise MediaError("REMOTE_FAILED", f"{display_path(url)} cannot be fetched: {error}", retryable=True) from error
    except FileNotFoundError as error:
        raise _failed(url, "there is no such object", retryable=False) from error
    except Exception as error:  # a foreign library's door; its words may hold keys
        raise _failed(url, f"the store fails ({type(error).__name__})") from error


class _DiskFailed(OSError):
    """The file that is written, not the one that is read."""


class _Room:
    """Where a file goes, as long as it is not too large."""

    def __init__(self, url: str, file: IO[bytes], rules: MediaLimits) -> None:
        self._url, self._file, self._most, self._size = url, file, rules.remote_bytes, 0

    def expect(self, size: int) -> None:
        """Check the number of bytes that are announced."""
        if size > self._most:
            sizes = f"{size} bytes, more than {self._most}"
            raise MediaError("TOO_LARGE", f"{display_path(self._url)} has {sizes} (remote_max_mb)")

    def write(self, chunk: bytes) -> None:
        """Take more."""
        self._size += len(chunk)
        self.expect(self._size)
        try:
            self._file.write(chunk)
        except OSError as error:
            raise _DiskFailed(error.errno, error.strerror) from error


def _failed(url: str, why: str, *, retryable: bool = True) -> MediaError:
    return MediaError("REMOTE_FAILED", f"{display_path(url)} cannot be fetched: {why}", retryable=retryable)


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


def _remove(path: str) -> None:
    with suppress(OSError):
        Path(path).unlink()
