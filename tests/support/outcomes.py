"""Outcomes as texts, to be compared."""

from __future__ import annotations

from collections.abc import Iterable

from juicecap.vlm.base import Outcome


def texts(outcomes: Iterable[Outcome]) -> list[str]:
    """The first answer of each, or the code of its failure."""
    return [each.failure.code if each.failure else each.answers[0].text for each in outcomes]
