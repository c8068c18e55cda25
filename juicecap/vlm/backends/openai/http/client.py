"""The HTTP client under the library: it reads no more of an answer than is allowed, and gives frames and key to one server only.

Answers are asked for as they are (`Accept-Encoding: identity`), since captions are short. If a server compresses them all the
same, gzip or deflate is undone, once. That is done in pieces of `_PIECE` bytes, so that a small answer cannot become a large one
in one step. What exceeds the limit, compressed or not, is not read on. Headers are limited by the library (100 KiB).

Of answers beyond `SMALL_ANSWER` one is read at a time, so that many at once take no more memory than one. Smaller ones wait for
nobody.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import openai

SMALL_ANSWER = 2**20
"""Bytes of an answer that is read side by side with others."""

LARGEST_ERROR = 2**18
"""Bytes of an error that are read: servers may repeat a whole request in one, and its beginning says what is wrong."""

LARGEST_ANSWER = 2**26
"""Bytes of an answer."""

LARGEST_LIST = 2**23
"""Bytes of a list of models."""

MOST_REDIRECTS = 5
MOST_COOKIES = 50
"""Cookies that are kept; when there are more, all of them go."""

MOST_PIECES = 2**20
"""Pieces in which an answer may come: each takes time, however small it is."""

_PIECE = 2**20
_PACKED = ("gzip", "x-gzip", "deflate")
_EITHER_HEADER = zlib.MAX_WBITS | 32
"""gzip's or zlib's, whichever is there."""

_KEPT = (b"location", b"retry-after")


class Unreadable(openai.OpenAIError):
    """An answer that is not read to its end. The library raises it as it is, or as the cause of an error of its own."""


class Client(openai.DefaultAsyncHttpxClient):
    """A client whose responses are in memory, whole, when they are returned."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._one_large = asyncio.Lock()

    async def send(self, request: Any, **how: Any) -> Any:
        """Send a request, and follow where it is redirected as long as that is at the same server.

        A response that leads elsewhere is returned with a sentence about it as its content.

        Raises:
            Unreadable: the answer is too large, or packed in a way that is not understood.
        """
        request.headers["Accept-Encoding"] = "identity"
        onward, redirects = request, 0
        while True:
            request = onward
            try:
                response = await super().send(request, **{**how, "stream": True, "follow_redirects": False})
            except ValueError as error:  # of a redirect the library makes the next request at once, with its cookie
                self.cookies.clear()
                what = "sends a cookie that cannot be sent back" if isinstance(error, UnicodeError) else "redirects to no address"
                raise Unreadable(f"the server {what}") from None
            try:
                if not response.has_redirect_location:
                    return _in_memory(response, await self._content(response))
                onward = response.next_request
                there = _origin(onward.url) if onward else "what is no address"
                if there != _origin(request.url):
                    return _in_memory(response, f"{_origin(request.url)} redirects to {there}".encode())
                if redirects == MOST_REDIRECTS:
                    return _in_memory(response, f"{there} redirects more than {redirects} times".encode())
                redirects += 1
            finally:
                await response.aclose()
                self._clear_cookies()

    def _clear_cookies(self) -> None:
        """Let go of all cookies where they are too many, or where one of them could not be sent back: headers are ASCII."""
        names = [f"{cookie.name}={cookie.value}" for cookie in self.cookies.jar]
        if len(names) > MOST_COOKIES or not "".join(names).isascii():
            self.cookies.clear()

    async def _content(self, response: Any) -> bytes:
        if response.is_success:
            return await self._read(response, LARGEST_LIST if response.request.method == "GET" else LARGEST_ANSWER)
        try:
            return await self._read(response, LARGEST_ERROR, whole=False)
        except Unreadable as error:  # what the status says is said all the same
            return str(error).encode()

    async def _read(self, response: Any, most: int, *, whole: bool = True) -> bytes:
        """What came; where it need not be `whole`, the beginning of what is more than `most`."""
        announced = response.headers.get("content-length", "")
        if whole and announced.isdecimal() and int(announced[:20]) > most:
            raise _too_large(most)
        unpacker = _Unpacker(response.headers.get("content-encoding", ""))
        content, received, pieces = bytearray(), 0, 0
        try:
            async with AsyncExitStack() as large:
                alone = False
                async for piece in response.aiter_raw():
                    received, pieces = received + len(piece), pieces + 1
                    if pieces > MOST_PIECES:
                        raise Unreadable("the server's answer comes in too many pieces")
                    for part in unpacker.unpacked(piece):
                        content += part
                        if len(content) > SMALL_ANSWER and not alone:
                            await large.enter_async_context(self._one_large)
                            alone = True
                        if len(content) > most:
                            break
                    if max(received, len(content)) > most:
                        if whole:
                            raise _too_large(most)
                        return bytes(content[:most])
                unpacker.end()
                return bytes(content)
        finally:
            content.clear()  # an error keeps alive what its functions hold


class _Unpacker:
    """Unpacks an answer in pieces."""

    def __init__(self, encoding: str) -> None:
        encoding = encoding.strip().lower()
        if encoding not in ("", "identity", *_PACKED):
            raise Unreadable("the server's answer is packed in a way that was not asked for")
        self._zlib = zlib.decompressobj(_EITHER_HEADER) if encoding in _PACKED else None

    def unpacked(self, piece: bytes) -> Iterator[bytes]:
        """What these bytes hold, in parts of `_PIECE` at most; nothing of what stands behind the end."""
        if self._zlib is None:
            yield piece
            return
        try:
            while not self._zlib.eof and (part := self._zlib.decompress(piece, _PIECE)):
                yield part
                piece = self._zlib.unconsumed_tail
        except zlib.error:
            raise Unreadable("the server's answer cannot be unpacked") from None

    def end(self) -> None:
        """All bytes have come."""
        if self._zlib and not self._zlib.eof:
            raise Unreadable("the server's answer cannot be unpacked to its end")


def _too_large(most: int) -> Unreadable:
    return Unreadable(f"the server's answer has more than {most >> 20} MiB")


def _origin(url: Any) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _in_memory(response: Any, content: bytes) -> Any:
    """The response as if it had come with this content, and without the headers that nobody reads."""
    headers = [(name, value) for name, value in response.headers.raw if name.lower() in _KEPT]
    return type(response)(response.status_code, headers=headers, content=content, request=response.request)
