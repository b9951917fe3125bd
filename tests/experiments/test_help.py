"""HELP as a peer: what it sees of networks, its adaptation, and its second-order gradients."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

NETWORKS, DEVICES = 300, 4


@pytest.fixture
def encoding(benchmarks: Path) -> ModuleType:
    return importlib.import_module("peers.help_encoding")


@pytest.fixture
def model(benchmarks: Path) -> ModuleType:
    return importlib.import_module("peers.help_model")


@pytest.fixture
def training(benchmarks: Path) -> ModuleType:
    return importlib.import_module("peers.help_training")


def test_nodes_of_a_cell_hear_what_leads_to_them(encoding: ModuleType, small_tables: Path) -> None:
    cells = encoding.HelpEncoding.load(small_tables, "nasbench201")
    heard = [set(np.flatnonzero(row).tolist()) - {node} for node, row in enumerate(cells.hears.numpy())]
    assert heard == [set(), {0}, {0}, {1}, {0}, {1}, {2, 3}, {4, 5, 6}, set(range(8))]
    assert cells.take(np.array([[2], [0]])).shape == (2, 9, 1, 8)
    assert (cells.features.sum(dim=2) == 1).all()
    assert cells.features[1:7, 2, :5].argmax(dim=1).tolist() == [3, 0, 2, 0, 0, 1]


def test_a_layer_of_fbnet_is_its_kernel_and_its_kind(encoding: ModuleType, small_tables: Path) -> None:
    networks = encoding.HelpEncoding.load(small_tables, "fbnet")
    kinds = np.load(small_tables / "fbnet.npz")["op_idx"]
    layers = networks.features.view(30, 22, 6).numpy()
    assert (layers.sum(axis=2) == np.where(kinds == 8, 0, 2)).all()
    assert len(np.unique(layers.reshape(-1, 6), axis=0)) == 9


def _task(model: ModuleType, dtype: torch.dtype = torch.float32) -> tuple[object, object]:
    generator = torch.Generator().manual_seed(1)
    features = torch.rand(3, 10, 6, generator=generator).to(dtype)
    networks = importlib.import_module("peers.help_encoding").HelpEncoding(features[0], None)
    embedding, labels = (torch.rand(3, 10, generator=generator).to(dtype) for _ in range(2))
    learner = model.HelpModel(networks, torch.Generator().manual_seed(0)).to(dtype)
    return learner, model.Task(embedding, features, labels)


def test_a_device_is_adapted_to_its_own_measurements_alone(model: ModuleType) -> None:
    learner, task = _task(model)
    labels = task.labels.clone()  # type: ignore[attr-defined]
    labels[1:] += 1
    other = model.Task(task.embedding, task.features, labels)  # type: ignore[attr-defined]
    adapted = [
        learner.adapted(given, torch.Generator().manual_seed(2), steps=2, train=False)[0]  # type: ignore[attr-defined]
        for given in (task, other)
    ]
    for name in adapted[0]:
        assert torch.equal(adapted[0][name][0], adapted[1][name][0]), name
        assert not torch.equal(adapted[0][name][1], adapted[1][name][1]), name


def test_gradients_go_through_the_steps_of_adaptation(model: ModuleType) -> None:
    learner, task = _task(model, torch.float64)
    learner.rates.requires_grad_(False)  # type: ignore[attr-defined]
    for rate in learner.rates.values():  # type: ignore[attr-defined]
        rate.fill_(0.1)  # so that the second order is not lost beside the first

    def loss() -> torch.Tensor:
        noise = torch.Generator().manual_seed(2)
        weights, _ = learner.adapted(task, noise, steps=2, train=True)  # type: ignore[attr-defined]
        predicted = learner.latencies(weights, task.features, task.embedding)  # type: ignore[attr-defined]
        return ((predicted - 0.5) ** 2).mean()

    weight = learner.weights["head_1_weight"]  # type: ignore[attr-defined]
    (gradient,) = torch.autograd.grad(loss(), [weight])
    step = 1e-5 * gradient / gradient.norm()
    with torch.no_grad():
        weight += step
    above = loss().item()
    with torch.no_grad():
        weight -= 2 * step
    below = loss().item()
    assert (above - below) / 2e-5 == pytest.approx(gradient.norm().item(), rel=1e-3)


def test_meta_training_learns_to_order_networks(encoding: ModuleType, training: ModuleType) -> None:
    rng = np.random.default_rng(0)
    features = (rng.random((NETWORKS, 6)) < 0.5).astype(np.float64)
    seconds = 0.01 * (1 + features @ rng.random((6, DEVICES)) + 1e-4 * rng.random((NETWORKS, DEVICES)))
    networks = encoding.HelpEncoding(torch.from_numpy(features).float(), None)
    known = training.Known(seconds[:, :3], np.arange(NETWORKS))
    learnt = training.meta_train(networks, known, known, np.arange(10), 30, 0)
    target = seconds[:, 3]
    bounds = float(target[:20].min()), float(target[:20].max())
    predicted = learnt.predict(np.arange(10, 20), target[10:20], target[:10], bounds, 0)
    assert predicted.shape == (NETWORKS,) and (predicted > 0).all()
    assert learnt.validate(known, rng, torch.Generator().manual_seed(0)) > 0.5
    again = training.meta_train(networks, known, known, np.arange(10), 2, 0)
    same = training.meta_train(networks, known, known, np.arange(10), 2, 0)
    assert all(torch.equal(*pair) for pair in zip(again.model.parameters(), same.model.parameters(), strict=True))
