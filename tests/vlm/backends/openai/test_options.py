"""What the settings may say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scripted_server import KEY

from juicecap.errors import EnvironmentFailure, ModelError
from juicecap.vlm.backends.openai.options import options_of
from juicecap.vlm.base import ModelSettings, canonical_json


def options(params=None, **settings):
    return options_of(ModelSettings(backend="openai", model="m", params=canonical_json(params or {}), **settings))[0]


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("MY_KEY", raising=False)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"transprot": "file"}, "the openai backend has no parameter 'transprot' (did you mean 'transport'?)"),
        (
            {"dtype": "bfloat16"},
            "the openai backend has no parameter 'dtype' (known are transport, timeout, max_attempts, extra_body, "
            "chat_template_kwargs; other fields go into extra_body)",
        ),
        ({"transport": "video"}, "transport must be one of auto, frames, images, file, not 'video'"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0, not 0"),
        ({"timeout": "5"}, "timeout must be a number of seconds above 0, not '5'"),
        ({"max_attempts": 0}, "max_attempts must be an integer above 0, not 0"),
        ({"max_attempts": True}, "max_attempts must be an integer above 0, not True"),
        ({"extra_body": [1]}, "extra_body must be a mapping, not [1]"),
        ({"extra_body": {"stream": True}}, "extra_body must not set stream, which follows from the recipe"),
    ],
)
def test_parameters_that_are_wrong(params, message, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(ModelError) as raised:
        options(params)
    assert str(raised.value) == f"model_params: {message}"


@pytest.mark.parametrize("base", ["localhost:8000", "ftp://host/v1", "http://", "http://[::1", "  "])
def test_addresses_that_are_none(base, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(ModelError, match="api_base must be an address such as http://localhost:8000/v1"):
        options(api_base=base)


def test_addresses(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert options().display_url == "https://api.openai.com/v1"
    assert options(api_base="http://host:8000/v1/").display_url == "http://host:8000/v1"
    assert options(api_base="http://host/v1/chat/completions").display_url == "http://host/v1"
    with pytest.raises(ModelError) as raised:
        options(api_base="https://me:secret@host:1/v1")
    assert str(raised.value) == (
        "api_base must be an address without a name and password: put the key into the variable of api_key_env"
    )


def test_keys(monkeypatch):
    assert options(api_base="http://localhost:1/v1").key == "EMPTY"
    with pytest.raises(EnvironmentFailure) as raised:
        options()
    assert str(raised.value) == "the environment variable OPENAI_API_KEY is not set: put the server's key into it"
    with pytest.raises(EnvironmentFailure) as raised:
        options(api_base="http://localhost:1/v1", api_key_env="MY_KEY")
    assert str(raised.value) == (
        "the environment variable MY_KEY, which api_key_env names, is not set: put the server's key into it"
    )
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    assert options(api_key_env="MY_KEY").key == KEY
    assert KEY not in repr(options(api_key_env="MY_KEY"))


@pytest.mark.parametrize("value", ["two words", "schlüssel", "line\nline"])
def test_a_key_that_cannot_be_one_is_not_shown(value, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(EnvironmentFailure) as raised:
        options()
    assert str(raised.value) == "the environment variable OPENAI_API_KEY holds something that cannot be a key: check its spelling"


def test_what_may_be_a_key_in_an_address_is_sent_and_not_told() -> None:
    whole = f"http://gate.example:8000/{KEY}/v1?token={KEY}"
    made = options(api_base=whole)
    assert made.base == whole
    assert made.display_url == "http://gate.example:8000/***/v1"


def test_several_servers_are_alike_but_for_the_address(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-1")
    bases = ("http://a:1/v1/", "http://b:2/v1/chat/completions")
    one, other = options_of(ModelSettings(backend="openai", model="m", api_base=bases, api_key_env="MY_KEY"))
    assert (one.base, other.base) == ("http://a:1/v1", "http://b:2/v1")
    assert replace(one, base=other.base) == other


def test_a_server_that_is_named_twice():
    with pytest.raises(ModelError, match=r"^api_base names http://a/v1 twice: name each server once$"):
        options_of(ModelSettings(backend="openai", model="m", api_base=("http://a/v1", "http://b/v1", "http://a/v1/")))
