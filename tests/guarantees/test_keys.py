"""A server's key, after runs that went wrong, on a server that repeats it wherever it can, in whatever way."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from scripted_server import KEY, KEY_NAME, Reply, ScriptedServer, choice, obliging, refused, said

import juicecap.cli.verbs.ops
from juicecap import secrecy

pytestmark = [pytest.mark.slow, pytest.mark.process]

WAYS: dict[str, str] = {
    "plain": KEY,
    "capitals": KEY.upper(),
    "json": "".join(f"\\u{ord(each):04x}" for each in KEY),
    "address": "".join(f"%{ord(each):02X}" for each in KEY),
    "address, in part": quote(KEY, safe="").replace("-", "%2D"),
    "html": "".join(f"&#{ord(each)};" for each in KEY),
    "hex": KEY.encode().hex(),
    **{f"base64 + {before}": base64.b64encode(b"k" * before + KEY.encode() + b".").decode() for before in range(3)},
    **{f"url-safe + {before}": base64.urlsafe_b64encode(b"k" * before + KEY.encode() + b"?>").decode() for before in range(3)},
}
SECOND, SECOND_NAME = "sk-of-another-server-987654", "SECOND_KEY"
SPARE = "sk-of-openai-itself-24680"
STORE, HUB = "aws-secret-of-a-store-1357", "hf_a_token_of_the_hub_1357"
ENVIRONMENT = {KEY_NAME: KEY, SECOND_NAME: SECOND, "SHORT_KEY": "house", "AWS_SECRET_ACCESS_KEY": STORE, "HF_TOKEN": HUB}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.stop()


@pytest.fixture
def other() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.stop()


def about_samples(fault: Reply | Callable[[dict[str, Any]], Reply]) -> Callable[[dict[str, Any]], Reply]:
    """The server is a good one until it is asked about a sample."""

    def script(body: dict[str, Any]) -> Reply:
        if "Describe" not in json.dumps(body["messages"]):
            return obliging(body)
        return fault if isinstance(fault, Reply) else fault(body)

    return script


def captioning(server: ScriptedServer, key_name: str = KEY_NAME, **more: Any) -> dict[str, Any]:
    op = {
        "hf_model": "served-model",
        "backend": "openai",
        "api_base": server.base,
        "api_key_env": key_name,
        "model_params": {"transport": "images", "max_attempts": 1},
        "num_frames": 2,
        "prompt_key": "ask",
        "caption_field": "said",
        "max_in_flight": 1,
        "legacy_split_by_text_token": False,
        **more,
    }
    return {"video_captioning_from_vlm_mapper": op}


def captioning_at(address: str) -> dict[str, Any]:
    op = {"hf_model": "served-model", "backend": "openai", "api_base": address, "num_frames": 2, "prompt": "Describe it."}
    return {"video_captioning_from_vlm_mapper": {**op, "model_params": {"max_attempts": 1, "transport": "images"}}}


def run(
    folder: Path, paths: list[str], *ops: dict[str, Any], verb: str = "run", spare: str = SPARE, **recipe: Any
) -> subprocess.CompletedProcess[str]:
    """Run a recipe about these clips; what it said. `spare` is the key that OpenAI's own server would get."""
    rows = [{"videos": [path], "text": "", "ask": f"Describe sample {number}."} for number, path in enumerate(paths)]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    whole = {
        "dataset_path": "data.jsonl",
        "export_path": "out/captions.jsonl",
        "keep_steps": "jsonl",
        "process": list(ops),
        **recipe,
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(whole))
    command = [sys.executable, "-m", "juicecap", verb, "recipe.yaml"]
    command += ["--json", "--metrics", "figures.prom"] if verb == "run" else []
    environment = {**os.environ, **ENVIRONMENT, "OPENAI_API_KEY": spare}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def traces(folder: Path, done: subprocess.CompletedProcess[str], *keys: str) -> list[str]:
    """Where a key stands, in any of the ways in which somebody may have written it down."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert "recipe.yaml" in {Path(name).name for name in files}
    files |= {"stdout": done.stdout.encode(), "stderr": done.stderr.encode()}
    ways = [way.encode().lower() for key in keys or (KEY,) for way in (key, *(WAYS.values() if key == KEY else ()))]
    halves = [way[:16] for way in ways]  # what was cut
    halves += [key[:10].lower().encode(code) for key in keys or (KEY,) for code in ("utf-16-le", "utf-16-be", "utf-32-le")]
    return [name for name, content in files.items() if any(half in content.lower() for half in halves)]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param(refused(400, f"not with {KEY}"), 3, id="rejected samples"),
        pytest.param(refused(400, "x" * 478 + KEY + "x" * 100), 3, id="where a message is cut"),
        pytest.param(refused(400, " " * 10**6 + KEY), 3, id="where an error is cut"),
        pytest.param(refused(500, f"oops, {KEY}"), 4, id="failing server"),
        pytest.param(refused(401, f"{KEY} is revoked"), 4, id="revoked"),
        pytest.param(refused(400, "no", code=KEY, param=KEY, type=KEY), 3, id="odd fields of an error"),
        pytest.param(Reply({"detail": [{KEY: ["Bearer", KEY]}]}, 422), 3, id="a name in an error"),
        pytest.param(Reply({"error": {"message": f"no {KEY}", "code": 400}}), 3, id="an error that says 200"),
        pytest.param(Reply(json.dumps({"error": f"not {KEY}"}).encode("utf-16"), 400), 3, id="UTF-16"),
        pytest.param(Reply(f"<html>{KEY}</html>", 502), 4, id="a page"),
        pytest.param(Reply(f"<html>{KEY}</html>".encode("utf-16"), 422), 3, id="a page in UTF-16"),
        pytest.param(Reply(f"<html>{KEY}</html>".encode("utf-16-be"), 422), 3, id="a page in UTF-16, the other way"),
        pytest.param(Reply(f"<html>{KEY}</html>".encode("utf-32"), 422), 3, id="a page in UTF-32"),
        pytest.param(Reply(f"<html>{KEY}</html>"), 4, id="no JSON"),
        pytest.param(Reply({"error": {"message": "x" * 478 + KEY + "x" * 100, "code": 400}}), 3, id="where that is cut"),
        pytest.param(said(choice("", refusal="x" * 278 + KEY)), 3, id="where a refusal is cut"),
        pytest.param(Reply("", 307, {"Location": f"http://{KEY}.example.org/{KEY}"}), 4, id="a redirect"),
        pytest.param(refused(429, "later", {"Retry-After": KEY, f"X-{KEY}": KEY, "Set-Cookie": f"a={KEY}"}), 4, id="headers"),
    ],
)
def test_a_planted_key_is_nowhere_after_a_failing_run(
    server: ScriptedServer, clips: Any, tmp_path: Path, fault: Reply, code: int
) -> None:
    server.script = about_samples(fault)
    done = run(tmp_path, clips.paths[:4], captioning(server))
    assert done.returncode == code, done.stderr
    assert any(f"Bearer {KEY}" == seen.headers.get("authorization") for seen in server.seen)
    written = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert {"log.jsonl", "recipe.yaml", "journal.sqlite", "rejected.jsonl", "status.json", "figures.prom"} <= written
    assert traces(tmp_path, done) == []


def test_nor_is_it_where_it_stood_beside_good_captions(server: ScriptedServer, clips: Any, tmp_path: Path) -> None:
    """In every field that is no caption."""
    fields = {"reasoning_content": KEY, "tool_calls": [{"function": {"name": KEY, "arguments": KEY}}], KEY: KEY}
    echo = {"id": KEY, "object": KEY, "system_fingerprint": KEY, "service_tier": KEY, KEY: {"Authorization": f"Bearer {KEY}"}}

    def script(body: dict[str, Any]) -> Reply:
        spoken = {**choice(f"A caption, the {len(server.seen)}th.", KEY, **fields), KEY: KEY, "logprobs": {"content": [KEY]}}
        return said(spoken, **{**echo, "model": WAYS[list(WAYS)[len(server.seen) % len(WAYS)]], "usage": {"prompt_tokens": KEY}})

    server.script = about_samples(script)
    done = run(tmp_path, clips.paths, captioning(server))
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "out" / "captions.jsonl").read_text().splitlines()]
    assert len(lines) == len(clips.paths)
    assert all(line["said"][0].startswith("A caption, the ") for line in lines)
    assert all("***" in line["caption_provenance"][0]["revision"] for line in lines)
    assert traces(tmp_path, done) == []


def number_in(body: dict[str, Any]) -> int:
    """Which sample is asked about."""
    found = re.search(r"sample (\d+)", json.dumps(body["messages"]))
    assert found
    return int(found[1])


def alternating(bad: Callable[[str], Reply]) -> Callable[[dict[str, Any]], Reply]:
    """Every other answer holds the key, each time in another way; the others are good, so that the run goes on."""

    def fault(body: dict[str, Any]) -> Reply:
        number = number_in(body)
        return said(f"caption {number}") if number % 2 else bad(list(WAYS.values())[number // 2])

    return fault


def captions(folder: Path) -> set[str]:
    return {json.loads(line)["said"][0] for line in (folder / "out" / "captions.jsonl").read_text().splitlines()}


def rejects(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "out" / "captions.run" / "rejected.jsonl").read_text().splitlines()]


def twice_as_many(clips: Any) -> list[str]:
    return [clips.paths[number % len(clips.paths)] for number in range(2 * len(WAYS))]


GOOD = {f"caption {number}" for number in range(1, 2 * len(WAYS), 2)}


def test_an_error_that_repeats_it_in_any_way(server: ScriptedServer, clips: Any, tmp_path: Path) -> None:
    server.script = about_samples(alternating(lambda way: refused(400, "why: " + "; ".join([f"({way})"] * 20))))
    done = run(tmp_path, twice_as_many(clips), captioning(server), max_rejected=1.0)
    assert done.returncode == 0, done.stderr
    assert captions(tmp_path) == GOOD
    assert [each["message"].count("***") > 10 for each in rejects(tmp_path)] == [True] * len(WAYS)
    assert traces(tmp_path, done) == []


def test_a_caption_that_holds_it_in_any_way_is_none(server: ScriptedServer, clips: Any, tmp_path: Path) -> None:
    """And is not changed into one; also where its parts hold it together."""

    def bad(way: str) -> Reply:
        parts = [{"type": "text", "text": way[:5]}, {"type": "thinking"}, {"type": "text", "text": f"{way[5:]} on a wall"}]
        return said(choice([{"type": "text", "text": "A red circle, "}, *parts]))

    server.script = about_samples(alternating(bad))
    done = run(tmp_path, twice_as_many(clips), captioning(server), max_rejected=1.0)
    assert done.returncode == 0, done.stderr
    assert captions(tmp_path) == GOOD
    told = {(each["code"], each["message"]) for each in rejects(tmp_path)}
    assert told == {("BAD_ANSWER", f"the server's answer holds the key that is in {KEY_NAME}")}
    assert len(rejects(tmp_path)) == len(WAYS)
    assert traces(tmp_path, done) == []


def test_a_preview_shows_none(server: ScriptedServer, clips: Any, tmp_path: Path) -> None:
    bad = [said(f"The key is {KEY}."), refused(400, f"not with {KEY}"), said("A red circle.", model=KEY)]
    server.script = about_samples(lambda body: bad[number_in(body)])
    done = run(tmp_path, clips.paths[:3], captioning(server), verb="preview")
    assert done.returncode == 0, done.stderr
    assert "A red circle." in done.stdout
    assert "not with ***" in done.stdout
    assert (tmp_path / "out" / "captions.run" / "preview" / "preview.html").exists()
    assert traces(tmp_path, done, KEY) == []


def test_a_key_of_one_server_is_hidden_in_what_another_says(
    server: ScriptedServer, other: ScriptedServer, clips: Any, tmp_path: Path
) -> None:
    """Whichever is asked first; and the key that nobody is asked with."""
    replies = [refused(400, f"see {KEY}"), said(f"see {SECOND}"), refused(400, f"see {SPARE}"), said("the first")]

    def second(body: dict[str, Any]) -> Reply:
        return refused(400, f"see {KEY} and {SECOND}") if number_in(body) == 3 else said("the second")

    server.script = about_samples(lambda body: replies[min(number_in(body), 3)])
    other.script = about_samples(second)
    done = run(
        tmp_path,
        clips.paths[:8],
        captioning(server),
        captioning(other, SECOND_NAME, caption_field="more", provenance_field=None, num_frames=3),  # another question
        max_rejected=1.0,
    )
    assert done.returncode == 0, done.stderr
    assert {seen.headers["authorization"] for seen in other.seen} == {f"Bearer {SECOND}"}
    told = [each["message"] for each in rejects(tmp_path)]
    bad_answer = f"the server's answer holds the key that is in {SECOND_NAME}"
    assert told == ["HTTP 400: see ***", bad_answer, "HTTP 400: see ***", "HTTP 400: see *** and ***"]
    assert traces(tmp_path, done, KEY, SECOND, SPARE) == []


def test_short_keys_are_hidden_in_errors_and_are_words_in_captions(server: ScriptedServer, clips: Any, tmp_path: Path) -> None:
    script = alternating(lambda way: refused(400, "no house for you"))
    server.script = about_samples(
        lambda body: said("A house.", model="house") if "sample 1" in json.dumps(body) else script(body)
    )
    done = run(tmp_path, clips.paths[:2], captioning(server, "SHORT_KEY"), max_rejected=1.0)
    assert done.returncode == 0, done.stderr
    assert captions(tmp_path) == {"A house."}
    assert [each["message"] for each in rejects(tmp_path)] == ["HTTP 400: no *** for you"]
    (sample,) = (tmp_path / "out" / "captions.jsonl").read_text().splitlines()
    assert json.loads(sample)["caption_provenance"][0]["revision"] == "house"


def test_what_an_older_journal_holds_is_asked_again(server: ScriptedServer, clips: Any, tmp_path: Path) -> None:
    """It was written before the text was known to be a key."""
    journal = {"journal": "answers.sqlite", "max_rejected": 1.0}
    replies = [said(f"The key is {SPARE}."), refused(400, f"not with {SPARE}"), said("A red circle.", model=SPARE)]
    server.script = about_samples(lambda body: replies[number_in(body)])
    before = run(tmp_path, clips.paths[:3], captioning(server), spare="", **journal)
    assert before.returncode == 0, before.stderr
    assert captions(tmp_path) == {f"The key is {SPARE}.", "A red circle."}
    server.script, asked = about_samples(said("Asked again.")), len(server.seen)
    after = run(tmp_path, clips.paths[:3], captioning(server), export_path="new/captions.jsonl", **journal)
    assert after.returncode == 0, after.stderr
    lines = [json.loads(line) for line in (tmp_path / "new" / "captions.jsonl").read_text().splitlines()]
    assert [line["said"][0] for line in lines] == ["Asked again.", "A red circle."]
    assert [line["caption_provenance"][0]["revision"] for line in lines] == ["served-model", "***"]
    (reject,) = (tmp_path / "new" / "captions.run" / "rejected.jsonl").read_text().splitlines()
    assert json.loads(reject)["message"].endswith("HTTP 400: not with ***")
    assert sum("sample" in json.dumps(seen.body) for seen in server.seen[asked:]) == 1
    assert traces(tmp_path / "new", after, SPARE) == []


def test_tokens_of_the_hub_and_of_stores_stand_in_no_log(clips: Any, tmp_path: Path) -> None:
    """Neither those of the environment nor one that a recipe gives to a model."""
    (tmp_path / "loud.py").write_text(
        "import dataclasses, os\n"
        "from loguru import logger\n"
        "from juicecap.ops.base import Mapper\n"
        "from juicecap.ops.registry import register\n\n"
        "@register\n"
        "@dataclasses.dataclass(frozen=True, kw_only=True)\n"
        "class LoudMapper(Mapper):\n"
        '    """Says all."""\n\n'
        "    def process(self, sample, outcomes):\n"
        "        logger.warning('the store says {}', os.environ['AWS_SECRET_ACCESS_KEY'])\n"
        "        raise RuntimeError(os.environ['HF_TOKEN'])\n"
    )
    done = run(tmp_path, clips.paths[:1], {"loud_mapper": {}}, custom_operator_paths=["loud.py"])
    assert done.returncode == 3, done.stderr
    log = (tmp_path / "out" / "captions.run" / "log.jsonl").read_text()
    assert "the store says ${AWS_SECRET_ACCESS_KEY}" in log
    assert [each["message"] for each in rejects(tmp_path)] == ["loud_mapper fails with RuntimeError: ***"]
    assert [name for name in traces(tmp_path, done, STORE, HUB) if not name.startswith("std")] == []


def test_the_last_words_of_a_bug_hold_none(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrecy, "_known", {})
    secrecy.keep(KEY, KEY_NAME)

    def main(options: Any) -> int:
        raise ZeroDivisionError(f"Illegal header value b'Bearer {KEY}'")

    monkeypatch.setattr(juicecap.cli.verbs.ops, "main", main)
    assert juicecap.cli.main(["ops"]) == 70
    told = capsys.readouterr().err
    assert "ZeroDivisionError: Illegal header value b'Bearer ***'" in told
    assert KEY not in told


def test_a_key_in_an_address_is_nowhere_when_the_server_is_gone(clips: Any, tmp_path: Path) -> None:
    op = captioning_at(f"http://127.0.0.1:9/${{{KEY_NAME}}}")
    done = run(tmp_path, clips.paths[:1], op)
    assert done.returncode == 4, done.stderr
    assert "http://127.0.0.1:9/***: no server answers" in done.stderr
    assert traces(tmp_path, done) == []


def test_nor_when_the_server_repeats_its_address(server: ScriptedServer, clips: Any, tmp_path: Path) -> None:
    server.script = about_samples(refused(400, f"no route to /v1/{KEY}/chat"))
    done = run(tmp_path, clips.paths[:2], captioning_at(f"{server.base}/${{{KEY_NAME}}}"))
    assert done.returncode == 3, done.stderr
    assert {each["message"] for each in rejects(tmp_path)} == {"HTTP 400: no route to /v1/***/chat"}
    assert traces(tmp_path, done) == []
