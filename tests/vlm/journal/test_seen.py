"""What a run has met already is known exactly, in little memory."""

from __future__ import annotations

import tracemalloc

from juicecap.vlm.base import digest_of
from juicecap.vlm.journal.seen import SeenAnswers

MANY = 20_000


def test_each_answer_is_new_once() -> None:
    seen, keys = SeenAnswers(), [digest_of(number) for number in range(MANY)]
    assert all(seen.add(key, candidate) for key in keys for candidate in range(2))
    assert not any(seen.add(key, candidate) for key in keys for candidate in range(2))
    assert [seen.add(keys[0], 2), seen.add(keys[0], 2)] == [True, False]
    assert len(seen) == 2 * MANY + 1
    assert all(seen.has(key, candidate) for key in keys for candidate in range(2))
    assert [seen.has(keys[0], 2), seen.has(keys[1], 2), seen.has(digest_of(MANY), 0)] == [True, False, False]


def test_a_key_of_zeros_is_one_as_well() -> None:
    seen = SeenAnswers()
    assert [seen.add("0" * 32, 0), seen.add("0" * 32, 0)] == [True, False]


def test_an_answer_takes_24_bytes_at_most() -> None:
    keys = [digest_of(number) for number in range(MANY)]
    tracemalloc.start()
    seen = SeenAnswers()
    for key in keys:
        seen.add(key, 0)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 24 * MANY
