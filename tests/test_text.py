"""Small things that messages and requests are made of."""

from __future__ import annotations

import pytest

from juicecap.text import any_of, as_plain_text, control_tokens, first_line, near, nearest, reason_of, valid


@pytest.mark.parametrize(
    ("said", "line", "reason"),
    [
        (ValueError("  \n broken at 3.\n in the file"), "broken at 3.", "broken at 3"),
        (ValueError("it says:"), "it says:", "it says"),
        (ValueError(""), "ValueError", "ValueError"),
        (KeyboardInterrupt(), "KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_an_error_is_told_by_its_first_line_or_its_type(said: BaseException, line: str, reason: str) -> None:
    assert (first_line(said), reason_of(said)) == (line, reason)


def test_a_text_that_says_nothing_has_no_first_line() -> None:
    assert (first_line(" \n\n"), first_line("\n a \n b")) == ("", "a")


def test_near_names() -> None:
    assert near("caption_nmu", ["caption_num", "captions"]) == "caption_num"
    assert near(16, ["float16", "166"]) == "166"
    assert near("same", ["same"]) is None
    assert near("xyz", ["caption_num"]) is None
    assert nearest("b7", ["a", "b1", "b7x"], 2) == ["b7x", "b1"]


def test_of_two_tokens_the_longer_one_is_found() -> None:
    assert any_of(["<a", "<a>", "."]).findall("<a><a.") == ["<a>", "<a", "."]


def test_control_tokens_become_text() -> None:
    assert as_plain_text("<s> a <eos>", control_tokens({"<s>", "<eos>", "a"})) == "< s> a < eos>"
    assert control_tokens({" ", "a"}) is None
    assert as_plain_text("a", None) == "a"


def test_half_of_a_pair_is_replaced_and_two_halves_are_one() -> None:
    assert valid("a\ud83c") == "a\ufffd"
    assert valid("\ud83c\udfac") == "\U0001f3ac"
