"""How a problem is shown."""

from __future__ import annotations

from juicecap.recipe.problems import Problem, render


def test_lines_are_shown_with_their_place_underlined_and_sorted_each_once() -> None:
    second = Problem(file="r.yaml", line=2, column=4, length=3, message="no such thing", hint="write another")
    first = Problem(file="r.yaml", line=1, column=1, length=1, message="first")
    nowhere = Problem(file="r.yaml", message="nowhere")
    assert render([nowhere, second, first, second], "a: 1\nb: foo # why\n") == (
        "r.yaml:1:1: first\n"
        "    1 | a: 1\n"
        "      | ^\n"
        "r.yaml:2:4: no such thing\n"
        "    2 | b: foo # why\n"
        "      |    ^^^\n"
        "   write another\n"
        "r.yaml: nowhere"
    )


def test_wide_characters_and_combining_ones_do_not_shift_the_underline() -> None:
    wide = Problem(file="r", line=1, column=5, length=2, message="m")
    assert render([wide], "描述: 视频 x") == "r:1:5: m\n    1 | 描述: 视频 x\n      |       ^^^^"
    combining = Problem(file="r", line=1, column=7, length=1, message="m")
    assert render([combining], "cafe\u0301: x") == "r:1:7: m\n    1 | cafe\u0301: x\n      |      ^"


def test_a_long_line_is_cut_around_the_place() -> None:
    text = "prompt: " + "a" * 300 + "X" + "b" * 300
    assert render([Problem(file="r", line=1, column=309, length=1, message="m")], text) == (
        "r:1:309: m\n    1 | …" + "a" * 40 + "X" + "b" * 79 + "…\n      | " + " " * 41 + "^"
    )
    assert render([Problem(file="r", line=1, column=1, length=6, message="m")], text) == (
        "r:1:1: m\n    1 | prompt: " + "a" * 112 + "…\n      | ^^^^^^"
    )


def test_what_a_terminal_might_obey_is_shown_as_a_sign() -> None:
    problem = Problem(
        file="r\x1b[31m\nforged.yaml:1:1: all is well",
        line=1,
        column=4,
        length=9,
        message="no \x9b\u202e",
        hint="take \x07\u2066",
    )
    assert render([problem], "a: \x1b]0;x\x07\u202ebc\u2069 # \x0b") == (
        "r\ufffd[31m\ufffdforged.yaml:1:1: all is well:1:4: no \ufffd\ufffd\n"
        "    1 | a: \ufffd]0;x\ufffd\ufffdbc\ufffd # \ufffd\n"
        "      |    ^^^^^^^^^\n"
        "   take \ufffd\ufffd"
    )
    carriage = Problem(file="r", line=2, column=1, length=1, message="m")
    assert render([carriage], "a: 1\rb: 2\r\nc: 3") == "r:2:1: m\n    2 | b: 2\n      | ^"
