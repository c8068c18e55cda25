"""Numbers on a command line: each with its bounds, and a sentence for what lies outside of them."""

from __future__ import annotations

import argparse
import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

MOST_PREVIEWED = 1000
"""Samples of a preview, whose page holds all their frames."""

MOST_MONEY = 1e9
"""The largest price, in any currency, and number of tokens per second."""


LONGEST_CURRENCY = 12
"""Letters."""

_PRICE = re.compile(r"(?P<before>[^\d\s.+-]*)\s*(?P<number>[\d.]+(?:[eE][+-]?\d+)?)\s*(?P<after>[^\d\s.+-]*)")


def whole(most: int) -> Callable[[str], int]:
    """A reader of whole numbers from 1 to `most`, for `type=` of an argument."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:  # no number, or one with more digits than Python reads
            raise argparse.ArgumentTypeError(f"must be a whole number, not {_shown(text)}") from None
        if value < 1:
            raise argparse.ArgumentTypeError("must be at least 1")
        if value > most:
            raise argparse.ArgumentTypeError(f"must be at most {most}")
        return value

    return read


def amount(*, least: float = 0.0) -> Callable[[str], float]:
    """A reader of numbers that are 0, or from `least` to `MOST_MONEY`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a number, not {_shown(text)}") from None
        if not value >= 0:
            raise argparse.ArgumentTypeError("must be a number that is not below 0")
        if 0 < value < least or value > MOST_MONEY:
            raise argparse.ArgumentTypeError(f"must be from {least:g} to {MOST_MONEY:.0f}")
        return value

    return read


class Price(NamedTuple):
    """A price, and its currency as it was given: letters, or a sign; empty if it was not."""

    amount: float
    currency: str


def price(text: str) -> Price:
    """Read a price from the command line: `2.5`, `2.50USD`, `$2.50`."""
    parts = _PRICE.fullmatch(text.strip())
    if parts is None or (parts["before"] and parts["after"]):
        return Price(amount()(text), "")
    currency = parts["before"] or parts["after"]
    if currency and not (
        all(unicodedata.category(each) == "Sc" for each in currency) or (currency.isalpha() and len(currency) <= LONGEST_CURRENCY)
    ):
        raise argparse.ArgumentTypeError(f"must be a number with or without a currency (2.50USD, $2.50), not {_shown(text)}")
    return Price(amount()(parts["number"]), currency)


def _shown(text: str) -> str:
    return repr(text[:40])
