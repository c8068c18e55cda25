"""Tables in the run folder that were damaged are never used: they are made again, and the output is that of a sound run."""

from __future__ import annotations

from pathlib import Path

import pytest


def damage(file: Path, place: int) -> bytes:
    """Flip a bit; as a disk does, under the same size and time. Gives the content that was there."""
    whole = file.read_bytes()
    file.unlink()  # so that no table of this process that is mapped changes with it
    file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
    return whole


@pytest.mark.parametrize("table", ["01-trouble_mapper-*", "02-text_length_filter-*", "?" * 32 + ".arrow"])
def test_a_flipped_bit_in_any_table_is_found_and_nothing_else_is_made_again(texts, listener, said, table) -> None:
    texts.fails({"text 003": ("ODD", False)})
    texts.run(max_rejected=1.0)
    before = texts.output.read_bytes()
    (file,) = (texts.work_dir / "steps").glob(table)
    length = file.stat().st_size
    text = file.read_bytes().index(b"text 007")
    for place in (0, 9, 100, length // 3, text, length // 2, length - 200, length - 20, length - 1):
        whole = damage(file, place)
        texts.asked()
        listener.steps.clear()
        texts.run(listener, max_rejected=1.0)
        assert texts.output.read_bytes() == before
        assert [(each["id"], each["code"]) for each in texts.rejections()] == [("data.jsonl:4", "ODD")]
        assert said == [f"{file} is damaged (its checksum is not that of its content), so it is made again"]
        whole_again = (
            [False, False] if "01-" in table else [True, "02-" not in table]
        )  # an op that is made again takes along the next
        assert [finished for _, _, finished in listener.steps] == whole_again
        assert texts.asked() == (texts.texts if "01-" in table else [])
        assert len(file.read_bytes()) == len(whole)
        said.clear()
    texts.run(max_rejected=1.0)
    assert said == []


def test_a_table_whose_end_was_not_written_is_not_finished(texts, listener, said) -> None:
    texts.run()
    before = texts.output.read_bytes()
    (file,) = (texts.work_dir / "steps").glob("01-*")
    whole = file.read_bytes()
    for length in (0, len(whole) // 2, len(whole) - 30, len(whole) - 1):
        file.unlink()
        file.write_bytes(whole[:length])
        listener.steps.clear()
        texts.run(listener)
        assert [finished for _, _, finished in listener.steps] == [False, False]
        assert texts.output.read_bytes() == before


def test_a_merged_table_has_a_checksum_too(texts, listener, said) -> None:
    texts.fails({"text 003": ("BUSY", True)})
    texts.run(max_rejected=1.0)
    texts.fails({})
    texts.run()
    texts.asked()
    listener.steps.clear()
    texts.run(listener)
    assert ([finished for _, _, finished in listener.steps], texts.asked(), said) == ([True, True], [], [])
    (file,) = (texts.work_dir / "steps").glob("01-*")
    damage(file, file.read_bytes().index(b"text 003!"))
    texts.run()
    assert texts.out() == [f"{text}!" for text in texts.texts]
    assert len(said) == 1
