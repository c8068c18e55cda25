"""Whether anything is lost when a run is killed: kill at random moments, run again, compare with a run that nobody disturbed.

    python benchmarks/kill_fuzz.py [--kills N] [--hf-share X] [--by KILL|TERM|INT|FULL] [--seed N]

A recipe of five ops in one segment (a measurement, two ops that ask a model for several candidates, one that asks in rounds)
runs as `juicecap run` in a session of its own. At a random moment its process group gets the signal (`FULL`: from then on no
file of it may grow, as on a full disk), and the same command runs again, until it ends by itself; that is a round. A third of
the moments is uniform over the time that an undisturbed run takes, a third comes after a random number of questions, and a
third shortly after a random phase has begun, so that those are hit as well that are short. Most rounds ask a scripted server
over HTTP, which answers with a hash of what it is asked; a share of the kills falls on the real demo model on the backend `hf`.

`lost`, `duplicated`: samples that are missing from, or stand too often in, output and `rejected.jsonl` after a round.
`identical`: the share of rounds after which both, and `filtered.jsonl`, are those of the undisturbed run (byte for byte, but for
times of rejections). `reasked`: answers that were asked for after a kill, though right after it they stood in the journal.
`broken`: outputs that were there after a kill, but not whole; files and processes that outlived a round; and, for other ways
than KILL, ends without the exit code and the sentence that are promised.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from common import ROOT
from kill_subjects import Ask, Observed, Served, Subject, dataset
from kill_tally import Tally, started
from kill_traces import PHASES, Left, claimed, entries, phase_of, wait_for_handlers

LATEST = 1.1
"""Of the time that runs took that ended by themselves: beyond that nothing is killed."""

SOON = 0.25
"""Seconds after a question, or after the beginning of a phase, in which a run is killed."""

CODES = {"KILL": -9, "TERM": 130, "INT": 130, "FULL": 4}
SENTENCES = {
    "TERM": "interrupted; what is finished is kept, run the same command again to go on",
    "INT": "interrupted; what is finished is kept, run the same command again to go on",
    "FULL": "[Rr]un(ning)? again",
}


@dataclass
class PhasesTally(Tally):
    """Kills also by the phase in which they came."""

    phases: Counter[str] = field(default_factory=Counter)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--hf-share", type=float, default=0.1, help="share of the kills that fall on the real model")
    parser.add_argument("--by", choices=list(CODES), default="KILL", help="what disturbs the run")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", PYTHONPATH=str(ROOT))
    with tempfile.TemporaryDirectory(prefix="kill_fuzz_") as folder, ExitStack() as stack:
        tally = fuzz(Path(folder), options.kills, options.hf_share, options.by, random.Random(options.seed), stack)
    print(f"kills: {dict(tally.kills)}, {tally.rounds} rounds; in phases: {dict(sorted(tally.phases.items()))}")
    tally.conclude()


def fuzz(folder: Path, kills: int, hf_share: float, by: str, moments: random.Random, stack: ExitStack) -> PhasesTally:
    """Rounds until there were so many kills."""
    tally = PhasesTally()
    served = Victim(Served(stack), folder, by, moments, tally)
    observed = Victim(Observed(), folder, by, moments, tally) if hf_share else None
    while (done := tally.kills.total()) < kills:
        victim = observed if observed and tally.kills["hf"] < hf_share * (done + 1) else served
        victim.round(kills - done)
        print(
            f"{tally.kills.total()} kills, {tally.identical} of {tally.rounds} identical, broken: {tally.broken}",
            flush=True,
        )
    return tally


class Victim:
    """A subject with its data and what an undisturbed run of it left."""

    def __init__(self, subject: Subject, folder: Path, by: str, moments: random.Random, tally: PhasesTally) -> None:
        self._subject, self._by, self._moments, self._tally = subject, by, moments, tally
        self._home = folder / subject.name
        self._home.mkdir()
        self._data = dataset(self._home / "data", subject.samples)
        calm = self._home / "calm"
        subject.prepare(calm, self._data)
        began = time.monotonic()
        run = self._start(calm)
        _, told = run.communicate()
        self._seconds = time.monotonic() - began
        if run.returncode:
            raise SystemExit(f"the undisturbed run ends with exit code {run.returncode}:\n{told}")
        self._expected, self._questions = Left.of(calm), len(subject.asked(calm))
        rows = len(self._expected.output.splitlines())
        print(f"{subject.name}: undisturbed {self._seconds:.1f} s, {self._questions} questions, {rows} rows", flush=True)

    def round(self, most: int) -> None:
        """Run, kill and run again, with at most so many kills, until the run ends by itself; then look at what is there.

        A run that was killed when all was done is run again once, and left alone.
        """
        number = self._tally.rounds
        folder = self._home / f"round{number}"
        self._subject.prepare(folder, self._data)
        already = len(self._subject.asked(folder))
        committed: set[Ask] = set()
        while most and phase_of(folder) < len(PHASES) - 1:
            if not self._disturbed(folder, self._questions - len(committed)):
                break
            most -= 1
            asked = self._subject.asked(folder)[already:]
            self._tally.reasked += len(committed & set(asked))
            already += len(asked)
            now = self._subject.answered(entries(folder))
            if gone := committed - now:
                self._tally.broken.append(f"round {number}: {len(gone)} answers left the journal")
            self._tally.uncommitted += len(set(asked) - now)
            committed = now
        else:
            self._finish(folder)
        self._tally.reasked += len(committed & set(self._subject.asked(folder)[already:]))
        self._tally.compare(Left.of(folder), self._expected)
        self._tally.look_for_leftovers(folder)
        shutil.rmtree(folder)

    def _start(self, folder: Path) -> subprocess.Popen[str]:
        return started(self._subject.command(), folder)

    def _finish(self, folder: Path) -> None:
        run = self._start(folder)
        _, told = run.communicate()
        self._ended(run, told)

    def _ended(self, run: subprocess.Popen[str], told: str) -> None:
        if run.returncode:
            self._tally.broken.append(f"a run that nobody disturbed ends with exit code {run.returncode}: {told[-1500:]}")
        self._tally.expect_nobody(run.pid)

    def _disturbed(self, folder: Path, questions: int) -> bool:
        """Run and disturb; whether it was disturbed before it ended. So many `questions` are left to be asked."""
        began, run = time.monotonic(), self._start(folder)
        told: list[str] = []
        listening = threading.Thread(target=lambda: told.append(run.stderr.read()))
        listening.start()
        if self._by != "KILL":
            wait_for_handlers(run)
        self._wait_for_a_moment(run, folder, questions)
        disturbed = run.poll() is None
        phase = PHASES[phase_of(folder)]
        if disturbed:
            self._disturb(run)
        run.wait()
        listening.join()
        if not disturbed or run.returncode == 0:  # the latter: it had nothing left to do
            self._ended(run, "".join(told))
            self._seconds += (time.monotonic() - began - self._seconds) / 4
            return False
        self._tally.kills[self._subject.name] += 1
        self._tally.phases[phase] += 1
        self._look_at_end(run, "".join(told), phase, folder)
        return True

    def _wait_for_a_moment(self, run: subprocess.Popen[str], folder: Path, questions: int) -> None:
        """Wait until the run is to be disturbed, or has ended."""
        kind = self._moments.choice(["clock", "question", "phase"] if questions else ["clock", "phase"])
        if kind == "clock":
            with suppress(subprocess.TimeoutExpired):
                run.wait(self._moments.uniform(0, LATEST * self._seconds))
            return
        already, phase = len(self._subject.asked(folder)), self._moments.randint(max(1, phase_of(folder)), len(PHASES) - 1)
        question = already + self._moments.randint(1, max(1, questions))
        while run.poll() is None:
            if kind == "question" and len(self._subject.asked(folder)) >= question:
                break
            if kind == "phase" and phase_of(folder) >= phase and claimed(folder, run.pid):
                break
            time.sleep(0.003)
        with suppress(subprocess.TimeoutExpired):
            run.wait(self._moments.uniform(0, SOON))

    def _disturb(self, run: subprocess.Popen[str]) -> None:
        if self._by == "FULL":
            most = self._moments.choice([0, 2**12, 2**16, 2**18])
            with suppress(ProcessLookupError):
                resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (most, most))
        elif self._by == "TERM":
            run.terminate()
        else:
            os.killpg(run.pid, signal.Signals[f"SIG{self._by}"])

    def _look_at_end(self, run: subprocess.Popen[str], told: str, phase: str, folder: Path) -> None:
        sentence = SENTENCES.get(self._by)
        if run.returncode != CODES[self._by] or (sentence and not re.search(sentence, told)) or "Traceback" in told:
            self._tally.broken.append(f"{self._by} in phase {phase}: exit code {run.returncode}: {told[-1500:]}")
        output = folder / "out" / "captions.jsonl"
        if output.exists() and output.read_bytes() != self._expected.output:
            self._tally.broken.append(f"{self._by} in phase {phase} left half an output")
        self._tally.expect_nobody(run.pid)


if __name__ == "__main__":
    main()
