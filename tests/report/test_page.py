"""The page of a preview: what it says about each sample, and that nothing of a user's or a model's is more than a text on it."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from preview_job import CAPTION, FACTS, LONG_WORD, SCRIPT_TAG

from juicecap.fragment import Span
from juicecap.hidden import Hidden
from juicecap.recipe import Recipe
from juicecap.report.page import preview_page
from juicecap.report.page.changes import changed, changes
from juicecap.report.page.frames import short_name, side_of
from juicecap.report.page.html import element, foreign
from juicecap.report.page.values import record, value
from juicecap.runner.estimate.preview import Preview
from juicecap.vlm.base import Part


class Reader(HTMLParser):
    """The texts of a page by the element that they are in, the tags, and whether each is closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)


@pytest.fixture(scope="module")
def page(preview: Preview) -> str:
    return preview_page(preview)


def articles(page: str) -> list[str]:
    """Each sample's part of the page."""
    return re.findall(r"<article.*?</article>", page, re.DOTALL)


def text_of(html: str) -> str:
    """What a reader sees, with a space between elements."""
    return " ".join(" ".join(Reader(html).texts).split())


def html_of(content: Any) -> str:
    return value(content).html(str)


def test_each_element_is_closed_and_headings_go_down_step_by_step(page: str) -> None:
    levels = [int(tag[1]) for tag in Reader(page.removeprefix("<!doctype html>")).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_its_policy_lets_in_its_own_style_and_script_and_nothing_else(page: str) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    assert "http" not in page.replace("http-equiv", "")
    assert re.search(r'<[^>]* (on\w+|style)="', page) is None


def test_hostile_texts_are_texts(page: str, preview: Preview) -> None:
    read = Reader(page.removeprefix("<!doctype html>"))
    assert read.tags.count("script") == 1, "the page's own"
    frames = sum(len(picture.pixels) for number in "123" for picture in pictures(preview, f"data.jsonl:{number}"))
    assert read.tags.count("img") == frames + 1, "and the dialog's"
    assert f"{SCRIPT_TAG} {LONG_WORD}" in read.texts
    assert "\u202e" not in page
    assert '<span class="unseen">U+202E</span>nwod' in page


def pictures(preview: Preview, name: str) -> list[Any]:
    """What the first op that asked about a sample saw."""
    return [picture for seen in preview.samples[name] for question in seen.questions[:1] for _, picture in question.seen][:1]


def test_frames_of_a_film_that_two_ops_saw_are_there_once_with_their_times(page: str, preview: Preview) -> None:
    first = articles(page)[0]
    (picture,) = pictures(preview, "data.jsonl:1")
    alts = re.findall(r'<img alt="([^"]*)"', first)
    assert alts == [f"Frame {number} of 6, at {time:.2f} s, 0.mp4" for number, time in enumerate(picture.times, start=1)]
    assert "6 frames of 320x180" in text_of(first)


def test_the_card_of_a_question_has_prompt_answers_and_the_chosen_one(page: str) -> None:
    captions, facts = re.findall(r'<section class="card">.*?</section>', articles(page)[0], re.DOTALL)
    assert text_of(captions).startswith("video_captioning_from_vlm_mapper[3] scripted-page Describe the clip in one sentence.")
    assert captions.count('<li class="said">') == 1
    assert captions.count('<li class="passed">') == 2
    (said,) = re.findall(r'<li class="said">.*?</li>', captions, re.DOTALL)
    assert re.search(r"chosen stop, \d+ tokens, seed \d+$", text_of(said))
    assert "chosen" not in facts, "of one answer that goes without saying"
    assert text_of(value(FACTS).html(str)) in text_of(facts), "JSON is shown as what it says"
    assert '{"' not in text_of(facts)


def test_what_a_users_op_did_is_shown_before_and_after(page: str) -> None:
    (step,) = re.findall(r"<li><p><span[^>]*>title_mapper\[1\].*?</li>", articles(page)[0], re.DOTALL)
    assert "<del>colour</del>" in step
    assert "<ins>color</ins>" in step
    assert text_of(step).endswith("title before not there after A clip of one color, taken in a studio")


def test_what_is_lost_says_where_and_why(page: str) -> None:
    kept, _, _, rejected, filtered = map(text_of, articles(page))
    assert kept.startswith("data.jsonl:1 kept 0.mp4")
    assert rejected.startswith("data.jsonl:4 rejected by video_captioning_from_vlm_mapper[3]: UNREADABLE: ")
    assert "3.mp4 cannot be shown (UNREADABLE)" in rejected
    assert filtered.startswith("data.jsonl:5 filtered out by text_length_filter[2]")
    assert "text (9 characters) too short The recipe says min_len: 20" in filtered
    assert "Result" not in rejected + filtered


def test_the_result_marks_what_is_new_and_has_no_pythons_in_it(page: str) -> None:
    first = text_of(articles(page)[0])
    result = first[first.index(" Result ") :]
    assert f"text changed <__dj__video> {CAPTION} <|__dj__eoc|>" in result
    assert "title new A clip of one color" in result
    assert "messages changed user What moves, and how?" in result
    assert "assistant A ball. source licence CC0 year 2026" in result
    assert "None" not in result
    assert "{'" not in result


def test_a_medium_is_called_by_the_end_of_its_path_without_secrets() -> None:
    parts = (
        Part("video", "/data/a/film.mp4", span=Span(start=1.0, end=2.5)),
        Part("image", "https://me:key@host/a.png?signature=1"),
    )
    assert [short_name(part) for part in parts] == ["film.mp4#t=1,2.5", "https://…host/a.png?…"]
    assert short_name(Part("video", "/data/1.png", ("/data/1.png", "/data/2.png"))) == "1.png and 1 more picture"


def test_variables_have_their_names(preview: Preview, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recipe, "hidden", Hidden({CAPTION: "${SECRET}"}))
    page = preview_page(preview)
    assert CAPTION not in page
    assert "<__dj__video> ${SECRET} <|__dj__eoc|>" in text_of(articles(page)[0])


def test_a_word_that_is_hidden_changes_no_tag() -> None:
    shown = Hidden({"captions": "${DATA}"}).text
    made = foreign("div", "my captions", class_="captions", title="captions")
    assert made.html(shown) == '<div dir="auto" class="captions" title="${DATA}">my ${DATA}</div>'.replace(
        "${DATA}</", "${DATA}</"
    )


def test_attributes_are_escaped_and_what_cannot_be_seen_has_a_name() -> None:
    made = element("p", "a\x00b\r\nc", title='"><b> \u202e', hidden=True, lang=None)
    assert made.html(str) == ('<p title="&quot;&gt;&lt;b&gt; (U+202E)" hidden>a<span class="unseen">U+0000</span>b\nc</p>')


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("a\n b", '<div dir="auto" class="text">a\n b</div>'),
        ("", '<span class="plain">empty</span>'),
        ("  ", '<span class="plain">2 spaces</span>'),
        (None, '<bdi class="plain">null</bdi>'),
        (True, '<bdi class="plain">true</bdi>'),
        (0.1 + 0.2, '<bdi class="plain">0.30000000000000004</bdi>'),
        ([], '<bdi class="plain">[]</bdi>'),
        ('["a"]', '<ul class="list"><li><div dir="auto" class="text">a</div></li></ul>'),
        ('{"a": 1}', '<dl><div><dt><bdi>a</bdi></dt><dd><bdi class="plain">1</bdi></dd></div></dl>'),
        ("{not JSON", '<div dir="auto" class="text">{not JSON</div>'),
    ],
)
def test_values(content: Any, shown: str) -> None:
    assert html_of(content) == shown


def test_what_is_large_is_folded_and_what_is_deep_is_json() -> None:
    assert "<summary>13 values</summary>" in record({"numbers": list(range(13))}).html(str)
    assert "<details>" not in record({"numbers": list(range(11))}).html(str)
    assert '<summary dir="auto">word word' in record({"text": "word " * 400}).html(str)
    deep: Any = "end"
    for _ in range(40):
        deep = [deep]
    assert html_of(deep).count("<ul") == 5
    assert json.loads(text_of(html_of(deep))) == eval("[" * 35 + "'end'" + "]" * 35)
    assert "a huge int" in html_of(10**5000)


@pytest.mark.parametrize(
    ("messages", "shown"),
    [
        ([{"from": "human", "value": "Who?"}, {"from": "gpt", "value": "Nobody."}], "human Who? gpt Nobody."),
        ([{"role": "user", "content": [{"type": "text", "text": "Who?"}]}], "user Who?"),
        ([{"role": "user", "content": [{"type": "video", "video": "a.mp4"}]}], "user type video video a.mp4"),
        ([{"role": "tool", "content": None, "name": "clock"}], "tool null name clock"),
    ],
)
def test_conversations(messages: Any, shown: str) -> None:
    html = html_of(messages)
    assert html.startswith('<ol class="conversation">')
    assert text_of(html) == shown


def test_changes_are_marked_by_words_and_by_characters_of_scripts_without_spaces() -> None:
    made = changes({"text": "一个红球", "n": 1}, {"text": "一个蓝球", "n": True}).html(str)
    assert "一个<del>红</del>球" in made
    assert "一个<ins>蓝</ins>球" in made
    assert changed({"n": 1, "old": 2, "same": [1]}, {"n": True, "same": [1], "new": None}) == ["n", "old", "new"]
    long = changes({"text": "a " * 2000}, {"text": "b " * 2000}).html(str)
    assert "<del>" not in long, "texts that take long to compare are shown as they are"


def test_frames_are_smaller_on_a_page_with_many() -> None:
    assert [side_of(frames) for frames in (0, 300, 301, 1500, 1501, 100_000)] == [640, 640, 320, 320, 160, 160]


def test_the_pictures_of_the_docs_are_small() -> None:
    root = Path(__file__).parent.parent.parent
    shown = re.findall(r"images/(preview_\w+\.png)", (root / "docs" / "cli.md").read_text(encoding="utf-8"))
    assert shown == ["preview_wide.png", "preview_narrow.png"]
    assert all((root / "docs" / "images" / name).stat().st_size < 200_000 for name in shown)
