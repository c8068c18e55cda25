"""Make the README's picture of a terminal: the demo recipe is killed in the middle, and the same command goes on.

    python tools/make_readme_terminal.py

It is a recording: a shell on a pseudo-terminal runs two ops of the recipe on made-up clips, one of which is no video. juicecap is
killed by SIGKILL at about half and started again. Then rich draws what is on the screen, in a window with colours of its own, so
that it looks the same on a light page and on a dark one. Takes about a minute.
"""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path

import numpy as np
import synthetic_clips as clips
import yaml
from pyte.screens import Char
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text
from terminal import ROOT, Terminal

PICTURE = ROOT / "docs" / "images" / "terminal.svg"
CLIPS, KILLED_AT, SEED = 400, 200, 20_262
COLUMNS, LINES = 100, 60
LONGEST = 300
"""Seconds: a recording that waits for what never comes is ended."""
OPS = {"video_duration_filter", "video_captioning_from_vlm_mapper"}
COMMAND = "juicecap run recipe.yaml"
PROMPT = r"\[\e[32m\]$\[\e[0m\] "
KILL = "# kill -9 in the middle, and the same command again"
FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""Of rich's, without the fonts that it loads from elsewhere: a page may not."""


def main() -> None:
    signal.alarm(LONGEST)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film(folder / "my_videos")
        recipe = yaml.safe_load((ROOT / "recipes" / "video_caption.yaml").read_text(encoding="utf-8"))
        recipe |= {"dataset_path": "my_videos", "export_path": "out/captions.jsonl"}
        recipe["process"] = [op for op in recipe["process"] if op.keys() & OPS]
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
        shown = record(folder)
    PICTURE.write_text(drawn(shown), encoding="utf-8")
    print("\n".join(line.plain for line in shown))
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size / 1024:.0f} KiB")


def film(folder: Path) -> None:
    """Clips of the kind that the demo model knows, and one file that is none."""
    folder.mkdir()
    rng = np.random.default_rng(SEED)
    form = clips.ClipFormat(192, 144, fps=12, frames=24)
    for number in range(CLIPS - 1):
        clips.encode(clips.frames(clips.random_scene(rng), form, rng), form.fps, folder / f"clip_{number:03d}.mp4")
    (folder / "download.mp4").write_text("<html>404</html>", encoding="utf-8")


def record(folder: Path) -> list[Text]:
    """What the screen shows in the end."""
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shell = ["bash", "--noprofile", "--norc", "-i"]
    terminal = Terminal(shell, COLUMNS, LINES, folder, PS1=PROMPT, PATH=places, PYTHONPATH=str(ROOT), HISTFILE="/dev/null")
    enter(terminal, COMMAND)
    terminal.until(lambda: captioned(terminal) >= KILLED_AT)
    terminal.press(b"\n")  # or the shell's word about it stands behind the last figure
    kill(terminal.process.pid)
    terminal.until(lambda: "Killed" in terminal.shown())
    enter(terminal, KILL)
    enter(terminal, COMMAND)
    wait_for_prompt(terminal)
    terminal.press(b"exit\n")
    terminal.end()
    return lines_of(terminal)


def wait_for_prompt(terminal: Terminal) -> None:
    terminal.until(lambda: [line for line in terminal.shown() if line][-1:] == ["$"])


def enter(terminal: Terminal, command: str) -> None:
    wait_for_prompt(terminal)
    before = terminal.shown().count(f"$ {command}")
    terminal.press(f"{command}\n".encode())
    terminal.until(lambda: terminal.shown().count(f"$ {command}") > before)


def captioned(terminal: Terminal) -> int:
    """How many samples the bar of the captioning op shows, or 0."""
    done = re.search(r"\[2/2\].*\n  ━\S*  (\d+)/", "\n".join(terminal.shown()))
    return int(done[1]) if done else 0


def kill(shell: int) -> None:
    """End the program that a shell runs."""
    done = subprocess.run(["ps", "--ppid", str(shell), "-o", "pid="], capture_output=True, text=True, check=True)
    for pid in map(int, done.stdout.split()):
        os.kill(pid, signal.SIGKILL)


def lines_of(terminal: Terminal) -> list[Text]:
    """The lines of a screen with their colours, up to its last command."""
    rows = [[terminal.screen.buffer[line][column] for column in range(COLUMNS)] for line in range(LINES)]
    lines = [Text.assemble(*(("".join(c.data for c in run), style) for style, run in groupby(row, style_of))) for row in rows]
    for line in lines:
        line.rstrip()
    ends = [number for number, line in enumerate(lines) if line.plain.startswith("$ exit")]
    return [line for line in lines[: ends[-1]] if line.plain != "$"]


def style_of(cell: Char) -> str:
    colour = "" if cell.fg == "default" else {"brown": "yellow"}.get(cell.fg, cell.fg)
    return " ".join(filter(None, ["bold" if cell.bold else "", colour]))


def drawn(lines: list[Text]) -> str:
    """The screen as a picture."""
    console = Console(width=COLUMNS, record=True, file=io.StringIO())
    for line in lines:
        console.print(line, soft_wrap=True)
    return console.export_svg(title="juicecap", theme=DIMMED_MONOKAI, code_format=FORMAT, unique_id="terminal")


if __name__ == "__main__":
    main()
