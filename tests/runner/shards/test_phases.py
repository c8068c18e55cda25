"""Recipes with an op that needs the whole dataset: it runs at the merge, and the ops behind it in shards again."""

from __future__ import annotations

import pytest

import juicecap
from juicecap.errors import DataError
from juicecap.recipe import load_recipe
from juicecap.recipe.shards import Phase, division, phases


@pytest.fixture
def chain(job):
    """Texts of which half are dropped by an op that compares them, before and behind what is asked."""
    job.texts.process = [
        {"trouble_mapper": {}},
        {"text_deduplicator": {"letters": 6}},
        {"text_length_filter": {"min_len": 1}},
        job.ask,
        {"text_deduplicator": {"letters": 4}},
    ]
    job.texts.write([f"text {number % 7}{number:02}" for number in range(20)])
    return job


KEPT = [f"text {number}{number:02}!" for number in range(7)]


def test_what_is_done_where(chain) -> None:
    recipe = load_recipe(chain.texts.recipe())
    assert phases(recipe) == [Phase(1, 0, 1, 3), Phase(2, 3, 4, 5)]
    assert division(recipe, 8) == [
        "8 shards: [1] trouble_mapper, signatures for [2]",
        "merge: [2] text_deduplicator, [3] text_length_filter; what was kept is split again",
        "8 shards again: [4] ask_mapper, signatures for [5]",
        "merge: [5] text_deduplicator; the output",
    ]
    chain.texts.process = [chain.ask]
    assert phases(load_recipe(chain.texts.recipe())) == [Phase(1, 0, 1, 1)]
    chain.texts.process = [{"text_deduplicator": {}}, chain.ask]
    assert division(load_recipe(chain.texts.recipe()), 2) == [
        "2 shards: signatures for [1]",
        "merge: [1] text_deduplicator; what was kept is split again",
        "2 shards again: [2] ask_mapper",
        "merge: the output",
    ]


def test_the_same_commands_twice_leave_what_one_run_leaves(chain) -> None:
    chain.texts.fails({"text 003": ("BAD", False), "text 613": ("BAD", False)})
    expected = chain.whole()
    chain.all_shards(seed=1)
    assert chain.asked() == []
    chain.script.described.clear()
    first = chain.merge()
    assert chain.script.described == []
    assert first.next == (
        "text_length_filter[3] has decided, and ask_mapper[4] is next: run all shards again, juicecap run "
        f"{chain.texts.folder}/recipe.yaml --shard 1/4 and so on, and merge again"
    )
    assert (first.exit_code, chain.texts.output.exists()) == (0, False)
    chain.all_shards(seed=2)
    assert [chain.noted(number)["rows"] for number in (1, 4)] == [[0, 5], [15, 20]]
    assert [len(list(chain.folder(number).glob("phase-2.json"))) for number in (1, 2, 3, 4)] == [1, 1, 1, 1]
    assert chain.asked() == KEPT
    chain.script.described.clear()
    assert chain.merge().exported == 1
    assert (chain.script.described, chain.left()) == ([], expected)


def test_one_run_over_the_same_borders_goes_through_all_phases(chain) -> None:
    expected = chain.whole()
    result = juicecap.run(chain.texts.recipe(max_rejected=1.0), shards=3)
    assert (chain.left(), result.exported, chain.asked()) == (expected, 1, KEPT)


def test_a_shard_goes_on_only_behind_a_merge(chain) -> None:
    chain.shard(1)
    chain.shard(1)
    assert (chain.asked(), chain.record(1, phase=2).exists()) == ([], False)
    with pytest.raises(DataError, match="3 of 4 shards"):
        chain.merge()
    chain.shard(2, 3, 4)
    chain.merge()
    assert chain.merge().next
    chain.shard(1)
    with pytest.raises(DataError, match=r"3 of 4 shards .*\n  shard 2/4 is not finished"):
        chain.merge()


def test_other_settings_of_what_runs_at_the_merge_decide_again(chain) -> None:
    chain.all_shards()
    chain.merge()
    chain.all_shards()
    chain.asked()
    chain.texts.process[1]["text_deduplicator"]["letters"] = 8
    chain.texts.asked()
    chain.shard(1)
    assert (chain.asked(), chain.texts.asked()) == ([], [])
    assert chain.merge().next
    chain.all_shards()
    expected = [f"text {number % 7}{number:02}!" for number in range(20)]
    assert chain.asked() == sorted({*expected} - {*KEPT})
    assert chain.merge().steps[3].counts.taken == 20


def test_a_shard_that_tries_again_before_the_barrier_opens_the_merge_again(chain) -> None:
    expected = chain.whole()
    chain.texts.fails({"text 000": ("BUSY", False)})
    chain.all_shards()
    chain.merge()
    chain.all_shards()
    assert chain.merge().rejected == 1
    chain.asked()
    chain.texts.fails({})
    chain.shard(1, retry_rejected=True)
    assert chain.merge().next
    chain.all_shards()
    assert chain.asked() == ["text 000!"]
    chain.merge()
    assert chain.left()[0] == expected[0]
