"""How an op is applied: to a stream of samples, to a batch, to a dataset. Each sample gets exactly one `Fate`.

Only this module turns a failed sample into a rejection, and only that sample.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.source.tables.embedded import media_as_files
from juicecap.data.writing.lines import write_lines
from juicecap.errors import EnvironmentFailure, SampleError
from juicecap.nested import placed, split_name
from juicecap.ops.apply.fate import Fate, Usage
from juicecap.ops.apply.request_stream import Forecast, describe, forecast, stream_outcomes
from juicecap.ops.apply.table import fates_of, kept, rejections, step_table
from juicecap.sample import Batch, Sample, batch_of, samples_of, short_repr
from juicecap.secrecy import hidden
from juicecap.vlm.base import Outcome, Request
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
        if not self.uses_model():
            yield from (self._fate(sample, []) for sample in samples)
            return
        for sample, outcomes in stream_outcomes(samples, self.plan_requests, self.limits(batch_size), journal):
            if isinstance(outcomes, SampleError):
                yield Fate(kind="rejected", sample=sample, failure=outcomes)
            else:
                yield self._fate(sample, outcomes)

    def forecast(self: Op, samples: Iterable[Sample], journal: Journal, seconds: float) -> Forecast | None:
        """How many answers for these samples the journal has, counted for at most `seconds`; None: the op uses no model."""
        return forecast(samples, self.plan_requests, self.limits(), journal, seconds) if self.uses_model() else None

    def plan_requests(self: Op, sample: Sample) -> Sequence[Request] | SampleError:
        """The requests of a sample, or the error that prevents them, which includes anything that a user's code raises."""
        try:
            written = self.columns_written()
            placed({**sample, **dict.fromkeys(written)}, written, sample)  # what has no place is rejected before any request
            plan = tuple(self.requests(sample))
            hash(plan)
        except SampleError as error:
            return error
        except Exception as error:  # noqa: BLE001  (the door to a user's code)
            return self._failure_of_foreign_code(error)
        if not all(isinstance(request, Request) for request in plan):
            return SampleError("OP_FAILED", f"{self.name} asks {short_repr(plan)}, which are not requests")
        return plan

    def _fate(self: Op, sample: Sample, outcomes: Sequence[Outcome]) -> Fate:
        usage = Usage.of(outcomes)
        try:
            for outcome in outcomes:
                outcome.raise_failure()
            outputs = self._settled(sample, outcomes)
        except SampleError as error:
            return Fate(kind="rejected", sample=sample, failure=error, usage=usage)
        if not outputs:
            return Fate(kind="filtered", sample=sample, usage=usage)
        return Fate(kind="kept", sample=sample, outputs=tuple(outputs), usage=usage)

    def _settled(self: Op, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample] | None:
        try:
            outputs = self.finish(sample, outcomes)
        except SampleError:
            raise
        except Exception as error:
            raise self._failure_of_foreign_code(error) from error
        if outputs is not None and not all(isinstance(output, dict) for output in outputs):
            raise SampleError("OP_FAILED", f"{self.name} gave {short_repr(outputs)}, not a list of samples")
        return outputs and [placed(output, self.columns_written(), sample) for output in outputs]

    def _failure_of_foreign_code(self: Op, error: Exception) -> SampleError:
        """A user's op may raise anything, which rejects only this sample; an exception of a built-in op is a bug.

        An `EnvironmentFailure` is never the sample's failure.
        """
        if isinstance(error, EnvironmentFailure) or type(self).__module__.startswith("juicecap."):
            raise error
        return SampleError("OP_FAILED", f"{self.name} fails with {type(error).__name__}: {hidden(str(error))}")

    def process_batched(self: Op, batch: Batch) -> Batch:
        """Apply the op to a batch of columns, for `Dataset.map(..., batched=True)` or by hand.

        Raises:
            SampleError: a sample failed; the message names it.
        """
        fates = self.fates(batch)
        for fate in fates:
            self._raise_failure(fate)
        outputs = itertools.chain.from_iterable(fate.outputs for fate in fates)
        return batch_of(outputs, [*batch, *(split_name(name, batch)[0] for name in self.columns_written())])

    def __call__(self: Op, batch: Batch) -> Batch:
        """The same as `process_batched`."""
        return self.process_batched(batch)

    def run(
        self: Op, dataset: Dataset, *, rejected: list[dict[str, Any]] | str | Path | None = None, batch_size: int | None = None
    ) -> Dataset:
        """Apply the op to a dataset and return the result, in which `Image`, `Video` and `Audio` columns are paths.

        With `rejected` a list or a path of a jsonl file, samples that fail are written there, with the fields of
        `rejected.jsonl` in a run folder, and the rest is returned.

        Raises:
            SampleError: a sample failed and `rejected` is None; the message names it.
            ModelError, EnvironmentFailure: as `describe_engines`, before any sample.
        """
        if len(dataset):
            self.describe_engines()
        watcher = self._raise_failure if rejected is None else None
        # A fingerprint of its own: the media behind the same rows may be others than last time.
        options: dict[str, Any] = {"load_from_cache_file": False, "new_fingerprint": secrets.token_hex(16)}
        table = step_table(self, media_as_files(dataset), batch_size=batch_size, watcher=watcher, **options)
        fates = fates_of(table)
        if rejected is None:
            return kept(table, fates)
        failed = rejections(table, fates, self.name, self.media_keys())
        if isinstance(rejected, list):
            rejected.extend(failed)
        else:
            write_lines(Path(rejected), failed)
        return kept(table, fates)

    def _raise_failure(self: Op, fate: Fate) -> None:
        if fate.failure:
            raise fate.named_failure(self.media_keys()) from fate.failure
