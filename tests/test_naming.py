"""Paths from Windows are told to be such."""

from __future__ import annotations

import pytest

from juicecap.naming import missing


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/data/a.mp4", "does not exist"),
        (r"/data/sub\a.mp4", "does not exist: backslashes are no separators here; did you mean '/data/sub/a.mp4'?"),
        (r"/data/.\b.mp4", "does not exist: backslashes are no separators here; did you mean '/data/b.mp4'?"),
        (r"/data/C:\clips\b.mp4", "does not exist: C: is a drive of Windows, and this is another system"),
        ("/data/\ufeffa.mp4", "does not exist: the name of the file begins with an invisible character U+FEFF"),
        ("/da\u200bta/a.mp4", "does not exist: the name of a folder holds an invisible character U+200B"),
        ("C:/clips/b.mp4", "does not exist: C: is a drive of Windows, and this is another system"),
    ],
)
def test_what_is_missing(path: str, told: str) -> None:
    assert missing(path) == told
