"""`python -m juicecap`."""

from __future__ import annotations

import sys

from juicecap.cli import main

sys.exit(main())
