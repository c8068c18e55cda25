"""Simhash as Data-Juicer computes it."""

from __future__ import annotations

import hashlib
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from juicecap.ops.captioning import similarity
from juicecap.ops.captioning.similarity import most_similar, simhash


def by_definition(shingles: list[str]) -> int:
    """Data-Juicer's document simhash, written anew: one vote of each shingle on each of 64 bits."""
    votes = [0] * 64
    for shingle in shingles:
        value = int.from_bytes(hashlib.md5(shingle.encode()).digest()[:8], "big")
        for bit in range(64):
            votes[bit] += 1 if value >> bit & 1 else -1
    return sum(1 << bit for bit in range(64) if votes[bit] > 0)


def words(text: str) -> list[str]:
    split = [word for word in text.lower().split(" ") if word]
    return [" ".join(split[start : start + 2]) for start in range(len(split) - 1)]


def characters(text: str) -> list[str]:
    return [text.lower()[start : start + 2] for start in range(max(1, len(text.lower()) - 1))]


@given(st.lists(st.text(max_size=6), max_size=9))
def test_it_is_the_definition(shingles):
    assert simhash(shingles) == by_definition(shingles) == similarity._own_simhash(shingles)


def test_a_known_value():
    digest = hashlib.md5(b"red circle").digest()
    assert simhash(["red circle"]) == int.from_bytes(digest[:8], "big")
    assert simhash([]) == 0


def test_more_shingles_than_the_packages_batches_hold():
    shingles = [f"word{number} word{number + 1}" for number in range(700)]
    assert simhash(shingles) == by_definition(shingles)


def test_another_package_under_the_modules_name(monkeypatch):
    monkeypatch.setitem(similarity.importlib.import_module("sys").modules, "simhash", ModuleType("simhash"))
    assert simhash(["a b", "b c"]) == by_definition(["a b", "b c"])


def test_several_spaces_in_a_row_are_one_break():
    assert similarity._words("  A red \n ball  ") == ["a red", "red \n", "\n ball"]


@given(st.lists(st.text("ab ", min_size=1, max_size=12), min_size=2, max_size=5))
def test_the_first_of_the_nearest(texts):
    reference, *candidates = texts
    cut = words if all(words(text) for text in texts) else characters
    distances = [(by_definition(cut(reference)) ^ by_definition(cut(text))).bit_count() for text in candidates]
    assert most_similar(reference, candidates) == distances.index(min(distances))


@pytest.mark.parametrize(
    ("reference", "candidates", "index"),
    [
        ("a red circle moves", ["a red circle moves", "a red circle moves"], 0),
        ("A Red Circle Moves", ["two dogs play ball", "a red circle moves"], 1),
        ("红色的圆形向右移动", ["两只狗在玩球", "红色的圆形向左移动"], 1),
        ("a red circle", ["dogs", "circle"], 1),
        ("x", ["y", "x"], 1),
        ("a  red circle  moves", ["a dog plays ball", "a red circle moves"], 1),
        ("a red  circle", ["two red  circle", "a red circle"], 1),
        (" dogs ", ["cats", "dogs"], 1),
    ],
)
def test_choices(reference, candidates, index):
    assert most_similar(reference, candidates) == index
