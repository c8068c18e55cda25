"""Prices of a plan, and what a run costs by them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from juicecap.report.words import duration
from juicecap.runner.estimate.model import Interval, Plan


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What things cost, where it is known. Prices of tokens are for a million."""

    gpu_hour: float | None = None
    input_mtok: float | None = None
    output_mtok: float | None = None
    tokens_per_second: float | None = None
    """Tokens of prompts and answers together, on all GPUs together."""
    currency: str = ""
    """That of all prices, as it was given: letters or a sign; empty: it was not given."""

    @property
    def by_tokens(self) -> bool:
        """Whether tokens are paid."""
        return self.input_mtok is not None or self.output_mtok is not None


def hours(plan: Plan, prices: Prices) -> Interval | None:
    """How long the engines will work."""
    if not prices.tokens_per_second:
        return None
    return plan.prompt_tokens().plus(plan.answer_tokens()).times(1 / prices.tokens_per_second / 3600)


def cost(plan: Plan, prices: Prices) -> Interval | None:
    """What it will cost, by tokens or by hours."""
    if prices.by_tokens:
        read = plan.prompt_tokens().times((prices.input_mtok or 0) / 1e6)
        return read.plus(plan.answer_tokens().times((prices.output_mtok or 0) / 1e6))
    time = hours(plan, prices)
    return time.times(prices.gpu_hour) if time and prices.gpu_hour is not None else None


def cost_lines(plan: Plan, prices: Prices) -> Iterator[str]:
    """The cost, and what it is made of."""
    spent, time = cost(plan, prices), hours(plan, prices)
    if spent is None:
        if prices.gpu_hour is not None:
            yield "not known: --gpu-hour needs --tokens-per-second"
        return
    digits = 2 if spent.high >= 1 else 4
    currency = "" if prices.currency else ", in the currency of the prices"
    yield f"{_money(f'{spent.low:,.{digits}f}', prices)} to {_money(f'{spent.high:,.{digits}f}', prices)}{currency}"
    if prices.by_tokens:
        yield _part(plan.prompt_tokens(), "prompt", prices.input_mtok, "--input-mtok", prices)
        yield _part(plan.answer_tokens(), "completion", prices.output_mtok, "--output-mtok", prices)
        yield "shared and replayed answers cost nothing; attempts that fail and later rounds are not in it"
    elif time and prices.gpu_hour is not None:
        worked = f"{duration(time.low * 3600)} to {duration(time.high * 3600)}"
        yield f"{worked} at {_money(f'{prices.gpu_hour:,g}', prices)} an hour of all GPUs"
        yield "shared and replayed answers cost nothing; loading models, waiting for frames and later rounds are not in it"


def interval_text(interval: Interval) -> str:
    """A range of whole numbers; a single one where both are equal."""
    low, high = round(interval.low), round(interval.high)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _part(tokens: Interval, kind: str, price: float | None, option: str, prices: Prices) -> str:
    told = f"{interval_text(tokens)} {kind} tokens"
    return f"{told} are not in it: give {option}" if price is None else f"{told} at {_money(f'{price:,g}', prices)} a million"


def _money(amount: str, prices: Prices) -> str:
    currency = prices.currency
    if currency and unicodedata.category(currency[0]) == "Sc":  # a sign stands in front
        return f"{currency}{amount}"
    return f"{amount} {currency}" if currency else amount
