"""Answering requests with `generate`: one call for a batch of samples and all of their candidates.

Requests are grouped by how they sample, in the order in which they came, never by arrival; each group is one left-padded
`generate` with `num_return_sequences` candidates. If a call fails, the group is halved until the request that causes it
stands alone, and only that one fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from transformers import LogitsProcessorList

from juicecap.errors import SampleError
from juicecap.vlm.base import Abilities, Answer, Failure, ModelSettings, Outcome, Prepared, Sampling
from juicecap.vlm.hf.inputs import PER_TOKEN, batched, encode, shape_key
from juicecap.vlm.hf.load import Loaded, load
from juicecap.vlm.hf.sampler import PresencePenalty, RepetitionPenalty, SeededSampler

BATCH = 16
"""Requests in one `generate`, unless the recipe sets a batch size."""

Row = dict[str, torch.Tensor]


class HFBackend:
    """See `vlm.base.Backend`. The model is touched by one thread only."""

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="juicecap-hf")
        self._loaded: Loaded | None = None

    async def open(self) -> None:
        """Load model and processor."""
        self._loaded = await self._in_thread(load, self._settings)

    async def generate(self, batch: Sequence[Prepared]) -> list[Outcome]:
        """Answer each request, in order."""
        outcomes: list[Outcome] = await self._in_thread(self._answer, batch)
        return outcomes

    async def close(self) -> None:
        """Let go of the model's memory."""
        self._loaded = None
        self._thread.shutdown()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def identity(self) -> str:
        """Model, weights, dtype, template and parameters, as a digest."""
        return self._ready.identity

    def abilities(self) -> Abilities:
        """Batches of `BATCH`; while one generates, the next is made ready."""
        return Abilities(sizes=self._ready.sizes, together=BATCH, calls=2)

    @property
    def _ready(self) -> Loaded:
        assert self._loaded is not None, "open() comes first"
        return self._loaded

    async def _in_thread(self, work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def _answer(self, batch: Sequence[Prepared]) -> list[Outcome]:
        outcomes: list[Outcome | None] = [None] * len(batch)
        groups: dict[object, list[tuple[int, Prepared, Row]]] = {}
        for place, prepared in enumerate(batch):
            try:
                row = encode(self._ready, prepared)
                self._check_length(row, prepared.request.sampling)
            except SampleError as error:
                outcomes[place] = Outcome(failure=Failure(code=error.code, message=error.message), seed=prepared.seed)
            else:
                key = (prepared.request.sampling, prepared.request.candidates, shape_key(row))
                groups.setdefault(key, []).append((place, prepared, row))
        for members in groups.values():
            answered = self._narrowed([(prepared, row) for _, prepared, row in members])
            for (place, _, _), outcome in zip(members, answered, strict=True):
                outcomes[place] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    def _check_length(self, row: Row, sampling: Sampling) -> None:
        config = self._ready.model.config.get_text_config()
        limit, length = getattr(config, "max_position_embeddings", None), row["input_ids"].shape[1]
        if limit and length + sampling.max_tokens > limit:
            raise SampleError(
                "TOO_LONG",
                f"the prompt has {length} tokens; with max_tokens {sampling.max_tokens} that exceeds the model's {limit}: "
                "take fewer frames (fps, max_frames) or fewer pixels (max_pixels)",
            )

    def _narrowed(self, members: list[tuple[Prepared, Row]]) -> list[Outcome]:
        try:
            outcomes: list[Outcome] = self._generate(members)
            return outcomes
        except Exception as error:  # noqa: BLE001  (a foreign model's door; torch.OutOfMemoryError among others)
            if len(members) == 1:
                code = "OUT_OF_MEMORY" if isinstance(error, torch.OutOfMemoryError) else "GENERATE_FAILED"
                text = f"the model fails with {type(error).__name__}: {error}"
                return [Outcome(failure=Failure(code=code, message=text), seed=members[0][0].seed)]
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        middle = len(members) // 2
        return self._narrowed(members[:middle]) + self._narrowed(members[middle:])

    @torch.inference_mode()
    def _generate(self, members: list[tuple[Prepared, Row]]) -> list[Outcome]:
        loaded, first = self._ready, members[0][0].request
        model, sampling, candidates = loaded.model, first.sampling, first.candidates
        inputs = {
            name: tensor.to(model.device, model.dtype if tensor.is_floating_point() else tensor.dtype)
            for name, tensor in batched([row for _, row in members], model.generation_config.pad_token_id).items()
        }
        prompt_length = inputs["input_ids"].shape[1]
        if candidates > 1:
            inputs = self._read_once(inputs, candidates)
        processors = LogitsProcessorList()
        if sampling.repetition_penalty != 1.0:
            processors.append(RepetitionPenalty(sampling.repetition_penalty, inputs["attention_mask"]))
        if sampling.presence_penalty:
            processors.append(PresencePenalty(sampling.presence_penalty, prompt_length))
        options: dict[str, Any] = {"do_sample": False}
        if sampling.temperature > 0:
            seeds = [prepared.seed + index for prepared, _ in members for index in range(candidates)]
            processors.append(SeededSampler(sampling, seeds))
            options = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}  # neutral: the sampler does it all
        if sampling.stop:
            options |= {"stop_strings": list(sampling.stop), "tokenizer": loaded.processor.tokenizer}
        sequences = model.generate(
            **inputs,
            max_new_tokens=sampling.max_tokens,
            logits_processor=processors,
            **options,
        )
        tokens = sequences[:, prompt_length:].tolist()
        return [
            self._outcome(prepared, row, tokens[place * candidates : (place + 1) * candidates])
            for place, (prepared, row) in enumerate(members)
        ]

    def _read_once(self, inputs: Row, candidates: int) -> dict[str, Any]:
        """Let the model read each prompt once for all of its candidates: the inputs to go on from there.

        `generate` with `num_return_sequences` would read it, frames included, once for each candidate. Here all of the prompt
        but its last token goes through the model, and what it remembers (the key-value cache, and the offset that Qwen's
        models keep for positions in time and space) is repeated, candidates side by side.
        """
        model = self._ready.model
        aligned = {name for name in inputs if name in PER_TOKEN}
        begun = model(
            **{name: tensor[:, :-1] if name in aligned else tensor for name, tensor in inputs.items()},
            use_cache=True,
            logits_to_keep=1,
        )
        begun.past_key_values.batch_repeat_interleave(candidates)
        inner: Any = getattr(model, "model", None)
        if getattr(inner, "rope_deltas", None) is not None:
            inner.rope_deltas = inner.rope_deltas.repeat_interleave(candidates, dim=0)
        repeated = {name: inputs[name].repeat_interleave(candidates, dim=0) for name in aligned}
        return {**repeated, "past_key_values": begun.past_key_values}

    def _outcome(self, prepared: Prepared, row: Row, candidates: list[list[int]]) -> Outcome:
        return Outcome(
            answers=tuple(
                self._read(tokens, prepared.request.sampling, prepared.seed + index) for index, tokens in enumerate(candidates)
            ),
            seed=prepared.seed,
            prompt_tokens=row["input_ids"].shape[1],
            revision=self._ready.revision,
            frame_times=tuple(picture.times for picture in prepared.pictures if picture.times),
            unreadable=sum(picture.unreadable for picture in prepared.pictures),
        )

    def _read(self, tokens: list[int], sampling: Sampling, seed: int) -> Answer:
        config = self._ready.model.generation_config
        ends = {config.pad_token_id, *(config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id])}
        end = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
        text: str = self._ready.processor.tokenizer.decode(tokens[:end], skip_special_tokens=True)
        cut = min((place for stop in sampling.stop if (place := text.find(stop)) >= 0), default=None)
        return Answer(
            text=text[:cut].strip(),
            finish_reason="stop" if end < len(tokens) or cut is not None else "length",
            tokens=end + (end < len(tokens) and cut is None),  # with its end token; behind a stop text there is only padding
            seed=seed,
        )
