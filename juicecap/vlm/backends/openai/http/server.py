"""One attempt at one request: the only place that touches the client library, whose errors become `CallFailed`.

The library's own retries are off (see `retry`), and so is its reading of answers: whatever a server sends, it is either an answer
as `wire` wants it or a failure. How much of it is read is bounded (`client`). No key leaves this module in what a server said: it
is taken out of errors before they are cut, and an answer that holds one is none.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from typing import Any, Literal, TypeVar

import openai

from juicecap.errors import causes
from juicecap.secrecy import hidden, hidden_bytes, key_in
from juicecap.text import valid
from juicecap.vlm.backends.openai.answers import Reply, read
from juicecap.vlm.backends.openai.http.client import LARGEST_ERROR, SMALL_ANSWER, Client, Unreadable
from juicecap.vlm.backends.openai.http.wire import parsed, shape_error
from juicecap.vlm.backends.openai.options import ServerOptions

Json = dict[str, Any]
T = TypeVar("T")

PATIENCE = 20.0
"""Seconds for a server to show that it is there."""

LONGEST_KEY = 2**14
"""Bytes that a key may have when it is escaped. Where only the beginning of an error was read, its end may be half a key."""

_LONGEST_MESSAGE, _LONGEST_WORD = 500, 100
_BEYOND_STATUS = 600
_TRANSIENT = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS)
_NO_LIST = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)


class CallFailed(Exception):
    """There is no usable answer.

    The server was not reached, was silent, said no (`status`), redirected elsewhere, or sent what cannot be read (`body`).
    """

    def __init__(
        self,
        kind: Literal["connection", "timeout", "status", "redirect", "body"],
        message: str,
        *,
        status: int = 0,
        code: str = "",
        param: str = "",
        wait: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status
        self.code = code
        self.param = param
        self.wait = wait
        """Seconds after which the server wants to be asked again, if it says so."""
        self.attempts = 1
        """How often the server was asked, this time included."""

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed a little later."""
        if self.code == "insufficient_quota" or self.kind == "redirect":
            return False
        return self.kind != "status" or self.status in _TRANSIENT or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def silent(self) -> bool:
        """Whether nobody was there; a server that is late may just be busy."""
        return self.kind == "connection"


class Server:
    """A server and the key to it."""

    def __init__(self, options: ServerOptions) -> None:
        self._secrets = options.secrets
        self._timeout = options.timeout
        self._client = openai.AsyncOpenAI(
            base_url=options.base,
            api_key=options.key,
            max_retries=0,
            timeout=None,
            http_client=Client(),
        )

    async def models(self) -> list[Json]:
        """What the server says about each of its models; empty if it has no such list.

        Raises:
            CallFailed: it is not there, or refuses.
        """
        try:
            return await self._attempt(self._client.models.with_raw_response.list(), self._models)
        except CallFailed as failed:
            if failed.kind == "body" or (failed.kind == "status" and failed.status in _NO_LIST):
                return []
            raise

    async def is_there(self) -> bool:
        """Whether the server says anything at all, which need not be an answer."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self.models()
        except TimeoutError:
            return False
        except CallFailed as failed:
            return failed.kind not in ("connection", "timeout")
        return True

    async def chat(self, body: Json) -> Reply:
        """The answer to one chat request, with at least one candidate.

        Raises:
            CallFailed: there is none.
        """
        rest = {name: value for name, value in body.items() if name not in ("model", "messages")}
        call = self._client.chat.completions.with_raw_response.create(
            model=body["model"], messages=body["messages"], extra_body=rest
        )
        limit = body.get("max_tokens") or body["max_completion_tokens"]
        return await self._attempt(call, partial(self._reply, asked=body.get("n", 1), max_tokens=limit))

    def hidden(self, text: str) -> str:
        """What the server said, without its key and without what may be one in its address."""
        return hidden(text, *self._secrets)

    def _shortened(self, text: str) -> str:
        """The same in one line that is not too long. The key goes first: half of it would not be found."""
        return " ".join(self.hidden(valid(text)).split())[:_LONGEST_MESSAGE]

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _attempt(self, call: Awaitable[Any], understand: Callable[[bytes], T | CallFailed]) -> T:
        """Await a call of the client, from its connection to its last byte within the timeout.

        What came is understood at once: while nobody else runs, no other large answer is read. No function that an error passes
        through holds it, since the error would hold the function.
        """
        try:
            async with asyncio.timeout(self._timeout):
                understood = understand((await call).content)
        except (TimeoutError, openai.APITimeoutError):
            raise CallFailed("timeout", f"no answer within {self._timeout:g} seconds") from None
        except openai.APIStatusError as error:
            raise self._refused(error.response) from None
        except openai.OpenAIError as error:
            if unreadable := next((each for each in causes(error) if isinstance(each, Unreadable)), None):
                raise CallFailed("body", str(unreadable)) from None
            raise CallFailed("connection", self._shortened(_reason(error))) from None
        if isinstance(understood, CallFailed):
            raise understood
        return understood

    def _reply(self, content: bytes, *, asked: int, max_tokens: int) -> Reply | CallFailed:
        answer = self._object(content)
        if isinstance(answer, CallFailed):
            return answer
        if reason := shape_error(answer, max_tokens):
            return CallFailed("body", reason)
        reply = read(answer, asked, self.hidden)
        if name := key_in("\n".join(candidate.text for candidate in reply.candidates)):
            return CallFailed("body", f"the server's answer holds the key that is in {name}")
        return reply

    def _models(self, content: bytes) -> list[Json] | CallFailed:
        listed = self._object(content)
        if isinstance(listed, CallFailed):
            return listed
        models = listed.get("data")
        return [model for model in models if isinstance(model, dict)] if isinstance(models, list) else []

    def _object(self, content: bytes) -> Json | CallFailed:
        try:
            answer = parsed(content)
        except ValueError as error:
            return CallFailed("body", f"the server's answer {error}")
        if not isinstance(answer, dict):
            return CallFailed("body", "the server's answer is no JSON object")
        if isinstance(answer.get("error"), dict):  # some gateways answer 200 with an error in it
            if len(content) > SMALL_ANSWER:
                return CallFailed("body", "the server's answer is too large for an error")
            status = answer["error"].get("code")
            known = isinstance(status, int) and HTTPStatus.BAD_REQUEST <= status < _BEYOND_STATUS
            return self._refusal(status if known else HTTPStatus.INTERNAL_SERVER_ERROR, answer["error"], {})
        return answer

    def _refused(self, response: Any) -> CallFailed:
        if response.has_redirect_location:
            return CallFailed("redirect", self._shortened(response.text), status=response.status_code)
        content = hidden_bytes(response.content, *self._secrets)
        if len(response.content) >= LARGEST_ERROR:
            content = content[:-LONGEST_KEY]
        return self._refusal(response.status_code, _said(content), response.headers)

    def _refusal(self, status: int, body: object, headers: Any) -> CallFailed:
        said: Json = body if isinstance(body, dict) else {"message": body}
        inner = said.get("error")
        said = inner if isinstance(inner, dict) else said
        message = said.get("message") or said.get("detail") or said.get("error") or "no reason given"
        text = message if isinstance(message, str) else _written(message)
        return CallFailed(
            "status",
            f"HTTP {status}: {self._shortened(text)}",
            status=status,
            code=_word(said.get("code")),
            param=_word(said.get("param")),
            wait=_seconds(headers.get("retry-after")),
        )


def _said(content: bytes) -> object:
    """What the body of an error says, be it JSON or not."""
    try:
        return parsed(content)
    except ValueError:
        text = content.decode(json.detect_encoding(content), "replace")  # as JSON is read: else a key in UTF-16 is not found
        return (text or content.decode("utf-8", "replace")).strip()


def _written(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:  # it could be read, from a place that is not as deep
        return "no reason given"


def _word(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= _LONGEST_WORD else ""


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After`, which is a number of seconds or a date."""
    if not retry_after or len(retry_after) > _LONGEST_WORD:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(retry_after)
        return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None


def _reason(error: BaseException) -> str:
    """The innermost cause in the system's words, such as `connection refused`."""
    last, causes = error, [error]
    while causes:
        last = causes.pop()
        if isinstance(last, OSError) and last.errno:
            return (os.strerror(last.errno) if last.errno > 0 else str(last.strerror)).lower()  # below 0: no such host
        if isinstance(last, BaseExceptionGroup):
            causes.append(last.exceptions[0])
        elif last.__cause__ or last.__context__:
            causes.append(last.__cause__ or last.__context__ or last)
    return str(last) or type(last).__name__
