"""Ops that see the whole dataset before they decide about a sample: deduplicators and selectors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from juicecap.errors import BugError, SampleError
from juicecap.ops.apply.fate import Fate
from juicecap.ops.base import Op
from juicecap.ops.options.groups import KEPT
from juicecap.sample import Sample
from juicecap.vlm.journal import Journal

Selection = bool | SampleError
"""Whether a sample stays, or the error that prevents the decision."""


@dataclass(frozen=True, kw_only=True)
class WholeDatasetOp(Op):
    """An op that sees the whole dataset before it decides; `select` runs once, and `stream` reads the decisions."""

    default_group: ClassVar[str] = KEPT

    @abstractmethod
    def select(self, samples: Iterable[Sample]) -> list[Selection]:
        """For each sample of the dataset, in order, whether it stays, or the error that prevents the decision.

        `samples` can be iterated more than once.
        """

    def stream(
        self, samples: Iterable[Sample], batch_size: int | None = None, journal: Journal | None = None
    ) -> Generator[Fate, None, None]:
        """Apply the op to samples, taken as the whole dataset; they are iterated more than once."""
        del batch_size, journal
        yield from self.selected(samples, self.select(samples))

    def selected(self, samples: Iterable[Sample], chosen: Iterable[Selection]) -> Generator[Fate, None, None]:
        """The fates of samples about which it is decided already."""
        selections = iter(chosen)
        for sample in samples:
            selection = next(selections, None)
            if selection is None:
                raise BugError(f"{self.name} chose among fewer samples than the dataset has")
            yield _fate(sample, selection)


def _fate(sample: Sample, selection: Selection) -> Fate:
    if isinstance(selection, SampleError):
        return Fate(kind="rejected", sample=sample, failure=selection)
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
        seen: set[str] = set()
        selections: list[Selection] = []
        for signature in signatures:
            if isinstance(signature, SampleError):
                selections.append(signature)
                continue
            selections.append(signature not in seen)
            seen.add(signature)
        return selections


@dataclass(frozen=True, kw_only=True)
class Selector(WholeDatasetOp):
    """Base of ops that pick samples by comparing them with all others (the best N, a spread, …)."""
