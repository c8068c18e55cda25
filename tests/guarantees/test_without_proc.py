"""A system that hides `/proc`, `/sys`, `/dev/fd` or `/dev/shm`, as some containers do: good clips are captioned as anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripted_server import KEY, KEY_NAME, ScriptedServer

pytestmark = [pytest.mark.slow, pytest.mark.process]

HIDE = {
    "proc": "mount -t tmpfs none /proc",
    "sys": "mount -t tmpfs none /sys",
    "dev": (
        "mkdir dev && mount -t tmpfs none dev && for each in null zero urandom; do "
        "touch dev/$each && mount --bind /dev/$each dev/$each || exit 99; done; mount --move dev /dev"
    ),
    "all of them": "mount -t tmpfs none /sys && mount -t tmpfs none /dev/shm && mount -t tmpfs none /proc",
}
"""Shell commands in a name space of mounts of their own. `/dev/fd` is a link into `/proc`."""


def without(what: str, folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command where something is hidden, if this user may hide it."""
    shell = ["unshare", "-m", "sh", "-c", f'{{ {HIDE[what]}; }} || exit 99; exec "$@"', "sh"]
    environment = {**os.environ, KEY_NAME: KEY}
    done = subprocess.run(
        [*shell, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode == 99 or "unshare failed" in done.stderr:
        pytest.skip("only root may hide a part of the file system")
    return done


@pytest.mark.parametrize("what", HIDE)
@pytest.mark.parametrize("transport", ["images", "file"])
def test_the_result_is_that_of_any_other_system(
    server: ScriptedServer, clips: Any, tmp_path: Path, what: str, transport: str
) -> None:
    rows = [{"videos": [path], "text": "", "n": number} for number, path in enumerate(clips.paths[:3])]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    op = {
        "hf_model": "served-model",
        "backend": "openai",
        "api_base": server.base,
        "api_key_env": KEY_NAME,
        "model_params": {"transport": transport, "max_attempts": 1},
        "num_frames": 2,
        "decode_memory_mb": 256,
    }
    recipe = {
        "dataset_path": "data.jsonl",
        "export_path": "out/captions.jsonl",
        "media_root": str(clips.folder),
        "process": [{"video_duration_filter": {"min_duration": 1}}, {"video_captioning_from_vlm_mapper": op}],
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    done = without(what, tmp_path, [sys.executable, "-m", "juicecap", "run", "recipe.yaml"])
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/captions.run/rejected.jsonl").read_text() == ""
    found = [json.loads(line) for line in (tmp_path / "out/captions.jsonl").read_text().splitlines()]
    assert [row["n"] for row in found] == [0, 0, 1, 1, 2, 2]
    assert [row["text"] for row in found[1::2]] == ["<__dj__video> caption 0 <|__dj__eoc|>"] * 3
    sent = [seen.parts() for seen in server.seen if "chat" in seen.path and len(seen.parts()) > 1]
    assert len(sent) >= 3


@pytest.mark.parametrize("what", HIDE)
def test_media_root_confines_there_too(tmp_path: Path, clips: Any, what: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link.mp4").symlink_to(clips.paths[0])
    code = (
        "import sys; from juicecap.media.access.files import check_file; from juicecap.media.rules import MediaLimits\n"
        "try: check_file(sys.argv[1], MediaLimits(root=sys.argv[2]))\n"
        "except Exception as error: print(error)"
    )
    done = without(what, tmp_path, [sys.executable, "-c", code, str(root / "link.mp4"), str(root)])
    assert done.stdout == f"OUTSIDE_MEDIA_ROOT: {root / 'link.mp4'} lies outside of media_root ({root})\n", done.stderr
