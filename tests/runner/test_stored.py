"""What an earlier version wrote goes on: the run in `tests/stored_run`, and what is hashed in `tests/stored_keys.json`.

Both were written before the modules of juicecap were moved and renamed, and are never written again: they stand for journals and
finished steps of users. A change that fails here asks models again for what they have answered, or runs finished ops again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

import juicecap
from juicecap.errors import SettingsError
from juicecap.media.sampling import FrameSampling
from juicecap.ops import catalog
from juicecap.ops.base import Mapper
from juicecap.ops.filter.text_length_filter import TextLengthFilter
from juicecap.ops.options.model_options import ModelOptions
from juicecap.sample import Sample
from juicecap.vlm.base import LATER, Message, ModelSettings, Outcome, Part, Request, Sampling

STORED = Path(__file__).parents[1] / "stored_run"
KEYS: dict[str, Any] = json.loads((STORED.parent / "stored_keys.json").read_text(encoding="utf-8"))
LATER_IN_PROVENANCE = {
    "unreadable": 0,
    "damage": None,
    "tone_mapped": False,
    "backend": "hf",
    "engine": None,
    "frames": '{"fps": 2.0, "min_frames": 4, "max_frames": 768}',
    "frame_sizes": [],
}
"""What an entry of the provenance of a whole video tells since then; what was not noted then is not known."""
ROOT = Path(juicecap.__file__).parents[1]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stored run with its clips and its model, whose files have the times that they had."""
    shutil.copytree(STORED, tmp_path, dirs_exist_ok=True)
    shutil.copytree(Path(juicecap.__file__).parent / "assets" / "demo_vlm", tmp_path / "model")
    for file in (tmp_path / "model").iterdir():
        os.utime(file, ns=(1_700_000_000 * 10**9,) * 2)
    (tmp_path / "clips").mkdir()
    for number in range(4):
        shutil.copy(ROOT / "recipes" / "clips" / f"clip_{number:02}.mp4", tmp_path / "clips")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def as_before(captions: Path) -> bytes:
    """The lines without what is told since then, which is looked at."""
    lines = [json.loads(line) for line in captions.read_text().splitlines()]
    for entry in (entry for line in lines for entry in line["caption_provenance"]):
        assert {name: entry.pop(name) for name in LATER_IN_PROVENANCE} == LATER_IN_PROVENANCE
        entry["op"], number = entry["op"].removesuffix("]").split("[")
        assert number in ("2", "4")
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


@pytest.mark.parametrize("kept", ["run folder", "journal"])
def test_a_run_of_before_goes_on_and_no_model_is_asked(job: Path, kept: str) -> None:
    expected = (job / "captions.jsonl").read_bytes()
    (job / "captions.jsonl").unlink()
    if kept == "journal":
        (job / "captions.run" / "journal.sqlite").rename(job / "journal.sqlite")
        shutil.rmtree(job / "captions.run")
        (job / "captions.run").mkdir()
        (job / "journal.sqlite").rename(job / "captions.run" / "journal.sqlite")
    result = juicecap.run(juicecap.load_recipe("recipe.yaml"))
    assert result.asked == 0
    assert result.replayed > 0
    assert as_before(job / "captions.jsonl") == expected
    (rejected,) = (job / "captions.run" / "rejected.jsonl").read_text().splitlines()
    assert json.loads(rejected)["code"] == "FILE_NOT_FOUND"


def test_candidates_that_a_run_of_before_lacks_have_the_seeds_of_then(job: Path) -> None:
    before = [json.loads(line) for line in (job / "captions.jsonl").read_text().splitlines()]
    (job / "recipe.yaml").write_text((job / "recipe.yaml").read_text().replace("caption_num: 3", "caption_num: 4"))
    result = juicecap.run(juicecap.load_recipe("recipe.yaml"), overwrite=True)
    after = [json.loads(line) for line in (job / "captions.jsonl").read_text().splitlines()]
    assert result.asked == 4
    for number in range(4):
        known, now = before[3 * number : 3 * number + 3], after[4 * number : 4 * number + 4]
        assert [each["text"] for each in now[:3]] == [each["text"] for each in known]
        first = known[0]["caption_provenance"][0]["seed"]
        assert [each["caption_provenance"][0]["seed"] for each in now] == [first, first + 1, first + 2, first + 3]


def request_of(facts: dict[str, Any]) -> Request:
    return Request(
        model=ModelSettings(**facts["model"]),
        messages=tuple(Message(role, tuple(Part(*part) for part in parts)) for role, parts in facts["messages"]),
        frames=FrameSampling(**facts["frames"]),
        sampling=Sampling(**{**facts["sampling"], "stop": tuple(facts["sampling"].get("stop", ()))}),
        candidates=facts["candidates"],
        seed=facts["seed"],
    )


@pytest.mark.parametrize("stored", KEYS["requests"], ids=lambda stored: stored["name"])
def test_requests_have_the_keys_and_seeds_of_before(stored: dict[str, Any]) -> None:
    request = request_of(stored["request"])
    key = request.key({part.value: f"digest of {part.value}" for part in request.media()}, "an identity")
    assert {
        "key": key,
        "entry_key": request.entry_key(key, "a state"),
        "seed": request.derived_seed(key),
    } == stored["is"]


@pytest.mark.parametrize("stored", KEYS["ops"], ids=lambda stored: f"{stored['op']} {list(stored['settings'])}")
def test_ops_have_the_fingerprints_of_before(stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """But for their versions: one that rose makes finished steps again, from the answers that the journal has."""
    kind = catalog.find(stored["op"])
    monkeypatch.setattr(kind, "version", 1)
    assert kind(**stored["settings"]).fingerprint() == stored["fingerprint"]


def test_every_op_of_before_is_there() -> None:
    assert {stored["op"] for stored in KEYS["ops"]} <= set(catalog.names())


@dataclass(frozen=True, kw_only=True)
class NewerSampling(Sampling):
    novelty: float = field(default=0.0, metadata=LATER)


@dataclass(frozen=True, kw_only=True)
class NewerFilter(TextLengthFilter):
    name: ClassVar[str] = TextLengthFilter.name
    novelty: int = field(default=0, metadata=LATER)


def test_a_field_that_is_added_changes_no_key_until_it_is_set() -> None:
    request = request_of(KEYS["requests"][0]["request"])
    digests = {part.value: "digest" for part in request.media()}

    def key(sampling: Sampling) -> str:
        return replace(request, sampling=sampling).key(digests, "an identity")

    assert key(NewerSampling()) == key(Sampling())
    assert key(NewerSampling(novelty=0.5)) != key(Sampling())
    assert NewerFilter(min_len=5).fingerprint() == TextLengthFilter(min_len=5).fingerprint()
    assert NewerFilter(min_len=5, novelty=1).fingerprint() != TextLengthFilter(min_len=5).fingerprint()


@dataclass(frozen=True, kw_only=True)
class AsksMapper(ModelOptions, Mapper):
    """As little as an op that asks a model can be."""

    def requests(self, sample: Sample) -> Sequence[Request]:
        return [self.question([Message("user", (Part("text", "Well?"),))], self.candidates())]

    def process(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample]:
        return [sample]


def test_no_op_that_asks_a_model_can_forget_what_its_answers_depend_on(tmp_path: Path) -> None:
    shutil.copytree(Path(juicecap.__file__).parent / "assets" / "demo_vlm", tmp_path / "model")
    op = AsksMapper(hf_model=str(tmp_path / "model"))
    before = op.external_fingerprint()
    os.utime(tmp_path / "model" / "config.json", ns=(1, 1))
    assert op.external_fingerprint() != before
    assert [engine.model for engine in op.engines()] == [str(tmp_path / "model")]
    with pytest.raises(SettingsError, match="sampling_params has no parameter 'temp'"):
        AsksMapper(sampling_params={"temp": 1})
