"""One model's engines on all actors: which of them gets a batch, and what happens to it when the actor is lost.

A batch goes whole to the actor that has the fewest requests, as it was cut. If the actor is killed, or its node is lost, the
batch goes to another one at once, whole again. If its process dies on a node that goes on, all that it had are suspects: they are
asked again one at a time, each with an engine to itself, and one that meets a second death is rejected.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

from juicecap.errors import EnvironmentFailure, JuicecapError, ModelError, SampleError
from juicecap.vlm.base import Limits, ModelSettings, Outcome
from juicecap.vlm.cluster.actor import BatchReply
from juicecap.vlm.cluster.fleet import Fleet
from juicecap.vlm.cluster.seat import Seat, SiteLost
from juicecap.vlm.outcomes import failure_of
from juicecap.vlm.pipeline.sites.site import Description, Served, SiteRequest, Watcher

DEATHS = 8
"""So many processes in a row that die without an answer in between, and the run ends."""

CERTAIN = 2
"""So many deaths in a row, and it is certain which request is to blame; with more it may be the engine itself."""


class RayEngine:
    """See the module's docstring (`SiteEngine`)."""

    def __init__(self, fleet: Fleet, settings: ModelSettings, limits: Limits, size: int, description: Description) -> None:
        self._fleet, self._description = fleet, description
        self._key = settings, limits, size
        self._most: dict[Seat, int] = {}
        """The seats where the engine is open, and how many batches each takes."""
        self._busy: Counter[Seat] = Counter()
        self._deaths = 0
        self._mourned: set[Seat] = set()
        self._alone = asyncio.Lock()

    async def begin(self) -> None:
        """Open the engine on all actors; one is enough to begin with.

        Raises:
            JuicecapError: it opens on none.
        """
        self._fleet.on_ready.append(self._open_beside)
        for seat in self._fleet.ready:
            self._open_beside(seat)
        await self._fleet.wait(lambda: bool(self._open_seats()))

    def end(self) -> None:
        """Open it nowhere any more."""
        self._fleet.on_ready.remove(self._open_beside)

    async def admit(self, requests: int) -> RayPlace:
        """See `SiteEngine`."""
        del requests
        await self._fleet.wait(lambda: any(self._has_room(seat) for seat in self._open_seats()))
        return RayPlace(self, _freest(seat for seat in self._open_seats() if self._has_room(seat)))

    async def serve(self, seat: Seat, batch: Sequence[SiteRequest]) -> list[Served]:
        """What became of a batch, at this seat, or at others if it is lost.

        Raises:
            EnvironmentFailure, ModelError: as `Place.serve`.
        """
        while True:
            try:
                return await self._asked(seat, batch)
            except SiteLost as lost:
                if lost.cause:
                    self._count_death(seat, lost.cause)
                    return [await self._ask_alone(asked) for asked in batch]
            except EnvironmentFailure as error:
                self._fleet.refuse(seat, f"the engine on node {seat.report.node} failed: {error}")
                if not self._fleet.ready:
                    raise
            seat = await self._another()

    def enter(self, seat: Seat) -> None:
        """A batch is let in at a seat."""
        self._busy[seat] += 1

    def leave(self, seat: Seat) -> None:
        """A batch has left a seat."""
        self._busy[seat] -= 1
        self._fleet.tell()

    async def _another(self) -> Seat:
        await self._fleet.wait(lambda: any(not seat.reserved for seat in self._open_seats()))
        return _freest(seat for seat in self._open_seats() if not seat.reserved)

    def _open_seats(self) -> list[Seat]:
        return [seat for seat in self._most if not seat.is_lost]

    def _has_room(self, seat: Seat) -> bool:
        return not seat.reserved and self._busy[seat] < self._most[seat]

    async def _asked(self, seat: Seat, batch: Sequence[SiteRequest]) -> list[Served]:
        seat.in_progress += len(batch)
        try:
            reply: BatchReply = await seat.call("serve", *self._key, batch)
        finally:
            seat.in_progress -= len(batch)
        seat.answered += len(batch)
        self._deaths = 0
        if reply.lessons:
            self._description.lessons.learn_from(reply.lessons)
        return reply.served

    async def _ask_alone(self, asked: SiteRequest) -> Served:
        """Ask one suspect, which has an engine to itself."""
        async with self._alone:
            while True:
                seat = await self._another()
                seat.reserved = True
                try:
                    await self._fleet.wait(lambda seat=seat: seat.is_lost or not seat.in_progress)  # type: ignore[misc]
                    (served,) = await self._asked(seat, [asked])
                    return served
                except SiteLost as lost:
                    if lost.cause:
                        self._count_death(seat, lost.cause)
                        text = f"{lost.cause} twice over this sample"
                        retryable = self._deaths > CERTAIN
                        error = SampleError("ENGINE_POISON", text, retryable=retryable, attempts=2)
                        return Served(outcome=Outcome(failure=failure_of(error), seed=asked.seed))
                finally:
                    seat.reserved = False
                    self._fleet.tell()

    def _count_death(self, seat: Seat, cause: str) -> None:
        """Count the death of a process, which several batches notice."""
        if seat in self._mourned:
            return
        self._mourned.add(seat)
        self._deaths += 1
        if self._deaths >= DEATHS * max(1, len(self._fleet.seats)):
            raise EnvironmentFailure(f"{cause}, as did {self._deaths - 1} before it without an answer in between")

    def _open_beside(self, seat: Seat) -> None:
        self._fleet.spawn(self._open_at(seat))

    async def _open_at(self, seat: Seat) -> None:
        """Open the engine at a seat, if it is the same engine there."""
        settings, node = self._key[0], seat.report.node
        try:
            word = self._description.lessons.pinned(self._description.transport_choice)
            here: Description = await seat.call("describe", settings, word, None)
            if here.identity != self._description.identity:
                self._fleet.refuse(
                    seat,
                    f"node {node} has another model, dtype, template or library for {settings.model} than the first node that "
                    "described it: its answers would differ; make the nodes equal",
                )
                return
            most = await seat.call("open", *self._key)
        except SiteLost:
            return
        except ModelError as error:
            self._fleet.refuse(seat, f"node {node}: {error}")
            if not self._fleet.ready:
                raise
        except JuicecapError as error:
            self._fleet.refuse(seat, f"the engine on node {node} cannot be opened: {error}")
            if not self._fleet.ready:
                raise
        else:
            self._most[seat] = most
            self._fleet.tell()


class RayPlace:
    """The place of a batch at an actor (`Place`)."""

    def __init__(self, engine: RayEngine, seat: Seat) -> None:
        self._engine, self._seat = engine, seat
        engine.enter(seat)

    async def serve(self, batch: Sequence[SiteRequest], watcher: Watcher) -> list[Served | None]:
        """See `Place`."""
        with watcher.calling(len(batch)):
            return [*await self._engine.serve(self._seat, batch)]

    def leave(self) -> None:
        """See `Place`."""
        self._engine.leave(self._seat)


def _freest(seats: Iterable[Seat]) -> Seat:
    return min(seats, key=lambda seat: (seat.in_progress, seat.number))
