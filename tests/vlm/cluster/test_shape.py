"""How many engines a cluster holds, and what a recipe may say about it."""

from __future__ import annotations

from typing import Any

import pytest

from juicecap.vlm.base import ModelSettings
from juicecap.vlm.cluster.options import ClusterOptions, options_of
from juicecap.vlm.cluster.shape import Shape, shape_of

HEAD = {"memory": 1.0}
GPUS = {"CPU": 64.0, "GPU": 8.0}
LAPTOP = {"CPU": 8.0}

LOCAL = ModelSettings(model="m")
WIDE = ModelSettings(model="m", params='{"tensor_parallel_size":4}', backend="vllm")
SERVER = ModelSettings(model="m", backend="openai", api_base="http://localhost:8000/v1")


@pytest.mark.parametrize(
    ("options", "models", "nodes", "shape"),
    [
        ({}, [LOCAL], [HEAD, GPUS, GPUS], Shape(least=1, most=16, cpus=8, gpus=1, part=8)),
        ({}, [WIDE], [HEAD, GPUS, GPUS], Shape(least=1, most=4, cpus=32, gpus=4, part=2)),
        ({}, [LOCAL], [HEAD, LAPTOP, LAPTOP], Shape(least=1, most=2, cpus=8, gpus=0, part=1)),
        ({}, [SERVER], [HEAD, GPUS, LAPTOP], Shape(least=1, most=9, cpus=8, gpus=0, part=8)),
        ({}, [], [LAPTOP], Shape(least=1, most=1, cpus=8, gpus=0, part=1)),
        ({"engines": (2, 5), "cpus_per_engine": 2.0}, [LOCAL], [LAPTOP], Shape(least=2, most=5, cpus=2, gpus=0, part=4)),
        ({"gpus_per_engine": 0.5, "cpus_per_engine": 1.0}, [LOCAL], [GPUS], Shape(least=1, most=16, cpus=1, gpus=0.5, part=16)),
        ({}, [WIDE], [{"CPU": 8.0, "GPU": 2.0}], Shape(least=1, most=1, cpus=1, gpus=4, part=1)),
    ],
)
def test_engines_of_a_cluster(options: dict[str, Any], models: list[ModelSettings], nodes: list[Any], shape: Shape) -> None:
    assert shape_of(ClusterOptions(**options), models, nodes) == shape


def test_a_node_without_the_gpus_holds_none() -> None:
    shape = shape_of(ClusterOptions(), [LOCAL], [GPUS])
    assert [shape.fits(node) for node in (HEAD, LAPTOP, GPUS)] == [False, False, True]


def test_all_settings_of_a_recipe() -> None:
    block = {
        "address": "ray://head:10001",
        "engines": [2, 8],
        "cpus_per_engine": 4,
        "gpus_per_engine": 1,
        "runtime_env": {"pip": []},
    }
    options, problems = options_of(block)
    assert problems == []
    assert options == ClusterOptions(
        address="ray://head:10001", engines=(2, 8), cpus_per_engine=4.0, gpus_per_engine=1.0, runtime_env={"pip": []}
    )
    assert options_of({"engines": 3})[0].engines == (3, 3)
    assert options_of({}, "10.0.0.1:6379")[0].address == "10.0.0.1:6379"
    assert options_of({"address": None, "engines": None})[0] == ClusterOptions()


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ({"address": ""}, "ray.address must be auto, local, ray://HOST:PORT or HOST:PORT, not ''"),
        ({"engines": 0}, "ray.engines must be a number from 1 to 10,000, or [FEWEST, MOST], not 0"),
        ({"engines": [1, 2, 3]}, "ray.engines must be a number from 1 to 10,000, or [FEWEST, MOST], not [1, 2, 3]"),
        ({"engines": True}, "ray.engines must be a number from 1 to 10,000, or [FEWEST, MOST], not True"),
        ({"cpus_per_engine": -1}, "ray.cpus_per_engine must be a number of 0 or more, not -1"),
        ({"gpus_per_engine": "one"}, "ray.gpus_per_engine must be a number of 0 or more, not 'one'"),
        ({"runtime_env": []}, "ray.runtime_env must be a mapping, as Ray takes it, not []"),
        ({"nodes": 3}, "ray has no setting 'nodes'; it has address, engines, cpus_per_engine, gpus_per_engine, runtime_env"),
    ],
)
def test_what_is_wrong_is_one_sentence(block: dict[str, Any], sentence: str) -> None:
    assert [told for _, told in options_of(block)[1]] == [sentence]


def test_two_addresses_that_differ() -> None:
    assert options_of({"address": "local"}, "10.0.0.1:6379")[1] == [
        ("address", "ray.address and ray_address differ ('10.0.0.1:6379'): set one of them")
    ]
