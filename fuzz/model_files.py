"""Fuzz the files of a model: whatever they hold, they tell something or are refused with a `ModelError` of one line.

    python fuzz/model_files.py -max_total_time=600

The first byte says which file the rest is; the others are those of the demonstration model. No library of models is run. Options
are libFuzzer's; the last line of a finding names the file that reproduces it, which can be given in place of options.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["juicecap.vlm.models"]):
    from fuzzing import ROOT, fuzz

    from juicecap.errors import MediaError, ModelError
    from juicecap.media.sampling import FrameSampling
    from juicecap.vlm.base import ModelSettings
    from juicecap.vlm.models import facts as facts_module
    from juicecap.vlm.models.prompt_tokens import PromptTokens, Shown

NAMES = (
    "config.json",
    "processor_config.json",
    "tokenizer_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "chat_template.json",
    "chat_template.jinja",
)
DEMO = ROOT / "juicecap" / "assets" / "demo_vlm"
OLD = {
    "video_processor_type": "Qwen2VLVideoProcessor",
    "image_processor_type": "Qwen2VLImageProcessor",
    "min_pixels": 3136,
    "max_pixels": 12845056,
    "patch_size": 14,
    "merge_size": 2,
    "temporal_patch_size": 2,
    "max_image_size": {"longest_edge": 512},
    "size": {"height": 384, "width": 384},
    "do_resize": True,
}
"""As the files of older releases and of other families have it."""

model = Path("model")


def read(data: bytes) -> None:
    """One file."""
    if not model.exists():
        model.mkdir()
    name = NAMES[data[0] % len(NAMES)] if data else NAMES[0]
    for each in NAMES:
        (model / each).unlink(missing_ok=True)
        if (DEMO / each).exists() and not (each == "processor_config.json" and "preprocessor" in name):
            shutil.copy(DEMO / each, model)
    (model / name).write_bytes(data[1:])
    facts_module._from_folder.cache_clear()
    try:
        facts = facts_module.model_facts(ModelSettings(model="model", params='{"adapter_kwargs": {}}'))
    except ModelError as error:
        assert "\n" not in str(error)
        return
    if facts is None:
        return
    try:
        width, height = facts.sizes.size("video", 9, 640, 360, FrameSampling())
        assert facts.sizes.size("image", 1, 33, 450, FrameSampling())
    except MediaError:
        return
    assert 0 < width * height <= 2**29
    facts = facts_module.replace(facts, folder=None)  # its tokenizer is run in another process
    assert PromptTokens(facts).vision(Shown(kind="video", width=width, height=height, times=(0.0, 0.5, 1.0))) >= 0


def main() -> None:
    """Fuzz, from the files of the demonstration model on."""
    known = {name: (DEMO / name).read_bytes() for name in NAMES if (DEMO / name).exists()}
    contents = {**dict.fromkeys(NAMES, json.dumps(OLD).encode()), **known, "chat_template.json": b'{"chat_template": "x"}'}
    seeds = [bytes([number]) + contents[name] for number, name in enumerate(NAMES)]
    words = sorted({word for content in contents.values() for word in content.decode().split('"') if word.isidentifier()})
    fuzz(read, seeds, [*words, "null", "true", "1e308", "NaN", "Infinity", "-1", "[[", "{}"], "-timeout=10", "-rss_limit_mb=1024")


if __name__ == "__main__":
    main()
