"""NASFLAT as a peer: the graphs it sees, its loss, and its transfer to a device."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

NETWORKS = 60


@pytest.fixture
def encoding(benchmarks: Path) -> ModuleType:
    return importlib.import_module("peers.nasflat_encoding")


@pytest.fixture
def model(benchmarks: Path) -> ModuleType:
    return importlib.import_module("peers.nasflat_model")


@pytest.fixture
def training(benchmarks: Path) -> ModuleType:
    return importlib.import_module("peers.nasflat_training")


def test_cells_lose_what_does_no_work(encoding: ModuleType, small_tables: Path) -> None:
    hears = encoding.NasflatEncoding.load(small_tables, "nasbench201").hears
    heard = [set(map(tuple, np.argwhere(graph.numpy()).tolist())) for graph in hears]
    assert heard == [set(), {(7, 0)}, {(1, 0), (3, 1), (7, 3)}, {(1, 0), (7, 1)}]


def test_every_layer_of_fbnet_is_seen(encoding: ModuleType, small_tables: Path) -> None:
    networks = encoding.NasflatEncoding.load(small_tables, "fbnet")
    kinds = np.load(small_tables / "fbnet.npz")["op_idx"].astype(int)
    assert (networks.operations[:, 1:-1].numpy() == kinds + 2).all()
    assert networks.take(np.arange(3)).hears.shape == (1, 24, 24)
    assert networks.beside.isfinite().all()


def test_asking_for_the_last_node_gives_what_asking_for_all_gives(model: ModuleType) -> None:
    layer = model.Layer(5, 7)
    x, kinds = torch.randn(3, 4, 5), torch.randn(3, 4, 48)
    hears = (torch.rand(3, 4, 4) < 0.5).float()
    assert torch.allclose(layer(x, hears, kinds)[:, -1:], layer(x, hears, kinds[:, -1:]), atol=1e-6)


def test_pairs_in_the_right_order_by_the_margin_cost_nothing(training: ModuleType) -> None:
    rng, labels = np.random.default_rng(0), np.array([0.0, 0.5, 0.5, 1.0])
    assert training.pair_loss(torch.tensor([0.0, 0.2, 0.1, 0.4]), labels, rng) == 0
    # Five pairs of different labels; reversed, a pair costs the margin and its distance.
    wrong = training.pair_loss(torch.tensor([1.0, 0.5, 0.5, 0.0]), labels, rng)
    assert float(wrong) == pytest.approx(0.1 + (0.5 * 4 + 1.0) / 5)
    assert training.pair_loss(torch.zeros(2), np.ones(2), rng) == 0


@pytest.fixture
def learnt(encoding: ModuleType, training: ModuleType) -> tuple[object, np.ndarray]:
    """Trained on two devices that order networks in opposite ways; and a third like the second."""
    rng = np.random.default_rng(0)
    operations = rng.integers(2, 5, (NETWORKS, 6))
    operations[:, 0], operations[:, -1] = encoding.INPUT, encoding.OUTPUT
    work = (operations[:, 1:-1] == 4).sum(axis=1) + 0.01 * rng.random(NETWORKS)
    seconds = 0.01 * np.stack([1 + work, 6 - work, 12 - 2 * work], axis=1)
    networks = encoding.NasflatEncoding(torch.from_numpy(operations), torch.eye(6)[None], torch.zeros(NETWORKS, 2))
    return training.pre_train(networks, "fbnet", seconds[:, :2], np.arange(40), 25, 0), seconds[:, 2]


def test_an_unseen_device_starts_as_the_known_one_that_is_most_like_it(learnt: tuple[object, np.ndarray]) -> None:
    nasflat, seconds = learnt
    measured = np.arange(5)
    started = nasflat.started(measured, seconds[measured])  # type: ignore[attr-defined]
    assert torch.equal(started.devices.weight[2], started.devices.weight[1])
    assert not torch.equal(nasflat.model.devices.weight[2], started.devices.weight[2])  # type: ignore[attr-defined]


def test_it_orders_networks_of_an_unseen_device(learnt: tuple[object, np.ndarray]) -> None:
    nasflat, seconds = learnt
    measured = np.arange(10)
    before = torch.random.get_rng_state()
    predicted = nasflat.predict(measured, seconds[measured], 0)  # type: ignore[attr-defined]
    assert spearmanr(predicted[40:], seconds[40:])[0] > 0.8
    assert (predicted > 0).all()
    assert np.array_equal(predicted, nasflat.predict(measured, seconds[measured], 0))  # type: ignore[attr-defined]
    assert torch.equal(before, torch.random.get_rng_state())
