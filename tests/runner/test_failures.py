"""Samples that fail: their lines in rejected.jsonl, what on_error does with them, and when they end a run."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable
from datetime import datetime

import pytest
from PIL import Image
from scripted import prompt_of

from juicecap.errors import DataError, EnvironmentFailure, MediaError
from juicecap.media.workers.pool import DecodePool
from juicecap.report.summary import summary
from juicecap.runner import RunResult
from juicecap.runner.failure_guard import ENGINE, IDENTICAL_FAILURES
from juicecap.vlm.backends.hf import backend
from juicecap.vlm.base import Failure, Outcome
from juicecap.vlm.pipeline import core

pytestmark = [pytest.mark.model, pytest.mark.process]

MANY = [f"text {number:03}" for number in range(IDENTICAL_FAILURES + 30)]


def test_a_line_of_rejected_jsonl_tells_all_about_a_sample(texts) -> None:
    texts.fails({"text 003": ("ODD", False), "text 007": ("SERVER_ERROR", True)})
    result = texts.run(max_rejected=2)
    first, second = texts.rejections()
    assert datetime.fromisoformat(first.pop("when")).utcoffset().total_seconds() == 0
    assert first == {
        "id": "data.jsonl:4",
        "source": f"{texts.folder}/data.jsonl:4",
        "op": "trouble_mapper[1]",
        "code": "ODD",
        "message": "no luck with text 003",
        "attempts": 1,
        "retryable": False,
        "sample": {"n": 3, "text": "text 003"},
    }
    assert (second["id"], second["code"], second["retryable"]) == ("data.jsonl:8", "SERVER_ERROR", True)
    assert texts.out() == [f"{text}!" for text in texts.texts if text not in ("text 003", "text 007")]
    assert result.exit_code == 0
    assert result.reasons == {"ODD": 1, "SERVER_ERROR": 1}


def test_every_sample_has_one_fate_and_the_manifest_chains_them(texts) -> None:
    (texts.folder / "twice").touch()
    texts.fails({"text 001": ("ODD", False)})
    texts.process = [{"trouble_mapper": {}}, {"text_length_filter": {"min_len": 9}}]
    result = texts.run()
    manifest = texts.manifest()
    told = [(step["taken"], step["kept"], step["filtered"], step["rejected"], step["given"]) for step in manifest["steps"]]
    assert told == [(10, 9, 0, 1, 18), (18, 9, 9, 0, 9)]
    assert (manifest["samples"], manifest["exported"], manifest["rejected"], manifest["exit_code"]) == (10, 9, 1, 3)
    assert manifest["steps"][0]["reasons"] == manifest["reasons"] == {"ODD": 1}
    assert result.chain_holds
    assert texts.out() == [f"{text}!" for text in texts.texts if text != "text 001"]


def test_beyond_max_rejected_the_good_output_is_there_and_the_summary_is_clear(texts) -> None:
    texts.fails({"text 003": ("ODD", False), "text 004": ("ODD", False), "text 005": ("STRANGE", False)})
    result = texts.run(max_rejected=0.2)
    assert result.exit_code == 3
    assert len(texts.out()) == 7
    lines = summary(result).splitlines()
    assert "          trouble_mapper[1]: 3 rejected (ODD 2, STRANGE 1)" in lines
    assert lines[-2] == f"rejected  {texts.work_dir}/rejected.jsonl"
    assert lines[-1] == "more samples were rejected than max_rejected (0.2) allows; the output is written, the exit code is 3"


class TestKeep:
    def test_the_sample_stays_as_it_was_with_the_reason_in_a_column(self, texts) -> None:
        texts.fails({"text 001": ("ODD", False)})
        result = texts.run(on_error="keep")
        failures = [{"op": "trouble_mapper[1]", "code": "ODD", "message": "no luck with text 001"}]
        assert texts.rows()[0] == {"n": 0, "text": "text 000!"}
        assert texts.rows()[1] == {"n": 1, "text": "text 001", "juicecap_failures": failures}
        assert len(texts.rows()) == 10
        assert texts.rejections() == []
        assert (result.exit_code, result.rejected, result.failed, result.reasons) == (0, 0, 1, {"ODD": 1})
        assert "trouble_mapper[1]: 1 failed and stayed (ODD 1)" in summary(result)
        assert texts.manifest()["failed"] == 1

    def test_a_sample_that_fails_in_two_ops_has_both_reasons(self, texts) -> None:
        texts.fails({"text 001": ("ODD", False)})
        texts.process = [{"trouble_mapper": {}}, {"trouble_mapper": {}}]
        texts.run(on_error="keep")
        assert [each["code"] for each in texts.rows()[1]["juicecap_failures"]] == ["ODD", "ODD"]
        assert texts.rows()[2]["text"] == "text 002!!"

    def test_an_op_may_say_it_for_itself(self, texts) -> None:
        texts.fails({"text 001": ("ODD", False)})
        texts.process = [{"trouble_mapper": {"on_error": "keep"}}, {"trouble_mapper": {}}]
        assert texts.run(max_rejected=1).exit_code == 0
        assert texts.rejections()[0]["sample"]["text"] == "text 001"
        assert len(texts.out()) == 9

    def test_a_failure_that_may_pass_is_tried_again(self, texts) -> None:
        texts.fails({"text 001": ("SERVER_ERROR", True)})
        texts.run(on_error="keep")
        texts.asked()
        texts.fails({})
        result = texts.run(on_error="keep")
        assert texts.asked() == ["text 001"]
        assert texts.out() == [f"{text}!" for text in texts.texts]
        assert result.failed == 0


class TestStop:
    def test_the_first_failure_ends_the_run(self, texts) -> None:
        texts.fails({"text 003": ("ODD", False), "text 005": ("ODD", False)})
        with pytest.raises(
            DataError,
            match=r"^trouble_mapper\[1\]: ODD: data\.jsonl:4: no luck with text 003\. The run stops .* on_error is 'stop'\.$",
        ):
            texts.run(on_error="stop")
        assert not texts.output.exists()
        assert [(each["id"], each["code"]) for each in texts.rejections()] == [("data.jsonl:4", "ODD")]
        assert texts.left() == []

    def test_where_it_may_pass_the_environment_is_to_blame(self, texts) -> None:
        texts.fails({"text 003": ("SERVER_ERROR", True)})
        with pytest.raises(EnvironmentFailure, match="SERVER_ERROR"):
            texts.run(on_error="stop")

    def test_a_failure_that_an_earlier_run_left_ends_it_too(self, texts) -> None:
        texts.fails({"text 003": ("ODD", False)})
        texts.run(on_error="reject")
        with pytest.raises(DataError, match="no luck with text 003"):
            texts.run(on_error="stop")

    @pytest.mark.parametrize("where", ["recipe", "op"])
    def test_data_juicers_word_for_it(self, texts, where: str) -> None:
        texts.fails({"text 003": ("ODD", False)})
        keys = {"skip_op_error": False} if where == "recipe" else {}
        texts.process = [{"trouble_mapper": {"skip_op_error": False} if where == "op" else {}}]
        with pytest.raises(DataError, match="on_error is 'stop'"):
            texts.run(**keys)
        texts.process = [{"trouble_mapper": {"skip_op_error": True}}]
        assert texts.run(max_rejected=1, skip_op_error=False).rejected == 1


class TestAllAlike:
    def test_the_first_samples_that_all_fail_for_one_reason_end_the_run(self, texts) -> None:
        texts.write(MANY)
        texts.fails(dict.fromkeys(MANY, ("SERVER_ERROR", True)))
        message = (
            f"trouble_mapper[1]: all of the first {IDENTICAL_FAILURES} samples failed for the same reason; the first: "
            "SERVER_ERROR: data.jsonl:1: no luck with text 000. Nothing was exported. Running again goes on."
        )
        with pytest.raises(EnvironmentFailure, match=f"^{re.escape(message)}$"):
            texts.run()
        assert not texts.output.exists()
        assert [each["id"] for each in texts.rejections()] == [
            f"data.jsonl:{number}" for number in range(1, IDENTICAL_FAILURES + 1)
        ]

    def test_a_failure_of_the_environment_that_is_kept_says_what_earlier_runs_need(self, texts) -> None:
        texts.write(MANY)
        texts.fails(dict.fromkeys(MANY, ("GENERATE_FAILED", False)))
        said = r"text 000\. Nothing was exported\. Mend that and run again, which goes on; .* needs --retry-rejected\.$"
        with pytest.raises(EnvironmentFailure, match=said):
            texts.run(max_rejected=1.0, on_error="keep")

    def test_bad_data_is_the_datas_fault_and_max_rejected_can_allow_it(self, texts) -> None:
        texts.write(MANY)
        texts.fails(dict.fromkeys(MANY, ("ODD", False)))
        with pytest.raises(DataError, match=r"same reason; the first: ODD: .*max_rejected: 1\.0"):
            texts.run()
        result = texts.run(max_rejected=1.0)
        assert (result.rejected, result.exit_code, texts.out()) == (len(MANY), 0, [])
        assert texts.run(max_rejected=0, on_error="keep").failed == len(MANY)

    @pytest.mark.parametrize(
        ("bad", "allowed"),
        [(IDENTICAL_FAILURES, IDENTICAL_FAILURES), (IDENTICAL_FAILURES + 9, IDENTICAL_FAILURES + 9), (104, 0.8), (29, 0)],
    )
    def test_bad_data_at_the_head_that_max_rejected_allows_ends_no_run(self, texts, bad: int, allowed: float) -> None:
        texts.write(MANY)
        texts.fails(dict.fromkeys(MANY[:bad], ("ODD", False)))
        result = texts.run(max_rejected=allowed)
        assert (result.rejected, result.exit_code) == (bad, 0 if allowed else 3)
        assert texts.out() == [f"{text}!" for text in MANY[bad:]]

    @pytest.mark.parametrize(
        ("allowed", "first"),
        [
            (IDENTICAL_FAILURES - 1, IDENTICAL_FAILURES),
            (IDENTICAL_FAILURES + 8, IDENTICAL_FAILURES + 9),
            (0.8, 105),
            (0.05, IDENTICAL_FAILURES),
        ],
    )
    def test_one_more_than_it_allows_does(self, texts, allowed: float, first: int) -> None:
        texts.write(MANY)
        texts.fails(dict.fromkeys(MANY[:first], ("ODD", False)))
        with pytest.raises(DataError, match=f"all of the first {first} samples failed"):
            texts.run(max_rejected=allowed)
        assert texts.asked()[first - 1] == MANY[first - 1]
        assert [each["id"] for each in texts.rejections()] == [f"data.jsonl:{number}" for number in range(1, first + 1)]

    @pytest.mark.parametrize("other", [None, ("STRANGE", False)])
    def test_one_sample_that_fares_otherwise_is_enough_to_go_on(self, texts, other: tuple[str, bool] | None) -> None:
        texts.write(MANY)
        trouble = dict.fromkeys(MANY, ("ODD", False))
        trouble[MANY[5]] = other
        texts.fails({text: why for text, why in trouble.items() if why})
        assert texts.run().exit_code == 3
        assert len(texts.rejections()) == len(MANY) - (other is None)

    def test_a_few_samples_that_all_fail_by_the_environment_end_it_too(self, texts) -> None:
        texts.fails(dict.fromkeys(texts.texts, ("SERVER_ERROR", True)))
        with pytest.raises(EnvironmentFailure, match="all of the 10 samples failed for the same reason"):
            texts.run()
        texts.fails({})
        assert texts.run().exit_code == 0
        assert texts.out() == [f"{text}!" for text in texts.texts]

    def test_a_few_bad_samples_are_rejected(self, texts) -> None:
        texts.fails(dict.fromkeys(texts.texts, ("ODD", False)))
        assert texts.run().exit_code == 3
        assert texts.out() == []
        assert len(texts.rejections()) == 10


def many_pictures(texts, **settings) -> None:
    """As many pictures, each with a question of its own, for an op with these settings."""
    rows = []
    for number in range(len(MANY)):
        Image.new("RGB", (64, 64), (number, 255 - number, 0)).save(texts.folder / f"{number}.png")
        turns = [{"from": "human", "value": f"<image>What is {number}?"}]
        rows.append(json.dumps({"image": [f"{number}.png"], "conversation": turns}) + "\n")
    (texts.folder / "data.jsonl").write_text("".join(rows))
    texts.process = [{"image_caption_generator": {"input_modal_key": "image", "system_prompt": "S", **settings}}]


class TestRunningAgain:
    """After a run that ended early, on a model that answers again."""

    @pytest.fixture
    def pictures(self, texts, script) -> Callable[..., RunResult]:
        """Runs a recipe that captions many pictures with a scripted model."""
        many_pictures(texts, hf_model=script.model)

        def run(**options) -> RunResult:
            core.close()
            script.batches.clear()
            return texts.run(**options)

        return run

    def numbers(self, script) -> list[int]:
        """Which samples the model was asked about."""
        return sorted(int(re.findall(r"\d+", prompt_of(each))[0]) for batch in script.batches for each in batch)

    @pytest.mark.parametrize("code", ENGINE)
    def test_it_goes_on_once_the_cause_is_mended(self, texts, pictures, script, monkeypatch, code: str) -> None:
        failure = Failure(code=code, message="broken")
        with monkeypatch.context() as patch:
            patch.setattr(script, "answer", lambda prepared: Outcome(failure=failure, seed=prepared.seed))
            for _ in range(2):
                with pytest.raises(
                    EnvironmentFailure, match=f"all of the first {IDENTICAL_FAILURES} samples failed .*: {code}: .*goes on"
                ):
                    pictures()
        result = pictures()
        assert (result.exit_code, result.exported, result.rejected) == (0, len(MANY), 0)
        assert self.numbers(script) == list(range(len(MANY)))

    def test_decoders_that_crash_on_everything_are_no_fault_of_the_pictures(self, pictures, script, monkeypatch) -> None:
        async def crashed(self, kind, path, *_):
            raise MediaError("DECODER_CRASHED", f"{path}: the decoder crashed, twice")

        with monkeypatch.context() as patch:
            patch.setattr(DecodePool, "picture", crashed)
            with pytest.raises(EnvironmentFailure, match="DECODER_CRASHED"):
                pictures()
        assert pictures().exported == len(MANY)

    def test_one_who_ends_it_before_the_hundredth_has_given_nobody_up(self, pictures, script, monkeypatch) -> None:
        """As with Ctrl-C or a kill while all fail."""
        failure = Failure(code="GENERATE_FAILED", message="broken")

        def answer(prepared):
            if "64?" in prompt_of(prepared):
                raise EnvironmentFailure("enough")
            return Outcome(failure=failure, seed=prepared.seed)

        with monkeypatch.context() as patch:
            patch.setattr(script, "answer", answer)
            with pytest.raises(EnvironmentFailure, match="enough"):
                pictures()
        assert pictures().exported == len(MANY)

    def test_samples_that_fail_among_others_are_given_up_for_good(self, texts, pictures, script, monkeypatch) -> None:
        """The first ones included, though nobody could know of them when they failed."""
        bad = [*range(20), 50, 129]
        failure = Failure(code="GENERATE_FAILED", message="broken")
        real = script.answer

        def answer(prepared):
            number = int(re.findall(r"\d+", prompt_of(prepared))[0])
            return Outcome(failure=failure, seed=prepared.seed) if number in bad else real(prepared)

        with monkeypatch.context() as patch:
            patch.setattr(script, "answer", answer)
            assert pictures(max_rejected=0.5).rejected == len(bad)
        shutil.rmtree(texts.work_dir / "steps")
        result = pictures(max_rejected=0.5)
        assert (result.rejected, result.exported, result.asked) == (len(bad), len(MANY) - len(bad), 0)
        assert self.numbers(script) == []
        result = pictures(max_rejected=0.5, retry=True)
        assert (self.numbers(script), result.rejected) == (bad, 0)

    def test_all_of_a_few_are_given_up_for_good(self, texts, pictures, script, monkeypatch) -> None:
        rows = (texts.folder / "data.jsonl").read_text().splitlines(keepends=True)
        (texts.folder / "data.jsonl").write_text("".join(rows[:IDENTICAL_FAILURES]))
        failure = Failure(code="GENERATE_FAILED", message="broken")
        with monkeypatch.context() as patch:
            patch.setattr(script, "answer", lambda prepared: Outcome(failure=failure, seed=prepared.seed))
            assert pictures().exit_code == 3
        shutil.rmtree(texts.work_dir / "steps")
        result = pictures()
        assert (result.rejected, self.numbers(script)) == (IDENTICAL_FAILURES, [])

    def test_a_real_model_that_breaks_for_good_takes_nobody_with_it(self, texts, monkeypatch) -> None:
        """Every call from the fourth on fails; 8, 12 and 18 samples were answered by then."""
        many_pictures(texts, hf_model="juicecap-demo-vlm", sampling_params={"max_tokens": 2})
        calls, real = itertools.count(1), backend.answer

        def answer(loaded, members):
            if next(calls) > 3:
                raise RuntimeError("CUDA error: device-side assert triggered")
            return real(loaded, members)

        with monkeypatch.context() as patch:
            patch.setattr(backend, "answer", answer)
            with pytest.raises(
                EnvironmentFailure, match=r"answers nothing any more; .* device-side assert triggered\. Running again"
            ):
                texts.run()
        core.close()
        result = texts.run()
        assert (result.rejected, result.exported) == (0, len(MANY))
        assert 0 < result.replayed == len(MANY) - result.asked


class TestTriedAgain:
    def undisturbed(self, texts, trouble: dict) -> bytes:
        texts.fails(trouble)
        texts.output = texts.folder / "undisturbed" / "texts.jsonl"
        texts.run()
        texts.asked()
        content = texts.output.read_bytes()
        texts.output = texts.folder / "out" / "texts.jsonl"
        return content

    @pytest.mark.parametrize("twice", [False, True])
    def test_only_those_that_may_succeed_are_tried_again_with_the_bytes_of_an_undisturbed_run(
        self, texts, listener, twice
    ) -> None:
        if twice:
            (texts.folder / "twice").touch()
        wanted = self.undisturbed(texts, {"text 005": ("ODD", False)})
        lost = dict.fromkeys(("text 000", "text 004", "text 006", "text 009"), ("SERVER_ERROR", True))
        texts.fails({"text 005": ("ODD", False), **lost})
        texts.run()
        texts.asked()
        texts.fails({"text 005": ("ODD", False)})
        result = texts.run(listener)
        assert texts.asked() == list(lost)
        assert listener.steps[0] == ("trouble_mapper", 4, False)
        assert texts.output.read_bytes() == wanted
        assert [each["id"] for each in texts.rejections()] == ["data.jsonl:6"]
        assert result.steps[0].tried_again == 4
        assert texts.manifest()["steps"][0]["tried_again"] == 4

    def test_what_fails_again_has_more_attempts_and_later_steps_are_not_repeated(self, texts) -> None:
        trouble = {"text 002": ("SERVER_ERROR", True)}
        texts.fails(trouble)
        for attempts in (1, 2, 3):
            texts.run()
            assert [each["attempts"] for each in texts.rejections()] == [attempts]
        assert texts.asked() == [*texts.texts, "text 002", "text 002"]
        assert [step["finished_before"] for step in texts.manifest()["steps"]] == [False, True]

    def test_permanent_failures_are_tried_again_if_that_is_asked(self, texts) -> None:
        wanted = self.undisturbed(texts, {})
        texts.fails({"text 002": ("ODD", False)})
        texts.run()
        texts.fails({})
        texts.asked()
        assert texts.run().rejected == 1
        assert texts.asked() == []
        assert texts.run(retry=True).rejected == 0
        assert texts.asked() == ["text 002"]
        assert texts.output.read_bytes() == wanted
        assert json.loads(texts.output.read_text().splitlines()[2])["text"] == "text 002!"
