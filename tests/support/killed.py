"""Code behind a file of ops, with which the run kills itself when an output gets its name."""

from __future__ import annotations

KILLED = """

import os, signal
_rename = {rename}

def rename(self, target, *rest):
    if pathlib.Path(target).name == {name!r}:
        if {after}:
            _rename(self, target, *rest)
        os.kill(os.getpid(), signal.SIGKILL)
    return _rename(self, target, *rest)

{rename} = rename
"""
"""`rename` is the function that gives names, `name` the output's, and `after` says whether it has it by then."""
