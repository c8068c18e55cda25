"""Which row of an edited output was which. Rows are written here as texts of one letter for each cell."""

from __future__ import annotations

import random

import pytest

from juicecap.data.edits.pairing import Pairs, paired
from juicecap.data.edits.written_rows import WrittenRow, row_key

MEDIA, NO_MEDIA = [0], []


def pairs_of(written: str, found: str, media: list[int]) -> Pairs:
    rows = [WrittenRow(f"id{number}", 0, key(row)) for number, row in enumerate(written.split())]
    return paired(rows, [key(row) for row in found.split()], media)


def key(row: str) -> str:
    return row_key([cell.encode() * 8 for cell in row])


def told(pairs: Pairs) -> str:
    """The pairs as `0>1` (a row that was changed), `-2` (deleted), `+3` (added), `?4` (unclear), by their positions."""
    changed = sorted(f"{one.position}>{two.position}" for one, two in pairs.changed)
    rest = [("-", pairs.deleted), ("+", pairs.added), ("?", pairs.unclear)]
    return " ".join([*changed, *(f"{mark}{each.position}" for mark, rows in rest for each in rows)])


@pytest.mark.parametrize(
    ("written", "found", "expected"),
    [
        ("ax bx cx", "ax bx cx", ""),
        ("ax bx cx", "cx ax bx", ""),
        ("ax bx cx", "ax by cx", "1>1"),
        ("ax bx cx", "cx by ax", "1>1"),
        ("ax bx cx", "ax cx", "-1"),
        ("ax bx cx", "ax bx cx dz", "+3"),
        ("ax bx cx", "ax bx cx dx", "+3"),
        ("ax bx cx", "", "-0 -1 -2"),
        ("", "ax", "+0"),
        ("ax bx cx", "ay cx", "0>0 -1"),
        ("ax ay bx", "az ay bx", "0>0"),
        ("ax ay bx", "az aw bx", "0>0 1>1"),
        ("ax ay bx cx", "cx az aw bx", "-0 -1 ?1 ?2"),
        ("ax ay bx", "az bx", "-0 -1 ?0"),
        ("axp ayq bx.", "azq awp bx.", "0>1 1>0"),
        ("ax bx cx", "ax dx cx", "1>1"),
        ("ax by cx", "ax dz cx", "-1 +1"),
        ("ax ax bx", "ax bx", "-1"),
        ("ax bx", "ax ax bx", "+1"),
        ("ax bx", "ay ay bx", "-0 ?0 ?1"),
    ],
)
def test_by_their_media(written: str, found: str, expected: str) -> None:
    assert told(pairs_of(written, found, MEDIA)) == expected


@pytest.mark.parametrize(
    ("written", "found", "expected"),
    [
        ("1a 2b 3c", "1a 2x 3c", "1>1"),
        ("1a 2b 3c", "3c 2x 1a", "1>1"),
        ("1a 2b 3c", "1x 2x 3x", "0>0 1>1 2>2"),
        ("1a 2b 3c", "3x 2x 1x", "0>2 1>1 2>0"),
        ("1a 2b 3c", "1a 9z 3c", "-1 +1"),
        ("a b c", "a x c", "1>1"),
        ("a b c", "x c", "-0 -1 +0"),
    ],
)
def test_without_media_by_what_is_equal(written: str, found: str, expected: str) -> None:
    assert told(pairs_of(written, found, NO_MEDIA)) == expected


def test_order_is_noticed() -> None:
    assert not pairs_of("ax bx cx dx", "ax cx dx", MEDIA).moved
    assert not pairs_of("ax bx cx", "zx ax bx cx", MEDIA).moved
    assert pairs_of("ax bx cx", "bx ax cx", MEDIA).moved


def test_many_rows_that_are_all_changed_and_in_another_order_are_known() -> None:
    rows = [WrittenRow(f"id{number}", 0, row_key([number.to_bytes(8, "big"), b"caption "])) for number in range(2000)]
    numbers = list(range(2000))
    random.Random(1).shuffle(numbers)
    pairs = paired(rows, [row_key([number.to_bytes(8, "big"), b"changed "]) for number in numbers], MEDIA)
    assert {(one.position, numbers[two.position]) for one, two in pairs.changed} == {(number, number) for number in range(2000)}
