"""Train the demo model: a real Qwen3-VL of 1.55 M parameters that captions the scenes of `synthetic_clips`.

    python tools/train_demo_vlm.py --out juicecap/assets/demo_vlm

Three stages, each starting from what the one before left in `--work`:

1. `vision`: the vision tower alone, with throw-away linear heads on its output tokens (is the object here, which shape,
   colour and background, in which ninth of the frame).
2. `ask`: the whole model on short clips of one size, mostly direct questions at first, captions later.
3. `widen`: all sizes, lengths, frame rates and prompts, part of the batches being clips that went through h264 and the
   product's own decoder and scaler (`Pool`).

Initialisation matters more than anything else: the library's default (0.02) is meant for wide models; here every linear
layer starts at 1/sqrt(fan_in), half of that where it writes to the residual stream.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import synthetic_clips as clips
import torch
from torch import nn
from torch.nn import functional
from transformers import (
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)
from transformers.models.qwen3_vl import modeling_qwen3_vl

PATCH, MERGE = 8, 2
CELL = PATCH * MERGE
"""Pixels of one language-model token along one side."""

FRAME_PIXELS = 32 * CELL * CELL
SPECIAL_TOKENS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
CHAT_TEMPLATE = """{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' -}}
{%- if message.content is string -%}
{{- message.content -}}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'video' -%}<|vision_start|><|video_pad|><|vision_end|>
{%- elif part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>
{%- elif part.type == 'text' -%}{{- part.text -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"""

SIZES = [(64, 64), (80, 80), (64, 80), (80, 64), (64, 96), (96, 64), (64, 112), (112, 64), (80, 96), (96, 80)]
"""(height, width) that `FRAME_PIXELS` gives for the sizes and aspect ratios of `clips.random_size`."""

PARAPHRASES = {
    clips.SHORT_PROMPT: [
        "\n" + clips.SHORT_PROMPT + "\n",
        clips.SHORT_PROMPT,
        "Describe the video.",
        "What happens in the video?",
    ],
    clips.DETAIL_PROMPT: [clips.DETAIL_PROMPT, "Describe the video in detail."],
    clips.IMAGE_PROMPT: [clips.IMAGE_PROMPT, "Describe the image."],
}
SYSTEM_PROMPTS = ["You are a helpful assistant.", "You are an expert in describing videos.", "Answer in English."]


def build_processor() -> Qwen3VLProcessor:
    """A byte-level BPE trained on the answers, and processors with small patches and small pixel budgets."""
    rng = np.random.default_rng(0)
    texts = [f"<{tenth / 10:.1f} seconds>" for tenth in range(1000)]
    for _ in range(4000):
        scene = clips.random_scene(rng)
        for answers in (clips.video_answers(scene), clips.image_answers(scene)):
            texts += [text for item in answers.items() for text in item]
    texts += [prompt for prompts in PARAPHRASES.values() for prompt in prompts] * 200
    texts += SYSTEM_PROMPTS * 200 + ["system\n", "user\n", "assistant\n"] * 1000
    base = Qwen2Tokenizer(vocab=None, merges=None)
    tokenizer = base.train_new_from_iterator(texts, vocab_size=640, new_special_tokens=SPECIAL_TOKENS, show_progress=False)
    tokenizer = Qwen2Tokenizer(
        tokenizer_object=tokenizer.backend_tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        additional_special_tokens=SPECIAL_TOKENS[3:],
        model_max_length=32768,
    )
    pixels = {"patch_size": PATCH, "merge_size": MERGE, "temporal_patch_size": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**pixels, size={"shortest_edge": 64 * 64, "longest_edge": FRAME_PIXELS}),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(
            **pixels,
            size={"shortest_edge": 64 * 64, "longest_edge": 64 * FRAME_PIXELS},
            cap_pixels_per_frame=True,
            max_video_tokens=FRAME_PIXELS // CELL**2,
        ),
        chat_template=CHAT_TEMPLATE,
    )


def build_model(processor: Qwen3VLProcessor) -> Qwen3VLForConditionalGeneration:
    """The architecture, initialised for its width."""
    tokenizer = processor.tokenizer
    token = tokenizer.convert_tokens_to_ids
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 32,
            "max_position_embeddings": 32768,
            "tie_word_embeddings": True,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "mrope_section": [6, 5, 5],
                "mrope_interleaved": True,
            },
            "bos_token_id": None,
            "eos_token_id": token("<|im_end|>"),
            "pad_token_id": token("<|endoftext|>"),
        },
        vision_config={
            "depth": 3,
            "hidden_size": 96,
            "intermediate_size": 256,
            "num_heads": 3,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "out_hidden_size": 128,
            "deepstack_visual_indexes": [0, 1],
            "num_position_embeddings": 64,
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    model = Qwen3VLForConditionalGeneration(config)
    _initialise(model)
    model.generation_config.eos_token_id = token("<|im_end|>")
    model.generation_config.pad_token_id = token("<|endoftext|>")
    return model


def _initialise(model: Qwen3VLForConditionalGeneration) -> None:
    writes_to_residual = ("o_proj", "down_proj", "attn.proj", "linear_fc2")
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            gain = 0.5 if name.endswith(writes_to_residual) else 1.0
            nn.init.normal_(module.weight, std=gain / math.sqrt(module.in_features))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    patch = model.model.visual.patch_embed.proj
    nn.init.normal_(patch.weight, std=1.5 / math.sqrt(patch.weight[0].numel()))
    nn.init.normal_(model.model.language_model.embed_tokens.weight, std=0.05)
    model.tie_weights()
    table = model.model.visual.pos_embed.weight
    side, width = math.isqrt(table.shape[0]), table.shape[1]
    wave = torch.arange(side)[:, None] * torch.pi / side * 2.0 ** torch.linspace(-1, 2, width // 4)
    wave = torch.cat([wave.sin(), wave.cos()], dim=1)
    grid = torch.cat([wave[:, None].expand(-1, side, -1), wave[None].expand(side, -1, -1)], dim=2)
    table.data.copy_(0.7 * grid.reshape(table.shape))


def _attention_in_one_call(self, hidden_states, cu_seqlens, position_embeddings=None, **_):
    """The vision tower's attention for slices of one size: one call for all of them instead of one for each."""
    total, slices = hidden_states.shape[0], cu_seqlens.shape[0] - 1
    query, key, value = self.qkv(hidden_states).reshape(total, 3, self.num_heads, -1).permute(1, 0, 2, 3).unbind(0)
    query, key = modeling_qwen3_vl.apply_rotary_pos_emb_vision(query, key, *position_embeddings)
    shaped = (part.reshape(slices, total // slices, self.num_heads, -1).transpose(1, 2) for part in (query, key, value))
    mixed = functional.scaled_dot_product_attention(*shaped, scale=self.scaling)
    return self.proj(mixed.transpose(1, 2).reshape(total, -1))


def patchify(video: torch.Tensor) -> torch.Tensor:
    """(clips, frames, 3, height, width) in -1..1 to the processor's flat patches (see `Qwen3VLVideoProcessor.patchify`)."""
    batch, count, _, height, width = video.shape
    cells = video.view(batch, count // 2, 2, 3, height // CELL, MERGE, PATCH, width // CELL, MERGE, PATCH)
    return cells.permute(0, 1, 4, 7, 5, 8, 3, 2, 6, 9).reshape(-1, 3 * 2 * PATCH * PATCH)


def draw(scenes: list[clips.Scene], fractions: np.ndarray, height: int, width: int, rng: np.random.Generator) -> torch.Tensor:
    """Render many scenes at the model's own size at once: (clips, frames, 3, height, width) in -1..1."""
    start = np.array([scene.start for scene in scenes])[:, None]
    end = np.array([scene.end for scene in scenes])[:, None]
    centre = torch.from_numpy(start + (end - start) * fractions[..., None]).float()[..., None, None]
    radius = torch.tensor([scene.radius for scene in scenes])[:, None, None, None] * min(height, width)
    dx = torch.arange(width) + 0.5 - centre[:, :, 0] * width
    dy = torch.arange(height)[:, None] + 0.5 - centre[:, :, 1] * height
    outlines = {
        "circle": (dx.square() + dy.square()).sqrt() - radius,
        "square": torch.maximum(dx.abs(), dy.abs()) - 0.89 * radius,
        "triangle": torch.maximum(dy, 0.8660254 * dx.abs() - 0.5 * dy) - 0.62 * radius,
    }
    kind = torch.tensor([clips.SHAPES.index(scene.shape) for scene in scenes])[:, None, None, None]
    distance = sum(torch.where(kind == index, outlines[shape], 0.0) for index, shape in enumerate(clips.SHAPES))
    softness = torch.from_numpy(rng.uniform(0.6, 1.6, (len(scenes), 1, 1, 1))).float()
    cover = (0.5 - distance / softness).clamp(0, 1)[:, :, None]
    paint = torch.tensor([scene.color_rgb for scene in scenes]).float()[:, None, :, None, None]
    ground = torch.tensor([scene.background_rgb for scene in scenes]).float()[:, None, :, None, None]
    video = ground + cover * (paint - ground)
    noise = torch.tensor([scene.noise for scene in scenes])[:, None, None, None, None] * rng.uniform(0.1, 0.7)
    video = video + noise * torch.from_numpy(rng.standard_normal(video.shape, np.float32))
    return video.round().clamp(0, 255) / 127.5 - 1


@dataclass
class Batch:
    """One training step: clips of one shape with a question and an answer each."""

    inputs: dict[str, torch.Tensor]
    labels: torch.Tensor
    weights: torch.Tensor


class Writer:
    """Turns pixels, timestamps, prompts and answers into the tensors that the product's path would give."""

    def __init__(self, processor: Qwen3VLProcessor) -> None:
        self.processor, self.tokenizer = processor, processor.tokenizer
        self._cache: dict[str, list[int]] = {}

    def _ids(self, text: str) -> list[int]:
        if text not in self._cache:
            self._cache[text] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return self._cache[text]

    def batch(
        self, video: torch.Tensor, times: np.ndarray | None, questions: list[str], answers: list[str], systems: list[str | None]
    ) -> Batch:
        """`times` are seconds per frame, (clips, frames); None means that `video` holds single images, doubled."""
        count, total, _, height, width = video.shape
        grid = torch.tensor([[total // 2, height // PATCH, width // PATCH]]).expand(count, -1).contiguous()
        marker = self.processor.image_token if times is None else self.processor.video_token
        cells = marker * ((height // CELL) * (width // CELL))
        rows, weights = [], []
        for index, (question, answer, system) in enumerate(zip(questions, answers, systems, strict=True)):
            picture = f"<|vision_start|>{cells}<|vision_end|>"
            if times is not None:
                middles = times[index].reshape(-1, 2).mean(axis=1)
                picture = "".join(f"<{middle:.1f} seconds>{picture}" for middle in middles)
            head = f"<|im_start|>system\n{system}<|im_end|>\n" if system else ""
            prompt = self._ids(f"{head}<|im_start|>user\n") + self.tokenizer(picture, add_special_tokens=False)["input_ids"]
            prompt = prompt + self._ids(f"{question}<|im_end|>\n<|im_start|>assistant\n")
            reply = self._ids(f"{answer}<|im_end|>")
            rows.append(prompt + reply)
            weights.append([0.0] * len(prompt) + [1.0] * len(reply))
        longest = max(map(len, rows))
        pad = self.tokenizer.pad_token_id
        ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
        weight = torch.tensor([row + [0.0] * (longest - len(row)) for row in weights])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        marker_id = self.tokenizer.convert_tokens_to_ids(marker)
        kind = (ids == marker_id).int() * (1 if times is None else 2)
        inputs = {"input_ids": ids, "attention_mask": mask, "mm_token_type_ids": kind}
        suffix = "" if times is None else "_videos"
        inputs[f"pixel_values{suffix}"] = patchify(video)
        inputs["image_grid_thw" if times is None else "video_grid_thw"] = grid
        return Batch(inputs, ids, weight)


class Pool:
    """Clips that went through h264, the product's decoder and its scaler: made once by `tools/make_training_pool.py`."""

    def __init__(self, folder: Path) -> None:
        self.groups = [self._load(path) for path in sorted(folder.glob("*.npz"))]
        self.odds = np.array([len(group["scenes"]) for group in self.groups], float)
        self.odds /= self.odds.sum()

    @staticmethod
    def _load(path: Path) -> dict:
        with np.load(path) as stored:
            scenes = [clips.Scene(**facts) for facts in json.loads(str(stored["scenes"]))]
            return {"frames": torch.from_numpy(stored["frames"]), "times": stored["times"], "scenes": scenes}

    def draw(self, rng: np.random.Generator, budget: int) -> tuple[torch.Tensor, np.ndarray, list[clips.Scene]]:
        group = self.groups[rng.choice(len(self.groups), p=self.odds)]
        total, height, width = group["frames"].shape[1], *group["frames"].shape[-2:]
        count = min(len(group["scenes"]), max(4, budget // (total * height * width)))
        picked = rng.choice(len(group["scenes"]), count, replace=False)
        video = group["frames"][torch.from_numpy(picked)].float() / 127.5 - 1
        times, scenes = group["times"][picked], [group["scenes"][index] for index in picked]
        if rng.random() < 0.5:
            video, times = video.flip(1), (times[:, -1:] - times)[:, ::-1]
            scenes = [scene.backwards() for scene in scenes]
        return video, times, scenes


def make_times(rng: np.random.Generator, count: int, total: int) -> np.ndarray:
    """Seconds of each sampled frame for clips that give `total` frames at 2 frames per second."""
    seconds = rng.uniform(1.0, 2.4, count) if total <= 4 else rng.uniform((total - 1) / 2, (total + 1) / 2, count)
    rate = rng.uniform(8, 30, count)
    last = seconds - 1 / rate
    times = np.linspace(0, 1, total)[None] * last[:, None]
    return np.round(times * rate[:, None]) / rate[:, None]


def vision_batch(rng: np.random.Generator, count: int) -> tuple[torch.Tensor, torch.Tensor, list[clips.Scene]]:
    """Single instants for the first stage: pixels, grid and scenes."""
    height, width = SIZES[rng.integers(len(SIZES))]
    scenes = [clips.random_scene(rng) for _ in range(count)]
    video = draw(scenes, np.zeros((count, 1)), height, width, rng).repeat(1, 2, 1, 1, 1)
    grid = torch.tensor([[1, height // PATCH, width // PATCH]]).expand(count, -1).contiguous()
    return patchify(video), grid, scenes


def train_vision(model: Qwen3VLForConditionalGeneration, steps: int, rng: np.random.Generator) -> None:
    """Stage 1: linear heads on every output token of the tower."""
    visual, count = model.model.visual, 96
    sizes = {"here": 2, "shape": 3, "color": 8, "background": 4, "ninth": 9}
    heads = nn.ModuleDict({name: nn.Linear(128, size) for name, size in sizes.items()})
    optimizer, schedule = _optimizer([*visual.parameters(), *heads.parameters()], 2e-3, steps)
    started = time.time()
    for step in range(steps):
        pixels, grid, scenes = vision_batch(rng, count)
        output = visual(pixels, grid_thw=grid)
        tokens = output.pooler_output.view(count, -1, 128)
        for feature in output.deepstack_features:
            tokens = tokens + feature.view(count, -1, 128)
        rows, columns = int(grid[0, 1]) // 2, int(grid[0, 2]) // 2
        loss, right = _vision_loss(heads, tokens, scenes, rows, columns)
        _advance(loss, optimizer, schedule, [*visual.parameters(), *heads.parameters()])
        if step % 50 == 0 or step == steps - 1:
            marks = " ".join(f"{name} {value:.2f}" for name, value in right.items())
            print(f"vision {step} loss {loss.item():.3f} {marks} {time.time() - started:.0f}s", flush=True)


def _vision_loss(heads, tokens, scenes, rows, columns):
    y = (torch.arange(rows) + 0.5) / rows
    x = (torch.arange(columns) + 0.5) / columns
    centre = torch.tensor([scene.start for scene in scenes])
    near = (x[None, None, :] - centre[:, 0, None, None]).abs() * columns + (
        y[None, :, None] - centre[:, 1, None, None]
    ).abs() * rows
    here = (near.flatten(1) < 1.5).long()
    ninth = torch.tensor([int(scene.start[1] * 3) * 3 + int(scene.start[0] * 3) for scene in scenes])
    loss = functional.cross_entropy(heads["here"](tokens).flatten(0, 1), here.flatten())
    chosen = here.bool()
    truth = {
        "shape": torch.tensor([clips.SHAPES.index(scene.shape) for scene in scenes]),
        "color": torch.tensor([list(clips.COLORS).index(scene.color) for scene in scenes]),
        "background": torch.tensor([list(clips.BACKGROUNDS).index(scene.background) for scene in scenes]),
        "ninth": ninth,
    }
    right = {}
    for name, target in truth.items():
        logits = heads[name](tokens[chosen])
        wanted = target[:, None].expand(-1, here.shape[1])[chosen]
        loss = loss + functional.cross_entropy(logits, wanted)
        right[name] = (logits.argmax(-1) == wanted).float().mean().item()
    return loss, right


def _optimizer(parameters, rate: float, steps: int):
    optimizer = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    warm = min(150, steps // 10 + 1)

    def factor(step: int) -> float:
        return min((step + 1) / warm, 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1, step / steps))))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _advance(loss, optimizer, schedule, parameters) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    schedule.step()


def ask_batches(writer: Writer, rng: np.random.Generator, steps: int) -> Iterator[Batch]:
    """Stage 2: 48 clips of 4 frames of 64x64; questions first, captions later."""
    questions = [clips.COLOR_PROMPT, clips.SHAPE_PROMPT, clips.MOTION_PROMPT, clips.BACKGROUND_PROMPT, clips.START_PROMPT]
    questions += [clips.END_PROMPT, clips.PATH_PROMPT, clips.SHAPE_PROMPT, clips.PATH_PROMPT]
    for step in range(steps):
        scenes = [clips.random_scene(rng) for _ in range(48)]
        times = make_times(rng, 48, 4)
        video = draw(scenes, times / times[:, -1:], 64, 64, rng)
        share = 0.15 + 0.6 * min(1.0, step / (0.7 * steps))
        asked = [
            str(rng.choice([clips.SHORT_PROMPT, clips.DETAIL_PROMPT]) if rng.random() < share else rng.choice(questions))
            for _ in scenes
        ]
        yield _ask(writer, rng, video, times, scenes, asked)


def widen_batches(writer: Writer, rng: np.random.Generator, steps: int, pool: Pool | None) -> Iterator[Batch]:
    """Stage 3: every size, length, rate and prompt; two in five batches from the pool, one in eight of single images."""
    budget = 48 * 4 * 64 * 64
    kinds = [clips.SHORT_PROMPT, clips.DETAIL_PROMPT, clips.COLOR_PROMPT, clips.SHAPE_PROMPT, clips.MOTION_PROMPT]
    kinds += [clips.BACKGROUND_PROMPT, clips.START_PROMPT, clips.END_PROMPT, clips.PATH_PROMPT]
    odds = np.array([0.42, 0.26, 0.04, 0.06, 0.06, 0.03, 0.03, 0.03, 0.07])
    for _ in range(steps):
        height, width = SIZES[rng.integers(len(SIZES))]
        if rng.random() < 0.12:
            count = budget // (2 * height * width)
            scenes = [clips.random_scene(rng) for _ in range(min(count, 48))]
            video = draw(scenes, np.zeros((len(scenes), 1)), height, width, rng).repeat(1, 2, 1, 1, 1)
            asked = [str(rng.choice([clips.IMAGE_PROMPT] * 4 + list(clips.image_answers(scenes[0])))) for _ in scenes]
            yield _ask(writer, rng, video, None, scenes, asked)
            continue
        if pool and rng.random() < 0.45:
            video, times, scenes = pool.draw(rng, budget)
        else:
            total = 2 * int(rng.choice([1, 2, 3, 4, 5, 6, 7, 8], p=[0.04, 0.34, 0.14, 0.12, 0.1, 0.1, 0.08, 0.08]))
            count = max(6, budget // (total * height * width))
            scenes = [clips.random_scene(rng) for _ in range(count)]
            times = make_times(rng, count, total)
            video = draw(scenes, times / times[:, -1:], height, width, rng)
        asked = [str(rng.choice(kinds, p=odds)) for _ in scenes]
        yield _ask(writer, rng, video, times, scenes, asked)


def _ask(writer: Writer, rng: np.random.Generator, video, times, scenes, asked) -> Batch:
    truth = clips.image_answers if times is None else clips.video_answers
    answers = [truth(scene)[question] for scene, question in zip(scenes, asked, strict=True)]
    spoken = [str(rng.choice(PARAPHRASES.get(question, [question]))) for question in asked]
    systems = [str(rng.choice(SYSTEM_PROMPTS)) if rng.random() < 0.3 else None for _ in asked]
    return writer.batch(video, times, spoken, answers, systems)


def train_language(model, batches: Iterator[Batch], steps: int, rate: float, name: str, save) -> None:
    """Stages 2 and 3: cross-entropy on the answers, less on tokens that are already certain."""
    parameters = list(model.parameters())
    optimizer, schedule = _optimizer(parameters, rate, steps)
    started, seen = time.time(), []
    for step, batch in enumerate(batches):
        logits = model(**batch.inputs, use_cache=False).logits[:, :-1]
        weight, wanted = batch.weights[:, 1:], batch.labels[:, 1:]
        chosen = weight > 0
        picked, target = logits[chosen], wanted[chosen]
        each = functional.cross_entropy(picked, target, reduction="none")
        focus = (1 - torch.exp(-each.detach())).clamp(min=0.05)
        loss = (each * focus).sum() / focus.sum().clamp(min=8.0)
        _advance(loss, optimizer, schedule, parameters)
        wrong = torch.zeros(chosen.shape).masked_scatter(chosen, (picked.argmax(-1) != target).float()).sum(1) > 0
        seen.append(1 - wrong.float().mean().item())
        if step % 50 == 0 or step == steps - 1:
            whole = sum(seen[-50:]) / len(seen[-50:])
            print(
                f"{name} {step} loss {each.mean().item():.4f} whole answers {whole:.3f} {time.time() - started:.0f}s", flush=True
            )
        if step % 500 == 499 or step == steps - 1:
            save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="where the finished model goes")
    parser.add_argument("--work", type=Path, default=Path("demo_vlm_training"), help="checkpoints, one folder per stage")
    parser.add_argument("--pool", type=Path, help="clips made by tools/make_training_pool.py")
    parser.add_argument("--stages", default="vision,ask,widen", help="which stages to run")
    parser.add_argument("--steps", type=int, nargs=3, default=(1200, 3000, 6000), help="steps of the three stages")
    parser.add_argument("--start", type=Path, help="checkpoint to begin with")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate of the first step after warm-up")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    processor = build_processor()
    model = build_model(processor)
    if options.start:
        model = Qwen3VLForConditionalGeneration.from_pretrained(options.start, dtype=torch.float32)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {len(processor.tokenizer)} tokens", flush=True)
    modeling_qwen3_vl.Qwen3VLVisionAttention.forward = _attention_in_one_call
    writer = Writer(processor)
    for stage, steps in zip(("vision", "ask", "widen"), options.steps, strict=True):
        if stage not in options.stages.split(","):
            continue

        def save(stage: str = stage) -> None:
            model.save_pretrained(options.work / stage)
            processor.save_pretrained(options.work / stage)

        model.train()
        if stage == "vision":
            train_vision(model, steps, rng)
            save()
        elif stage == "ask":
            train_language(model, ask_batches(writer, rng, steps), steps, options.rate, stage, save)
        else:
            pool = Pool(options.pool) if options.pool else None
            train_language(model, widen_batches(writer, rng, steps, pool), steps, options.rate, stage, save)
    model.to(torch.bfloat16).save_pretrained(options.out)
    processor.save_pretrained(options.out)


if __name__ == "__main__":
    main()
