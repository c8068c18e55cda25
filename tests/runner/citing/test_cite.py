"""`juicecap cite`: the paragraph and the BibTeX of runs that are done, not done, of an earlier version, and of several models."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

import juicecap
from juicecap.cli import main
from juicecap.report import bibtex
from juicecap.report.citation import caveats, methods
from juicecap.runner.citing.cited_run import CitedRun, CitedStep, cited_run

if TYPE_CHECKING:
    from conftest import CaptionJob

STORED = Path(__file__).parents[2] / "stored_run"
ROOT = STORED.parents[1]
ENGINE = {
    "juicecap": "0.9.0",
    "backend": "vllm",
    "libraries": {"vllm": "0.32.0", "torch": "2.13.0"},
    "dtype": "bfloat16",
    "chat_template": "0123456789abcdef" * 2,
}
COMMIT = "0c351dd01ed87e9c1b53cbc748cba10e6187ff3b"
MODEL = {
    "backend": "vllm",
    "name": "Qwen/Qwen3-VL-8B-Instruct",
    "prompts": {"prompt": {"text": "Describe\n the video.", "digest": "d"}},
    "prompt_columns": {"prompt_key": "question"},
    "sampling": {"temperature": 0.7, "top_p": 0.9, "max_tokens": 128},
    "seed": 7,
    "candidates": 3,
    "keep_candidate_mode": "random_any",
    "frames": {"fps": 2.0, "min_frames": 4, "max_frames": 64, "max_pixels": 250000, "end": 60.0},
    "answered_by": [{"answers": 2700, "revision": COMMIT, "engine": ENGINE}],
}
RUN = CitedRun(
    folder=Path("out/captions.run"),
    state="done",
    juicecap="0.9.0",
    year="2026",
    dataset="/data/my clips.jsonl",
    samples=1000,
    exported=898,
    limit=None,
    seed=7,
    steps=(
        CitedStep(op="video_duration_filter", taken=1000, given=900, filtered=97, rejected=3, wanted={"min_duration": 1.5}),
        CitedStep(op="video_captioning_from_vlm_mapper", taken=900, given=898, rejected=2, model=MODEL),
        CitedStep(op="whitespace_normalization_mapper", taken=898, given=898),
    ),
    edited=2,
    unknown=(),
)


def test_the_paragraph_says_all_that_a_reader_needs() -> None:
    assert methods(RUN) == (
        "Captions were made with juicecap 0.9.0 from 1,000 samples of the dataset my clips.jsonl. "
        "video_duration_filter (min_duration 1.5) kept 900 of 1,000 samples; 3 could not be processed. "
        f"video_captioning_from_vlm_mapper captioned 900 samples with Qwen/Qwen3-VL-8B-Instruct (revision {COMMIT}) through "
        "vLLM 0.32.0 (in bfloat16, asked by juicecap 0.9.0, chat template 0123456789ab). "
        "From each video (up to second 60) 2 frames per second were taken, at least 4 and at most 64. "
        "Frames of more than 250,000 pixels were scaled down to that. "
        'The prompt was "Describe the video.". Where the column question holds a prompt, that was used. '
        "3 candidates were drawn for each video, one of which was chosen at random; tokens were sampled with temperature 0.7, "
        "top p 0.9 and seeds derived from 7, with at most 128 tokens. This gave 898 samples. "
        "whitespace_normalization_mapper was applied to 898 samples. "
        "In all, 1,000 samples went in and 898 samples came out; 5 samples could not be processed and were left out. "
        "Then 2 rows were corrected or removed by hand."
    )
    assert caveats(RUN) == ["look at the licence of each model: some restrict what its output may be used for"]


def test_the_entries_of_juicecap_and_of_a_model_of_the_hub() -> None:
    assert bibtex.bibtex(RUN) == (
        "@software{juicecap,\n"
        "  title = {{juicecap: recipes that caption videos and images with vision-language models}},\n"
        "  author = {{The juicecap team}},\n"
        "  version = {0.9.0},\n"
        "  year = {2026},\n"
        "  note = {Licence: Apache-2.0},\n"
        "}\n\n"
        "@misc{qwen3_vl_8b_instruct,\n"
        "  title = {{Qwen3-VL-8B-Instruct}},\n"
        "  author = {{Qwen}},\n"
        "  year = {2026},\n"
        "  howpublished = {\\url{https://huggingface.co/Qwen/Qwen3-VL-8B-Instruct}},\n"
        f"  note = {{Revision {COMMIT}}},\n"
        "}"
    )


def test_what_latex_would_read_is_escaped_and_a_folder_has_no_address(tmp_path: Path) -> None:
    assert bibtex.escaped("50% of a_b & {c} ~ #1 $2 ^ \\x") == (
        r"50\% of a\_b \& \{c\} \textasciitilde{} \#1 \$2 \textasciicircum{} \textbackslash{}x"
    )
    folder = tmp_path / "my_model & co"
    folder.mkdir()
    model = {**MODEL, "name": str(folder), "answered_by": [{"answers": 1, "revision": "a_b%", "engine": None}]}
    (entry,) = bibtex.bibtex(replace(RUN, steps=(replace(RUN.steps[1], model=model),))).split("\n\n")[1:]
    assert entry == ("@misc{my_model_co,\n  title = {{my\\_model \\& co}},\n  year = {2026},\n  note = {Revision a\\_b\\%},\n}")


def test_several_models_and_several_versions_are_all_told() -> None:
    earlier = {"answers": 300, "revision": "", "engine": {**ENGINE, "juicecap": "0.8.0", "libraries": {}}}
    both = {**MODEL, "answered_by": [*MODEL["answered_by"], earlier]}
    judge = {**MODEL, "backend": "openai", "name": "gpt_x", "answered_by": [], "frames": {"num_frames": 1}, "sampling": {}}
    run = replace(RUN, steps=(replace(RUN.steps[1], model=both), replace(RUN.steps[1], model=judge)))
    told = methods(run)
    assert f"(2,700 answers (revision {COMMIT}) through vLLM 0.32.0 (" in told
    assert "; 300 answers through vLLM (in bfloat16, asked by juicecap 0.8.0, chat template 0123456789ab))" in told
    assert "with gpt_x through an OpenAI-compatible server. From each video 1 frame was taken, evenly spaced in time." in told
    assert "Captions were decoded greedily, with at most 0 tokens." in told
    entries = bibtex.bibtex(run)
    assert "  version = {0.9.0, 0.8.0},\n" in entries
    assert [line for line in entries.splitlines() if line.startswith("@")] == [
        "@software{juicecap,",
        "@misc{qwen3_vl_8b_instruct,",
        "@misc{gpt_x,",
    ]


def test_edits_are_told_of_a_real_run(job: CaptionJob) -> None:
    job.run()
    output = job.folder / "out" / "captions.jsonl"
    first, *others = output.read_text().splitlines()
    output.write_text("\n".join([json.dumps({**json.loads(first), "text": "By hand."}), *others]) + "\n")
    job.run(keep_edits=True)
    assert methods(cited_run(str(job.work_dir))).endswith(" Then 1 row was corrected or removed by hand.")


def test_a_run_by_its_folder_its_output_and_its_recipe(job: CaptionJob, capsys: pytest.CaptureFixture[str]) -> None:
    job.run(limit=3)
    runs = [cited_run(str(path)) for path in (job.work_dir, job.folder / "out" / "captions.jsonl", job.recipe)]
    assert runs[0] == runs[1] == runs[2]
    assert main(["cite", str(job.work_dir)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{methods(runs[0])}\n\n{bibtex.bibtex(runs[0])}\n"
    assert err == "note: look at the licence of each model: some restrict what its output may be used for\n"
    assert out.startswith(
        f"Captions were made with juicecap {juicecap.__version__} from the first 3 samples of the dataset data.jsonl. "
        "video_duration_filter kept 3 of 3 samples. "
        f"video_captioning_from_vlm_mapper captioned 3 samples with {job.script.model} (revision scripted) through "
        f"Hugging Face transformers (asked by juicecap {juicecap.__version__}). From each video 2 frames per second were taken, "
    )
    assert main(["cite", str(job.work_dir), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["methods"], found["bibtex"]) == (methods(runs[0]), bibtex.bibtex(runs[0]))
    assert found["run"]["steps"][1]["model"]["answered_by"][0]["answers"] == 3


def test_a_run_that_is_not_finished_says_so(job: CaptionJob, capsys: pytest.CaptureFixture[str]) -> None:
    job.run()
    (job.work_dir / "manifest.json").unlink()
    assert main(["cite", str(job.recipe)]) == 0
    out, err = capsys.readouterr()
    assert f"video_captioning_from_vlm_mapper captioned samples with {job.script.model} through Hugging Face transformers." in out
    assert "In all" not in out
    assert err.startswith(
        "note: this run is not finished (its manifest is gone); run its recipe again, which resumes\n"
        "note: not noted: counts and revisions, until the run is finished\n"
    )
    assert main(["cite", str(job.work_dir)]) == 0
    assert "models, prompts and parameters, unless the recipe is given instead of the folder" in capsys.readouterr().err
    status = json.loads((job.work_dir / "status.json").read_text())
    (job.work_dir / "status.json").write_text(json.dumps({**status, "state": "running", "pid": 2**30}))
    assert cited_run(str(job.work_dir)).state == "killed"


def test_a_run_of_an_earlier_version_says_what_it_did_not_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shutil.copytree(STORED, tmp_path / "stored"))
    by_folder, by_recipe = cited_run("captions.run"), cited_run("recipe.yaml")
    asked = [f"op {number} (video_captioning_from_vlm_mapper)" for number in (2, 4)]
    engine = [f"revision, dtype, chat template and versions of libraries of {each}" for each in asked]
    settings = [f"model, prompts, frames and sampling of {each}; they are told if the recipe is given" for each in asked]
    assert by_folder.unknown == (settings[0], engine[0], settings[1], engine[1])
    assert by_recipe.unknown == tuple(engine)
    assert "captioned" not in methods(by_folder)
    assert 'The prompt was "What moves?".' in methods(by_recipe)
    assert "3 candidates were drawn for each video, all of which were kept; tokens were sampled with temperature 0.8" in methods(
        by_recipe
    )


def test_a_manifest_of_anybody_is_no_bug(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step = {"op": "o", "taken": 1, "given": 1, "filtered": 0, "rejected": 0, "captions": 1}
    odd = [1, {}, {**MODEL, "frames": {"fps": "x"}}, {**MODEL, "answered_by": [1]}, {**MODEL, "prompts": {"prompt": 1}}]
    for model in [*odd, MODEL]:
        manifest = {"steps": [{**step, "model": model}], "samples": 1, "exported": 1}
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        assert main(["cite", str(tmp_path)]) == (0 if model is MODEL else 1)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        assert ("is not what a run writes; run the recipe again" in said.err) is (model is not MODEL)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nowhere", "there is no nowhere; give the folder of a run, its output, or its recipe"),
        ("empty", "empty is no run folder, and there is none beside it (empty.run); give the folder of a run"),
        ("alone.jsonl", "alone.jsonl is no run folder, and there is none beside it (alone.run); give the folder of a run"),
        ("broken.run", "broken.run/manifest.json is not what a run writes; run the recipe again"),
    ],
)
def test_what_is_no_run_is_a_sentence(
    path: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("alone.jsonl").touch()
    Path("broken.run").mkdir()
    Path("broken.run/manifest.json").write_text('{"steps": 1}')
    assert main(["cite", path]) in (1, 2)
    assert said in capsys.readouterr().err


def test_the_citation_file_says_what_the_package_says() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert (citation["version"], citation["license"]) == (juicecap.__version__, bibtex.LICENSE)
    assert (citation["title"], citation["authors"]) == (bibtex.TITLE, [{"name": bibtex.AUTHOR}])
    package = metadata.metadata("juicecap")
    assert package["License-Expression"] == bibtex.LICENSE
    assert sorted(citation["keywords"]) == sorted(package["Keywords"].split(","))
