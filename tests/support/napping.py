"""A backend that takes time and no CPU, for clusters: other processes find it by an entry point, as a user's backend.

`model_params` say how long a call takes (`seconds`), which text kills the process (`dies_of`), and where it notes what it answers
(`notes`, a line for each request: its text and its seed), its processes (`pids`) and a digest of a variable (`secret`).
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from juicecap.media.sizes import FrameSizes
from juicecap.vlm import catalog
from juicecap.vlm.base import Answer, Backend, Capabilities, Engine, ModelSettings, Outcome, Prepared
from juicecap.vlm.catalog import BackendSpec
from juicecap.vlm.outcomes import answered

SPEC = BackendSpec(
    describe="napping:describe", parameters=("batch", "calls", "dies_of", "identity", "notes", "pids", "seconds", "secret")
)


@asynccontextmanager
async def describe(settings: ModelSettings, transport_choice: str = "") -> AsyncIterator[Backend]:
    """`batch` requests in a call; `identity` is the variable that says what the engine is on this node."""
    params = settings.engine_params()
    identity = f"napping {settings.model} {os.environ.get(params.get('identity', ''), '')}"
    capabilities = Capabilities(sizes=FrameSizes(), batch_size=params.get("batch", 1))
    yield Backend(identity=identity, capabilities=capabilities, open=partial(_opened, params))


@asynccontextmanager
async def _opened(params: Mapping[str, Any]) -> AsyncIterator[Engine]:
    yield NappingEngine(params)


class NappingEngine:
    """Sleeps, and then answers with the text that it was asked and its seed."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params
        self.max_concurrent_calls = params.get("calls", 1)
        if params.get("pids"):
            _append(f"{params['notes']}.pids", f"{os.getpid()}\n")
        if name := params.get("secret"):
            _append(f"{params['notes']}.secret", hashlib.sha256(os.environ.get(name, "").encode()).hexdigest() + "\n")

    async def generate(self, batch: Sequence[Prepared]) -> list[Outcome]:
        """Answer, or die."""
        texts = [prepared.request.messages[-1].parts[-1].value for prepared in batch]
        if self._params.get("dies_of") in texts:
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(self._params.get("seconds", 0.0))
        self._note([[text, prepared.seed] for text, prepared in zip(texts, batch, strict=True)])
        return [self._answer(text, prepared) for text, prepared in zip(texts, batch, strict=True)]

    def _note(self, lines: Sequence[Any]) -> None:
        if path := self._params.get("notes"):
            _append(path, "".join(json.dumps(line) + "\n" for line in lines))

    def _answer(self, text: str, prepared: Prepared) -> Outcome:
        answers = [Answer(text=f"{text} {seed}", finish_reason="stop", tokens=3, seed=seed) for seed in prepared.seeds]
        return answered(prepared, answers, prompt_tokens=5, revision="1")


def _append(path: str, text: str) -> None:
    """Append in one write: several processes do."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, text.encode())
    os.close(file)


@contextmanager
def installed(folder: Path) -> Iterator[dict[str, str]]:
    """A block in which the backend is installed, here and for processes with the environment that is yielded."""
    distribution = folder / "napping-1.dist-info"
    distribution.mkdir(parents=True)
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: napping\nVersion: 1\n")
    (distribution / "entry_points.txt").write_text("[juicecap.backends]\nnapping = napping:SPEC\n")
    support, root = Path(__file__).parent, Path(__file__).parents[2]
    before, paths = os.environ.get("PYTHONPATH"), [str(folder), str(support), str(root)]
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, *filter(None, [before])])
    sys.path[:0] = paths[:2]
    importlib.invalidate_caches()
    catalog.entry_points.cache_clear()
    try:
        yield dict(os.environ)
    finally:
        for path in paths[:2]:
            sys.path.remove(path)
        catalog.entry_points.cache_clear()
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def write_recipe(folder: Path, texts: Sequence[str], *, params: Mapping[str, Any], cluster: Mapping[str, Any] | None) -> Path:
    """A recipe that asks about these texts, on a cluster or here."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data.jsonl"
    if not data.exists():
        data.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    recipe = {
        "dataset_path": str(data),
        "export_path": str(folder / "out.jsonl"),
        "custom_operator_paths": str(Path(__file__).with_name("napping_op.py")),
        "max_rejected": 1.0,
        "process": [{"napping_mapper": {"hf_model": "nap", "model_params": dict(params)}}],
        **({"executor_type": "ray", "ray": dict(cluster)} if cluster else {}),
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe), encoding="utf-8")
    return path
