"""What is lost with an engine, a node or the driver: nothing that was answered. No request is blamed for what it did not do."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import napping
import pytest
from waiting import until

import juicecap
from juicecap.errors import EnvironmentFailure
from juicecap.runner import RunResult, RunStatus, SilentProgress

pytestmark = [pytest.mark.process, pytest.mark.slow]


def asked_in(notes: Path) -> Counter[str]:
    """How often each text was answered."""
    return Counter(json.loads(line)[0] for line in notes.read_text().splitlines()) if notes.exists() else Counter()


def processes(notes: Path) -> list[int]:
    """The processes of engines that have written `notes`.pids."""
    return [int(line) for line in Path(f"{notes}.pids").read_text().split()]


def committed(folder: Path) -> set[str]:
    """The texts whose answers are in the journal, if there is one yet."""
    journal = folder / "out.run" / "journal.sqlite"
    try:
        with sqlite3.connect(f"file:{journal}?mode=ro", uri=True) as store:
            entries = [json.loads(entry) for (entry,) in store.execute("SELECT entry FROM answers")]
    except sqlite3.OperationalError:
        return set()
    return {entry["text"].rpartition(" ")[0] for entry in entries if "text" in entry}


class Seen(SilentProgress):
    """Keeps the last status of a run."""

    def __init__(self) -> None:
        self.engines: list[tuple[str, str]] = []
        self.all: set[tuple[str, str]] = set()

    def reported(self, status: RunStatus) -> None:
        """Note the engines by node."""
        self.engines = [(engine.node, engine.state) for engine in status.engines]
        self.all |= set(self.engines)


@contextmanager
def running(recipe: Path, progress: Seen | None = None) -> Iterator[list[Any]]:
    """A run in another thread; its result, or its error, is in the list at the end of the block."""
    found: list[Any] = []

    def work() -> None:
        try:
            found.append(juicecap.run(recipe, progress=progress))
        except Exception as error:  # noqa: BLE001  (the test looks at it)
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield found
    finally:
        thread.join(240)
        assert found


def answers(folder: Path) -> list[str]:
    """The answers of an export, in its order."""
    return [json.loads(line)["answer"] for line in (folder / "out.jsonl").read_text().splitlines()]


def recipe_for(folder: Path, texts: Sequence[str], nodes: Any, engines: Any = 2, **params: Any) -> tuple[Path, Path]:
    """A recipe on the cluster, and the notes of its engines."""
    notes = folder / "notes.jsonl"
    settings = {"seconds": 0.3, "batch": 2, "notes": str(notes), **params}
    return napping.write_recipe(folder, texts, params=settings, cluster={"address": nodes.address, "engines": engines}), notes


@pytest.fixture
def expected(texts: list[str], tmp_path: Path) -> bytes:
    """What a run on this machine leaves, with an engine that takes no time."""
    folder = tmp_path / "calm"
    juicecap.run(napping.write_recipe(folder, texts, params={"seconds": 0.0, "batch": 2}, cluster=None))
    return (folder / "out.jsonl").read_bytes()


def texts_alone(answered: Sequence[str]) -> list[str]:
    """Answers without their seeds."""
    return [answer.rpartition(" ")[0] for answer in answered]


def test_engines_of_two_nodes_share_the_work_and_are_shown_by_node(nodes, texts: list[str], tmp_path: Path) -> None:
    recipe, notes = recipe_for(tmp_path, texts, nodes, [2, 2])
    seen = Seen()
    with running(recipe, seen) as found:
        pass
    assert found[0].exported == len(texts)
    assert texts_alone(answers(tmp_path)) == texts
    assert asked_in(notes) == Counter(texts)
    assert len({node for node, state in seen.all if state == "ready"}) == 2
    status = json.loads((tmp_path / "out.run" / "status.json").read_text())
    assert status["state"] == "done"
    log = [json.loads(line) for line in (tmp_path / "out.run" / "log.jsonl").read_text().splitlines()]
    assert [line["state"] for line in log if line.get("event") == "engine"] == ["ready", "ready"]


@pytest.mark.parametrize("gently", [False, True])
def test_a_node_that_is_removed_costs_nothing_and_one_that_joins_is_used(nodes, tmp_path: Path, *, gently: bool) -> None:
    texts = [f"what is {number}?" for number in range(72)]  # enough for a node to be missed, and another one to join
    recipe, notes = recipe_for(tmp_path, texts, nodes, seconds=0.6)
    seen = Seen()
    with running(recipe, seen) as found:
        until(lambda: found or (sum(state == "ready" for _, state in seen.engines) == 2 and len(asked_in(notes)) >= 4))
        assert not found, found
        first = {node for node, state in seen.engines if state == "ready"}
        nodes.remove(nodes.nodes[0], gently=gently)
        nodes.add()
    assert isinstance(found[0], RunResult), found[0]
    assert (found[0].rejected, texts_alone(answers(tmp_path))) == (0, texts)
    assert {node for node, state in seen.all if state == "ready"} - first, "the node that joined was not used"


def test_a_killed_actor_is_replaced_and_no_request_is_to_blame(nodes, texts: list[str], tmp_path: Path) -> None:
    import ray

    recipe, notes = recipe_for(tmp_path, texts, nodes)
    with running(recipe) as found:
        for count in (2, 8, 14):
            until(lambda count=count: found or len(asked_in(notes)) >= count)
            assert not found, found
            names = [each["name"] for each in ray.util.list_named_actors(all_namespaces=True)]
            ray.kill(ray.get_actor(min(names), namespace="juicecap"))
    assert isinstance(found[0], RunResult), found[0]
    assert (found[0].rejected, texts_alone(answers(tmp_path))) == (0, texts)


def test_a_request_that_kills_its_engine_twice_is_rejected_alone(nodes, texts: list[str], tmp_path: Path) -> None:
    recipe, notes = recipe_for(tmp_path, texts, nodes, dies_of=texts[5])
    with running(recipe) as found:
        pass
    assert isinstance(found[0], RunResult), found[0]
    assert found[0].reasons == {"ENGINE_POISON": 1}
    assert texts_alone(answers(tmp_path)) == [text for text in texts if text != texts[5]]
    (rejected,) = [json.loads(line) for line in (tmp_path / "out.run" / "rejected.jsonl").read_text().splitlines()]
    assert rejected["attempts"] == 2
    assert "died twice over this sample" in rejected["message"]
    assert set(asked_in(notes)) == set(texts) - {texts[5]}


def test_an_engine_that_says_nothing_any_more_is_given_up(nodes, texts: list[str], tmp_path: Path, monkeypatch) -> None:
    from juicecap.vlm.cluster import fleet

    monkeypatch.setattr(fleet, "PING_EVERY", 0.5)
    monkeypatch.setattr(fleet, "SILENT_FOR", 3.0)
    recipe, notes = recipe_for(tmp_path, texts, nodes, pids=True)
    stopped: list[int] = []
    with running(recipe) as found:
        until(lambda: found or len(asked_in(notes)) >= 4)
        assert not found, found
        stopped.append(processes(notes)[0])
        os.kill(stopped[0], signal.SIGSTOP)
    with suppress(ProcessLookupError):  # Ray cannot end it, and the next test needs its room
        os.kill(stopped[0], signal.SIGKILL)
    assert isinstance(found[0], RunResult), found[0]
    assert texts_alone(answers(tmp_path)) == texts


def test_a_driver_that_is_killed_is_gone_on_with(nodes, texts: list[str], tmp_path: Path, expected: bytes) -> None:
    recipe, notes = recipe_for(tmp_path, texts, nodes, seconds=1.0)
    command = [sys.executable, "-m", "juicecap", "run", str(recipe), "--quiet"]
    for count in (4, 12):
        driver = subprocess.Popen(command)
        until(lambda count=count: len(committed(tmp_path)) >= count, driver)
        driver.kill()
        driver.wait()
        known, before = committed(tmp_path), asked_in(notes)
    subprocess.run(command, check=True, timeout=240)
    assert (tmp_path / "out.jsonl").read_bytes() == expected
    after = asked_in(notes)
    assert {text: after[text] for text in known} == {text: before[text] for text in known}


def test_a_cluster_without_room_is_one_sentence(nodes, texts: list[str], tmp_path: Path, monkeypatch) -> None:
    from juicecap.vlm.cluster import fleet

    monkeypatch.setattr(fleet, "PLACED_WITHIN", 3.0)
    recipe, _ = recipe_for(tmp_path, texts, nodes, [3, 3])
    with pytest.raises(EnvironmentFailure, match=r"had no room for 3 engines of 1 CPUs and 0 GPUs within 3 seconds: its 3 nodes"):
        juicecap.run(recipe)


def test_a_cluster_that_is_not_there_is_one_sentence(texts: list[str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    recipe = napping.write_recipe(tmp_path, texts, params={}, cluster={"address": "127.0.0.1:1"})
    with pytest.raises(EnvironmentFailure, match=r"there is no Ray cluster at 127\.0\.0\.1:1 .*: start one"):
        juicecap.run(recipe)
