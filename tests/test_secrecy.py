"""In whatever way a key is written, it is found."""

from __future__ import annotations

import base64
import html
import json
import time
from urllib.parse import quote

import pytest

from juicecap import secrecy
from juicecap.secrecy import hidden, hidden_bytes, keep, key_in

KEY = "sk-Very/secret+&01234_6789"


@pytest.fixture(autouse=True)
def only_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrecy, "_known", {})
    keep(KEY, "MY_KEY")


def in_json(text: str) -> str:
    return "".join(f"\\u{ord(each):04X}" for each in text)


def in_address(text: str) -> str:
    return "".join(f"%{ord(each):02x}" for each in text)


WAYS = {
    "as it is": KEY,
    "in capitals": KEY.upper(),
    "in small letters": KEY.lower(),
    "as PHP writes JSON": json.dumps(KEY).strip('"').replace("/", "\\/"),
    "in JSON's escapes": in_json(KEY),
    "some of it in JSON's escapes": KEY[:5] + in_json(KEY[5:9]).lower() + KEY[9:],
    "twice in JSON": json.dumps(json.dumps(in_json(KEY))),
    "in an address": quote(KEY, safe=""),
    "in an address, all of it": in_address(KEY),
    "twice in an address": quote(quote(KEY, safe=""), safe=""),
    "in HTML": html.escape(KEY),
    "in HTML's numbers": "".join(f"&#{ord(each)};" for each in KEY),
    "in HTML's hexadecimal numbers": "".join(f"&#x{ord(each):X};" for each in KEY),
    "as Python shows bytes": "".join(f"\\x{ord(each):02x}" for each in KEY),
    "in hexadecimal digits": KEY.encode().hex(),
    "in hexadecimal capitals": KEY.encode().hex().upper(),
    **{
        f"{name}, {before} bytes behind something": code(b"x" * before + KEY.encode() + b"xyz").decode()
        for name, code in {"in base64": base64.b64encode, "in an address's base64": base64.urlsafe_b64encode}.items()
        for before in range(4)
    },
    "in base64, alone": base64.b64encode(KEY.encode()).decode(),
    "in base64, in an address": quote(base64.b64encode(b"u:" + KEY.encode()).decode(), safe=""),
    "in base64, in JSON of PHP": base64.b64encode(b"u:" + KEY.encode()).decode().replace("/", "\\/"),
    "as a login": f"Basic {base64.b64encode(f'user:{KEY}'.encode()).decode()}",
}


@pytest.mark.parametrize("written", WAYS.values(), ids=WAYS)
class TestEveryWay:
    def test_is_found(self, written: str) -> None:
        assert key_in(f"the key ({written}) is old") == "MY_KEY"

    def test_is_hidden(self, written: str) -> None:
        left = hidden(f"the key ({written}) is old")
        assert left.startswith("the key (")
        assert left.endswith(") is old")
        assert "***" in left
        assert key_in(left) == ""
        assert len(left) < len("the key () is old") + 20

    def test_is_hidden_in_bytes(self, written: str) -> None:
        left = hidden_bytes(b"\xff" + written.encode() + b"\xff")
        assert left[:1] + left[-1:] == b"\xff\xff"
        assert b"***" in left
        assert key_in(left.decode("latin-1")) == ""


@pytest.mark.parametrize("before", range(3))
def test_what_is_left_of_base64_tells_no_byte_of_it(before: int) -> None:
    head, tail = hidden(base64.b64encode(b"-" * before + KEY.encode() + b"-").decode()).split("***")
    whole = base64.b64encode(b"-" * before + KEY.encode() + b"-").decode()
    assert len(head) * 6 < before * 8 + 8
    assert (len(whole) - len(tail)) * 6 > (before + len(KEY) - 1) * 8


@pytest.mark.parametrize(
    "text", ["", "A red circle.", KEY[:-1], KEY[1:], KEY.replace("V", "W"), "100% & more \\ " * 99, "sk-" * 99]
)
def test_other_texts_stay(text: str) -> None:
    assert (hidden(text), hidden_bytes(text.encode()), key_in(text)) == (text, text.encode(), "")


def test_short_keys_are_hidden_for_their_owner_only() -> None:
    keep("token", "SHORT")
    assert hidden("a token") == "a token"
    assert key_in("a token") == ""
    assert hidden("a token, a t\\u006fken and TOKEN", "token") == "a ***, a *** and TOKEN"


def test_a_key_within_a_key_leaves_no_piece_of_it() -> None:
    keep("01234_6789", "INNER")
    keep(f"{KEY}-and-more", "OUTER")
    assert hidden(f"{KEY}-and-more, {KEY}, 01234_6789") == "***, ***, ***"


def test_marks_say_which_key_it_was() -> None:
    assert hidden(f"Bearer {KEY}", marks={KEY: "${MY\\1KEY}"}) == "Bearer ${MY\\1KEY}"


@pytest.mark.parametrize("unit", ["a", "s", "\\", "%25", "&#0", "&#x0", "%", "sk-Very/secret+&01234_678", "\\u00", "73", "c2st"])
def test_a_hostile_text_costs_no_more_than_its_length(unit: str) -> None:
    text = (unit * 2**20)[: 2**20]
    began = time.monotonic()
    assert hidden(text) == text
    assert hidden_bytes(text.encode()) == text.encode()
    assert time.monotonic() - began < 60
