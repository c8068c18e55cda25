"""How an op is applied: to a stream of samples, to a batch, to a dataset. Each sample gets exactly one `Fate`."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.remembered import as_clean_as, with_origins
from juicecap.data.source.tables.embedded import media_as_files
from juicecap.data.writing.lines import write_lines
from juicecap.errors import SampleError
from juicecap.nested import split_name
from juicecap.ops.apply.answers import answers_in
from juicecap.ops.apply.arguments import check_arguments, check_batch
from juicecap.ops.apply.fate import Fate
from juicecap.ops.apply.first_failures import FirstFailures
from juicecap.ops.apply.forecast import Forecast, describe, forecast
from juicecap.ops.apply.rounds import Rounds
from juicecap.ops.apply.stream import Stage, Stream
from juicecap.ops.apply.table import fates_of, kept, rejections, step_table
from juicecap.sample import Batch, Sample, batch_of, samples_of
from juicecap.vlm.base import Request
from juicecap.vlm.journal import Journal

if TYPE_CHECKING:
    from datasets import Dataset

    from juicecap.ops.base import Op


class Applied:
    """What can be done with any op. The base of `Op`, which defines what an op is."""

    def describe_engines(self: Op, journal: Journal | None = None) -> None:
        """Describe the op's engines without opening them. A server that this `journal` knows need not be reachable.

        Raises:
            ModelError: one can never answer.
            EnvironmentFailure: one is not there.
        """
        describe(self.engines(), self.max_tokens(), journal, self.usual_request())

    def fates(self: Op, batch: Batch) -> list[Fate]:
        """Apply the op to a batch; one fate for each sample, in order."""
        return list(self.stream(samples_of(batch)))

    def stream(
        self: Op, samples: Iterable[Sample], batch_size: int | None = None, journal: Journal | None = None
    ) -> Generator[Fate, None, None]:
        """Apply the op to samples; one fate for each, in order.

        An op that uses a model takes samples far ahead of the fates it gives, so that the engine never waits. Answers in
        `journal` are not requested again.
        """
        with Stream([Stage(self, self.limits(batch_size))], samples, journal, at_once=1) as stream:
            for _, fates in stream:
                yield from fates

    def forecast(self: Op, samples: Iterable[Sample], journal: Journal, seconds: float) -> Forecast | None:
        """How many answers for these samples the journal has, counted for at most `seconds`; None: the op uses no model."""
        return forecast(samples, self.plan_requests, self.limits(), journal, seconds) if self.uses_model() else None

    def plan_requests(self: Op, sample: Sample) -> Sequence[Request] | SampleError:
        """What a sample asks a model first, or the error that prevents it, which includes anything that a user's code raises."""
        met = Rounds(self, sample).begin()
        if not isinstance(met, Fate):
            return [ask for ask in met if isinstance(ask, Request)]
        return met.failure or ()

    def process_batched(self: Op, batch: Batch) -> Batch:
        """Apply the op to a batch of columns, for `Dataset.map(..., batched=True)` or by hand.

        Raises:
            ArgumentError: it is no batch of columns.
            SampleError: a sample failed; the message names it.
        """
        check_batch(batch)
        fates = self.fates(batch)
        for fate in fates:
            self._raise_failure(fate)
        outputs = itertools.chain.from_iterable(fate.outputs for fate in fates)
        return batch_of(outputs, [*batch, *(split_name(name, batch)[0] for name in self.columns_written())])

    def __call__(self: Op, batch: Batch) -> Batch:
        """The same as `process_batched`."""
        return self.process_batched(batch)

    def run(
        self: Op,
        dataset: Dataset,
        *,
        rejected: list[dict[str, Any]] | str | Path | None = None,
        batch_size: int | None = None,
        journal: str | Path | None = None,
    ) -> Dataset:
        """Apply the op to a dataset and return the result, in which `Image`, `Video` and `Audio` columns are paths.

        With `rejected` a list or a path of a jsonl file, samples that fail are written there, with the fields of
        `rejected.jsonl` in a run folder, and the rest is returned. Without it the first failure is raised, once all other samples
        are done: they are in the error's `kept`.

        With `journal` a model's answers are kept on disk, and those that are there are not asked for again. It is a file
        (`answers.sqlite`), or a folder, such as a run folder, whose answers then count here, and these there.

        Raises:
            ArgumentError: an argument is of a wrong kind; says which one is wanted.
            SampleError: a sample failed and `rejected` is None; the message names it.
            DataError: the dataset lacks a column that the op reads.
            ModelError, EnvironmentFailure: as `describe_engines`, before any sample.
        """
        check_arguments(self, dataset, rejected, batch_size, journal)
        failures = FirstFailures(self.media_keys(), len(dataset), are_wanted=rejected is not None)
        # A fingerprint of its own: the media behind the same rows may be others than last time.
        options: dict[str, Any] = {"load_from_cache_file": False, "new_fingerprint": secrets.token_hex(16)}
        with answers_in(journal, self) as answers:
            if len(dataset):
                self.describe_engines(answers)
            samples = media_as_files(with_origins(dataset))
            table = step_table(self, samples, batch_size=batch_size, watcher=failures.watch, journal=answers, **options)
        fates = fates_of(table)
        result = as_clean_as(dataset, kept(table, fates))
        if rejected is None:
            failures.check(fates.counts.rejected, result)
            return result
        failed = rejections(table, fates, self.name, self.media_keys())
        if isinstance(rejected, list):
            rejected.extend(failed)
        else:
            write_lines(Path(rejected), failed)
        return result

    def _raise_failure(self: Op, fate: Fate) -> None:
        if fate.failure:
            raise fate.named_failure(self.media_keys()) from fate.failure


def stands_alone(op: Op) -> bool:
    """Whether the op makes its fates in a way of its own, such as one that sees the whole dataset first."""
    return type(op).stream is not Applied.stream
