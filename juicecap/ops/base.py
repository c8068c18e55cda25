"""What an op is, and how it is applied to a batch.

An op is frozen settings: a keyword-only dataclass whose fields are its recipe parameters. It says which questions a sample
raises (`requests`) and, once the answers are there, what becomes of the sample (`settle`). Each sample of a batch meets
exactly one `Fate`; nothing but this module turns a failed sample into one, and it does so for that sample alone.

There is one base for each family. `Mapper` (sample to samples) and `Filter` (keep or drop) are here and work batch by batch;
`Deduplicator` and `Selector`, which look at the whole dataset first, are in `whole_dataset.py`.
"""

from __future__ import annotations

import itertools
import secrets
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from juicecap.data.source.tables.embedded import media_as_files
from juicecap.data.writing.lines import write_lines
from juicecap.errors import EnvironmentFailure, SampleError, SettingsError
from juicecap.ops.apply.fate import Fate, Usage
from juicecap.ops.apply.request_stream import Forecast, forecast, identify, stream_outcomes
from juicecap.ops.apply.table import fates_of, kept, rejections, step_table
from juicecap.ops.options.common_options import ColumnsAndTokens
from juicecap.ops.options.media_options import root_problems
from juicecap.ops.options.run_options import IGNORED, is_run_only
from juicecap.ops.options.types import NOT_EMPTY, type_problems
from juicecap.sample import Batch, Sample, batch_of, media_paths, samples_of, short_repr
from juicecap.secrecy import hidden
from juicecap.vlm.base import Limits, ModelSettings, Outcome, Request, digest_of
from juicecap.vlm.journal import Journal

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True, kw_only=True)
class Op(ColumnsAndTokens, ABC):
    """Base of all ops."""

    text_key: str = field(default="text", metadata=NOT_EMPTY)
    """Column that holds the text."""

    name: ClassVar[str] = ""
    """Name in recipes: the name of the file that defines the op, unless the class or `register` says otherwise."""
    version: ClassVar[int] = 1
    """Raised when the same settings give another output, so that finished steps are not taken for current ones."""
    default_batch_size: ClassVar[int] = 1000
    """Samples in a batch where the recipe does not say."""
    headers_only: ClassVar[bool] = False
    """Whether of its media the op reads the headers alone; then `juicecap plan` applies it."""
    ignored_parameters: ClassVar[Mapping[str, str]] = IGNORED
    """Parameters that a recipe may set and that have no effect, and why."""

    def __init_subclass__(cls) -> None:
        if "name" not in cls.__dict__:
            cls.name = cls.__module__.rpartition(".")[2]

    def __post_init__(self) -> None:
        found = type_problems(self) or [*self.token_problems(), *root_problems(self), *self.problems()]
        if found:
            raise SettingsError(self.name, found)

    def problems(self) -> list[tuple[str, str]]:
        """What contradicts itself in the settings, as (parameter, sentence) pairs."""
        return []

    def media_columns(self) -> tuple[str, ...]:
        """Columns whose files the op reads: a changed file makes the op run again."""
        return ()

    def media_sources(self) -> tuple[str, ...]:
        """Columns that `media_of` reads."""
        return self.media_columns()

    def external_fingerprint(self) -> str:
        """Whatever can change the output and is neither in the settings nor in the media, such as a model's files."""
        return ""

    def columns_required(self) -> tuple[tuple[str, str], ...]:
        """(parameter, column) pairs: columns that must be in the data because a parameter names them."""
        return ()

    def columns_refused(self) -> tuple[tuple[str, str], ...]:
        """(parameter, column) pairs: columns that must not be in the data because the op would overwrite them."""
        return ()

    def columns_written(self) -> Mapping[str, Any]:
        """Columns that the op writes, with their types in the words of `data.columns.features_of`."""
        return {}

    def settings(self) -> dict[str, Any]:
        """The settings by name that can change the output, as plain data."""
        return {each.name: getattr(self, each.name) for each in fields(self) if not is_run_only(each)}

    def fingerprint(self) -> str:
        """A hash of the op's name, version and settings."""
        return digest_of([self.name, self.version, self.settings()])

    def sample_warnings(self, sample: Sample) -> Sequence[tuple[str, str]]:
        """(parameter, sentence) pairs: settings that do nothing for this sample. For `juicecap check`; a run does not ask."""
        del sample
        return ()

    def requests(self, sample: Sample) -> Sequence[Request]:
        """The questions that this sample raises; none for an op that asks no model.

        Raises:
            SampleError: the sample cannot be asked about.
        """
        del sample
        return ()

    @abstractmethod
    def finish(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample] | None:
        """What the sample becomes, given the outcomes of its requests in order: samples, or nothing to drop it.

        Raises:
            SampleError: the sample is to be rejected.
        """

    def engines(self) -> Sequence[ModelSettings]:
        """The engines that the op asks, as far as its settings tell: a run keeps them open for it."""
        return ()

    def max_tokens(self) -> int:
        """How many tokens an answer of these engines may have; 0: that is not known."""
        return 0

    def identify_engines(self, journal: Journal | None = None) -> None:
        """Find out what the op's engines are, without opening them. One that was asked for this `journal` need not be there.

        Raises:
            ModelError: one can never answer.
            EnvironmentFailure: one is not there.
        """
        identify(self.engines(), self.max_tokens(), journal)

    def limits(self, batch_size: int | None = None) -> Limits:
        """How much may be under way at an engine at once, for an op that asks a model."""
        return Limits(batch_size=batch_size)

    def fates(self, batch: Batch) -> list[Fate]:
        """Apply the op to a batch; one fate for each sample, in order."""
        return list(self.stream(samples_of(batch)))

    def stream(
        self, samples: Iterable[Sample], batch_size: int | None = None, journal: Journal | None = None
    ) -> Generator[Fate, None, None]:
        """Apply the op to samples; one fate for each, in order.

        An op that asks a model takes samples far ahead of the fates it gives, so that the engine never waits. What `journal`
        knows is not asked.
        """
        if not self.uses_model():
            yield from (self._fate(sample, []) for sample in samples)
            return
        for sample, outcomes in stream_outcomes(samples, self.plan_requests, self.limits(batch_size), journal):
            if isinstance(outcomes, SampleError):
                yield Fate(kind="rejected", sample=sample, failure=outcomes)
            else:
                yield self._fate(sample, outcomes)

    def forecast(self, samples: Iterable[Sample], journal: Journal, seconds: float) -> Forecast | None:
        """How much of what these samples need stands in the journal, counted for so many seconds; None: the op asks no model."""
        return forecast(samples, self.plan_requests, self.limits(), journal, seconds) if self.uses_model() else None

    def uses_model(self) -> bool:
        """Whether the op asks a model."""
        return type(self).requests is not Op.requests

    def plan_requests(self, sample: Sample) -> Sequence[Request] | SampleError:
        """The requests of a sample, or why nothing can be asked about it; whatever a user's code raises is such a reason."""
        try:
            plan = tuple(self.requests(sample))
            hash(plan)
        except SampleError as error:
            return error
        except Exception as error:  # noqa: BLE001  (the door to a user's code)
            return self._failure_of_foreign_code(error)
        if not all(isinstance(request, Request) for request in plan):
            return SampleError("OP_FAILED", f"{self.name} asks {short_repr(plan)}, which are not requests")
        return plan

    def _fate(self, sample: Sample, outcomes: Sequence[Outcome]) -> Fate:
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

    def _settled(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample] | None:
        try:
            outputs = self.finish(sample, outcomes)
        except SampleError:
            raise
        except Exception as error:
            raise self._failure_of_foreign_code(error) from error
        if outputs is not None and not all(isinstance(output, dict) for output in outputs):
            raise SampleError("OP_FAILED", f"{self.name} gave {short_repr(outputs)}, not a list of samples")
        return outputs

    def _failure_of_foreign_code(self, error: Exception) -> SampleError:
        """An op of a user's may raise anything, and that concerns the sample alone; an exception of a built-in op is a bug.

        That the environment fails concerns no sample, whoever says so.
        """
        if isinstance(error, EnvironmentFailure) or type(self).__module__.startswith("juicecap."):
            raise error
        return SampleError("OP_FAILED", f"{self.name} fails with {type(error).__name__}: {hidden(str(error))}")

    def process_batched(self, batch: Batch) -> Batch:
        """Apply the op to a batch of columns, for `Dataset.map(..., batched=True)` or by hand.

        Raises:
            SampleError: a sample failed; the message names it.
        """
        fates = self.fates(batch)
        for fate in fates:
            self._raise_failure(fate)
        outputs = itertools.chain.from_iterable(fate.outputs for fate in fates)
        return batch_of(outputs, [*batch, *self.columns_written()])

    def __call__(self, batch: Batch) -> Batch:
        """The same as `process_batched`."""
        return self.process_batched(batch)

    def run(
        self, dataset: Dataset, *, rejected: list[dict[str, Any]] | str | Path | None = None, batch_size: int | None = None
    ) -> Dataset:
        """Apply the op to a dataset and return the result, in which `Image`, `Video` and `Audio` columns are paths.

        With `rejected` a list or a path of a jsonl file, samples that fail are written there, with the fields of
        `rejected.jsonl` in a run folder, and the rest is returned.

        Raises:
            SampleError: a sample failed and `rejected` is None; the message names it.
            ModelError, EnvironmentFailure: as `identify_engines`, before any sample.
        """
        if len(dataset):
            self.identify_engines()
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

    def _raise_failure(self, fate: Fate) -> None:
        if fate.failure:
            raise fate.named_failure(self.media_keys()) from fate.failure

    def media_keys(self) -> tuple[str, ...]:
        """The columns by whose media a sample without an origin is named."""
        return (self.video_key, self.image_key)

    def media_of(self, sample: Sample) -> list[str]:
        """The resolved paths of all media that the op reads from the sample; none where a column is malformed."""
        paths: list[str] = []
        for column in self.media_columns():
            try:
                paths.extend(media_paths(sample, column))
            except SampleError:
                continue
        return paths


@dataclass(frozen=True, kw_only=True)
class Mapper(Op):
    """Base of ops that turn a sample into one or more samples."""

    @abstractmethod
    def process(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample]:
        """The samples that the sample becomes; none drops it. It is the op's own copy and may be changed.

        Raises:
            SampleError: the sample is to be rejected.
        """

    def finish(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample]:
        """See `Op.settle`."""
        return self.process(dict(sample), outcomes)


@dataclass(frozen=True, kw_only=True)
class Filter(Op):
    """Base of ops that keep a sample as it is or drop it."""

    @abstractmethod
    def keep(self, sample: Sample) -> bool:
        """Whether the sample stays.

        Raises:
            SampleError: that cannot be said; the sample is rejected.
        """

    def finish(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample] | None:
        """See `Op.settle`."""
        del outcomes
        return [sample] if self.keep(sample) else None
