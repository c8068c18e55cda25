"""What is not about the picture goes from a caption, and nothing else does."""

from __future__ import annotations

from itertools import product

import pytest
from datasets import Dataset, List, Value
from hypothesis import given
from hypothesis import strategies as st

from juicecap.errors import DataError, SampleError
from juicecap.ops import CaptionCleaningMapper

PLAIN = "A red ball rolls."

ORDINARY = [
    PLAIN,
    "The video shows a man in a red jacket who rides a bicycle along a river. Behind him, two dogs run.",
    "In this video, a chef slices an onion, then fries it in a pan.",
    "Here is where the river meets the sea: waves break over the sandbank.",
    "Here's a boy with a kite. He runs.",
    "This is an aerial overview of a city at night. Cars move along the avenues.",
    "Below are three boats; above, a lighthouse.",
    "Sure-footed goats climb a cliff.",
    "Certainly no common sight: a whale leaps.",
    "Okay Street, a sign reads; a bus passes.",
    "Of course the cat sleeps through it all!",
    "Caption contest winners pose on a stage, 3:2 behind them on the scoreboard.",
    "A description of the exhibit hangs beside it.",
    "Let me in, says the speech bubble above the cat.",
    'A shop sign reads "Closed. Let me know if you need anything."',
    '"Stop" is written on one sign, and on the other "Go"',
    "\u201cHello,\u201d she says, and he answers: \u201cHi.\u201d",
    "'Tis the season, a banner says; people dance 'round a tree rockin'",
    "A woman's hand turns the page of a *very* old book, **slowly**.",
    "#sunset over the bay, 1 of 3.",
    "A file named my_clip_final is open; a cursor blinks at snake_case_",
    "If you look closely, a lizard sits on the wall.",
    "Two people hug, happy to meet again.",
    "This is a response to the earlier scene: a man laughs.",
    "Here is an overview of the harbour: boats, cranes and gulls.",
    "Here are two descriptions on a wall: one in red, one in blue.",
    "Output: 5 V, says the label on the charger.",
    "Absolutely! reads the poster.",
    "She whispers. Let me know your name, the subtitle says.",
    "A man says 'go', and a woman says 'stop.'",
    "Got it made, the shirt says; its owner grins.",
    "Family at the beach \U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f\u200d\U0001f525",
    "A flag \U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "\u0645\u0631\u062f\u06cc \u0645\u06cc\u200c\u062f\u0648\u062f.",  # Persian, with a zero-width non-joiner
    "\u0915\u094d\u200d\u0937 \u0914\u0930 \u0930\u094d\u200d\u092f",  # Hindi, with joiners
    "\u178a\u17be\u179a\u200b\u179b\u17c1\u1784",  # Khmer, with a break between words
    "一个红色的球在草地上滚动。两只狗跟在后面\uff0c其中一只叫\u201c旺财\u201d。",
    "好的餐厅里坐满了人。",
    "以下是海底的世界\uff0c鱼群游过。",
    "希望小学的孩子们在操场上跑步。",
    "「こんにちは」と書かれた看板の前に、男性が立っている。",
    "빨간 공이 잔디 위를 굴러간다.",
    "Красный мяч катится по траве; «Спартак» на табло.",
    "Une balle rouge roule : c'est l'été !",
    "100% cotton, $5, 3 < 4 & 5 > 2, a_b, C:\\clips",
    '{"caption": "A red  ball\\nrolls.",\n  "tags": ["ball"]}',
    '```json\n{"caption": "A red ball rolls."}\n```',
    "\U0001f389",
]

PREAMBLES = [
    "Sure! Here is a caption for the video:\n\n",
    "Certainly, here's a description of the video:\n",
    "Certainly! Here\u2019s a detailed description of the scene based on the frames provided: ",
    "Of course! I'd be happy to help. Here is the caption you asked for:\n\n",
    "Based on the provided frames, here is a short summary:\n\n",
    "Okay, here are some captions.\n\n",
    "Great! Here's the caption:\n",
    "Yes, here's one: ",
    "Here is a caption for your video! ",
    "Here's what the video shows:\n",
    "Here you go: ",
    "The caption is: ",
    "I'll describe the video for you.\n",
    "Sure.\n\n",
    "Absolutely! ",
    "Thank you for sharing the video! ",
    "The following is a description of the clip:\n",
    "Caption: ",
    "**Caption:** ",
    "**Video Description**:\n",
    "### Detailed Caption\n\n",
    "## **Description**\n",
    "Description of the video: ",
    "Final answer: ",
    "Caption 1: ",
    "好的\uff0c",
    "好的\uff0c以下是对这段视频的详细描述\uff1a\n\n",
    "当然可以\uff01根据您提供的画面\uff0c以下是视频内容的描述:\n",
    "视频描述\uff1a",
    "**描述**\n",
]

CLOSINGS = [
    "\n\nLet me know if you'd like any changes!",
    " Let me know if you\u2019d like a shorter version. \U0001f60a",
    "\n\nI hope this helps!",
    " I hope this helps! Feel free to ask if you have any questions.",
    "\n\nIf you need more detail, please let me know.",
    "\n\nWould you like me to describe the sound as well?",
    "\n\n希望这个描述对您有帮助\uff01",
    "如果您需要更多细节\uff0c请随时告诉我。",
]

WRAPPERS = [
    ("", ""), ('"', '"'), ("\u201c", "\u201d"), ("\u2018", "\u2019"), ("「", "」"), ("**", "**"), ("_", "_"), ('**"', '"**'),
    ("# ", ""), ("> ", ""), ("---\n", "\n---"), ("```\n", "\n```"), ("```text\n", "\n```"), ("```", "```"),
    ("\ufeff", "\u200b"), ("\u202a", "\u202c"),
]  # fmt: skip


def cleaned(text: str, **options: object) -> str:
    return CaptionCleaningMapper(**options)({"text": [text]})["text"][0]


@pytest.mark.parametrize("text", ORDINARY)
def test_a_well_made_caption_stays_to_the_character(text):
    assert cleaned(text) == text
    assert cleaned(f"<__dj__video> {text} <|__dj__eoc|>") == f"<__dj__video> {text} <|__dj__eoc|>"


@pytest.mark.parametrize("preamble", PREAMBLES)
def test_preambles(preamble):
    assert cleaned(preamble + PLAIN) == PLAIN
    assert cleaned(f"{preamble}\u201c{PLAIN}\u201d") == PLAIN
    assert cleaned(preamble + PLAIN, preambles=False, markup=False, newlines="keep") == (preamble + PLAIN)


@pytest.mark.parametrize("closing", CLOSINGS)
def test_closings(closing):
    assert cleaned(PLAIN + closing) == PLAIN
    assert cleaned(PLAIN + closing, closings=False, newlines="keep") == (PLAIN + closing)


@pytest.mark.parametrize(("begin", "end"), WRAPPERS)
def test_what_stands_around_the_whole(begin, end):
    assert cleaned(begin + PLAIN + end) == PLAIN


def test_all_of_it_together():
    for preamble, closing, (begin, end) in product(PREAMBLES, CLOSINGS, WRAPPERS):
        text = f"{preamble.strip()}\n\n{begin}{PLAIN}{end}\n\n{closing.strip()}"
        assert cleaned(text) == PLAIN, text


@given(st.lists(st.sampled_from([*PREAMBLES, *CLOSINGS, *ORDINARY, *'"*_#>`\u201c\u201d\n \u200b', "```", "---"]), max_size=6))
def test_what_is_clean_is_not_cleaned_again_and_no_caption_is_lost(pieces):
    text = "".join(pieces)
    once = cleaned(text, newlines="keep")
    assert cleaned(once, newlines="keep") == once
    assert bool(cleaned(text).strip()) == bool(text.strip())


@pytest.mark.parametrize(
    "text",
    [
        "Sure! Here is a caption for the video:",
        "Sure!",
        "Caption:\n\nI hope this helps!",
        "好的\uff0c以下是视频的描述\uff1a",
        "\u200b\ufeff",
        '""',
        "**",
        "  ",
    ],
)
def test_what_would_become_empty_stays(text):
    assert cleaned(text) == text


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("A red\r\nball\u2028 rolls\u00a0off\u200b.\ufeff", "A red ball rolls off."),
        ("A red  ball\trolls .\n\n It\u3000stops.\x00\x1b", "A red ball rolls . It stops."),
        ("A soft\u00adhyphen, \u202ea mark\u202c, half\u200c a join\u200der.", "A softhyphen, a mark, half a joiner."),
        ("一个红球。\n它滚动。\n\nThe end.", "一个红球。它滚动。 The end."),
    ],
)
def test_characters(text, right):
    assert cleaned(text) == right


def test_line_breaks_that_stay():
    text = "A  list:\r\n- one \n  - two\tand three\u2028\nThe\u200b end.\n"
    assert cleaned(text, newlines="keep") == "A list:\n- one\n  - two and three\n\nThe end."
    assert cleaned(text, newlines="keep", spaces=False, invisible=False) == text
    assert cleaned(text, spaces=False) == "A  list: - one - two\tand three The end. "


@pytest.mark.parametrize(
    ("text", "options", "right"),
    [
        (f'"{PLAIN}"', {"quotes": False}, f'"{PLAIN}"'),
        (f"**{PLAIN}**", {"markup": False}, f"**{PLAIN}**"),
        (f"```\n{PLAIN}\n```", {"fences": "none", "newlines": "keep"}, f"```\n{PLAIN}\n```"),
        ('```json\n{"a": "b",\n "c": 1}\n```', {"fences": "all"}, '{"a": "b",\n "c": 1}'),
        ('Here is a description:\n```json\n{"a":  1}\n```\nI hope this helps!', {}, '```json\n{"a":  1}\n```'),
        ("A\u200bB", {"invisible": False}, "A\u200bB"),
    ],
)
def test_each_kind_is_a_parameter(text, options, right):
    assert cleaned(text, **options) == right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("The video shows a red ball.", "A red ball."),
        ("Caption: this short clip depicts a ball that rolls.", "A ball that rolls."),
        ("In this video, we can see a red ball.", "A red ball."),
        ("In the image, there is a red ball.", "A red ball."),
        ("In this video, a red ball rolls.", "A red ball rolls."),
        ("This is a video of children at play.", "Children at play."),
        ("We see that a ball rolls.", "A ball rolls."),
        ("这段视频展示了一个红球。", "一个红球。"),
        ("画面中\uff0c我们可以看到一个红球。", "一个红球。"),
        ("视频中\uff0c一个红球滚动。", "一个红球滚动。"),
        ("The video shows how to tie a knot.", "The video shows how to tie a knot."),
        ("The video shows", "The video shows"),
        ("A man shows the video to a friend.", "A man shows the video to a friend."),
    ],
)
def test_openers_go_if_asked(text, right):
    assert cleaned(text, openers=True) == right


def test_special_tokens_and_what_stands_around_them_stay():
    text = (
        '<__dj__video> Sure! Here is a caption:\n\n"A red ball." <__dj__video> Caption: A dog. <|__dj__eoc|>\n'
        "<__dj__image><__dj__video> **A cat.** <|__dj__eoc|>"
    )
    assert cleaned(text) == (
        "<__dj__video> A red ball. <__dj__video> A dog. <|__dj__eoc|> <__dj__image><__dj__video> A cat. <|__dj__eoc|>"
    )
    assert cleaned("[v] Caption: A dog.", video_special_token="[v]") == "[v] A dog."


def test_lists_of_captions_and_null():
    op = CaptionCleaningMapper(text_key="captions")
    batch = {"captions": [["Caption: A dog.", None, "A cat."], [], None, "Caption: a text"], "text": ["Caption: x"] * 4}
    assert op(batch) == {"captions": [["A dog.", None, "A cat."], [], None, "a text"], "text": ["Caption: x"] * 4}
    assert op.columns_required() == (("text_key", "captions"),)
    assert op({"n": [1]}) == {"n": [1]}
    with pytest.raises(DataError, match="the data has no column 'captions', which text_key names; it has n"):
        op.run(Dataset.from_dict({"n": [1]}))


def test_a_column_keeps_its_type():
    data = Dataset.from_dict({"text": ["Caption: A dog."], "captions": [["Caption: A cat."]]})
    texts, lists = CaptionCleaningMapper().run(data), CaptionCleaningMapper(text_key="captions").run(data)
    assert (texts[0]["text"], texts.features["text"]) == ("A dog.", Value("string"))
    assert (lists[0]["captions"], lists.features["captions"]) == (["A cat."], List(Value("string")))


@pytest.mark.parametrize(("value", "told"), [(7, "7"), ([{"from": "gpt"}], "[{'from': 'gpt'}]")])
def test_a_value_that_is_no_text(value, told):
    with pytest.raises(SampleError) as caught:
        CaptionCleaningMapper()({"text": [value]})
    sentence = f"a sample without media: column 'text' holds {told}, not a text or a list of texts"
    assert (caught.value.code, caught.value.message) == ("BAD_TEXT", sentence)


def test_a_text_inside_of_an_object() -> None:
    sample = {"media": {"caption": "Sure! Here is a caption:\n\nA red ball rolls.", "id": 7}}
    (cleaned,) = CaptionCleaningMapper(text_key="media.caption").process(sample, [])
    assert cleaned == {"media": {"caption": "A red ball rolls.", "id": 7}}
