"""Whether shards that are killed and merged leave what one run leaves: the bytes, each sample once, nothing asked again.

    python benchmarks/shard_fuzz.py [--kills N] [--shards N] [--merge-share X] [--seed N]

The recipe of five ops that `kill_fuzz.py` kills (a scripted server answers with a hash of what it is asked) runs in 8 shards.
In a round the shards run in random order; a run is left alone or killed (SIGKILL to its session) at a random moment, uniform over
the time that such a run takes, or after a random number of questions; then another shard has its turn, or the same again, until
all have ended by themselves. A share of the kills falls on `juicecap merge`, which is repeated until it ends. In every round one
shard is run once more when it is done.

`identical`: the share of rounds whose output is, byte for byte, that of a run without shards, with the same rejections. `lost`,
`duplicated`: samples that are missing from, or stand too often in, output and `rejected.jsonl`. `reasked`: answers that a shard
asked for again, though its journal had them when it was killed. `broken`: ends without exit code 0 of runs that nobody disturbed,
tables that a later run of the whole recipe makes again, questions that it asks, and processes and files that outlive a round.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from common import ROOT
from kill_subjects import Ask, Served, dataset
from kill_tally import Tally, started
from kill_traces import Left, entries

LATEST = 1.1
"""Of the time that such a run takes: later nothing is killed."""

SHARE_KILLED = 0.6
"""Of the runs, as long as there are kills left."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--merge-share", type=float, default=0.1, help="share of the kills that fall on merges")
    parser.add_argument("--seed", type=int, default=0, help="of order and moments")
    options = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", PYTHONPATH=str(ROOT))
    with tempfile.TemporaryDirectory(prefix="shard_fuzz_") as folder, ExitStack() as stack:
        fuzz = Fuzz(Path(folder), options, stack)
        while fuzz.tally.kills.total() < options.kills:
            fuzz.round()
            tally = fuzz.tally
            print(f"{dict(tally.kills)} kills, {tally.identical} of {tally.rounds} identical, broken: {tally.broken}", flush=True)
    fuzz.tally.conclude()


class Fuzz:
    """The subject, its data, and what an undisturbed run without shards left."""

    def __init__(self, folder: Path, options: argparse.Namespace, stack: ExitStack) -> None:
        self.tally = Tally()
        self._options, self._moments = options, random.Random(options.seed)
        self._subject, self._home = Served(stack), folder
        self._data = dataset(folder / "data", self._subject.samples)
        calm = folder / "calm"
        self._subject.prepare(calm, self._data)
        self._run(calm, "run")
        self._expected = Left.of(calm)
        self._questions = len(self._subject.asked(calm))
        self._seconds = {"shard": 2.0, "merge": 1.0}
        print(f"undisturbed: {self._questions} questions, {len(self._expected.output.splitlines())} rows", flush=True)

    def round(self) -> None:
        """All shards in random order, with kills among them, then the merge; and look at what is there."""
        folder, count = self._home / f"round{self.tally.rounds}", self._options.shards
        self._subject.prepare(folder, self._data)
        waiting = list(range(1, count + 1))
        again = self._moments.choice(waiting)
        while waiting:
            shard = self._moments.choice(waiting)
            if self._shard(folder, shard):
                waiting.remove(shard)
        self._shard(folder, again)
        while self._is_disturbed("merge", self._options.merge_share) and self._killed(folder, "merge", "merge"):
            pass
        self._run(folder, "merge")
        self._compare(folder)
        shutil.rmtree(folder)

    def _shard(self, folder: Path, shard: int) -> bool:
        """Run a shard, perhaps until it is killed; whether it ended by itself."""
        count = self._options.shards
        place = f"shards/{shard:02}-of-{count:02}"
        committed = self._subject.answered(entries(folder, place))
        already = len(self._subject.asked(folder))
        arguments = ("run", "--shard", f"{shard}/{count}")
        killed = self._is_disturbed("shard", 1 - self._options.merge_share) and self._killed(folder, "shard", *arguments)
        if not killed:
            began = time.monotonic()
            self._run(folder, *arguments)
            self._seconds["shard"] += (time.monotonic() - began - self._seconds["shard"]) / 4
        asked: set[Ask] = set(self._subject.asked(folder)[already:])
        self.tally.reasked += len(asked & committed)
        now = self._subject.answered(entries(folder, place))
        self.tally.uncommitted += len(asked - now)
        if gone := committed - now:
            self.tally.broken.append(f"{len(gone)} answers left the journal of shard {shard}")
        return not killed

    def _is_disturbed(self, what: str, share: float) -> bool:
        done = self.tally.kills.total()
        left = done < self._options.kills and self.tally.kills[what] < share * self._options.kills
        return left and self._moments.random() < SHARE_KILLED

    def _killed(self, folder: Path, what: str, *arguments: str) -> bool:
        """Run and kill; whether it was killed before it ended."""
        run, already = self._start(folder, *arguments), len(self._subject.asked(folder))
        if what == "shard" and self._moments.random() < 0.5:
            question = already + self._moments.randint(1, max(1, self._questions // self._options.shards))
            while run.poll() is None and len(self._subject.asked(folder)) < question:
                time.sleep(0.003)
        else:
            with suppress(subprocess.TimeoutExpired):
                run.wait(self._moments.uniform(0, LATEST * self._seconds[what]))
        killed = run.poll() is None
        if killed:
            os.killpg(run.pid, signal.SIGKILL)
            self.tally.kills[what] += 1
        self._ended(run, arguments, killed=killed)
        return killed

    def _run(self, folder: Path, *arguments: str) -> None:
        self._ended(self._start(folder, *arguments), arguments, killed=False)

    def _start(self, folder: Path, verb: str, *options: str) -> subprocess.Popen[str]:
        command = [part if part != "run" else verb for part in self._subject.command()]
        return started([*command, *options], folder)

    def _ended(self, run: subprocess.Popen[str], arguments: tuple[str, ...], *, killed: bool) -> None:
        _, told = run.communicate()
        if run.returncode and not killed:
            self.tally.broken.append(f"{' '.join(arguments)} ends with exit code {run.returncode}: {told[-1500:]}")
        self.tally.expect_nobody(run.pid)

    def _compare(self, folder: Path) -> None:
        self.tally.compare(Left.of(folder), self._expected)
        already = len(self._subject.asked(folder))
        self._run(folder, "run")
        manifest = json.loads((folder / "out" / "captions.run" / "manifest.json").read_text(encoding="utf-8"))
        made = [step["op"] for step in manifest["steps"] if not step["finished_before"]]
        if made or len(self._subject.asked(folder)) > already:
            self.tally.broken.append(f"a run after the merge makes {made} again")
        self.tally.look_for_leftovers(folder)


if __name__ == "__main__":
    main()
