"""Whether two servers are alike in what can change an answer, as far as they tell."""

from __future__ import annotations

from juicecap.errors import ModelError
from juicecap.notice import say_once
from juicecap.vlm.backends.openai.detect_server import ServerInfo
from juicecap.vlm.backends.openai.lessons import ServerLessons


def check_alike(model: str, one: tuple[str, ServerInfo], other: tuple[str, ServerInfo]) -> None:
    """Do nothing if both servers, given with their addresses, may answer the same requests.

    Raises:
        ModelError: an answer would depend on which of them gives it.
    """
    (here, first), (there, second) = one, other
    why = "so answers would depend on the server that gives them"
    if first.transport != second.transport:
        way = "start both alike, or set transport in model_params to a way that both take"
        raise ModelError(f"{here} takes videos as {first.transport} and {there} as {second.transport}, {why}: {way}")
    if first.context and second.context and first.context != second.context:
        told = f"{here} holds {first.context:,} tokens and {there} {second.context:,}"
        raise ModelError(f"{told}, {why}: start both with the same length of context")
    if first.root and second.root and first.root != second.root:
        say_once(f"{here} serves {first.root} as {model!r}, and {there} {second.root}: their answers count as those of one model")


def check_takes_as_much(place: str, lessons: ServerLessons, others: ServerLessons) -> None:
    """Do nothing if a server that comes later refuses no more parameters than the others, which have answered with them.

    Raises:
        ModelError: it does.
    """
    if names := lessons.beyond(others):
        raise ModelError(f"{place} does not take {', '.join(names)}, which the other servers take: start it as they are")
