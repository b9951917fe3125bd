"""What a network takes of a board: the planner's count beside what LiteRT really lays out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from devices import Artifact, Board, DeviceError, LiteRTCPU
from nas.boards import board_row, describe_shortage
from nas.config import make_config
from nas.errors import NasError
from nas.export import export_artifacts
from nas.stages.context import Context
from nas.stages.export import _boards
from nas.stages.limits import check_counted_limits
from search_spaces import Network, flash_bytes, get_space, peak_activation_bytes
from supernet import random_network

Made = tuple[Network, Artifact]


@pytest.fixture(scope="module", params=["mcunet_32", "mobilenetv3_32", "resnet_32"])
def made(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Made:
    space = get_space(request.param)
    network = space.lower(space.canonical(space.smallest()))
    with torch.no_grad():
        weights = random_network(network, 0).deployed_weights()
    images = np.random.default_rng(0).standard_normal((2, *network.input.shape), dtype=np.float32)
    folder = tmp_path_factory.mktemp(request.param)
    return network, export_artifacts(network, weights, folder, images, [("tflite", "int8")])["tflite", "int8"]


def test_file_takes_at_least_what_is_planned(made: Made) -> None:
    if reason := LiteRTCPU().unavailable_reason():
        pytest.skip(reason)
    network, artifact = made
    row = board_row(Board("mine", 10**9, 10**9), network, artifact)
    assert row["source"] == "counted"
    assert row["planned"] == {
        "flash_bytes": flash_bytes(network, 8),
        "sram_bytes": peak_activation_bytes(network, 8),
        "fits": True,
    }
    assert row["file"]["flash_bytes"] == artifact.path.stat().st_size > row["planned"]["flash_bytes"]
    # Padded copies and activations that are spelt out at most double the largest set of tensors.
    assert row["planned"]["sram_bytes"] <= row["file"]["sram_bytes"] <= 2 * row["planned"]["sram_bytes"]
    assert row["file"]["fits"] and describe_shortage("mine", row, artifact.path) is None


def test_budget_between_the_two_counts_is_told(made: Made) -> None:
    if reason := LiteRTCPU().unavailable_reason():
        pytest.skip(reason)
    network, artifact = made
    planned = board_row(Board("mine", 10**9, 10**9), network, artifact)["planned"]
    row = board_row(Board("mine", planned["flash_bytes"], planned["sram_bytes"]), network, artifact)
    assert row["planned"]["fits"] and not row["file"]["fits"]
    told = str(describe_shortage("mine", row, artifact.path))
    assert f"where the board has {planned['flash_bytes']}" in told and "on mine" in told


def test_without_the_runtime_the_file_is_not_judged(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_content: bytes) -> None:
        raise DeviceError("pip install it")

    monkeypatch.setattr("nas.boards.tensor_arena", missing)
    network, artifact = made
    row = board_row(Board("mine", 1, 1), network, artifact)
    assert not row["planned"]["fits"]
    assert row["file"]["fits"] is row["file"]["sram_bytes"] is describe_shortage("mine", row, artifact.path) is None
    assert row["file"]["why"] == "pip install it"


def test_changed_file_is_refused(made: Made, tmp_path: Path) -> None:
    network, artifact = made
    (tmp_path / "changed").write_bytes(b"else")
    with pytest.raises(DeviceError, match="has changed"):
        board_row(Board("mine", 1, 1), network, replace(artifact, path=tmp_path / "changed"))


def test_card_of_an_export_tells_of_every_board_and_warns_of_a_shortage(made: Made) -> None:
    network, artifact = made
    told: list[str] = []
    boards = (Board("large", 10**9, 10**9), Board("small", 1, 1))
    context = SimpleNamespace(config=SimpleNamespace(boards=boards), progress=SimpleNamespace(warn=told.append))
    card = _boards(cast("Context", context), network, artifact)
    assert list(card["boards"]) == ["large", "small"]
    assert card["boards"]["large"]["planned"]["fits"]
    assert LiteRTCPU().unavailable_reason() or ["on small" in text for text in told] == [True]
    context.config.boards = ()
    assert _boards(cast("Context", context), network, artifact) == {}


def values(**changes: Any) -> dict[str, Any]:
    return {
        "space": {"name": "mcunet_32"},
        "data": {"source": "digits"},
        "targets": [{"name": "chip", "device": "fake"}],
        **changes,
    }


def test_boards_of_a_config_are_limits() -> None:
    own = {"name": "stm32h743", "sram_bytes": 100_000}
    config = make_config(values(boards=["stm32f746", own], limits=[{"metric": "macs", "at_most": 10**9}]))
    assert config.boards == (Board("stm32f746", 1 << 20, 320 << 10), Board("stm32h743", 2 << 20, 100_000))
    limits = {(limit.metric, limit.at_most) for limit in config.limits}
    assert limits == {("macs", 10**9), ("flash_bytes", 1 << 20), ("peak_activation_bytes", 100_000)}
    assert make_config(config.model_dump(mode="json")) == config


def test_board_that_no_network_fits_on_is_refused_before_anything_is_computed() -> None:
    config = make_config(values(boards=[{"name": "tiny", "flash_bytes": 2**20, "sram_bytes": 1000}]))
    with pytest.raises(NasError, match="peak_activation_bytes at most 1 kB"):
        check_counted_limits(config)


@pytest.mark.parametrize(
    ("boards", "told"),
    [
        (["stm32"], "no board 'stm32'"),
        ([{"name": "mine", "flash_bytes": 1}], "'boards.0.sram_bytes' is missing"),
        ([{"name": "mine", "flash_bytes": 1, "sram_bytes": 0}], "sram_bytes is 0"),
        ([{"name": "stm32f746", "sram": 1}], "unknown key 'boards.0.sram'"),
        (3, "'boards' is 3"),
    ],
)
def test_wrong_board_is_told(boards: object, told: str) -> None:
    with pytest.raises(NasError, match=told):
        make_config(values(boards=boards))


def test_boards_are_not_counted_at_another_precision() -> None:
    with pytest.raises(NasError, match="counted at int8"):
        make_config(values(boards=["stm32f746"], targets=[{"name": "chip", "device": "fake", "precision": "float32"}]))
