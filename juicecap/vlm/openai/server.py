"""One attempt at one request: the only place that touches the client library, whose errors become `CallFailed`.

The library's own retries are off (see `retry`), and so is its reading of answers: whatever a server sends, it is either an answer
as `wire` wants it or a failure.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Literal

import openai

from juicecap.vlm.openai.options import NO_KEY, Options
from juicecap.vlm.openai.wire import misshapen, parsed

PATIENCE = 20.0
"""Seconds for a server to show that it is there."""

_LONGEST_MESSAGE = 500
_BEYOND_STATUS = 600
_TRANSIENT = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS)
_NO_LIST = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)


class CallFailed(Exception):
    """There is no usable answer: the server was not reached, was silent, said no (`status`), or said something unreadable."""

    def __init__(
        self,
        kind: Literal["connection", "timeout", "status", "body"],
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
        if self.code == "insufficient_quota":
            return False
        return self.kind != "status" or self.status in _TRANSIENT or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def silent(self) -> bool:
        """Whether nobody was there; a server that is late may just be busy."""
        return self.kind == "connection"


class Server:
    """A server and the key to it."""

    def __init__(self, options: Options) -> None:
        self._key = options.key
        self._timeout = options.timeout
        self._client = openai.AsyncOpenAI(
            base_url=options.base,
            api_key=options.key,
            max_retries=0,
            timeout=None,
            http_client=openai.DefaultAsyncHttpxClient(event_hooks={"response": [_as_utf8]}),
        )

    async def models(self) -> list[dict[str, Any]]:
        """What the server says about each of its models; empty if it has no such list.

        Raises:
            CallFailed: it is not there, or refuses.
        """
        try:
            listed = await self._attempt(self._client.models.with_raw_response.list())
        except CallFailed as failed:
            if failed.kind == "body" or (failed.kind == "status" and failed.status in _NO_LIST):
                return []
            raise
        models = listed.get("data")
        return [model for model in models if isinstance(model, dict)] if isinstance(models, list) else []

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

    async def chat(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to one chat request: an object with at least one choice.

        Raises:
            CallFailed: there is none.
        """
        rest = {name: value for name, value in body.items() if name not in ("model", "messages")}
        answer = await self._attempt(
            self._client.chat.completions.with_raw_response.create(
                model=body["model"], messages=body["messages"], extra_body=rest
            )
        )
        if reason := misshapen(answer):
            raise CallFailed("body", reason)
        return answer

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _attempt(self, call: Awaitable[Any]) -> dict[str, Any]:
        """Await a call of the client, from its connection to its last byte within the timeout."""
        try:
            async with asyncio.timeout(self._timeout):
                answer = parsed((await call).content)
        except (TimeoutError, openai.APITimeoutError):
            raise CallFailed("timeout", f"no answer within {self._timeout:g} seconds") from None
        except openai.APIStatusError as error:
            raise self._refusal(error.status_code, _said(error.response.content), error.response.headers) from None
        except openai.APIConnectionError as error:
            raise CallFailed("connection", self._without_key(_reason(error))) from None
        except ValueError:
            raise CallFailed("body", "the server's answer is no valid JSON") from None
        if not isinstance(answer, dict):
            raise CallFailed("body", "the server's answer is no JSON object")
        if isinstance(answer.get("error"), dict):  # some gateways answer 200 with an error in it
            status = answer["error"].get("code")
            known = isinstance(status, int) and HTTPStatus.BAD_REQUEST <= status < _BEYOND_STATUS
            raise self._refusal(status if known else HTTPStatus.INTERNAL_SERVER_ERROR, answer["error"], {})
        return answer

    def _refusal(self, status: int, body: object, headers: Any) -> CallFailed:
        said: dict[str, Any] = body if isinstance(body, dict) else {"message": body}
        inner = said.get("error")
        said = inner if isinstance(inner, dict) else said
        message = said.get("message") or said.get("detail") or said.get("error") or "no reason given"
        text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
        return CallFailed(
            "status",
            self._without_key(f"HTTP {status}: {' '.join(text.split())[:_LONGEST_MESSAGE]}"),
            status=status,
            code=_word(said.get("code")),
            param=_word(said.get("param")),
            wait=_seconds(headers.get("retry-after")),
        )

    def _without_key(self, text: str) -> str:
        return text if self._key == NO_KEY else text.replace(self._key, "***")


async def _as_utf8(response: Any) -> None:
    """Have the library read errors as UTF-8, whatever encoding the server names: some (`hex`) it cannot read with."""
    response.encoding = "utf-8"


def _said(content: bytes) -> object:
    """What the body of an error says, be it JSON or not."""
    try:
        return parsed(content)
    except ValueError:
        return content.decode("utf-8", "replace").strip()


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After`, which is a number of seconds or a date."""
    if not retry_after:
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
