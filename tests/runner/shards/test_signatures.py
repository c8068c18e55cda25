"""Signatures of a deduplicator: shards take them, so the merge needs no media for it, and decides as one run does."""

from __future__ import annotations

import pytest

TEXTS = [f"text {number % 7}{number:02}" for number in range(20)]
SEEN = [f"{text}!" for text in TEXTS]


@pytest.fixture
def chain(job):
    """Texts of which the op behind the first one keeps those that begin alike once."""
    job.texts.process = [{"trouble_mapper": {}}, {"text_deduplicator": {"letters": 6}}, {"text_length_filter": {"min_len": 1}}]
    job.texts.write(TEXTS)
    return job


def signatures(chain, number: int) -> list[str]:
    """The names of the files of a shard."""
    return sorted(file.name for file in (chain.folder(number) / "steps").glob("*.signatures-*"))


def test_shards_take_them_and_the_merge_takes_none(chain) -> None:
    expected = chain.whole()
    assert chain.signed() == SEEN
    chain.shard(1)
    assert (chain.signed(), len(signatures(chain, 1))) == (SEEN[:5], 1)
    chain.shard(2, 3, 4)
    chain.shard(2)
    assert chain.signed() == SEEN[5:]
    assert chain.merge().exported == 7
    assert (chain.signed(), chain.left()) == ([], expected)


def test_a_sample_without_one_is_rejected_as_in_one_run(chain) -> None:
    (chain.texts.folder / "odd.txt").write_text(f"{SEEN[0]}\n{SEEN[19]}\n")
    expected = chain.whole()
    assert [each["code"] for each in expected[1]] == ["ODD", "ODD"]
    chain.all_shards()
    chain.signed()
    assert chain.merge().rejected == 2
    assert (chain.signed(), chain.left()) == ([], expected)


def test_without_an_op_before_it(chain) -> None:
    del chain.texts.process[0]
    expected = chain.whole()
    chain.all_shards()
    assert sorted(chain.signed()) == sorted([*TEXTS, *TEXTS])
    chain.merge()
    assert (chain.signed(), chain.left()) == ([], expected)


@pytest.mark.parametrize("harm", [lambda file: file.unlink(), lambda file: file.write_bytes(file.read_bytes()[:-30])])
def test_where_one_is_gone_or_damaged_the_merge_takes_them(chain, harm) -> None:
    expected = chain.whole()
    chain.all_shards()
    chain.signed()
    (name,) = signatures(chain, 3)
    harm(chain.folder(3) / "steps" / name)
    chain.merge()
    assert (chain.signed(), chain.left()) == (SEEN, expected)


def test_those_of_other_settings_do_not_count(chain) -> None:
    chain.all_shards()
    chain.texts.process[1]["text_deduplicator"]["letters"] = 8
    chain.signed()
    assert chain.merge().exported == 20
    assert chain.signed() == SEEN
    chain.shard(1)
    assert chain.signed() == SEEN[:5]
    assert len(signatures(chain, 1)) == 2
