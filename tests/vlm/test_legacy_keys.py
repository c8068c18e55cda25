"""Journals of versions whose keys held paths, times and addresses: found under those keys, and finished with the seeds of then.

The formulas of those versions are written out here.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from hashlib import blake2b
from pathlib import Path

import pytest
from scripted import Script

from juicecap import file_state
from juicecap.file_blocks import WHOLE_UP_TO
from juicecap.file_state import FileState
from juicecap.media.rules import MediaLimits
from juicecap.media.sampling import FrameSampling
from juicecap.media.tasks.catalog import CUT
from juicecap.media.tasks.task import Task
from juicecap.vlm.base import Limits, Message, ModelSettings, Part, Request, Sampling, digest_of, hashed
from juicecap.vlm.journal import Journal
from juicecap.vlm.journal.store import Entry, FileDigest, Record
from juicecap.vlm.measurement import Measurement
from juicecap.vlm.pipeline import core
from juicecap.vlm.pipeline.lookup import digests

pytestmark = pytest.mark.process

TOLD = {"finish_reason": "stop", "tokens": 1, "prompt_tokens": 5, "revision": "r", "frame_times": [], "unreadable": 0}


def legacy_digest(path: str) -> str:
    """Of a large file: its size, its time, and 32 blocks."""
    state, size = blake2b(digest_size=16), os.path.getsize(path)
    if size <= 2**26:
        return blake2b(Path(path).read_bytes(), digest_size=16).hexdigest()
    state.update(f"{size} {os.stat(path).st_mtime_ns}".encode())
    with open(path, "rb") as file:
        for index in range(32):
            file.seek((size - 2**20) * index // 31)
            state.update(file.read(2**20))
    return state.hexdigest()


def legacy_state(folder: Path) -> str:
    """Of a model's files: their names, sizes and times."""
    state = blake2b(digest_size=16)
    for file in sorted(folder.iterdir()):
        state.update(file.name.encode() + f" {file.stat().st_size} {file.stat().st_mtime_ns};".encode())
    return state.hexdigest()


class Before:
    """A model, films, and a journal that a version before began."""

    def __init__(self, folder: Path, script: Script) -> None:
        self.folder, self.script = folder, script
        self.path = folder / "journal.sqlite"
        self.model = folder / script.model
        self.model.mkdir()
        (self.model / "model.safetensors").write_bytes(bytes(100))

    def request(self, path: str, candidates: int = 1, **more: object) -> Request:
        return Request(
            model=ModelSettings(model=str(self.model)),
            messages=(Message("user", (Part("video", path), Part("text", "P"))),),
            frames=FrameSampling(num_frames=2),
            sampling=Sampling(temperature=1.0),
            candidates=candidates,
            **more,
        )

    def key(self, request: Request) -> str:
        """As that version made it: the engine was called by its path."""
        return request.key({part.value: legacy_digest(part.value) for part in request.media()}, f"{self.model} of before")

    def write(self, *records: Record) -> None:
        with Journal(self.path) as journal:
            journal.append(records)
        with closing(sqlite3.connect(self.path)) as database:
            database.execute("DELETE FROM facts WHERE name = ?", (b"\0juicecap\0keys\0",))
            database.commit()

    def answer(self, request: Request, text: str) -> int:
        """Write an answer down as that version did; returns the seed of then."""
        key = self.key(request)
        self.write(Entry(request.entry_key(key, legacy_state(self.model)), 0, {"text": text, **TOLD}))
        return request.derived_seed(key)

    def ask(self, *requests: Request, limits: Limits = core.DEFAULT_LIMITS) -> tuple[list[object], list[list[int]]]:
        """Texts with their seeds, and the seeds that reached the engine, for each request."""
        core.close()
        self.script.batches.clear()
        with Journal(self.path) as journal:
            outcomes = core.ask(requests, limits, journal)
        asked = [list(prepared.seeds) for batch in self.script.batches for prepared in batch]
        texts = [each.failure.code if each.failure else [(one.text, one.seed) for one in each.answers] for each in outcomes]
        return texts, asked


@pytest.fixture
def before(tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch) -> Iterator[Before]:
    made = Before(tmp_path, script)
    script.legacy_identity = lambda settings: f"{settings.model} of before"
    core.close()
    yield made
    core.close()


@pytest.fixture
def small(tmp_path: Path, clips) -> str:
    return str(shutil.copy(clips.paths[0], tmp_path / "film.mp4"))


@pytest.fixture
def large(small: str) -> str:
    """A film of more than 64 MiB."""
    with open(small, "ab") as file:
        file.write(WHOLE_UP_TO.to_bytes(4) + b"free")
        file.truncate(file.tell() + WHOLE_UP_TO - 8)
    return small


@pytest.fixture(params=["small", "large"])
def any_film(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(request.param)


def test_an_answer_of_before_is_replayed_with_its_seed(before, any_film):
    request = before.request(any_film)
    seed = before.answer(request, "of before")
    assert before.ask(request) == ([[("of before", seed)]], [])
    with Journal(before.path) as journal:
        assert [len(each.answers) for each in core.known_outcomes([request], journal)] == [1]


def test_missing_candidates_get_the_seeds_of_then_and_are_found_afterwards(before, any_film):
    seed = before.answer(before.request(any_film), "of before")
    three = before.request(any_film, candidates=3)
    expected = [[("of before", seed), ("P 1", seed + 1), ("P 2", seed + 2)]]
    assert before.ask(three) == (expected, [[seed + 1, seed + 2]])
    assert before.ask(three) == (expected, [])


def test_what_was_not_answered_before_gets_keys_that_last(before, any_film, tmp_path, clips):
    other = before.request(str(shutil.copy(clips.paths[1], tmp_path / "other.mp4")))
    before.answer(other, "of before")
    request = before.request(any_film)
    (((_, seed),),), asked = before.ask(request)
    assert asked == [[seed]]
    os.utime(any_film, ns=(1, 1))
    os.utime(before.model / "model.safetensors", ns=(1, 1))
    assert before.ask(request) == ([[("P 0", seed)]], [])
    assert before.ask(other)[1] != []


def test_a_large_film_whose_digest_of_then_is_recorded_is_read_once_more_and_no_oftener(before, large, monkeypatch):
    monkeypatch.setattr(file_state, "TICK", 0)
    time.sleep(0.01)
    read = []
    real = digests.medium_digest
    monkeypatch.setattr(digests, "medium_digest", lambda *what, **how: read.append(how) or real(*what, **how))
    request = before.request(large)
    seed = before.answer(request, "of before")
    before.write(FileDigest(os.fsencode(large), *FileState.of(os.stat(large)), 2**62, legacy_digest(large), "2"))
    for _ in range(2):
        assert before.ask(request) == ([[("of before", seed)]], [])
        assert read == [{}, {"legacy": True}]


def test_that_a_medium_cannot_be_used_is_known_although_the_key_of_then_held_the_media_root(before, small):
    request, rules = before.request(small), MediaLimits(root=os.path.realpath(before.folder))
    reading = (asdict(before.script.sizes), False, 300.0, 2**32, hashed(rules))
    key = digest_of(["medium", 1, 2, "video", legacy_digest(small), hashed(request.frames), reading])
    failure = {"code": "UNDECODABLE", "message": f"{small} has no frames", "attempts": 1}
    before.write(Entry(key, 0, {"failure": failure, "path": small}))
    assert before.ask(request, limits=Limits(media=rules)) == (["UNDECODABLE"], [])


def test_what_was_measured_of_a_large_film_is_known_too(before, large):
    task = Task(name="of_before", version=1, function="no_such_module:work")
    measurement = Measurement(task, Part("video", large))
    contents = {large: legacy_digest(large)}
    key = digest_of([measurement.digest(contents), [2, hashed(MediaLimits())]])
    before.write(Entry(key, 0, {"value": 7, "seen": 1}))
    with Journal(before.path) as journal:
        (outcome,) = core.ask([measurement], journal=journal)
    assert outcome.value == 7


def test_a_clip_that_was_cut_out_of_a_large_film_has_the_answers_of_then(before, large, tmp_path):
    cut = Measurement.of(CUT, Part("video", f"{large}#t=0,1"))
    before.write()
    with Journal(before.path) as journal:
        (outcome,) = core.ask([cut], journal=journal, media_folder=tmp_path / "media")
    request = before.request(outcome.value["path"])
    key = request.key({outcome.value["path"]: cut.digest({large: legacy_digest(large)})}, f"{before.model} of before")
    before.write(Entry(request.entry_key(key, legacy_state(before.model)), 0, {"text": "of before", **TOLD}))
    assert before.ask(request) == ([[("of before", request.derived_seed(key))]], [])


def test_a_new_journal_is_not_searched_for_keys_of_before(before, large, monkeypatch):
    def refused(*_: object) -> str:
        raise AssertionError

    before.script.legacy_identity = refused
    monkeypatch.setattr("juicecap.vlm.pipeline.lookup.legacy_engine.model_state", refused)
    request = before.request(large)
    with Journal(before.path) as journal:
        assert not journal.has_legacy_keys
    texts, asked = before.ask(request, replace(request, candidates=2))
    assert len(asked) == 2
    assert before.ask(request)[1] == []
    assert before.ask(request)[0] == texts[:1]


def test_the_content_of_another_file_is_no_answer_of_before(before, large):
    request = before.request(large)
    before.answer(request, "of before")
    with open(large, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    assert before.ask(request)[0] != [[("of before", request.derived_seed(before.key(request)))]]
