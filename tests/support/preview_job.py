"""A preview of all that its page shows: two prompts, a user's op, answers in JSON, filters, a broken clip, hostile texts."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from scripted import Script, describe_of

from juicecap.media.sizes import FrameSizes
from juicecap.ops import registry
from juicecap.recipe import load_recipe
from juicecap.runner.estimate.preview import Preview, run_preview
from juicecap.vlm import catalog
from juicecap.vlm.base import Answer, Outcome, Prepared
from juicecap.vlm.pipeline import core

SCRIPT_TAG = "<script>document.title = 'taken over'</script><img src=x onerror=alert(1)>"
OVERRIDE = "up is \u202enwod"
LONG_WORD = "Donau" * 60
ARABIC = "كرة حمراء تتحرك إلى اليمين فوق خلفية سوداء."
CHINESE = "一个红色的圆球在黑色背景前从左向右缓慢移动。"
EMOJI = "A red ball 🔴 rolls to the right 👨‍👩‍👧 and stops."
CAPTION = "A red circle moves slowly to the right across a black background."
FACTS = {"subject": "a red circle", "motion": {"direction": "right", "speed": "slow"}, "colours": ["red", "black"], "cuts": 0}

OPERATOR = '''
"""Gives a sample a title: the beginning of its text, in neat letters."""

from dataclasses import dataclass

from juicecap.ops.base import Mapper
from juicecap.ops.registry import register


@register
@dataclass(frozen=True, kw_only=True)
class TitleMapper(Mapper):
    """Gives a sample a title."""

    def columns_written(self):
        return {"title": "text", "text": "text"}

    def process(self, sample, outcomes):
        text = " ".join(sample["text"].replace("colour", "color").split())
        return [{**sample, "title": text.split(".")[0], "text": text}]
'''

RECIPE = """
project_name: two_prompts
dataset_path: FOLDER/data.jsonl
export_path: FOLDER/out/captions.jsonl
custom_operator_paths: FOLDER/title_mapper.py
process:
  - title_mapper:
  - text_length_filter:
      min_len: 20
  - video_captioning_from_vlm_mapper:
      hf_model: MODEL
      prompt: Describe the clip in one sentence.
      caption_num: 3
      num_frames: 6
      keep_original_sample: false
  - video_to_caption_generator:
      hf_model: MODEL
      prompt_template: What moves, and how? Answer as a JSON object about {title}.
      input_video_key: videos
      input_conversation_key: messages
      output_key: facts
      num_frames: 6
  - whitespace_normalization_mapper:
"""

TEXTS = (
    "A  clip of one colour,\n taken in a studio. It is short.",
    f"Whoever wrote {SCRIPT_TAG} meant no good. {OVERRIDE} {LONG_WORD}",
    f"{ARABIC} {CHINESE} {EMOJI}",
    "This one is broken, and nobody can see it.",
    "too short",
)


BROKEN = 3
"""The number of the clip that cannot be read."""


class Answers(Script):
    """Three candidates to the first prompt, with hostile and foreign ones among them, and JSON to the second one."""

    def answer(self, prepared: Prepared) -> Outcome:
        asked = [part.value for part in prepared.request.messages[-1].parts if part.kind == "text"][-1]
        texts = [json.dumps(FACTS)] if "JSON" in asked else self._captions(prepared)
        answers = tuple(
            Answer(text=text, finish_reason="stop", tokens=len(text) // 4, seed=prepared.seed + number)
            for number, text in enumerate(texts)
        )
        return Outcome(answers=answers, seed=prepared.seed, prompt_tokens=214, revision="scripted")

    def _captions(self, prepared: Prepared) -> list[str]:
        path = prepared.request.media()[0].value
        if path.endswith("1.mp4"):
            return [f"{SCRIPT_TAG} {LONG_WORD}", OVERRIDE, CAPTION]
        if path.endswith("2.mp4"):
            return [ARABIC, CHINESE, EMOJI]
        return [CAPTION, "A ball rolls by.", "Something round and red crosses the picture from the left to the right."]


def make_preview(folder: Path, clips: Path) -> Preview:
    """The preview of the recipe in this folder, about copies of the demo clips."""
    rows = []
    for number, text in enumerate(TEXTS):
        clip = folder / f"{number}.mp4"
        clip.write_bytes(b"no video at all" if number == BROKEN else (clips / f"clip_0{number}.mp4").read_bytes())
        messages = [{"role": "user", "content": "What do you see?"}, {"role": "assistant", "content": "A ball."}]
        rows.append({"videos": [clip.name], "text": text, "messages": messages, "source": {"licence": "CC0", "year": 2026}})
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "title_mapper.py").write_text(OPERATOR, encoding="utf-8")
    recipe = folder / "recipe.yaml"
    answers = Answers(model="scripted-page", sizes=FrameSizes())
    recipe.write_text(RECIPE.replace("MODEL", answers.model).replace("FOLDER", str(folder)), encoding="utf-8")
    backend = ModuleType("scripted_backend")
    backend.describe = describe_of(answers)
    spec = replace(catalog.BACKENDS["hf"], describe="scripted_backend:describe", libraries=())
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "scripted_backend", backend)
        patch.setitem(catalog.BACKENDS, "hf", spec)
        patch.setattr(registry, "_registered", dict(registry.registered()))
        try:
            return run_preview(load_recipe(recipe), len(rows))
        finally:
            core.close()
