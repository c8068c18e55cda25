"""What an op is: what its author writes. How it is applied is in `apply/`.

An op is frozen settings: a keyword-only dataclass whose fields are its recipe parameters. It returns the requests of a sample
(`requests`) and, once they are answered, the sample's output (`finish`).

There is one base for each family. `Mapper` (sample to samples) and `Filter` (keep or drop) are here and work batch by batch;
`Deduplicator` and `Selector`, which read the whole dataset first, are in `whole_dataset.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self

from typing_extensions import override

from juicecap.errors import ArgumentError, SampleError, SettingsError
from juicecap.fragment import without_fragment
from juicecap.media.tasks.task import Task
from juicecap.ops.apply.applied import Applied
from juicecap.ops.apply.dropped import Dropped
from juicecap.ops.apply.rounds import Conversation
from juicecap.ops.options.common_options import ColumnsAndTokens
from juicecap.ops.options.groups import COLUMNS, KEPT, OWN
from juicecap.ops.options.media_options import root_problems
from juicecap.ops.options.misnamed import misnamed
from juicecap.ops.options.run_options import IGNORED, is_run_only
from juicecap.ops.options.types import NOT_EMPTY, type_problems
from juicecap.sample import Sample, media_paths
from juicecap.text import numbered
from juicecap.vlm.base import Limits, ModelSettings, Outcome, Request, digest_of, unset_later
from juicecap.vlm.measurement import Ask


@dataclass(frozen=True, kw_only=True)
class Op(ColumnsAndTokens, Applied, ABC):
    """Base of all ops. Authors override the methods that describe their op; they need not call any of them."""

    text_key: str = field(default="text", metadata={**COLUMNS, **NOT_EMPTY})
    """Column that holds the text."""

    name: ClassVar[str] = ""
    """Name in recipes: the name of the file that defines the op, unless the class or `register` sets another."""
    version: ClassVar[int] = 1
    """Version of the op: increase it when the same settings give another output, so that finished steps are not reused."""
    default_batch_size: ClassVar[int] = 1000
    """Samples in a batch, unless the recipe sets `batch_size`."""
    default_group: ClassVar[str] = OWN
    """Group of the parameters that name none (`options/groups.py`)."""
    headers_only: ClassVar[bool] = False
    """Whether the op reads only the headers of its media; then `juicecap plan` applies it."""
    measures_only: ClassVar[bool] = False
    """Whether the op asks for measurements alone, and no model."""
    ignored_parameters: ClassVar[Mapping[str, str]] = IGNORED
    """Parameters that a recipe may set and that have no effect, and why."""
    _step: ClassVar[int] = 0

    def __init_subclass__(cls) -> None:
        if "name" not in cls.__dict__:
            cls.name = cls.__module__.rpartition(".")[2]

    def __new__(cls, *positional: object, **settings: object) -> Self:
        """Refuse settings that do not exist; all others are those of the dataclass, whose signature editors show.

        Raises:
            ArgumentError: one has no such name, or none at all; says what may be meant.
        """
        if wrong := misnamed(cls, positional, settings):
            raise ArgumentError(wrong)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        found = type_problems(self) or [*self.token_problems(), *root_problems(self), *self.shared_problems(), *self.problems()]
        if found:
            raise SettingsError(self.name, found)

    def in_step(self, number: int) -> Self:
        """The op itself, which from now on knows its number in a recipe (from 1). That is no setting, and in no hash."""
        object.__setattr__(self, "_step", number)
        return self

    @property
    def numbered_name(self) -> str:
        """The op's name with its number in the recipe, if it is in one: `text_length_filter[3]`."""
        return numbered(self.name, self._step)

    def problems(self) -> list[tuple[str, str]]:
        """What contradicts itself in the settings, as (parameter, sentence) pairs."""
        return []

    def shared_problems(self) -> list[tuple[str, str]]:
        """The same for the settings of a base that ops share; for the base to override."""
        return []

    def media_columns(self) -> tuple[str, ...]:
        """Columns whose files the op reads: a changed file makes the op run again."""
        return ()

    def media_sources(self) -> tuple[str, ...]:
        """Columns that `media_of` reads."""
        return self.media_columns()

    def external_fingerprint(self) -> str:
        """The state of everything else that can change the output, besides settings and media, such as a model's files."""
        return ""

    def columns_required(self) -> tuple[tuple[str, str], ...]:
        """(parameter, column) pairs: columns that must be in the data because a parameter names them."""
        return ()

    def columns_refused(self) -> tuple[tuple[str, str], ...]:
        """(parameter, column) pairs: columns that must not be in the data because the op would overwrite them."""
        return ()

    def columns_written(self) -> Mapping[str, Any]:
        """Columns that the op writes, with their types as specs of `data.columns`."""
        return {}

    def settings(self) -> dict[str, Any]:
        """The settings by name that can change the output, as plain data."""
        unset = unset_later(self)
        return {each.name: getattr(self, each.name) for each in fields(self) if not is_run_only(each) and each.name not in unset}

    def fingerprint(self) -> str:
        """A hash of the op's name, version and settings."""
        return digest_of([self.name, self.version, self.settings()])

    def sample_warnings(self, sample: Sample) -> Sequence[tuple[str, str]]:
        """(parameter, sentence) pairs: settings that do nothing for this sample. Only `juicecap check` calls this."""
        del sample
        return ()

    def sample_advice(self, sample: Sample) -> Sequence[tuple[str, str]]:
        """(parameter, sentence) pairs: what may not be wanted of this sample's output. Only `juicecap check` calls this."""
        del sample
        return ()

    def requests(self, sample: Sample) -> Sequence[Ask]:
        """The requests for this sample, and the measurements of its media; none for an op that asks nothing.

        Raises:
            SampleError: no request can be made for the sample.
        """
        del sample
        return ()

    def uses_model(self) -> bool:
        """Whether the op uses a model."""
        return self.asks() and not self.measures_only

    def asks(self) -> bool:
        """Whether the op asks anything: a model, or for measurements."""
        return type(self).requests is not Op.requests or type(self).converse is not Op.converse

    def converse(self, sample: Sample) -> Conversation:
        """A generator that yields requests, gets their outcomes in order, may yield more, and returns what `finish` returns.

        For ops that ask again after they have seen an answer; the others override `requests` and `finish`. Measurements may be
        among the requests. One that fails raises its `SampleError` at the `yield`. It must be deterministic: equal samples and
        outcomes lead to equal requests.
        """
        outcomes = yield self.requests(sample)
        return self.finish(sample, outcomes)

    def finish(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample] | Dropped | None:
        """What the sample becomes, given the outcomes of its requests in order: samples, or nothing, or `Dropped`, to drop it.

        Raises:
            SampleError: the sample is to be rejected.
        """
        del outcomes
        return [sample]

    def wanted(self) -> Mapping[str, Any]:
        """The limits by which the op drops samples, by parameter; for `filtered.jsonl`."""
        return {}

    def tasks(self) -> Sequence[Task]:
        """The tasks that the op brings along, for its measurements: one that was edited makes the op run again."""
        return ()

    def engines(self) -> Sequence[ModelSettings]:
        """The engines that the op uses, as far as its settings name them: a run keeps them open for it."""
        return ()

    def max_tokens(self) -> int:
        """How many tokens an answer of these engines may have; 0: that is not known."""
        return 0

    def usual_request(self) -> Request | None:
        """A request with the parameters that those to these engines have; None: they are not known."""
        return None

    def limits(self, batch_size: int | None = None) -> Limits:
        """How much may be in progress at an engine at once, for an op that uses a model."""
        return Limits(batch_size=batch_size)

    def media_keys(self) -> tuple[str, ...]:
        """The columns whose first medium names a sample without an origin."""
        return (self.video_key, self.image_key)

    def media_of(self, sample: Sample) -> list[str]:
        """The resolved paths of the files of all media that the op reads; none where a column is malformed."""
        paths: list[str] = []
        for column in self.media_columns():
            try:
                paths.extend(map(without_fragment, media_paths(sample, column)))
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

    @override
    def finish(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample]:
        return self.process(dict(sample), outcomes)


@dataclass(frozen=True, kw_only=True)
class Filter(Op):
    """Base of ops that keep a sample as it is or drop it."""

    default_group: ClassVar[str] = KEPT

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.keep is Filter.keep and cls.keep_by is Filter.keep_by:
            raise TypeError(f"{cls.__name__} defines neither keep nor keep_by")

    def keep(self, sample: Sample) -> bool:
        """Whether the sample stays; for filters that ask nothing.

        Raises:
            SampleError: that cannot be decided; the sample is rejected.
        """
        raise NotImplementedError

    def keep_by(self, sample: Sample, outcomes: Sequence[Outcome]) -> bool:
        """Whether the sample stays, given the outcomes of its `requests`; for filters that ask something.

        Raises:
            SampleError: as `keep`.
        """
        del outcomes
        return self.keep(sample)

    def measured(self, sample: Sample, outcomes: Sequence[Outcome]) -> Mapping[str, Any]:
        """What a sample that does not stay was judged by: JSON values by name, for `filtered.jsonl`."""
        del sample, outcomes
        return {}

    @override
    def finish(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample] | Dropped | None:
        return [sample] if self.keep_by(sample, outcomes) else Dropped(self.measured(sample, outcomes))
