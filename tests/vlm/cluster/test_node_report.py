"""What a node sees and has, and the sentences about a node that differs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import juicecap
from juicecap.media.rules import MediaLimits
from juicecap.vlm.base import ModelSettings
from juicecap.vlm.cluster.node_report import NodeReport, Wanted, clock_warning, problems_of, report_of

DRIVER = NodeReport(node="driver", python="3.11.7", juicecap="1", libraries={"av": "18.1.0", "torch": "2.14.1"})


@pytest.fixture(autouse=True)
def same_folder_afterwards() -> Iterator[None]:
    """A report changes the working directory of its process."""
    before = Path.cwd()
    yield
    os.chdir(before)


def test_a_node_that_sees_everything(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a")
    (tmp_path / "probe").write_text("token")
    wanted = Wanted(
        working_directory=str(tmp_path),
        media=("a.mp4",),
        rules=MediaLimits(root=str(tmp_path)),
        models=(ModelSettings(model="juicecap-demo-vlm"), ModelSettings(model="Qwen/Qwen3-VL-8B-Instruct")),
        shared_file=str(tmp_path / "probe"),
        shared_text="token",
    )
    report = report_of("n", wanted)
    assert (report.node, report.juicecap, report.unseen) == ("n", juicecap.__version__, ())
    assert {"av", "numpy", "torch", "transformers"} <= report.libraries.keys()
    assert Path.cwd() == tmp_path
    assert problems_of(report, replace(report, node="driver")) == []


def test_everything_that_a_node_does_not_see_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a")
    (tmp_path / "probe").write_text("of another run")
    gone = str(tmp_path / "gone")
    wanted = Wanted(
        working_directory=gone,
        media=("a.mp4", f"{gone}/b.mp4"),
        models=(ModelSettings(model=f"{gone}/model"),),
        shared_file=str(tmp_path / "probe"),
        shared_text="token",
    )
    report = report_of("n", wanted)
    (problem,) = problems_of(report, replace(report, node="driver", unseen=()))
    assert problem == (
        f"node n does not see the working directory {gone} (No such file or directory), where relative paths start; "
        f"2 of 2 media that were looked for, such as a.mp4; the model {gone}/model; "
        f"the folder {tmp_path}, into which clips are written: mount it there under the same path"
    )


def test_the_working_directory_matters_for_relative_paths_alone(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a")
    wanted = Wanted(working_directory=str(tmp_path / "gone"), media=(str(tmp_path / "a.mp4"),))
    assert report_of("n", wanted).unseen == ()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"juicecap": "2"}, "node n has juicecap 2, the driver 1: install the same version there"),
        ({"python": "3.12.1"}, "node n has Python 3.12.1, the driver 3.11.7: run the same version there"),
        (
            {"libraries": {"av": "17.0.0", "torch": "2.14.1"}},
            "node n has av 17.0.0, the driver 18.1.0: install the same version there",
        ),
        ({"libraries": {"av": "18.1.0"}}, "node n has no torch, the driver 2.14.1: install the same version there"),
    ],
)
def test_versions_that_differ(changes: dict[str, object], sentence: str) -> None:
    assert problems_of(replace(DRIVER, node="n", **changes), DRIVER) == [sentence]


def test_what_the_driver_does_not_have_is_compared_with_other_nodes() -> None:
    laptop = replace(DRIVER, libraries={"av": "18.1.0"})
    node, other = replace(DRIVER, node="n"), replace(DRIVER, node="m", libraries={"av": "18.1.0", "torch": "2.9.0"})
    assert problems_of(node, laptop) == []
    assert problems_of(node, laptop, [other]) == ["node n has torch 2.14.1, node m 2.9.0: install the same version there"]


def test_a_clock_that_is_off_is_a_warning() -> None:
    assert clock_warning(DRIVER, 4.0) == ""
    assert clock_warning(replace(DRIVER, node="n"), -60.0).startswith("node n: its clock is 60 seconds behind this machine's")
    assert "12 seconds ahead of this machine's" in clock_warning(replace(DRIVER, node="n"), 12.0)
