"""`juicecap plan RECIPE`: what a run will take, estimated from the headers of its media."""

from __future__ import annotations

import argparse

from juicecap.cli import recipe_arguments
from juicecap.cli.numbers import Price, amount, price
from juicecap.cli.printing import show
from juicecap.errors import UsageError

SLOWEST = 0.001
"""The smallest rate, in tokens per second: one token in a quarter of an hour."""


_PRICES = ("gpu_hour", "input_mtok", "output_mtok")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    recipe_arguments.add_arguments(parser)
    recipe_arguments.add_limit(parser)
    parser.add_argument("--all", action="store_true", help="examine all samples, not 200 spread over the dataset")
    parser.add_argument("--gpu-hour", type=price, metavar="PRICE", help="price of an hour of all GPUs together, such as 2.50USD")
    parser.add_argument("--input-mtok", type=price, metavar="PRICE", help="price of a million prompt tokens, such as $0.20")
    parser.add_argument("--output-mtok", type=price, metavar="PRICE", help="price of a million completion tokens")
    parser.add_argument(
        "--tokens-per-second",
        type=amount(least=SLOWEST),
        metavar="N",
        help="tokens that all engines together read and write per second",
    )


def main(options: argparse.Namespace) -> int:
    """Print the plan."""
    if options.gpu_hour is not None and (options.input_mtok is not None or options.output_mtok is not None):
        raise UsageError("a run is paid by --gpu-hour or by --input-mtok and --output-mtok, not by both: give one of them")
    given: dict[str, Price] = {name: each for name in _PRICES if (each := getattr(options, name)) is not None}
    currencies = list(dict.fromkeys(each.currency for each in given.values() if each.currency))
    if len(currencies) > 1:
        raise UsageError(f"prices are given in {' and '.join(currencies)}: give all of them in one currency")
    if options.tokens_per_second == 0:
        raise UsageError("--tokens-per-second must be more than 0")
    recipe, _ = recipe_arguments.checked(options)
    from juicecap.data.surroundings import quiet_libraries

    with recipe_arguments.in_silence(recipe), quiet_libraries():
        from juicecap.report.plan import plan_text
        from juicecap.report.prices import Prices
        from juicecap.runner.estimate.compute import make_plan

        plan = make_plan(recipe, look_at_all=options.all, limit=options.limit)
    amounts = {name: each.amount for name, each in given.items()}
    currency = currencies[0] if currencies else ""
    prices = Prices(**amounts, tokens_per_second=options.tokens_per_second, currency=currency)
    show(recipe.hidden.text(plan_text(plan, prices)))
    return 0
