"""Texts with special tokens are cut into chunks, and captions are written into them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from juicecap.ops.captioning.chunks import Chunk, SpecialTokens, one_chunk, split_chunks

TOKENS = SpecialTokens("<__dj__video>", "<__dj__image>", "<__dj__audio>", "<|__dj__eoc|>")
V, P, A, E = TOKENS.video, TOKENS.image, TOKENS.audio, TOKENS.end_of_chunk


def test_a_chunk_takes_as_many_videos_as_it_has_tokens():
    chunks = split_chunks(f"{V} one {E} nothing {E}{P}{V} two {V}{A} {E}", ["a", "b", "c", "left"], TOKENS)
    assert chunks == [Chunk((V,), "one", ("a",)), Chunk((P, V, V, A), "two", ("b", "c"))]


def test_a_text_that_does_not_end_its_last_chunk():
    assert split_chunks(f"{V} one", ["a"], TOKENS) == [Chunk((V,), "one", ("a",))]


def test_a_text_without_video_tokens_has_no_chunk():
    assert split_chunks(f"words {P} {E}", ["a"], TOKENS) == []


@pytest.mark.parametrize(
    ("tokens", "captions", "text"),
    [
        ((V,), ["A cat."], f"{V} A cat. {E}"),
        ((V, V), ["One", "Two"], f"{V} One {V} Two {E}"),
        ((P, V, A), ["One"], f"{P}{V} One {A}{E}"),
        ((V,), [f"a {V} b"], f"{V} a {V} b {E}"),
    ],
)
def test_captions_stand_behind_their_own_tokens(tokens, captions, text):
    assert Chunk(tokens, "", tuple(captions)).rewritten(captions, TOKENS) == text


def test_one_chunk_has_a_token_for_each_video_behind_those_of_other_media():
    assert one_chunk(f" {V} see {P} this {E}{A}", ["a", "b"], TOKENS) == Chunk((P, A, V, V), "see  this", ("a", "b"))


@given(st.lists(st.sampled_from([V, P, A, E, "__dj__", "<", ">", "video", " x "]), max_size=12).map("".join))
def test_a_stripped_text_has_no_token_and_its_other_words(text):
    stripped = TOKENS.stripped(text)
    assert not TOKENS.pattern().search(stripped)
    assert stripped == stripped.strip()
    assert stripped.count("x") == text.count("x")


@given(
    st.lists(st.sampled_from([V, P, A, E, " words "]), max_size=12).map("".join),
    st.lists(st.text("abc ", min_size=1), min_size=12, max_size=12),
)
def test_no_video_is_lost_and_none_is_taken_twice(text, captions):
    count = text.count(V)
    videos = [f"{number}.mp4" for number in range(count)]
    chunks = split_chunks(text, videos, TOKENS)
    assert [video for chunk in chunks for video in chunk.videos] == videos
    left = iter(captions)
    written = "".join(chunk.rewritten([next(left) for _ in chunk.videos], TOKENS) for chunk in chunks)
    assert [part.split(E)[0].split("<__dj__")[0] for part in written.split(V)[1:]] == [f" {each} " for each in captions[:count]]
