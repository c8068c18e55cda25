"""What every filter takes that keeps what lies in a range: whether its ends belong to it, and whether it is turned round."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from juicecap.ops.options.groups import RANGE
from juicecap.ops.options.run_options import IGNORED
from juicecap.vlm.base import LATER


@dataclass(frozen=True, kw_only=True)
class RangeOptions:
    """Mixed into filters. Names, defaults and meanings are Data-Juicer's: an end that is null is no limit."""

    min_closed_interval: bool = field(default=True, metadata={**RANGE, **LATER})
    """Whether the lower end itself passes."""
    max_closed_interval: bool = field(default=True, metadata={**RANGE, **LATER})
    """Whether the upper end itself passes."""
    reversed_range: bool = field(default=False, metadata={**RANGE, **LATER})
    """Whether what lies outside of the range passes, and not what lies in it. A closed end passes either way."""

    ignored_parameters: ClassVar[Mapping[str, str]] = {
        **IGNORED,
        "prompt_key": "filters ask nothing",
        "stats_export_path": "filters write no figures; the run's summary tells what each op kept and dropped",
    }

    def in_range(self, value: float, low: float | None, high: float | None) -> bool:
        """Whether a value passes; null ends are no limits."""
        low_inside, high_inside = self.min_closed_interval != self.reversed_range, self.max_closed_interval != self.reversed_range
        above = low is None or value > low or (low_inside and value == low)
        below = high is None or value < high or (high_inside and value == high)
        return (above and below) != self.reversed_range

    def range_wanted(self, **ends: float | None) -> dict[str, Any]:
        """Those of these ends of ranges that are limits, and what is unusual about the range; for `Op.wanted`."""
        limits = {name: end for name, end in ends.items() if end not in (None, 0, math.inf, sys.maxsize)}
        defaults = {each.name: each.default for each in fields(RangeOptions)}
        return limits | {name: getattr(self, name) for name, usual in defaults.items() if getattr(self, name) != usual}

    def range_problems(self, low: tuple[str, float | None], high: tuple[str, float | None]) -> list[tuple[str, str]]:
        """A problem if the range between two (parameter, value) pairs lets nothing pass, or reversed everything or nothing."""
        name, least = low
        other, most = high
        if least is None or most is None:
            nothing = f"reversed_range without {name} and {other}: nothing lies outside of the range, and nothing can pass"
            return [("reversed_range", nothing)] if self.reversed_range and least is most else []
        if least > most:
            what = "everything passes" if self.reversed_range else "nothing can pass"
            return [(name, f"{name} ({least}) is larger than {other} ({most}): {what}")]
        if least == most and not self.reversed_range and not (self.min_closed_interval and self.max_closed_interval):
            return [(name, f"{name} and {other} are both {least}, and an end is open: nothing can pass")]
        return []
