"""Ops of Data-Juicer's that juicecap has not: their names, what they need, and which op of juicecap's does the same.

They stand in `assets/data_juicer_ops.tsv`, as release 1.6.1 has them. None of them is run: who writes such a name is told what it
is, and not a name that looks like it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TABLE = Path(__file__).parents[1] / "assets" / "data_juicer_ops.tsv"


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """What is known of an op that juicecap has not."""

    name: str
    needs: str
    """A model, a library or a program, in a word or two; empty: nothing that is worth a word."""
    here: str
    """The op of juicecap's that does the same, if there is one."""

    @property
    def message(self) -> str:
        """What it is."""
        needs = f" (needs {self.needs})" if self.needs else ""
        return f"{self.name} is an op of Data-Juicer's{needs}; {self.answer}"

    @property
    def answer(self) -> str:
        """What juicecap has instead."""
        return f"juicecap has {self.here} for that" if self.here else "juicecap has none"

    @property
    def hint(self) -> str:
        """What to do about it."""
        return "py-data-juicer can run it before or after"


@functools.cache
def of_data_juicer() -> Mapping[str, Elsewhere]:
    """All of them by name."""
    found = {}
    for line in _TABLE.read_text(encoding="utf-8").splitlines()[1:]:
        name, needs, here, *_ = [*line.split("\t"), "", ""]
        found[name] = Elsewhere(name=name, needs=needs, here=here)
    return found
