"""`juicecap schema`, and what an editor makes of it: a real language server completes, explains and underlines."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from language_server import LanguageServer

from juicecap.cli import main
from juicecap.ops import catalog, registry

OPERATOR = '''
from dataclasses import dataclass
from juicecap.ops.base import Filter
from juicecap.ops.registry import register

@register
@dataclass(frozen=True, kw_only=True)
class LoudFilter(Filter):
    """Keeps what is loud."""

    loudness: int = 3
    """How loud it must be."""

    def keep(self, sample):
        return True
'''

MODELINE = "# yaml-language-server: $schema=juicecap.schema.json\n"


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered ops are forgotten after the test."""
    monkeypatch.setattr(registry, "_registered", dict(registry.registered()))


def test_the_schema_is_printed_with_ops_of_files(tmp_path: Path, capsys: pytest.CaptureFixture[str], forgetful: None) -> None:
    (tmp_path / "loud.py").write_text(OPERATOR, encoding="utf-8")
    assert main(["schema", "--operators", str(tmp_path / "loud.py")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    loudness = printed["$defs"]["loud_filter"]["properties"]["loudness"]
    assert (loudness["description"], loudness["default"]) == ("[what is kept] How loud it must be.", 3)


def test_a_file_of_ops_that_is_not_there_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--operators", "no_such.py"]) == 1
    assert capsys.readouterr().err == "custom_operator_paths: no_such.py does not exist\n"


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    """A language server in a folder that `juicecap init` made."""
    program = shutil.which("yaml-language-server")
    if not program:
        pytest.skip("yaml-language-server is not installed (npm ci in .ci/yaml_language_server)")
    folder = tmp_path_factory.mktemp("editor")
    assert main(["init", str(folder)]) == 0
    with LanguageServer(program, folder) as server:
        yield server


def place(text: str, marked: str) -> dict[str, int]:
    """The position behind `marked`."""
    before = text[: text.index(marked) + len(marked)]
    return {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}


def offered(editor: LanguageServer, name: str, text: str, marked: str) -> dict[str, dict[str, Any]]:
    """What the server offers behind `marked`, by its label."""
    uri = editor.open(name, text)
    found = editor.ask("textDocument/completion", {"textDocument": {"uri": uri}, "position": place(text, marked)})
    return {each["label"]: each for each in (found["items"] if isinstance(found, dict) else found)}


def test_an_editor_underlines_nothing_in_a_new_recipe(editor: LanguageServer) -> None:
    text = (editor.folder / "recipe.yaml").read_text(encoding="utf-8")
    assert text.startswith(MODELINE)
    assert editor.problems(editor.open("fresh.yaml", text)) == []


def test_an_editor_underlines_mistakes(editor: LanguageServer) -> None:
    text = (
        f"{MODELINE}sed: 3\nprocess:\n  - text_length_filter:\n      min_len: many\n"
        "  - video_captioning_from_vlm_mapper:\n      caption_nmu: 3\n  - text_lenght_filter\n"
    )
    found = editor.problems(editor.open("wrong.yaml", text))
    assert {each["range"]["start"]["line"]: each["message"] for each in found} == {
        1: "Property sed is not allowed.",
        4: "min_len must be int >= 0 and <= 2147483647 or null",
        6: "Property caption_nmu is not allowed.",
        7: "no op has this name, or it needs parameters (juicecap ops lists all)",
    }


def test_an_editor_completes_keys_ops_parameters_and_choices(editor: LanguageServer) -> None:
    text = f"{MODELINE}data\nprocess: []\n"
    assert "dataset_path" in offered(editor, "keys.yaml", text, "\ndata")
    text = f"{MODELINE}process:\n  - video_c\n"
    ops = offered(editor, "ops.yaml", text, "- video_c")
    assert sorted(ops) == catalog.names()
    assert ops["text_length_filter"]["insertText"] == "text_length_filter:\n    min_len: 10"
    text = f"{MODELINE}process:\n  - video_captioning_from_vlm_mapper:\n      capt\n"
    parameters = offered(editor, "parameters.yaml", text, "\n      capt")
    assert "[candidates] Candidate captions asked for each video." in json.dumps(parameters["caption_num"])
    assert parameters["caption_num"]["insertText"] == "caption_num: ${1:1}"
    text = f"{MODELINE}process:\n  - video_captioning_from_vlm_mapper:\n      keep_candidate_mode: \n"
    assert {"all", "random_any", "similar_one_simhash"} <= set(offered(editor, "choices.yaml", text, "keep_candidate_mode: "))


def test_an_editor_explains_a_parameter(editor: LanguageServer) -> None:
    text = f"{MODELINE}process:\n  - text_length_filter:\n      min_len: 3\n"
    uri = editor.open("hover.yaml", text)
    shown = editor.ask("textDocument/hover", {"textDocument": {"uri": uri}, "position": place(text, "min_l")})
    assert r"\[what is kept\] Fewest characters that pass; null: no limit." in shown["contents"]["value"]
