"""Joining a cluster, or starting one here; its nodes; and whether engines of an earlier driver are left."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import ray
from loguru import logger
from ray._private import worker as ray_worker
from ray.exceptions import RayError

from juicecap.errors import EnvironmentFailure
from juicecap.text import first_line
from juicecap.vlm.cluster.options import AUTO, LOCAL, ClusterOptions

NAMESPACE = "juicecap"

GONE_WITHIN = 120.0
"""Seconds that a run waits for the engines of an earlier driver of its folder to be gone."""

HEARD_WITHIN = 10.0
"""Seconds in which somebody must take a connection at the cluster's address."""

AUTH_MODE = "RAY_AUTH_MODE"
"""The variable that says whether a cluster takes tokens. Ray finds that out by itself for `auto`, and for no address."""

OBJECT_STORE = 200_000_000
"""Bytes of the object store of a cluster that is started here: nothing large travels."""


@contextmanager
def connected(options: ClusterOptions) -> Iterator[None]:
    """A block within which this process is a driver of the cluster. One that is connected already stays so.

    Raises:
        EnvironmentFailure: there is no such cluster, or it has another version.
    """
    if ray.is_initialized():
        yield
        return
    logging.getLogger("ray").setLevel(logging.ERROR)
    local: dict[str, Any] = {"object_store_memory": OBJECT_STORE, "include_dashboard": False}
    try:
        _knock(options.address)
        with _own_signals():
            ray.init(
                address=options.address,
                namespace=NAMESPACE,
                log_to_driver=False,
                logging_level="ERROR",
                configure_logging=False,
                **(local if options.address == LOCAL else {}),
            )
    except (ConnectionError, RuntimeError, ValueError, OSError, RayError) as error:
        raise EnvironmentFailure(_not_connected(options.address, error)) from error
    with suppress(AttributeError):  # what the cluster says of its processes goes to the log: stdout is the program's
        ray_worker.print_to_stdstream = _log
    try:
        yield
    finally:
        ray.shutdown()


def new_run(key: str) -> str:
    """The name of a run's actors; `key` is that of the run folder."""
    return f"{key}-{uuid.uuid4().hex[:8]}"


def named(run: str, number: int) -> str:
    """The name of an actor."""
    return f"juicecap-{run}-{number}"


def wait_for_others(run: str) -> None:
    """Wait until the actors of earlier drivers of the same run folder are gone: they are not detached, and end with their driver.

    Raises:
        EnvironmentFailure: some stay.
    """
    before = f"juicecap-{run.rpartition('-')[0]}-"
    deadline = time.monotonic() + GONE_WITHIN
    while left := [name for name in _actors() if name.startswith(before) and not name.startswith(named(run, 0)[:-1])]:
        if time.monotonic() > deadline:
            raise EnvironmentFailure(
                f"{len(left)} engines of an earlier driver of this run folder are still there after {GONE_WITHIN:g} seconds: see "
                "`ray list actors`, end its job (`ray job stop`) or restart the cluster; running again resumes"
            )
        time.sleep(0.5)


def _actors() -> list[str]:
    return [each["name"] for each in ray.util.list_named_actors(all_namespaces=True)]


def _knock(address: str) -> None:
    """Do nothing if somebody listens at an address, which Ray would try for minutes.

    Raises:
        OSError, ValueError: nobody does, or it is no address.
    """
    if address not in (AUTO, LOCAL):
        parts = urlsplit(address if "//" in address else f"//{address}")
        if not parts.hostname or not parts.port:
            raise ValueError("an address is HOST:PORT or ray://HOST:PORT")
        socket.create_connection((parts.hostname, parts.port), HEARD_WITHIN).close()


@contextmanager
def _own_signals() -> Iterator[None]:
    """A block after which signals end the program as before: Ray takes SIGTERM for itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _not_connected(address: str, error: BaseException) -> str:
    where = "this machine is part of no Ray cluster" if address == AUTO else f"there is no Ray cluster at {address}"
    if address == LOCAL:
        where = "Ray cannot be started on this machine"
    how = "start one (`ray start --head`), correct ray.address, or set it to local"
    if address not in (AUTO, LOCAL) and AUTH_MODE not in os.environ:
        how += f"; if it wants a token, set {AUTH_MODE}=token, with the token in RAY_AUTH_TOKEN or ~/.ray/auth_token"
    return f"{where} ({first_line(error)}): {how}; running again resumes"


def _log(data: Mapping[str, Any], *_: Any, **__: Any) -> None:
    for text in data.get("lines", ()):
        logger.debug("ray: {}", first_line(text))


def living_nodes() -> dict[str, dict[str, float]]:
    """The nodes that live, by their ids, and what Ray has on each."""
    return {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}


def node_name(node_id: str) -> str:
    """What a node is called in messages: its host, and what tells apart several nodes on one."""
    hosts = {node["NodeID"]: node.get("NodeManagerHostname", "") for node in ray.nodes()}
    return f"{hosts.get(node_id) or 'unknown'}/{node_id[:6]}"
