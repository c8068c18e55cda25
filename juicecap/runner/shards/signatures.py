"""Signatures that shards take for the deduplicator that decides at the merge: who merges needs neither the media nor the time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from loguru import logger

from juicecap.data.table import CHUNK, chunks, open_cached, write_arrow
from juicecap.errors import SampleError
from juicecap.ops.apply.table import Rows
from juicecap.recipe.shards import Phase, all_shards, signing
from juicecap.runner.shards.conditions import op_conditions
from juicecap.runner.shards.record import Record
from juicecap.runner.steps import StepInput, media_state, step_fingerprint
from juicecap.vlm.base import Failure, digest_of
from juicecap.vlm.outcomes import failure_of

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from juicecap.ops.whole_dataset import Deduplicator
    from juicecap.recipe import Recipe
    from juicecap.runner.run_folder.folder import RunFolder

VERSION = 1
"""Part of each fingerprint. Increase it when signatures are written otherwise."""

SIGNATURE_OP = "signature_op"
"""The condition in a record that says of which op the signatures are."""


def signing_conditions(recipe: Recipe, phase: Phase) -> dict[str, str]:
    """What a record says of the op whose signatures it has."""
    signer = signing(recipe, phase)
    return {SIGNATURE_OP: digest_of(op_conditions(recipe, signer[0]))} if signer else {}


def take_signatures(recipe: Recipe, phase: Phase, stage: StepInput, folder: RunFolder, *, use_cache: bool) -> str:
    """Write the signatures of the samples that a phase passes on, once; returns the name of their file, if there are any.

    Raises:
        EnvironmentFailure: the disk is full.
    """
    signer = signing(recipe, phase)
    if signer is None:
        return ""
    step, op = signer
    made_of = step_fingerprint(step, stage.fingerprint, media_state(step.op, stage.dataset), keep_failed=False)
    fingerprint = digest_of(["signatures", VERSION, made_of])
    file = folder.steps / f"{step.number:02d}-{step.name}.signatures-{fingerprint[:16]}.arrow"
    if not use_cache or open_cached(file, fingerprint) is None:
        write_arrow(file, _schema(), _batches(op, stage.dataset), owner=folder.owner)
    return file.name


def merged_signatures(
    recipe: Recipe, phase: Phase, records: Sequence[Record], whole: RunFolder, samples: int
) -> Iterable[str | SampleError] | None:
    """The signatures of all samples, in order, as the shards took them; None if some did not, or took those of another op."""
    wanted, tables = signing_conditions(recipe, phase), list["Dataset"]()
    for shard, record in zip(all_shards(len(records)), records, strict=True):
        table = None
        if wanted and record.signatures and record.conditions.get(SIGNATURE_OP) == wanted[SIGNATURE_OP]:
            table = open_cached(whole.shard(shard).steps / record.signatures, record.signatures)
        if table is None:
            return None
        tables.append(table)
    if sum(map(len, tables)) != samples:
        logger.warning("the signatures of the shards are not those of their samples, so they are taken again")
        return None
    return _read(tables)


def _read(tables: Iterable[Dataset]) -> Iterator[str | SampleError]:
    for table in tables:
        for row in Rows(table, CHUNK):
            yield row["signature"] if row["failure"] is None else _error(Failure(**json.loads(row["failure"])))


def _error(failure: Failure) -> SampleError:
    return SampleError(failure.code, failure.message, retryable=failure.retryable, attempts=failure.attempts)


def _batches(op: Deduplicator, dataset: Dataset) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    schema = _schema()
    for some in chunks(op.signatures(Rows(dataset, CHUNK))):
        failures = [json.dumps(asdict(failure_of(each))) if isinstance(each, SampleError) else None for each in some]
        signatures = [None if isinstance(each, SampleError) else _digest(each) for each in some]
        yield pa.RecordBatch.from_arrays([pa.array(signatures, pa.string()), pa.array(failures, pa.string())], schema=schema)


def _digest(signature: object) -> str:
    """Equal for equal signatures, whatever characters they have."""
    return hashlib.blake2b(repr(signature).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([("signature", pa.string()), ("failure", pa.string())])
