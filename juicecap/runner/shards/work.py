"""What a shard has to do: which phase is due, with which part of which input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from juicecap.data.broken import sound_rows
from juicecap.data.table import open_cached
from juicecap.errors import DataError
from juicecap.ops.apply.table import fates_of, kept
from juicecap.recipe.shards import Phase, Shard, phases
from juicecap.runner import local
from juicecap.runner.loading import LoadedDataset, load
from juicecap.runner.run_folder.folder import RunFolder
from juicecap.runner.shards.conditions import conditions, differences, merge_conditions
from juicecap.runner.shards.dataset import agree, facts_of
from juicecap.runner.shards.record import Record, read_record
from juicecap.runner.steps import StepInput
from juicecap.vlm.base import digest_of
from juicecap.vlm.journal.earlier import complete
from juicecap.vlm.journal.quarantine import folder_lock

if TYPE_CHECKING:
    from datasets import Dataset

    from juicecap.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a shard has to do: a phase, with what it begins with and all that must be equal in the other shards."""

    phase: Phase
    loaded: LoadedDataset
    """The shard's part of the input."""
    stage: StepInput
    rows: tuple[int, int]
    conditions: dict[str, Any]
    records: int
    """Records of the whole dataset."""
    is_merged: bool
    """Whether a merge has finished the phase already, and another one comes behind it."""


def work_of(recipe: Recipe, shard: Shard, whole: RunFolder, limit: int | None, first: int, *, again: bool) -> Work:
    """What is due, from phase `first` on: what no merge has finished, or what the shard has not noted; or (`again`) all.

    Raises:
        DataError, EnvironmentFailure: the dataset cannot be read, or is not that of the other shards; a merged table is gone.
    """
    loaded, facts = load_whole(recipe, whole, limit)
    merged = merged_before(recipe, whole, facts)
    phase = _due(recipe, whole.shard(shard), facts, merged, first, again=again)
    if phase.number == 1:
        rows = shard.bounds(len(loaded.everything))
        part = loaded.everything.select(range(*rows))
        own = LoadedDataset(part, sound_rows(part, digest_of([part._fingerprint])), loaded.seconds)  # noqa: SLF001  (there is no public name for it)
        input_, noted = local.source(loaded).fingerprint, ""
    else:
        dataset = _output_of(recipe, whole, merged[phase.number - 2])
        rows = shard.bounds(len(dataset))
        part = dataset.select(range(*rows))
        own = LoadedDataset(part, part, 0.0)
        input_ = noted = merged[phase.number - 2].output
    return Work(
        phase=phase,
        loaded=own,
        stage=StepInput(own.dataset, shard_input(phase, shard, input_)),
        rows=rows,
        conditions=conditions(recipe, phase, facts, noted),
        records=len(loaded.everything),
        is_merged=phase.number <= len(merged) and phase.number < len(phases(recipe)),
    )


def load_whole(recipe: Recipe, whole: RunFolder, limit: int | None) -> tuple[LoadedDataset, dict[str, Any]]:
    """The dataset of all shards, and what it is. One shard after the other reads it; the first one leaves its table.

    What a run that was killed left beside the journal of the whole run is taken into it: shards only read that file.

    Raises:
        DataError, EnvironmentFailure: as `load`; it is not the dataset of the other shards.
    """
    with folder_lock(whole.shards, alone=True):
        complete(whole.journal)
        loaded = load(recipe, whole.steps, limit, whole.media)
        facts = facts_of(loaded.everything, limit)
        agree(whole.shards, facts)
    local.check_columns(recipe, loaded)
    return loaded, facts


def merged_before(recipe: Recipe, whole: RunFolder, facts: dict[str, Any]) -> list[Record]:
    """The records of the phases that a merge has finished, as far as they are of this recipe and dataset."""
    found: list[Record] = []
    for phase in phases(recipe):
        record = read_record(whole.shards, phase.number)
        wanted = merge_conditions(recipe, phase, facts, found[-1].output if found else "")
        if record is None or differences(wanted, record.conditions):
            break
        found.append(record)
    return found


def shard_input(phase: Phase, shard: Shard, input_: str) -> str:
    """The fingerprint of a shard's part of an input with the fingerprint `input_`."""
    return digest_of(["shard", shard.number, shard.count, phase.number, input_])


def _due(recipe: Recipe, folder: RunFolder, facts: dict[str, Any], merged: Sequence[Record], first: int, *, again: bool) -> Phase:
    """The first phase, from number `first` on, that is not merged, or whose record the shard does not have; all, if `again`."""
    all_phases, input_ = phases(recipe), ""
    for phase, done in zip(all_phases[:-1], merged, strict=False):
        own = read_record(folder.root, phase.number)
        lacks = own is None or differences(conditions(recipe, phase, facts, input_), own.conditions)
        if phase.number >= first and (again or lacks):
            return phase
        input_ = done.output
    return all_phases[min(len(merged), len(all_phases) - 1)]


def _output_of(recipe: Recipe, whole: RunFolder, merged: Record) -> Dataset:
    """What the last step of a merged phase passed on.

    Raises:
        DataError: its table is not there, or damaged.
    """
    last = merged.steps[-1]
    table = open_cached(whole.steps / last.table, last.fingerprint)
    if table is None:
        raise DataError(
            f"{whole.steps / last.table}, which a merge left, is missing or damaged; again: juicecap merge {recipe.path}"
        )
    return kept(table, fates_of(table))
