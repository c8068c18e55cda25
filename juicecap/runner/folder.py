"""The run folder: where a run leaves its steps, its rejections and what it knows about itself."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from juicecap.data.atomic import replacing
from juicecap.errors import DataError, UsageError


@dataclass(frozen=True)
class RunFolder:
    """Paths in a run folder. `claim` makes it."""

    root: Path

    @property
    def steps(self) -> Path:
        """Tables that the steps left, one Arrow file each."""
        return self.root / "steps"

    @property
    def rejected(self) -> Path:
        """Who failed, and why."""
        return self.root / "rejected.jsonl"

    @property
    def log(self) -> Path:
        """Log records, one JSON object per line."""
        return self.root / "log.jsonl"

    @property
    def manifest(self) -> Path:
        """What was run with what, and what it gave."""
        return self.root / "manifest.json"

    def _create(self) -> None:
        """Make the folder.

        Raises:
            DataError: that is not possible.
        """
        try:
            self.steps.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"the run folder {self.root} cannot be made ({error.strerror}); set work_dir to another") from error

    def step_file(self, number: int, op: str, fingerprint: str) -> Path:
        """Where step `number` (from 1) leaves its table."""
        return self.steps / f"{number:02d}-{op}-{fingerprint[:16]}.arrow"

    def claim(self, export_path: Path, *, overwrite: bool) -> None:
        """Make the folder and note the output as its own. One that exists must be its own already, unless `overwrite` is set.

        Raises:
            UsageError: it is not.
            DataError: the folder cannot be made.
        """
        own, path = self._read_exports(), os.path.abspath(export_path)
        if export_path.exists() and not overwrite and path not in own:
            raise UsageError(
                f"{export_path} exists and was not written by this run; give another export_path, or --overwrite to replace it"
            )
        self._create()
        if path not in own:
            with replacing(self.root / "exports.json") as stream:
                stream.write(json.dumps([*own, path]).encode("utf-8") + b"\n")

    def _read_exports(self) -> list[str]:
        """The outputs of this folder's runs, finished or not."""
        try:
            loaded = json.loads((self.root / "exports.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        return loaded if isinstance(loaded, list) else []

    def write_manifest(self, facts: Mapping[str, Any]) -> None:
        """Replace the manifest."""
        with replacing(self.manifest) as stream:
            stream.write(json.dumps(facts, indent=2, ensure_ascii=False).encode("utf-8") + b"\n")

    def write_recipe(self, resolved: Mapping[Any, Any]) -> None:
        """Keep the recipe as it was resolved."""
        with replacing(self.root / "recipe.yaml") as stream:
            stream.write(yaml.safe_dump(dict(resolved), sort_keys=False, allow_unicode=True).encode("utf-8"))
