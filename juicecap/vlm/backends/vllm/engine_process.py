"""One engine: starting it, a request through it, and word of its death.

`AsyncLLM` reads prompts and frames in this process and generates in one of its own. If that process dies, most requests get
an exception; one that is on its way to the process at that moment would wait for ever. So every request here also watches
the engine.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from typing import Any

from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.outputs import RequestOutput
from vllm.renderers.inputs.preprocess import parse_model_prompt
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

from juicecap.errors import EnvironmentFailure, SampleError
from juicecap.text import first_line
from juicecap.vlm.backends.transformers_common.processor import panics_as_errors
from juicecap.vlm.backends.vllm.process import EngineLog, started
from juicecap.vlm.context import ContextLength

LOOK_EVERY = 0.2
"""Seconds between two looks at whether the engine is alive."""

SHUTDOWN_SECONDS = 5.0

_numbers = itertools.count()


class EngineDied(Exception):
    """The engine's process is gone, and with it whatever it worked on."""


class EngineProcess:
    """A running engine. Its methods belong to the event loop on which it was started."""

    def __init__(self, llm: AsyncLLM, log: EngineLog, context: ContextLength) -> None:
        self._llm, self._log, self._context = llm, log, context
        self._death = asyncio.ensure_future(self._wait_for_death())

    @classmethod
    async def start(cls, arguments: Mapping[str, Any], variables: Mapping[str, str], context: ContextLength) -> EngineProcess:
        """Start an engine with these engine arguments; its processes get these environment variables.

        Raises:
            EnvironmentFailure: it does not start (out of memory).
        """
        log = EngineLog()
        try:
            llm = await _in_thread(
                lambda: started(
                    lambda: AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments)), {**variables, **log.environment()}
                ),
                undo=lambda llm: llm.shutdown(timeout=0),
            )
            await llm.get_supported_tasks()  # asked here once, since it would be asked by the first request and never answered
        except Exception as error:  # a foreign engine's door
            cause = log.cause() or first_line(error)
            log.close()
            way = "where memory is short, lower max_model_len or raise tensor_parallel_size in model_params"
            raise EnvironmentFailure(
                f"vLLM's engine cannot be started: {cause.rstrip('.')}; {way}; running again resumes"
            ) from error
        return cls(llm, log, context)

    @property
    def slots(self) -> int:
        """How many sequences the engine works on at once."""
        return int(self._llm.vllm_config.scheduler_config.max_num_seqs)

    async def ask(self, prompt: Mapping[str, Any], sampling: SamplingParams) -> RequestOutput:
        """Answer one prompt. If the caller gives up waiting, so does the engine.

        Raises:
            EngineDied: the engine died before it answered.
            SampleError: `PROCESSOR_FAILED`, `TOO_LONG` or `GENERATE_FAILED`; the engine goes on.
        """
        work = asyncio.ensure_future(self._answer(prompt, sampling))
        try:
            await asyncio.wait({work, self._death}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise EngineDied
            return work.result()
        finally:
            work.cancel()
            work.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody is left to hear of it

    async def stop(self) -> None:
        """End the engine's processes."""
        self._death.cancel()
        with suppress(Exception):  # whatever a dying engine says, it is to be gone
            await _in_thread(lambda: self._llm.shutdown(timeout=SHUTDOWN_SECONDS))
        self._log.close()

    def cause_of_death(self) -> str:
        """The engine's last words, as far as they are known."""
        return self._log.cause() or "its process ended without a word"

    async def _answer(self, prompt: Mapping[str, Any], sampling: SamplingParams) -> RequestOutput:
        tokens = await self._read(prompt)
        self._context.check_length(len(tokens["prompt_token_ids"]), sampling.max_tokens or 0)
        last: RequestOutput | None = None
        try:
            async for output in self._llm.generate(tokens, sampling, f"juicecap-{next(_numbers)}"):
                last = output
        except EngineDeadError as error:
            raise EngineDied from error
        except Exception as error:  # a foreign engine's door
            if self._llm.errored:
                raise EngineDied from error
            told = error.__cause__ if isinstance(error, EngineGenerateError) and error.__cause__ else error
            raise SampleError("GENERATE_FAILED", f"vLLM fails with {type(told).__name__}: {first_line(told)}") from error
        endings = {candidate.finish_reason for candidate in last.outputs} if last else {"abort"}
        if "abort" in endings:  # by nobody here: the engine was told to end
            raise EngineDied
        if last is None or not endings <= {"stop", "length"}:
            raise SampleError("GENERATE_FAILED", f"vLLM ends a candidate with {sorted(map(str, endings))}", retryable=True)
        return last

    async def _read(self, prompt: Mapping[str, Any]) -> Any:
        """Text and frames as the engine takes them: tokens and features."""
        try:
            with panics_as_errors():
                return await read(self._llm.renderer, self._llm.model_config, prompt)
        except Exception as error:  # a foreign processor's door: whatever it raises concerns this sample alone
            if self._llm.errored:
                raise EngineDied from error
            text = f"the model's processor fails with {type(error).__name__}: {first_line(error)}"
            raise SampleError("PROCESSOR_FAILED", text) from error

    async def _wait_for_death(self) -> None:
        while not self._llm.errored:
            await asyncio.sleep(LOOK_EVERY)


async def read(renderer: Any, model_config: Any, prompt: Mapping[str, Any]) -> Any:
    """A prompt's text and frames through the model's processor, of whatever length."""
    begin = renderer.tokenizer.bos_token
    params = replace(
        renderer.default_cmpl_tok_params,
        max_total_tokens=None,  # the length is looked at with all frames
        add_special_tokens=not (begin and prompt["prompt"].startswith(begin)),  # the template may have written them
    )
    (tokens,) = await renderer.render_cmpl_async([parse_model_prompt(model_config, prompt)], params)
    return tokens


async def _in_thread(work: Callable[[], Any], undo: Callable[[Any], Any] | None = None) -> Any:
    """`work()` on a thread of its own. If the caller gives up waiting, what comes of it is undone."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  (it is raised where the future is awaited)
            future.set_exception(error)

    try:
        threading.Thread(target=run, name="juicecap-vllm", daemon=True).start()
    except RuntimeError:  # the program is ending and starts no more threads; nobody minds waiting
        run()
    try:
        return await asyncio.shield(asyncio.wrap_future(future))
    except asyncio.CancelledError:
        if undo:
            future.add_done_callback(lambda done: done.exception() or undo(done.result()))
        raise
