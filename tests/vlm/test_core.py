"""The core, with a scripted backend: order, sharing, failures of single requests, engines."""

from __future__ import annotations

import importlib.util
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from waiting import until

from juicecap.errors import EnvironmentFailure, MissingLibrary
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import FrameSizes
from juicecap.media.workers.pool import DecodePool
from juicecap.vlm import catalog
from juicecap.vlm.backends import opening
from juicecap.vlm.base import Failure, Limits, Message, ModelSettings, Part, Request
from juicecap.vlm.installed import install_command
from juicecap.vlm.pipeline import core, preparing


@pytest.fixture
def ask_for(script):
    """A request: `ask_for(path, text, model_suffix, frames)`."""

    def made(path: str, text: str = "P", suffix: str = "", frames: int | None = 2, **more) -> Request:
        return Request(
            model=ModelSettings(model=script.model + suffix),
            messages=(Message("user", (Part("video", path), Part("text", text))),),
            frames=FrameSampling(num_frames=frames),
            **more,
        )

    return made


def said(outcomes):
    return [[answer.text for answer in each.answers] or each.failure.code for each in outcomes]


def test_outcomes_stand_in_the_order_of_the_requests(clips, script, ask_for):
    requests = [ask_for(clips.paths[0], "a"), ask_for(clips.paths[1], "b", candidates=2), ask_for(clips.paths[0], "c")]
    assert said(core.ask(requests)) == [["a 0"], ["b 0", "b 1"], ["c 0"]]
    assert len(script.batches) == 1
    assert core.ask([]) == []


def test_requests_of_two_models_keep_their_places(clips, script, ask_for):
    requests = [ask_for(clips.paths[0], text, suffix) for text, suffix in (("a", ""), ("b", "-x"), ("c", ""), ("d", "-x"))]
    assert said(core.ask(requests)) == [["a 0"], ["b 0"], ["c 0"], ["d 0"]]
    assert {settings.model for settings in script.opened} == {script.model, f"{script.model}-x"}


def test_an_engine_is_opened_once_and_shared(clips, script, ask_for):
    for _ in range(2):
        core.ask([ask_for(clips.paths[0])])
    assert len(script.opened) == 1


def test_other_parameters_are_another_engine(clips, script, ask_for):
    request = ask_for(clips.paths[0])
    core.ask([request, replace(request, model=replace(request.model, params='{"dtype":"float32"}'))])
    assert len(script.opened) == 2


def test_pictures_have_the_size_that_the_backend_wants(clips, script, ask_for):
    core.ask([ask_for(clips.paths[0], frames=4)])
    (picture,) = script.batches[0][0].pictures
    assert picture.pixels.shape == (4, 16, 16, 3)
    assert picture.times == pytest.approx((0, 8 / 12, 15 / 12, 23 / 12), abs=0.1)
    assert picture.duration == pytest.approx(2.0)


def test_a_medium_that_fails_fails_its_request_alone(clips, script, ask_for, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_text("x")
    media = [(str(bad), "a"), (clips.paths[0], "b"), ("none.mp4", "c"), (str(bad), "d")]
    outcomes = core.ask([ask_for(path, text) for path, text in media])
    assert said(outcomes) == ["UNREADABLE", ["b 0"], "FILE_NOT_FOUND", "UNREADABLE"]
    assert outcomes[2].failure.message == "none.mp4 does not exist"
    assert [len(batch) for batch in script.batches] == [1]


def test_an_engines_failure_is_handed_on(clips, script, ask_for):
    script.answers["a"] = Failure(code="X", message="m", retryable=True)
    (outcome,) = core.ask([ask_for(clips.paths[0], "a")])
    assert outcome.failure == Failure(code="X", message="m", retryable=True)


def test_seeds_follow_from_content_and_question(clips, script, ask_for, tmp_path):
    copy = shutil.copy(clips.paths[0], tmp_path / "copy.mp4")
    first, second, third, fourth, fifth = (
        outcome.seed
        for outcome in core.ask(
            [
                ask_for(clips.paths[0]),
                ask_for(str(copy)),
                ask_for(clips.paths[1]),
                ask_for(clips.paths[0], "Q"),
                ask_for(clips.paths[0], candidates=3),
            ]
        )
    )
    assert first == second == fifth
    assert len({first, third, fourth}) == 3


def test_an_engine_that_cannot_open_raises_and_is_tried_again(clips, script, ask_for):
    script.trouble = EnvironmentFailure("no memory")
    with pytest.raises(EnvironmentFailure, match="no memory"):
        core.ask([ask_for(clips.paths[0])])
    assert said(core.ask([ask_for(clips.paths[0], "again")])) == [["again 0"]]
    assert len(script.opened) == 1


def test_closing_and_asking_again(clips, script, ask_for):
    core.ask([ask_for(clips.paths[0])])
    core.close()
    core.close()
    assert [settings.model for settings in script.closed] == [script.model]
    assert not [thread for thread in threading.enumerate() if thread.name == "juicecap-core"]
    assert said(core.ask([ask_for(clips.paths[0], "b")])) == [["b 0"]]
    assert len(script.opened) == 2


def test_closing_while_somebody_waits_says_so(clips, script, ask_for):
    script.gates["a"] = threading.Event()
    request = ask_for(clips.paths[0], "a")
    failed = []

    def ask() -> None:
        with pytest.raises(EnvironmentFailure) as caught:
            core.ask([request])
        failed.append(caught.value)

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: script.batches)
    core.close()
    asking.join(60)
    script.gates["a"].set()
    assert str(failed[0]) == "the engines were closed while requests were under way; running again resumes"


def test_several_threads_share_one_engine(clips, script, ask_for):
    found = {}

    def work(number: int) -> None:
        found[number] = said(core.ask([ask_for(clips.paths[0], str(number))]))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [[f"{number} 0"]] for number in range(4)}
    assert len(script.opened) == 1


def without(monkeypatch, missing: str) -> None:
    def imported(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(opening, "importlib", type("Importing", (), {"import_module": staticmethod(imported)}))


def test_a_missing_library_says_how_to_get_it(monkeypatch):
    without(monkeypatch, "transformers.models")
    with pytest.raises(MissingLibrary) as caught:
        opening.describer(ModelSettings(model="m"))
    assert str(caught.value) == f"transformers is not installed. Install it with: {install_command('hf')}"


def test_a_missing_module_of_ones_own_is_no_missing_library(monkeypatch):
    without(monkeypatch, "juicecap.vlm.backends.hf.gone")
    with pytest.raises(ModuleNotFoundError):
        opening.describer(ModelSettings(model="m"))


def test_backends_are_in_order_and_there():
    assert list(catalog.BACKENDS) == sorted(catalog.BACKENDS)
    for entry in catalog.BACKENDS.values():
        module, _, attribute = entry.describe.partition(":")
        assert f"async def {attribute}(" in Path(importlib.util.find_spec(module).origin).read_text()


class TestManyMedia:
    """A question may show many media: their frames have to fit into memory together."""

    def test_those_of_one_request_that_do_not_fit_cost_it_alone(self, clips, script, ask_for, monkeypatch):
        monkeypatch.setattr(preparing, "AT_ONCE", 2)
        many = tuple(Part("video", path) for path in clips.paths[:6])
        asked = ask_for(clips.paths[0], "one")
        crowd = replace(asked, messages=(Message("user", (*many, Part("text", "many"))),))
        limits = Limits(frame_bytes=2**21)  # two frames of 16x16 pixels have 1,536 bytes
        assert said(core.ask([asked, crowd, asked], limits)) == [["one 0"], ["many 0"], ["one 0"]]
        limits = Limits(frame_bytes=1000)
        outcomes = core.ask([asked, crowd, asked], limits)
        assert said(outcomes) == [["one 0"], "TOO_LARGE", ["one 0"]]
        assert outcomes[1].failure.message == (
            "the frames of 6 media take more than 0 MB together: show fewer media, frames or pixels at once, or raise "
            "frame_memory_mb, of which that is four times"
        )
        assert outcomes[1].failure.retryable

    def test_those_behind_are_not_even_read(self, clips, script, ask_for, monkeypatch):
        monkeypatch.setattr(preparing, "AT_ONCE", 2)
        read, plain = [], DecodePool.picture

        async def noted(self, kind, path, *rest):
            read.append(path)
            return await plain(self, kind, path, *rest)

        monkeypatch.setattr(DecodePool, "picture", noted)
        parts = (*(Part("video", path) for path in clips.paths), Part("text", "many"))
        crowd = replace(ask_for(clips.paths[0]), messages=(Message("user", parts),))
        assert said(core.ask([crowd], Limits(frame_bytes=700))) == ["TOO_LARGE"]
        assert read == clips.paths[:2]


class TestReductions:
    """Pictures that are made smaller for a model whose sizes are not known."""

    @pytest.fixture(autouse=True)
    def _unknown_sizes(self, script):
        script.sizes = FrameSizes()

    def ask(self, script, path: Path, **frames) -> None:
        messages = (Message("user", (Part("image", str(path)), Part("text", "P"))),)
        core.ask([Request(model=ModelSettings(model=script.model), messages=messages, frames=FrameSampling(**frames))])

    def test_are_said_once_with_both_sizes(self, script, tmp_path, said):
        for name in ("a.png", "b.png"):
            Image.new("RGB", (2048, 1024)).save(tmp_path / name)
            self.ask(script, tmp_path / name)
        (told,) = said
        assert told.startswith(
            f"{tmp_path}/a.png is shown to the model as 1448x724 instead of 2048x1024, and other large pictures"
        )
        assert "one megapixel" in told
        assert "max_pixels: none" in told

    @pytest.mark.parametrize("frames", [{"max_pixels": 5000}, {"max_pixels": "none"}])
    def test_are_not_said_where_the_recipe_says_something(self, script, tmp_path, said, frames):
        Image.new("RGB", (2048, 1024)).save(tmp_path / "a.png")
        self.ask(script, tmp_path / "a.png", **frames)
        assert said == []

    def test_small_pictures_are_none(self, script, tmp_path, said):
        Image.new("RGB", (1024, 1024)).save(tmp_path / "a.png")
        self.ask(script, tmp_path / "a.png")
        assert said == []
