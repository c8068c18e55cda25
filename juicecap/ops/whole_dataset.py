"""Ops that see the whole dataset before they decide about a sample: deduplicators and selectors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from juicecap.errors import BugError, SampleError
from juicecap.ops.apply.dropped import Dropped
from juicecap.ops.apply.fate import Fate
from juicecap.ops.base import Op
from juicecap.ops.options.groups import KEPT
from juicecap.sample import Sample, sample_name
from juicecap.vlm.journal import Journal


@dataclass(frozen=True)
class DuplicateOf:
    """A sample is dropped for an earlier one that stays: its number in the dataset, from 0."""

    number: int


Selection = bool | Dropped | DuplicateOf | SampleError
"""Whether a sample stays; false or why it does not; or the error that prevents the decision."""


@dataclass(frozen=True, kw_only=True)
class WholeDatasetOp(Op):
    """An op that sees the whole dataset before it decides; `select` runs once, and `stream` reads the decisions."""

    default_group: ClassVar[str] = KEPT

    @abstractmethod
    def select(self, samples: Iterable[Sample]) -> list[Selection]:
        """For each sample of the dataset, in order, whether it stays or why not, or the error that prevents the decision.

        `samples` can be iterated more than once.
        """

    def stream(
        self, samples: Iterable[Sample], batch_size: int | None = None, journal: Journal | None = None
    ) -> Generator[Fate, None, None]:
        """Apply the op to samples, taken as the whole dataset; they are iterated more than once."""
        del batch_size, journal
        yield from self.selected(samples, list(self.select(samples)))

    def selected(self, samples: Iterable[Sample], selections: Sequence[Selection]) -> Generator[Fate, None, None]:
        """The fates of samples about which it is decided already."""
        have_duplicates = {each.number for each in selections if isinstance(each, DuplicateOf)}
        names: dict[int, str] = {}
        for number, sample in enumerate(samples):
            if number >= len(selections):
                raise BugError(f"{self.numbered_name} chose among fewer samples than the dataset has")
            if number in have_duplicates:
                names[number] = sample_name(sample, self.media_keys())
            yield _fate(sample, selections[number], names)


def _fate(sample: Sample, selection: Selection, names: Mapping[int, str]) -> Fate:
    if isinstance(selection, SampleError):
        return Fate(kind="rejected", sample=sample, failure=selection)
    if isinstance(selection, DuplicateOf):
        selection = Dropped(duplicate_of=names.get(selection.number, ""))
    if isinstance(selection, Dropped):
        return Fate(kind="filtered", sample=sample, dropped=selection)
    return Fate(kind="kept", sample=sample, outputs=(sample,)) if selection else Fate(kind="filtered", sample=sample)


@dataclass(frozen=True, kw_only=True)
class Deduplicator(WholeDatasetOp):
    """Base of ops that keep the first of all samples with the same signature."""

    @abstractmethod
    def signature(self, sample: Sample) -> str:
        """Equal for samples that are duplicates of each other.

        Raises:
            SampleError: there is none; the sample is rejected.
        """

    def select(self, samples: Iterable[Sample]) -> list[Selection]:
        """Keep a sample whose signature has not been met before."""
        return self.decide(self.signatures(samples))

    def signatures(self, samples: Iterable[Sample]) -> Iterator[str | SampleError]:
        """For each sample, in order, its signature, or the error that prevents it."""
        for sample in samples:
            try:
                yield self.signature(sample)
            except SampleError as error:
                yield error

    def decide(self, signatures: Iterable[str | SampleError]) -> list[Selection]:
        """Keep the first sample of each signature."""
        kept: dict[str, int] = {}
        selections: list[Selection] = []
        for number, signature in enumerate(signatures):
            if isinstance(signature, SampleError):
                selections.append(signature)
                continue
            first = kept.setdefault(signature, number)
            selections.append(True if first == number else DuplicateOf(first))
        return selections


@dataclass(frozen=True, kw_only=True)
class Selector(WholeDatasetOp):
    """Base of ops that pick samples by comparing them with all others (the best N, a spread, …)."""
