"""Whose an output is that exists: this run's as it was written, this run's with edits, or somebody else's.

Cheap things come first: the state of the file, then a digest of its bytes, then its rows. `check` looks only so far as it takes
no time; a run looks at all rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from juicecap.data.edits.comparing import Edits, compare, described, obstacles
from juicecap.data.edits.found_rows import content_digest
from juicecap.data.edits.written_rows import read_head
from juicecap.recipe.exports_file import Exports, state_of
from juicecap.recipe.work_dir import REPLACED

EARLIER = "the run folder has no note of them, which earlier versions did not make"

SMALL = 2**22
"""Bytes of an output whose rows `check` compares."""


Whose = Literal["nobody's", "own", "edited", "foreign"]


@dataclass(frozen=True, kw_only=True)
class FoundOutput:
    """What is where an output goes."""

    state: str | None
    """The state of what is there; None: nothing is."""
    whose: Whose
    edits: Edits | None = None
    """How one that was edited, or touched, differs from what was written."""
    untouched: bool = False
    """Whether its edits are those that a run carried into it, and nobody touched it since."""

    @property
    def is_as_written(self) -> bool:
        """Whether it is as a run of this folder wrote it, byte for byte."""
        return self.whose == "own" and self.edits is None


def find_output(exports: Exports, output: Path, *, quick: bool = False) -> FoundOutput:
    """Whose an output is; `quick`: rows are not compared where that takes long."""
    state = state_of(output)
    if state is None:
        return FoundOutput(state=None, whose="nobody's")
    states = exports.states(output)
    if not states:
        return FoundOutput(state=state, whose="foreign")
    if state in states:
        head = read_head(exports.rows_file(output, state))
        if head is None or not head.edited:
            return FoundOutput(state=state, whose="own")
    edits = _edits(exports, output, [state] if state in states else states, quick=quick)
    if edits is None:
        return FoundOutput(state=state, whose="own")
    whose: Whose = "own" if edits.says_the_same else "edited"
    return FoundOutput(state=state, whose=whose, edits=edits, untouched=state in states)


def edited(output: Path, edits: Edits) -> str:
    """That an output was edited, in words."""
    is_known = bool(edits.equal or edits.changed)
    return f"{output} was edited{'' if is_known else ' or replaced'} since juicecap wrote it: {described(edits)}"


def what_next(edits: Edits, work_dir: Path) -> str:
    """What can be done with an output that was edited, so that nothing is lost."""
    replaced = f"--overwrite replaces it and keeps what is there in {work_dir / REPLACED}; or give another path"
    if edits.unknown:
        return f"{replaced}. --keep-edits needs to know the rows"
    if why := obstacles(edits):
        return f"{replaced}. --keep-edits cannot carry that: {why}"
    return f"--keep-edits carries that into the new output; {replaced}"


def _edits(exports: Exports, output: Path, states: list[str], *, quick: bool) -> Edits | None:
    """How an output differs from what was written, the nearest of its earlier states; None if it does not."""
    found = list(_compared(exports, output, states, quick=quick))
    if None in found:
        return None
    known = [each for each in found if each is not None]
    return min(known, key=lambda each: (bool(each.unknown), each.differences), default=Edits(unknown=EARLIER))


def _compared(exports: Exports, output: Path, states: list[str], *, quick: bool) -> Iterator[Edits | None]:
    too_large = quick and _size(output) > SMALL
    content = "" if too_large else _content(output)
    for state in reversed(states):
        file = exports.rows_file(output, state)
        head = read_head(file)
        if head is None:
            continue
        if head.content == content and not head.edited:
            yield None
            return
        yield Edits(unknown="it is too large for a quick look") if too_large else compare(output, file, head, quick=quick)


def _content(output: Path) -> str:
    try:
        return content_digest(output)
    except OSError:
        return ""


def _size(output: Path) -> int:
    files = list(output.iterdir()) if output.is_dir() else [output]
    return sum(os.stat(file).st_size for file in files)
