"""`python -m juicecap`."""

from __future__ import annotations

from juicecap.cli import entry

entry()
