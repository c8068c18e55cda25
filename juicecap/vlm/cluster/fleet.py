"""All actors of a run: started as there is room, checked before they are used, and replaced when they are lost.

As many as the recipe allows at most are asked for at once. Ray places them as it has room, also on nodes that join later; those
that wait for room cost nothing. A node that differs from the driver, or does not see what the run needs, is refused by its name,
and no actor is placed there again. The run goes on as long as there is an actor, and waits a while for one if there is none.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from loguru import logger

from juicecap.errors import EnvironmentFailure, JuicecapError
from juicecap.notice import say_once
from juicecap.vlm.cluster.connection import living_nodes, named
from juicecap.vlm.cluster.node_report import NodeReport, Wanted, clock_warning, problems_of, report_of
from juicecap.vlm.cluster.seat import Seat, SiteLost, remote_class
from juicecap.vlm.cluster.shape import Shape

PLACED_WITHIN = 600.0
"""Seconds that a run waits for actors: at its start, and when it has none any more."""

LOOKED_EVERY = 1.0
"""Seconds between two looks at whether there is what somebody waits for."""

PING_EVERY, SILENT_FOR = 10.0, 120.0
"""Seconds between two questions whether an actor is alive, and after which one that does not answer is given up."""

CLOSED_WITHIN = 10.0
"""Seconds in which actors may end their processes in good order."""

STARTS = 8
"""Actors in a row that may end before they are ready."""

INSTALL = 'install juicecap, of the same version, on all nodes (`pip install "juicecap[ray]"`), and start Ray there again'


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What actors are started with. `secrets` travel in memory, by a call: what actors are made with is kept by the cluster."""

    shape: Shape
    run: str
    wanted: Wanted
    secrets: Mapping[str, str] = field(repr=False)
    runtime_env: Mapping[str, Any]


class Fleet:
    """See the module's docstring. All methods are called on the core's loop."""

    def __init__(self, launch: Launch) -> None:
        self._launch, self._class = launch, remote_class()
        self.seats: list[Seat] = []
        self.refused: dict[str, str] = {}
        """Nodes that are not used, by their ids, and why."""
        self.on_ready: list[Callable[[Seat], None]] = []
        """Called with each seat that becomes ready."""
        self.changed = asyncio.Event()
        self._driver: NodeReport | None = None
        self._numbers = 0
        self._ended_early = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._closed = False

    @property
    def ready(self) -> list[Seat]:
        """The seats that take calls."""
        return [seat for seat in self.seats if seat.state == "ready"]

    @property
    def most(self) -> int:
        """How many seats there are at most."""
        return self._launch.shape.most

    async def begin(self) -> None:
        """Start actors, and wait until as many as the recipe wants at least are ready.

        Raises:
            EnvironmentFailure: they are not, in time.
        """
        self._driver = await asyncio.to_thread(report_of, "driver", self._launch.wanted)
        for _ in range(self.most):
            self._start()
        await self.wait(lambda: len(self.ready) >= self._launch.shape.least, whoever_is_ready=True)

    async def wait(self, enough: Callable[[], bool], *, whoever_is_ready: bool = False) -> None:
        """Wait until there is what is needed. Time counts while no seat is ready, or else from the start.

        Raises:
            EnvironmentFailure: there is not, in time.
        """
        loop = asyncio.get_running_loop()
        since = loop.time()
        while not enough():
            self._check()
            if self.ready and not whoever_is_ready:
                since = loop.time()
            elif self.refused and not await self._has_nodes():
                raise EnvironmentFailure(f"no node of the cluster can be used: {self._refusals()}")
            left = since + PLACED_WITHIN - loop.time()
            if left <= 0:
                raise EnvironmentFailure(await self._no_room())
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOKED_EVERY)):
                    await self.changed.wait()

    def tell(self) -> None:
        """Wake those that wait: something is different."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def refuse(self, seat: Seat, why: str) -> None:
        """Use the seat's node no more."""
        if seat.node_id and seat.node_id not in self.refused:
            self.refused[seat.node_id] = why
            say_once(f"{why}; the node is not used")
        for other in [each for each in self.seats if each.node_id == seat.node_id]:
            other.lose()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside the others, until the fleet is closed. An error of it is that of all who wait."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def close(self) -> None:
        """End all actors."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(_closed(seat) for seat in self.ready))
        for seat in list(self.seats):
            seat.lose()
        self.tell()

    def _start(self) -> None:
        shape, launch = self._launch.shape, self._launch
        self._numbers += 1
        options: dict[str, Any] = {"num_cpus": shape.cpus, "num_gpus": shape.gpus, "name": named(launch.run, self._numbers)}
        environment = dict(launch.runtime_env)
        threads = {"OMP_NUM_THREADS": str(max(1, int(shape.cpus)))}
        environment["env_vars"] = {**threads, **environment.get("env_vars", {})}
        if self.refused:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(self.refused)})"}
        try:
            actor = self._class.options(runtime_env=environment, **options).remote(shape.part)
        except ImportError as error:  # with `ray://` the class is loaded on the head
            raise EnvironmentFailure(f"the head of the cluster: {error}; {INSTALL}; running again resumes") from error
        seat = Seat(self._numbers, actor, self._lost)
        self.seats.append(seat)
        self.spawn(self._make_ready(seat))

    async def _make_ready(self, seat: Seat) -> None:
        try:
            seat.node_id, seat.report = await seat.call("hello", self._launch.wanted)
            if self._is_refused(seat):
                return
            await seat.call("configure", self._launch.secrets)
        except SiteLost:
            self._ended_early += 1
            return
        self._ended_early, seat.state = 0, "ready"
        logger.bind(event="engine", state="ready", node=seat.report.node).info("an engine is ready on node {}", seat.report.node)
        self.spawn(self._watch(seat))
        for told in self.on_ready:
            told(seat)
        self.tell()

    def _is_refused(self, seat: Seat) -> bool:
        assert self._driver is not None
        others = [each.report for each in self.ready]
        if seat.node_id in self.refused:
            seat.lose()
            return True
        if problems := problems_of(seat.report, self._driver, others[:1]):
            self.refuse(seat, "; ".join(problems))
            return True
        if warning := clock_warning(seat.report, seat.report.clock - time.time()):
            say_once(warning)
        return False

    async def _watch(self, seat: Seat) -> None:
        """Give the seat up if its actor says nothing any more."""
        while not seat.is_lost:
            await asyncio.sleep(PING_EVERY)
            if not await seat.answers_within(SILENT_FOR) and not seat.is_lost:
                say_once(f"the engine on node {seat.report.node} has said nothing for {SILENT_FOR:g} seconds and is given up")
                seat.lose()

    def _lost(self, seat: Seat) -> None:
        """Start another one in its place, wherever there is room."""
        self.seats.remove(seat)
        self.tell()
        if self._closed:
            return
        node = seat.report.node or "that had no room yet"
        logger.bind(event="engine", state="gone", node=seat.report.node).info("the engine on node {} is gone", node)
        if self._ended_early >= STARTS:
            ended = f"{STARTS} engines in a row ended before they were ready ({seat.last_words})"
            self._failure = EnvironmentFailure(f"{ended}: {_what_next(seat.last_words)}; running again resumes")
            return
        self._start()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._failure = error
            self.tell()

    def _check(self) -> None:
        """Do nothing unless all has failed, or is over."""
        if self._failure:
            raise self._failure
        if self._closed:
            raise EnvironmentFailure("the engines were closed while requests were under way; running again resumes")

    def _refusals(self) -> str:
        return "; ".join(dict.fromkeys(self.refused.values()))

    async def _has_nodes(self) -> bool:
        """Whether a node is left that may be used."""
        shape = self._launch.shape
        nodes = await asyncio.to_thread(living_nodes)
        return any(shape.fits(resources) for node, resources in nodes.items() if node not in self.refused)

    async def _no_room(self) -> str:
        shape = self._launch.shape
        nodes = await asyncio.to_thread(living_nodes)
        total = Counter[str]()
        for resources in nodes.values():
            total.update({name: int(resources.get(name, 0)) for name in ("CPU", "GPU")})
        wanted = f"{shape.least} engines of {shape.cpus:g} CPUs and {shape.gpus:g} GPUs"
        return (
            f"the cluster had no room for {wanted} within {PLACED_WITHIN:g} seconds: its {len(nodes)} nodes have {total['CPU']} "
            f"CPUs and {total['GPU']} GPUs, perhaps in use by others (`ray status`); free some, add nodes, or set ray.engines, "
            "cpus_per_engine or gpus_per_engine; running again resumes"
            + (f" (nodes that are not used: {self._refusals()})" if self.refused else "")
        )


def _what_next(last_words: str) -> str:
    return INSTALL if "No module named 'juicecap" in last_words else "`ray logs` tells more"


async def _closed(seat: Seat) -> None:
    """Let the actor end its processes, if it does so at once."""
    try:
        async with asyncio.timeout(CLOSED_WITHIN):
            await seat.call("close")
    except (TimeoutError, SiteLost, JuicecapError):
        return
