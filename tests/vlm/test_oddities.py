"""What looks wrong in an answer at a glance."""

from __future__ import annotations

import pytest

from juicecap.vlm.oddities import loops, refuses


@pytest.mark.parametrize(
    "text",
    [
        "A man walks. " + "The man walks to the door. " * 4,
        "A man walks. The man walks to the door. The man walks to the door. The man walks to the door. The man walks",
        "red " * 12,
        "一个男人走路。他走到门口。他走到门口。他走到门口。",
    ],
)
def test_loops(text):
    assert loops(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A red ball rolls.",
        "Left, right, left, right: the man dances.",
        "A very, very, very old man.",
        "The man walks to the door. The woman walks to the door. The dog walks to the door.",
    ],
)
def test_no_loops(text):
    assert not loops(text)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with describing this video.",
        "I\u2019m unable to view videos.",
        "I cannot describe the people in this picture.",
        "Unfortunately, I can't assist with that.",
        "As an AI, I am not able to watch videos.",
        "抱歉, 我无法描述这个视频。",
    ],
)
def test_refusals(text):
    assert refuses(text)


@pytest.mark.parametrize(
    "text",
    [
        "A man says sorry, and he can't see the ball.",
        "I'm sorry, reads the card on the table.",
        "A woman who cannot help laughing sits on a bench.",
        "",
    ],
)
def test_no_refusals(text):
    assert not refuses(text)
