"""Texts that messages must not show."""

from __future__ import annotations

import html
import json
import time
from urllib.parse import quote

import pytest

from juicecap.errors import ModelError, RecipeError, SampleError, SettingsError
from juicecap.hidden import NOTHING, Hidden

VALUE = "pl/nt d\"'é\n<4711>&"
HIDDEN = Hidden({VALUE: "${TOKEN}", "another-secret": "${OTHER}", "short": "${SHORT}", "another-secret-one": "${LONGER}"})


@pytest.mark.parametrize(
    "written",
    [
        VALUE,
        repr(VALUE)[1:-1],
        json.dumps(VALUE)[1:-1],
        json.dumps(VALUE, ensure_ascii=False)[1:-1],
        html.escape(VALUE),
        quote(VALUE),
    ],
)
def test_a_name_stands_in_its_place_however_it_is_spelled(written: str) -> None:
    assert HIDDEN.text(f"no such thing: {written}, {written}") == "no such thing: ${TOKEN}, ${TOKEN}"


def test_a_path_is_found_however_it_is_tidied() -> None:
    hidden = Hidden({"/data//planted/./x/": "${DATA}", "a//planted/../value": "${OTHER}"})
    assert hidden.text("/data/planted/x: no") == "${DATA}: no"
    assert hidden.text("a/planted/../value and a/value") == "${OTHER} and a/value"
    assert hidden.text("/data//planted/./x/ there") == "${DATA} there"


def test_a_longer_text_goes_before_one_that_it_begins_with() -> None:
    assert HIDDEN.text("another-secret-one another-secret") == "${LONGER} ${OTHER}"


def test_short_texts_and_others_stay() -> None:
    assert HIDDEN.text("a short one, anot") == "a short one, anot"
    assert NOTHING.text("another-secret") == "another-secret"


@pytest.mark.parametrize("length", range(8, 15))
def test_a_beginning_that_a_message_cut_is_found_as_well(length: int) -> None:
    hidden, cut = Hidden({"another-secret": "${OTHER}"}), "another-secret"[:length]
    assert hidden.text(f"not '{cut}… and {cut}…") == "not '${OTHER}… and ${OTHER}…"
    assert hidden.text(f"{cut}x…") == (f"{cut}x…" if length < 14 else "${OTHER}x…")
    assert hidden.text("another…") == "another…"


def test_a_value_with_spaces_around_it_is_known_without_them() -> None:
    assert Hidden({" padded-key\n": "${K}"}).text("Bearer padded-key!") == "Bearer ${K}!"
    assert Hidden({"       x": "${K}"}).text("an x       x") == "an x       x"


def test_facts_are_looked_through() -> None:
    facts = {"op": "another-secret", "n": 3, "list": ["another-secret", ("a another-secret",)], "another-secret": None}
    assert HIDDEN.facts(facts) == {"op": "${OTHER}", "n": 3, "list": ["${OTHER}", ("a ${OTHER}",)], "another-secret": None}


def test_errors_say_names_and_so_does_what_they_came_from() -> None:
    with pytest.raises(ModelError) as caught, HIDDEN.in_errors():
        raise ModelError("there is no model another-secret") from ValueError("another-secret", 3)
    assert str(caught.value) == "there is no model ${OTHER}"
    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.args == ("${OTHER}", 3)
    for error, attribute, value in (
        (SampleError("CODE", "another-secret"), "message", "${OTHER}"),
        (SettingsError("op", [("p", "not another-secret")]), "problems", [("p", "not ${OTHER}")]),
        (RecipeError("another-secret", ["another-secret"]), "problems", ("${OTHER}",)),
    ):
        with pytest.raises(type(error)), HIDDEN.in_errors():
            raise error
        assert getattr(error, attribute) == value
        assert "another-secret" not in str(error)


def test_a_long_text_costs_little() -> None:
    began = time.process_time()
    many = Hidden({f"{number:08}-value": f"${{V{number}}}" for number in range(1, 1000)} | {"0" * 100_000 + "1": "${LONG}"})
    zeros = "0" * 200_000
    assert many.text(f"{zeros}x{zeros}…00000999-value") == f"{zeros}x{zeros[:-1000]}${{LONG}}…${{V999}}"
    assert time.process_time() - began < 20
