"""The result of a run: counts per step, and paths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path

from juicecap.data.edits.carrying import KeptEdits
from juicecap.data.export.writers.job import ExportResult
from juicecap.ops.apply.table import Counts
from juicecap.runner.times import RunTimes
from juicecap.text import numbered
from juicecap.vlm.pipeline.resources.answer_counts import AnswerCounts, summed
from juicecap.vlm.pipeline.resources.engine_stats import AnsweredBy


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """One op's counts. `finished_before`: an earlier run had done it completely."""

    op: str
    """The op's name."""
    number: int = 0
    """The op's number in the recipe, from 1; 0: the reading of the dataset."""
    counts: Counts
    seconds: float
    """From its first sample to its last, without the time in which engines were opened; of a merge that of all its shards."""
    finished_before: bool
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Number of failed samples by code, the most frequent first."""
    tried_again: int = 0
    """Samples that failed in an earlier run and were tried again in this one."""
    answers: AnswerCounts = field(default_factory=AnswerCounts)
    """Where the answers that it got in this run came from."""
    measured: int = 0
    """Measurements that were made in this run."""
    measured_before: int = 0
    """Measurements that were known from the journal, or from another op."""
    answered_by: AnsweredBy = field(default_factory=dict)
    """Whose answers its table has, as far as that was noted."""

    @property
    def received(self) -> int:
        """The answers in the op's table, whichever run it got them in."""
        return self.counts.captions + self.counts.further

    @property
    def received_before(self) -> int:
        """Those of them that an earlier run left in the table."""
        return self.received - self.answers.received

    @property
    def label(self) -> str:
        """The op with its number: `video_captioning_from_vlm_mapper[3]`."""
        return numbered(self.op, self.number)


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The result of a run. `samples` + `added` = `exported` + `filtered` + `rejected`; the runner checks it."""

    samples: int
    steps: tuple[StepResult, ...]
    exported: int
    export_path: Path
    """The file, or the folder of shards; without `export_path` the place of the first export."""
    work_dir: Path
    seconds: float
    """From the command to the end."""
    max_rejected: float | int
    """A share of the input samples if a float, a number if an int."""
    next: str = ""
    """What has to be done until there is an output, a sentence; empty: it is written."""
    promise: str = ""
    """Of merged shards: what holds for the output beside that of one run, a sentence."""
    has_table: bool = True
    """Whether there is a table at `export_path`; else only `exports` were written."""
    exports: tuple[ExportResult, ...] = ()
    """What the recipe's `exports` wrote."""
    edits: tuple[KeptEdits, ...] = ()
    """Edits of outputs that were kept, an entry for each output that had some."""
    times: RunTimes = field(default_factory=RunTimes)
    """What the seconds were spent on."""
    shards: int = 0
    """Shards that were merged, which did the work of the ops; 0: the run did it itself."""

    @property
    def answers(self) -> AnswerCounts:
        """Where the answers that all ops got in this run came from."""
        return summed(step.answers for step in self.steps)

    @property
    def received(self) -> int:
        """The answers that ops got: asked, shared and replayed ones (`answers`), and those of `received_before`."""
        return sum(step.received for step in self.steps)

    @property
    def received_before(self) -> int:
        """Those of them that stand in tables which an earlier run finished."""
        return sum(step.received_before for step in self.steps)

    @property
    def replayed(self) -> int:
        """Answers of earlier runs that came from the journal."""
        return self.answers.replayed

    @property
    def asked(self) -> int:
        """Answers that engines gave in this run."""
        return self.answers.asked

    def total(self, name: str) -> int:
        """The sum of one of the `Counts` over all steps."""
        return sum(getattr(step.counts, name) for step in self.steps)

    @property
    def added(self) -> int:
        """Samples that mappers made besides those they were given."""
        return self.total("given") - self.total("kept")

    @property
    def rejected(self) -> int:
        """Samples rejected in all steps."""
        return self.total("rejected")

    @property
    def failed(self) -> int:
        """Failures of samples that stayed under `on_error: keep`, in all steps."""
        return self.total("failed")

    @property
    def reasons(self) -> dict[str, int]:
        """Number of failed samples by code in all steps, the most frequent first."""
        reasons: Counter[str] = Counter()
        for step in self.steps:
            reasons.update(step.reasons)
        return dict(reasons.most_common())

    @property
    def chain_holds(self) -> bool:
        """Whether each step took what the one before it gave, no sample has two fates or none, and the sums fit."""
        flow = [self.samples, *(step.counts.given for step in self.steps)]
        each = all(step.counts.taken == step.counts.kept + step.counts.filtered + step.counts.rejected for step in self.steps)
        summed = self.samples + self.added == self.exported + self.filtered + self.rejected
        return each and summed and flow == [*(step.counts.taken for step in self.steps), self.exported]

    @property
    def filtered(self) -> int:
        """Samples dropped by filters in all steps."""
        return self.total("filtered")

    @property
    def too_many_rejected(self) -> bool:
        """Whether more samples were rejected than `max_rejected` allows."""
        return self.rejected > rejections_allowed(self.max_rejected, self.samples)

    @property
    def exit_code(self) -> int:
        """0, or 3 if there is an output, and more samples were rejected than the recipe allows."""
        return 3 if self.too_many_rejected and not self.next else 0


def answer_facts(result: RunResult | StepResult) -> dict[str, int]:
    """Where answers came from, as the manifest and the log have it: `received` is the sum of the four that follow it."""
    counts = asdict(result.answers)
    came = {name: counts.pop(name) for name in ("asked", "shared", "replayed")}
    return {"received": result.received, **came, "received_before": result.received_before, **counts}


def sample_facts(counts: Counts) -> dict[str, int]:
    """The counts of samples. Tokens are left out, since shared answers count in each sample: `answer_facts` has what was paid."""
    return {name: count for name, count in asdict(counts).items() if not name.endswith("_tokens")}


def rejections_allowed(max_rejected: float, samples: int) -> int:
    """How many of the samples may be rejected: a number, or if it is a float the share of them that its decimal digits say."""
    return int(Fraction(str(max_rejected)) * (samples if isinstance(max_rejected, float) else 1))
