"""What is learnt of a model while it answers, and what that changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from juicecap.vlm.base import Request


class Lessons:
    """What is known of one engine beyond its settings. Belongs to the core's loop.

    This one is enough for an engine that takes all that requests say.
    """

    def __init__(self, *, thinks: bool = False) -> None:
        self.thinks = thinks
        """Whether answers begin in the middle of a thought, where a prompt does not tell."""

    def unsent(self, request: Request) -> tuple[str, ...]:
        """The names of what this request says and what is not sent, since the service does not take it; in order."""
        del request
        return ()

    def pinned(self, transport_choice: str) -> str:
        """What a journal keeps of all this: the choice, and what another run must know beside it."""
        return transport_choice

    def learn_from(self, other: Lessons) -> None:
        """Know what another one of the same engine knows, too: it has learnt elsewhere."""
        self.thinks = self.thinks or other.thinks
