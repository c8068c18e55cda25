"""One `generate` for a group of requests with all of their candidates, and what its tokens say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch
from transformers import LogitsProcessorList
from transformers.generation import GenerateDecoderOnlyOutput

from juicecap.vlm.backends.hf.groups import EncodedRequest
from juicecap.vlm.backends.hf.inputs import PER_TOKEN, Row, batched
from juicecap.vlm.backends.hf.load import LoadedModel
from juicecap.vlm.backends.hf.sampler import PresencePenalty, RepetitionPenalty, SeededSampler
from juicecap.vlm.backends.transformers_common.marks import special_marks
from juicecap.vlm.base import Answer, Outcome, Sampling
from juicecap.vlm.outcomes import answered
from juicecap.vlm.reasoning import opens_thought

WHOLE = {"token_type_ids", "cross_attention_mask"}
"""With these a model looks at the whole prompt at once: it cannot read it up to its last token first."""

CACHE = "cache" if "cache" in {each.name for each in fields(GenerateDecoderOnlyOutput)} else "past_key_values"
"""What `generate` calls the key-value cache; it was `past_key_values` before transformers 5.24."""

LONGEST_MARK = 32
"""Tokens at the end of a prompt that are looked at for a mark of reasoning."""


@torch.inference_mode()
def answer(loaded: LoadedModel, members: Sequence[EncodedRequest]) -> list[Outcome]:
    """Answer requests that sample alike and whose tensors fit each other; one left-padded `generate` for all."""
    model, sampling, candidates = loaded.model, members[0].prepared.request.sampling, members[0].candidates
    rows = batched([member.row for member in members], model.generation_config.pad_token_id)
    inputs = {name: tensor.to(model.device) for name, tensor in rows.items()}
    length = 1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]  # of what stands before the answer
    mask = inputs["attention_mask"][:, -length:].repeat_interleave(candidates, dim=0)
    processors = LogitsProcessorList()
    if sampling.repetition_penalty != 1.0:
        processors.append(RepetitionPenalty(sampling.repetition_penalty, mask))
    if sampling.presence_penalty:
        processors.append(PresencePenalty(sampling.presence_penalty, length))
    options: dict[str, Any] = {"do_sample": False}
    if sampling.temperature > 0:
        seeds = [seed for member in members for seed in member.prepared.seeds]
        processors.append(SeededSampler(sampling, seeds))
        options = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}  # neutral: the sampler does it all
    if sampling.stop:
        options |= {"stop_strings": list(sampling.stop), "tokenizer": loaded.tokenizer}
    if candidates == 1 or not loaded.reads_once or inputs.keys() & WHOLE:
        options["num_return_sequences"] = candidates
    else:
        inputs = _read_once(loaded, inputs, candidates)
    sequences = model.generate(**inputs, max_new_tokens=sampling.max_tokens, logits_processor=processors, **options)
    tokens = sequences[:, length:].tolist()
    return [
        _outcome(loaded, member, tokens[place * candidates : (place + 1) * candidates]) for place, member in enumerate(members)
    ]


def _read_once(loaded: LoadedModel, inputs: Row, candidates: int) -> dict[str, Any]:
    """Let the model read each prompt once for all of its candidates: the inputs to go on from there.

    `generate` with `num_return_sequences` would read it, frames included or not, once for each candidate. Here all of the
    prompt but its last token goes through the model, and what it remembers (the key-value cache, and the offset that Qwen's
    models keep for positions in time and space) is repeated, candidates side by side. Reading is left to `generate` as well,
    since it knows how a family counts positions behind padding; the token that it adds is thrown away.
    """
    begun = loaded.model.generate(
        **{name: tensor[:, :-1] if name in PER_TOKEN else tensor for name, tensor in inputs.items()},
        max_new_tokens=1,
        do_sample=False,
        return_dict_in_generate=True,
    )
    begun[CACHE].batch_repeat_interleave(candidates)
    for module in loaded.keep_offsets:
        if module.rope_deltas is not None:
            module.rope_deltas = module.rope_deltas.repeat_interleave(candidates, dim=0)
    repeated = {name: tensor.repeat_interleave(candidates, dim=0) for name, tensor in inputs.items() if name in PER_TOKEN}
    return {**repeated, CACHE: begun[CACHE]}


def _outcome(loaded: LoadedModel, member: EncodedRequest, generated: list[list[int]]) -> Outcome:
    sampling, seeds = member.prepared.request.sampling, member.prepared.seeds
    if len(generated) < len(seeds):  # greedy: one stands for all
        generated = generated * len(seeds)
    answers = [_read(loaded, tokens, sampling, seed) for tokens, seed in zip(generated, seeds, strict=True)]
    prompt = loaded.tokenizer.decode(member.row["input_ids"][0, -LONGEST_MARK:].tolist())
    opened = opens_thought(prompt)
    return answered(member.prepared, answers, prompt_tokens=member.tokens, revision=loaded.revision, opened=opened)


def _read(loaded: LoadedModel, tokens: list[int], sampling: Sampling, seed: int) -> Answer:
    config = loaded.model.generation_config
    ends = {config.pad_token_id, *(config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id])}
    end = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
    text = _text(loaded.tokenizer, tokens[:end])
    cut = min((place for stop in sampling.stop if (place := text.find(stop)) >= 0), default=None)
    return Answer(
        text=text[:cut].strip(),
        finish_reason="stop" if end < len(tokens) or cut is not None else "length",
        tokens=end + (end < len(tokens) and cut is None),  # with its end token; behind a stop text there is only padding
        seed=seed,
    )


def _text(tokenizer: Any, tokens: list[int]) -> str:
    """The text of an answer without special tokens; those that mark reasoning stay."""
    if special := special_marks(tokenizer):
        dropped = {each for each in tokenizer.all_special_ids if each not in special}
        text: str = tokenizer.decode([each for each in tokens if each not in dropped], skip_special_tokens=False)
    else:
        text = tokenizer.decode(tokens, skip_special_tokens=True)
    return text
