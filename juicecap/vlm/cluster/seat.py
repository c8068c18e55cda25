"""One actor: calls that have an end, and word of its death.

Ray repeats nothing (`max_restarts=0, max_task_retries=0`). A call fails as soon as its actor is known to be lost, whether Ray
says so or the driver has found it out. Whether the actor's own process died, on a node that goes on, is told apart from all else:
only then may what it was asked be to blame.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayActorError, RayError, RayTaskError

from juicecap.errors import BugError, EnvironmentFailure
from juicecap.notice import say_once
from juicecap.vlm.cluster.actor import Reply, SiteActor
from juicecap.vlm.cluster.connection import living_nodes, node_name
from juicecap.vlm.cluster.engine_status import EngineState
from juicecap.vlm.cluster.node_report import NodeReport

PROCESS_DIED = "its worker process has died"
"""What Ray says of an actor whose process ended on a node that lives; of killed actors and lost nodes it says something else."""

SURE_AFTER = 1.0
"""Seconds after which a node that was lost together with a process is known to be lost."""


class SiteLost(Exception):
    """The actor is gone. `cause` is to blame on what it was asked; empty: it was killed, or its node was lost."""

    def __init__(self, cause: str = "") -> None:
        super().__init__(cause)
        self.cause = cause


class Seat:
    """An actor, and what is known of it. Its methods belong to the core's loop. `on_lost` is called once, when it is lost."""

    def __init__(self, number: int, actor: Any, on_lost: Callable[[Seat], None]) -> None:
        self.number, self._actor, self._on_lost = number, actor, on_lost
        self.node_id, self.report = "", NodeReport(node="", python="", juicecap="")
        self.state: EngineState = "starting"
        self.last_words = ""
        """What Ray said when it was lost."""
        self.reserved = False
        """Whether it is kept for one request alone."""
        self.in_progress = self.answered = self.jobs = 0
        """Requests that it works on, requests that it has answered, and other calls."""
        self._calls: set[asyncio.Future[Any]] = set()
        self._death: asyncio.Future[str] | None = None
        """Once it is lost: why its process died."""

    @property
    def is_lost(self) -> bool:
        """Whether it takes no calls any more."""
        return self._death is not None

    async def call(self, method: str, *arguments: Any) -> Any:
        """What a method of the actor returns.

        Raises:
            SiteLost: the actor is gone.
            JuicecapError: what the method raises.
        """
        if self._death:
            raise SiteLost(await asyncio.shield(self._death))
        reply: Reply = await self._awaited(getattr(self._actor, method).remote(*arguments))
        for notice in reply.notices:
            say_once(notice)
        if reply.error:
            raise reply.error
        return reply.value

    async def answers_within(self, seconds: float) -> bool:
        """Whether the actor says within that many seconds that it is alive."""
        try:
            async with asyncio.timeout(seconds):
                await self._awaited(self._actor.ping.remote())
        except (TimeoutError, SiteLost):
            return False
        return True

    def lose(self, error: RayActorError | None = None) -> None:
        """The actor is gone, or is to be: it is killed, and its calls fail."""
        if self._death:
            return
        self.last_words = _last_line(error) if error else ""
        self.state, self._death = "gone", asyncio.ensure_future(self._cause(error))
        for call in self._calls:
            call.cancel()
        with suppress(RayError, ValueError):  # it is gone already, or so is the cluster
            ray.kill(self._actor)
        self._on_lost(self)

    async def _awaited(self, reference: Any) -> Any:
        call = asyncio.ensure_future(_value(reference))
        self._calls.add(call)
        try:
            return await call
        except asyncio.CancelledError:
            if self._death is None or _cancelled_from_outside():
                with suppress(RayError, ValueError):
                    ray.cancel(reference)
                raise
        except RayActorError as error:
            self._calls.discard(call)
            self.lose(error)
        except RayTaskError as error:
            raise BugError(f"the engine on node {self.report.node} raised {type(error.cause).__name__}: {error.cause}") from error
        except RayError as error:  # such as an environment that cannot be made
            raise EnvironmentFailure(f"the cluster fails: {_last_line(error)}; running again resumes") from error
        finally:
            self._calls.discard(call)
        assert self._death is not None
        raise SiteLost(await asyncio.shield(self._death))

    async def _cause(self, error: RayActorError | None) -> str:
        """Why the process died, if it did so on a node that goes on."""
        if not isinstance(error, ActorDiedError) or error.preempted or PROCESS_DIED not in str(error):
            return ""
        await asyncio.sleep(SURE_AFTER)
        alive = await asyncio.to_thread(living_nodes)
        return f"the process of its engine on node {self.report.node} died" if self.node_id in alive else ""


async def _value(reference: Any) -> Any:
    return await reference


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _cancelled_from_outside() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _NodeActor(SiteActor):
    """A site that knows from Ray on which node it is."""

    def __init__(self, part: int) -> None:
        node_id = ray.get_runtime_context().get_node_id()
        super().__init__(node_id, node_name(node_id), part)


def remote_class() -> Any:
    """The actor's class, of which Ray repeats nothing."""
    return ray.remote(max_restarts=0, max_task_retries=0, max_concurrency=10_000)(_NodeActor)
