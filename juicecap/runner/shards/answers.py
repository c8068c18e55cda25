"""The answers of all shards as those of one run.

In one run a question is asked once, and in two shards perhaps twice. Then the answer of the lowest shard holds, in the journal
and in the output; and an answer beats a failure. A shard that has another one gets what holds into its own journal, and its
tables are made again, for which nothing is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from loguru import logger

from juicecap.data.writing.atomic import remove
from juicecap.errors import DataError
from juicecap.recipe.shards import Shard
from juicecap.runner.run_folder.folder import RunFolder
from juicecap.runner.run_folder.lock import locked
from juicecap.runner.shards.record import record_file
from juicecap.vlm.journal import Journal
from juicecap.vlm.journal.earlier import EarlierStore, complete
from juicecap.vlm.journal.merging import merged_entries
from juicecap.vlm.journal.quarantine import Damaged
from juicecap.vlm.journal.store import Entry

AT_ONCE = 2000
"""Entries that are written together."""


def merge_journals(whole: RunFolder, shards: Sequence[Shard], journal: Journal) -> None:
    """Write what the shards' journals hold into that of the whole run.

    Raises:
        EnvironmentFailure: it cannot be written.
    """
    with _stores(whole, shards) as stores:
        some: list[Entry] = []
        for merged in merged_entries([store for _, store in stores]):
            some.append(merged.entry)
            if len(some) == AT_ONCE:
                journal.append(some)
                journal.flush()
                some = []
        journal.append(some)
        for _, store in reversed(stores):  # the lowest writes last
            journal.append(list(store.facts_and_digests()))
        journal.flush()


def settle(whole: RunFolder, shards: Sequence[Shard]) -> list[Shard]:
    """Give each shard the answers that hold; returns those that had others, and whose tables are to be made again.

    Raises:
        EnvironmentFailure: a journal cannot be written, or a shard is at work.
    """
    holding: dict[Shard, list[Entry]] = {}
    with _stores(whole, shards) as stores:
        for merged in merged_entries([store for _, store in stores]):
            for place in merged.others:
                holding.setdefault(stores[place][0], []).append(merged.entry)
    for shard, entries in holding.items():
        folder = whole.shard(shard)
        with locked(folder.root):
            for number in range(1, _phases_noted(folder.root) + 1):
                remove(record_file(folder.root, number))
            for table in folder.steps.glob("*.arrow"):
                remove(table)
            with Journal(folder.journal) as journal:
                journal.append(entries)
        logger.info("shard {}: {} answers are replaced by those of lower shards", shard, len(entries))
    return sorted(holding)


def _phases_noted(folder: Path) -> int:
    number = 0
    while record_file(folder, number + 1).exists():
        number += 1
    return number


@contextmanager
def _stores(whole: RunFolder, shards: Sequence[Shard]) -> Iterator[list[tuple[Shard, EarlierStore]]]:
    """The journals of the shards that have one, open to be read.

    Raises:
        DataError: one of them is damaged.
    """
    with ExitStack() as stack:
        opened = []
        for shard in shards:
            file = whole.shard(shard).journal
            if not file.exists():
                continue
            try:
                complete(file)
                store = EarlierStore(file)
            except Damaged as damage:
                raise DataError(_damaged(file, damage)) from damage
            stack.callback(store.close)
            opened.append((shard, store))
        try:
            yield opened
        except Damaged as damage:
            raise DataError(f"the journal of a shard is damaged ({damage})") from damage


def _damaged(file: Path, damage: Damaged) -> str:
    return f"{file} is damaged ({damage}); move it away, and merge again: what it holds is asked again if the recipe is edited"
