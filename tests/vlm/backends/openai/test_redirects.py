"""A server that sends requests on: within itself that is followed; another server gets neither frames nor the key."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from scripted_server import KEY, Reply, ScriptedServer, obliging, prepared, refused, said

from juicecap.errors import EnvironmentFailure, ModelError
from juicecap.vlm.backends.openai.http.client import MOST_REDIRECTS

STATUSES = [301, 302, 303, 307, 308]


@pytest.fixture
def other() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.stop()


def onward(status: int, location: str) -> Reply:
    return Reply(b"" if status == 304 else b"moved", status, {"Location": location})


def origin(server: ScriptedServer) -> str:
    return server.base.removesuffix("/v1")


def words(server: ScriptedServer, there: str) -> str:
    return (
        f"{server.base} sends requests elsewhere, where neither frames nor a key went ({origin(server)} redirects to {there}): "
        "set api_base to the address of the server that is to answer"
    )


class TestToAnotherServer:
    @pytest.mark.parametrize("status", STATUSES)
    def test_in_the_middle_of_a_run(self, server: ScriptedServer, other: ScriptedServer, status: int) -> None:
        replies = [said("A red circle."), onward(status, f"{other.base}/chat/completions?{KEY}")]
        with pytest.raises(EnvironmentFailure) as raised:
            server.answers(replies, prepared(), prepared(), at_once=False)
        assert str(raised.value) == words(server, origin(other))
        assert other.listened == 0
        assert len(server.seen) == 2

    @pytest.mark.parametrize("status", STATUSES)
    def test_in_the_trial(self, server: ScriptedServer, other: ScriptedServer, status: int) -> None:
        server.script = [onward(status, f"{other.base}/chat/completions")]
        with pytest.raises(ModelError) as raised:
            server.answers(obliging, prepared())
        assert str(raised.value) == words(server, origin(other))
        assert other.listened == 0

    @pytest.mark.parametrize("status", STATUSES)
    def test_at_the_first_look(self, server: ScriptedServer, other: ScriptedServer, status: int) -> None:
        server.models = onward(status, f"{other.base}/models")
        with pytest.raises(ModelError) as raised:
            server.answers(obliging, prepared())
        assert str(raised.value) == words(server, origin(other))
        assert (other.listened, server.listened) == (0, 1)

    @pytest.mark.parametrize(
        ("there", "told"),
        [
            ("https://127.0.0.1:{port}/v1/chat/completions", "https://127.0.0.1:{port}"),
            ("//localhost:{port}/v1/chat/completions", "http://localhost:{port}"),
            ("http://127.0.0.1/v1/chat/completions", "http://127.0.0.1"),
            ("http://127.0.0.1:{port}1/v1/chat/completions", "http://127.0.0.1:{port}1"),
            ("http://me:{key}@example.org/", "http://example.org"),
            ("http://{key}.example.org/", "http://***.example.org"),
            ("ftp://127.0.0.1:{port}/", "ftp://127.0.0.1:{port}"),
        ],
    )
    def test_scheme_host_and_port_are_the_servers_own(self, server: ScriptedServer, there: str, told: str) -> None:
        port = server.base.rpartition(":")[2].removesuffix("/v1")
        port, told = ("6553", told) if f"{port}1" in told else (port, told)
        location = there.format(port=port, key=KEY)
        with pytest.raises(EnvironmentFailure) as raised:
            server.answers([onward(307, location)], prepared())
        assert str(raised.value) == words(server, told.format(port=port, key=KEY))
        assert len(server.seen) == 1

    def test_the_other_one_by_the_way_of_the_same_one(self, server: ScriptedServer, other: ScriptedServer) -> None:
        replies = [onward(308, "/v1/elsewhere"), onward(307, f"{other.base}/chat/completions")]
        with pytest.raises(EnvironmentFailure) as raised:
            server.answers(replies, prepared())
        assert str(raised.value) == words(server, origin(other))
        assert (other.listened, len(server.seen)) == (0, 2)

    def test_looking_whether_a_server_is_there_follows_no_more(self, server: ScriptedServer, other: ScriptedServer) -> None:
        def script(body: dict[str, Any]) -> Reply:
            server.models = onward(307, f"{other.base}/models")
            return Reply(hang=9)

        (outcome,) = server.answers(script, prepared(), timeout=0.3, max_attempts=1)
        assert outcome.failure is not None
        assert outcome.failure.code == "REQUEST_TIMEOUT"
        assert other.listened == 0

    def test_a_sample_that_the_server_refuses_is_no_redirect(self, server: ScriptedServer, other: ScriptedServer) -> None:
        reply = refused(400, "no", {"Location": f"{other.base}/chat/completions"})
        (outcome,) = server.answers([reply], prepared())
        assert outcome.failure is not None
        assert outcome.failure.message == "HTTP 400: no"
        assert other.listened == 0


class TestWithinTheServer:
    @pytest.mark.parametrize("status", [307, 308])
    @pytest.mark.parametrize("location", ["/v2/chat", "{base}/chat/completions/", "chat", "?again", "HTTP://127.0.0.1:{port}/x"])
    def test_the_whole_request_goes_on(self, server: ScriptedServer, status: int, location: str) -> None:
        port = server.base.rpartition(":")[2].removesuffix("/v1")
        (outcome,) = server.answers(
            [onward(status, location.format(base=server.base, port=port)), said("A red circle.")], prepared()
        )
        assert outcome.answers[0].text == "A red circle."
        first, second = server.seen
        assert first.body == second.body
        assert first.path != second.path
        assert second.headers["authorization"] == f"Bearer {KEY}"
        assert second.headers["accept-encoding"] == "identity"

    def test_in_a_circle(self, server: ScriptedServer) -> None:
        with pytest.raises(EnvironmentFailure, match=rf"\({origin(server)} redirects more than {MOST_REDIRECTS} times\)"):
            server.answers([onward(307, "/v1/chat/completions")], prepared())
        assert len(server.seen) == MOST_REDIRECTS + 1


@pytest.mark.parametrize(
    "location",
    ["http://", "http://[", "javascript:alert(1)", "http://127.0.0.1:99999/", "http://\xff\xfe/", "http://xn--/", "x" * 60_000],
)
@pytest.mark.parametrize("status", [302, 307])
def test_a_location_that_is_none(server: ScriptedServer, location: str, status: int) -> None:
    """It ends the run in a sentence, or is the failure of one request."""
    told = ""
    try:
        (outcome,) = server.answers([Reply(b"moved", status, {"Location": location})], prepared(), max_attempts=1)
    except EnvironmentFailure as error:
        told = str(error)
    if told:
        assert told.startswith(f"{server.base} sends requests elsewhere, where neither frames nor a key went")
        assert "moved" not in told
    else:
        assert outcome.failure is not None
        assert outcome.failure.code in ("REQUEST_REFUSED", "SERVER_ERROR", "BAD_ANSWER")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nwhatever",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nLocation: /v1/x\r\n\r\n",
        b"HTTP/1.1 300 Many\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/0.9 200 OK\r\n\r\n{}",
        b"{}\r\n\r\n",
        b"\0" * 200_000,
        b"x" * 50_000 + b"\r\n\r\n",
        b"HTTP/1.1 Bearer \xff" + KEY.encode() + b" \xff\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBearer " + KEY.encode() + b" \xff\r\n\r\n",
        b"HTTP/1.1 200 \xff\xfe\r\nX: \xff\r\nContent-Type: application/json; charset=\xff\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 1000 + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: " + b"a=b; expires=" + b"0" * 50_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: \xff\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=lambda answer: repr(answer[:40]),
)
def test_odd_bytes_are_the_failure_of_one_request(server: ScriptedServer, answer: bytes) -> None:
    """Whatever the library makes of them."""
    front = socket.create_server(("127.0.0.1", 0))

    def once() -> None:
        connection, _ = front.accept()
        with connection, suppress(OSError):  # the client may be gone by then
            connection.recv(2**20)
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(2**20):
                pass

    threading.Thread(target=once, daemon=True).start()

    async def asked() -> Any:
        async with server.engine(max_attempts=1, timeout=20) as engine:
            engine._client._server._server._client.base_url = f"http://127.0.0.1:{front.getsockname()[1]}/v1/"
            return (await engine.generate([prepared()]))[0]

    outcome = asyncio.run(asked())
    front.close()
    assert outcome.failure is not None
    assert KEY not in outcome.failure.message
    assert len(outcome.failure.message) <= 500
    assert outcome.failure.code in ("BAD_ANSWER", "SERVER_ERROR", "REQUEST_REFUSED")
