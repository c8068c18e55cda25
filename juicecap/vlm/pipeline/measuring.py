"""Measures media for the ops of one queue: looked up in the journal, or done by a worker, each as soon as one is free.

    measurements ─▶ files' states or digests, keys ─▶ claims, journal ─▶ decoding workers, journal ─▶ outcomes

Unlike requests they come in no batches and wait for nothing. One that several samples need is made once. Everything here runs on
the core's loop.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from juicecap.data.writing.atomic import replacing
from juicecap.errors import MediaError, SampleError
from juicecap.media.access.remote import rules_of
from juicecap.media.read_otherwise import READING_VERSION
from juicecap.media.sampling import PICTURE_FPS
from juicecap.media.tasks.catalog import HEADER
from juicecap.media.tasks.task import Task
from juicecap.sample import display_path
from juicecap.vlm.base import Outcome, canonical_json, digest_of, hashed
from juicecap.vlm.journal.entries import EntriesByKey, medium_entry
from juicecap.vlm.journal.store import Entry
from juicecap.vlm.measurement import Measurement
from juicecap.vlm.outcomes import failure_of
from juicecap.vlm.pipeline.lookup.cache_lookup import covers, told
from juicecap.vlm.pipeline.lookup.claims import Settle
from juicecap.vlm.pipeline.lookup.digests import Digest
from juicecap.vlm.pipeline.lookup.measurement_keys import KeyedMeasurement, QueuedMeasurement
from juicecap.vlm.pipeline.preparing import OF_THE_CONTENT
from juicecap.vlm.pipeline.resources.window_resources import QueueResources
from juicecap.vlm.pipeline.tasks import Tasks

LOOKED_UP_AT_ONCE = 64
"""Measurements."""

MOST_IN_A_BUNDLE = 16
"""Brief measurements that a worker gets at once."""

PERMANENT = {*OF_THE_CONTENT, "BAD_MEASUREMENT", "TASK_FAILED"}
"""Codes of failures that equal content and an equal task lead to again."""


class MeasurementPipeline:
    """The measurements of one queue. `fail` is called if they cannot be made."""

    def __init__(self, resources: QueueResources, fail: Callable[[BaseException], None]) -> None:
        self._resources, self._claims, self._recent = resources, resources.claims, resources.common.recent
        limits = resources.limits
        self._reading = [READING_VERSION, hashed(limits.media.anywhere())]
        legacy = resources.journal is not None and resources.journal.has_legacy_keys
        self._legacy_reading = [READING_VERSION, hashed(limits.media)] if legacy else None
        self._spent = limits.decode_seconds, limits.decode_bytes
        self._asked: asyncio.Queue[QueuedMeasurement] = asyncio.Queue()
        self._tasks = Tasks(fail)
        self._tasks.start(self._run())

    def add(self, measurement: Measurement, settle: Settle) -> None:
        """Take a measurement; of those that wait for a worker the earlier one goes first."""
        self._asked.put_nowait(QueuedMeasurement(measurement, settle, self._resources.next_need()))

    def stop(self) -> None:
        """Cancel what is in progress."""
        self._tasks.stop()

    async def _run(self) -> None:
        while True:
            some = [await self._asked.get()]
            while len(some) < LOOKED_UP_AT_ONCE and not self._asked.empty():
                some.append(self._asked.get_nowait())
            seen = time.time_ns()
            by_state = await self._states([each.measurement for each in some if each.is_known_by_state])
            by_content = await self._resources.digests.recalled(each.measurement for each in some if not each.is_known_by_state)
            ready: list[KeyedMeasurement] = []
            for asked in some:
                files = by_state if asked.is_known_by_state else by_content
                if covers(files, asked.measurement):
                    ready.append(self._keyed(asked, files, seen))
                else:
                    self._tasks.start(self._read_and_measure(asked))
            self._start(await self._missing(ready))

    async def _states(self, measurements: Sequence[Measurement]) -> dict[str, Digest]:
        """What tells the files of these measurements apart that are there: their paths and states."""
        paths = {file.value for measurement in measurements for file in measurement.files()}
        states = await self._resources.site.files.states(paths, self._resources.limits.media) if paths else {}
        return {path: Digest(f"{os.path.abspath(path)} {tuple(state)}", state) for path, state in states.items() if state}

    async def _read_and_measure(self, asked: QueuedMeasurement) -> None:
        """Measure a medium that must be read first, or fetched."""
        with self._resources.shared.hold() as hold:
            seen = time.time_ns()
            try:
                files_asked, rules = asked.measurement.files(), self._resources.limits.media
                if brought := await self._resources.site.brought(files_asked, rules, hold):
                    medium = asked.measurement.medium.at({each.url: each.path for each in brought})
                    asked = replace(
                        asked,
                        measurement=replace(asked.measurement, medium=medium),
                        settle=partial(told, asked.settle, brought),
                    )
                files = await self._resources.digests.complete(asked.measurement, {}, hold)
            except SampleError as error:
                asked.settle(Outcome(failure=failure_of(error)))
                return
            for missing in await self._missing([self._keyed(asked, files, seen)]):
                await self._measure(missing)

    def _keyed(self, asked: QueuedMeasurement, files: Mapping[str, Digest], seen: int) -> KeyedMeasurement:
        own = {file.value: files[file.value] for file in asked.measurement.files()}
        digest = asked.measurement.digest({path: each.digest for path, each in own.items()})
        key, writes, folder = digest_of([digest, self._reading]), asked.measurement.task.writes, self._resources.media_folder
        legacy = ""
        if self._legacy_reading:
            legacy = asked.measurement.digest({path: each.legacy or each.digest for path, each in own.items()})
        return KeyedMeasurement(
            asked=asked,
            digest=digest,
            legacy_digest=legacy,
            keys=(key, digest_of([legacy, self._legacy_reading])) if legacy else (key,),
            file=folder / f"{digest}{writes}" if writes and folder else None,
            spent=self._spent,
            files=own,
            seen=seen,
        )

    async def _missing(self, keyed: Sequence[KeyedMeasurement]) -> list[KeyedMeasurement]:
        """Settle what is known, join what is in progress, and return the rest."""
        claimed = [each for each in keyed if self._claims.claim(each.key, each.asked.settle)]
        remembered = {each.key: self._recent.get(each.key, self._claims, each.stays_good) for each in claimed}
        unknown = [each for each in claimed if remembered[each.key] is None]
        entries = await self._entries(unknown)
        missing: list[KeyedMeasurement] = []
        for each in claimed:
            if outcome := remembered[each.key] or each.known(entries):
                self._resources.stats.count_measured(known=1)
                await self._settle(each, outcome)
            else:
                missing.append(each)
        return missing

    async def _entries(self, keyed: Sequence[KeyedMeasurement]) -> EntriesByKey:
        journal = self._resources.journal
        if journal is None or not keyed:
            return {}
        found = await asyncio.wrap_future(journal.get_entries([key for each in keyed for key in each.journal_keys]))
        return found  # noqa: RET504  (the future's own type is narrower)

    def _start(self, missing: Sequence[KeyedMeasurement]) -> None:
        """Start measurements; brief ones several at once, as many as leave no worker without any."""
        brief: dict[Task, list[KeyedMeasurement]] = {}
        for each in missing:
            if each.asked.measurement.task.brief:
                brief.setdefault(each.asked.measurement.task, []).append(each)
            else:
                self._tasks.start(self._measure(each))
        workers = self._resources.site.measurer(self._resources.limits).workers if brief else 1
        for some in brief.values():
            size = min(MOST_IN_A_BUNDLE, -(-len(some) // workers))
            for start in range(0, len(some), size):
                self._tasks.start(self._measure_briefly(some[start : start + size]))

    async def _measure_briefly(self, bundle: Sequence[KeyedMeasurement]) -> None:
        pool, rules = self._resources.site.measurer(self._resources.limits), self._resources.limits.media
        first, works = bundle[0].asked, [each.asked.measurement.work() for each in bundle]
        values = await pool.measure_several(first.measurement.task, works, rules, need=first.need)
        for each, value in zip(bundle, values, strict=True):
            await self._end(each, value)

    async def _measure(self, keyed: KeyedMeasurement) -> None:
        try:
            value = await self._value(keyed)
        except SampleError as error:
            value = error
        await self._end(keyed, value)

    async def _end(self, keyed: KeyedMeasurement, value: Any) -> None:
        """Write down a value, or the error in its place, and pass it on."""
        if isinstance(value, SampleError):
            outcome = Outcome(failure=failure_of(value))
            if value.code in PERMANENT:
                path = keyed.asked.measurement.medium.value
                self._resources.record(medium_entry(keyed.failure_key, path, failure_of(value)))
        else:
            outcome = keyed.outcome(value)
            self._resources.record([Entry(keyed.key, 0, {"value": value, "seen": keyed.seen})])
            if keyed.asked.is_known_by_state:
                self._recent.keep(keyed.key, self._claims, outcome, keyed.seen)
        self._resources.stats.count_measured(made=1)
        await self._settle(keyed, outcome)

    async def _settle(self, keyed: KeyedMeasurement, outcome: Outcome) -> None:
        if keyed.file and not outcome.failure:
            await self._resources.digests.declare(str(keyed.file), keyed.digest, keyed.legacy_digest)
        self._claims.settle(keyed.key, outcome)

    async def _value(self, keyed: KeyedMeasurement) -> Any:
        """The value of the task.

        Raises:
            SampleError: there is none.
        """
        task = keyed.asked.measurement.task
        if task.writes and not keyed.file:
            raise SampleError("NO_RUN_FOLDER", f"{task.name} writes files, for which only a run has a folder")
        seconds = await self._seconds(keyed.asked.measurement) if task.cost else 0.0
        try:
            if not keyed.file:
                return await self._work(keyed.asked, seconds)
            with replacing(keyed.file, through_links=False) as stream:
                return await self._work(keyed.asked, seconds, stream.name)
        finally:
            if not keyed.asked.is_known_by_state:
                await self._check_unchanged(keyed)

    async def _work(self, asked: QueuedMeasurement, seconds: float, target: str = "") -> Any:
        limits, measurement = self._resources.limits, asked.measurement
        rules = rules_of(measurement.medium.value, limits.media)
        pool = self._resources.site.measurer(limits)
        return await pool.measure(measurement.task, measurement.work(), rules, seconds=seconds, target=target, need=asked.need)

    async def _check_unchanged(self, keyed: KeyedMeasurement) -> None:
        for file in keyed.asked.measurement.files():
            if not await self._resources.site.files.unchanged(file, keyed.files[file.value]):
                raise MediaError("MEDIA_CHANGED", f"{display_path(file.value)} was changed while it was read", retryable=True)

    async def _seconds(self, measurement: Measurement) -> float:
        """How long a video lasts; 0 for an image."""
        if measurement.medium.kind != "video":
            return 0.0
        header = await self._outcome(Measurement(HEADER, measurement.medium, canonical_json({"picture_fps": PICTURE_FPS})))
        header.raise_failure()
        seconds: float = header.value["duration"]
        return seconds

    async def _outcome(self, measurement: Measurement) -> Outcome:
        """The outcome of a measurement that another one needs."""
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.add(measurement, outcome.set_result)
        return await outcome
