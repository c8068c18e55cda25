"""What came of rounds in which runs are killed, and the runs themselves: what `kill_fuzz.py` and `shard_fuzz.py` share."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common import conclude, processes_of_session
from kill_traces import Left


@dataclass
class Tally:
    """What came of the rounds. `kills` has their number by what was killed."""

    kills: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    identical: int = 0
    lost: int = 0
    duplicated: int = 0
    reasked: int = 0
    uncommitted: int = 0
    broken: list[str] = field(default_factory=list)

    def compare(self, left: Left, expected: Left) -> None:
        """Count a round that left this."""
        number, self.rounds = self.rounds, self.rounds + 1
        self.identical += left == expected
        self.lost += (expected.samples() - left.samples()).total()
        self.duplicated += (left.samples() - expected.samples()).total()
        if left.rejected != expected.rejected:
            self.broken.append(f"round {number}: rejected {left.rejected} instead of {expected.rejected}")

    def look_for_leftovers(self, folder: Path) -> None:
        """Note files in the folder of the last round that should be gone."""
        names = [name for _, folders, files in os.walk(folder) for name in (*folders, *files)]
        if leftovers := [name for name in names if name.endswith((".tmp", ".merged")) or name == "unfinished"]:
            self.broken.append(f"round {self.rounds - 1} leaves {leftovers}")

    def expect_nobody(self, session: int) -> None:
        """Note processes of a run's session that outlive it."""
        for _ in range(1200):  # one that has just been started first has to come to itself
            if not processes_of_session(session):
                return
            time.sleep(0.05)
        self.broken.append(f"processes outlive their run: {processes_of_session(session)}")

    def conclude(self) -> None:
        """Print the figures, the last line of the benchmark."""
        print(f"answers that had been asked for and were not in the journal yet: {self.uncommitted}")
        for each in self.broken:
            print(each)
        conclude(
            kills=self.kills.total(),
            lost=self.lost,
            duplicated=self.duplicated,
            identical=self.identical / self.rounds,
            reasked=self.reasked,
            rounds=self.rounds,
            broken=len(self.broken),
        )


def started(command: Sequence[str], folder: Path) -> subprocess.Popen[str]:
    """A command in a session of its own; what it says on stderr can be read."""
    return subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
