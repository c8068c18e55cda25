"""The Chinese README says what the English one says: the same headings, blocks, links and names, in the same places."""

from __future__ import annotations

import re
from itertools import zip_longest
from pathlib import Path

import pytest
from documented import FENCE, ROOT, TRANSLATION

COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
HEADING = re.compile(r"^(#+) ", re.MULTILINE)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code(page: Path) -> list[tuple[str, str]]:
    """The blocks of a page; comments in them may be translated, and spaces before those."""
    return [(language, re.sub(r"\s+# .*| +(?=\n)", "", body)) for language, body in FENCE.findall(text(page))]


def sections(page: Path) -> list[str]:
    """The prose under each heading, without comments."""
    return re.split(r"^#+ .*$", COMMENT.sub("", FENCE.sub("", text(page))), flags=re.MULTILINE)


@pytest.fixture
def pages() -> tuple[Path, Path]:
    return ROOT / "README.md", TRANSLATION


def test_the_headings_have_the_same_levels(pages: tuple[Path, Path]) -> None:
    english, chinese = (HEADING.findall(FENCE.sub("", text(page))) for page in pages)
    assert english == chinese
    assert len(english) > 5


def test_the_blocks_are_the_same(pages: tuple[Path, Path]) -> None:
    english, chinese = map(code, pages)
    assert english == chinese


@pytest.mark.parametrize("what", [r"\]\(([^)\s]+)\)", r"`([^`\n]+)`"], ids=["links", "names"])
def test_each_section_has_the_same(what: str, pages: tuple[Path, Path]) -> None:
    for english, chinese in zip_longest(*map(sections, pages)):
        assert sorted(re.findall(what, english)) == sorted(re.findall(what, chinese)), chinese


def test_each_page_leads_to_the_other(pages: tuple[Path, Path]) -> None:
    for page in pages:
        assert text(page).splitlines()[2] == "[English](README.md) | [简体中文](README.zh.md)"
