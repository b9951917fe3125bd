"""NASFLAT's training on known devices and its transfer to unseen ones (Akhauri and Abdelfattah 2024, sections 4 and 5).

Settings are those of the authors' public code. Only the order of networks is learnt, by a hinge on pairs; here the
networks of a pair are predicted once for all the pairs they are in, so that these share their dropout.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

from peers.nasflat_encoding import NasflatEncoding
from peers.nasflat_model import NasflatModel
from peers.seconds import from_scores

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_MARGIN, _PAIRS = 0.1, 4  # pairs for each network of a batch, at most
_BATCH, _TRANSFER_BATCH, _CHUNK = 128, 16, 500
_RATE, _LAST_RATE, _DECAY = 1e-3, 1e-6, 1e-5
EPOCHS = 150
_TRANSFER = {"nasbench201": (40, 3e-3), "fbnet": (30, 1e-3), "ofa_mbv3": (30, 1e-3)}
"""Epochs and rate by table; once-for-all's, which the authors do not have, as FBNet's."""


@dataclass(frozen=True)
class Samples:
    """Networks measured on devices, in pairs of one of each.

    Attributes:
        networks: shape ``(samples,)``.
        devices: index of each sample's device.
        labels: latencies, each device's scaled to 0..1.
    """

    networks: Ints
    devices: Ints
    labels: Floats


@dataclass(frozen=True)
class Nasflat:
    """NASFLAT after training on known devices; one embedding is left for the unseen device."""

    model: NasflatModel
    encoding: NasflatEncoding
    table: str
    known_s: Floats
    """Latencies of the known devices, shape ``(networks, devices)``."""

    def predict(self, measured: Ints, latencies_s: Floats, seed: int, *, epochs: int | None = None) -> Floats:
        """Seconds of every network of the table on an unseen device.

        The whole model is trained on, from where ``started`` leaves it (section 4.3).

        Args:
            measured: networks among the known devices' ones.
            latencies_s: theirs on the unseen device.
            seed: of the order of batches and of dropout.
            epochs: as the authors have it where None.
        """
        own_epochs, rate = _TRANSFER[self.table]
        model, unseen = self.started(measured, latencies_s), self.known_s.shape[1]
        samples = Samples(measured, np.full(len(measured), unseen), latencies_s / latencies_s.max())
        train(model, self.encoding, samples, epochs or own_epochs, rate, _TRANSFER_BATCH, seed)
        return from_scores(self._scores(model.eval(), unseen), measured, latencies_s)

    def started(self, measured: Ints, latencies_s: Floats) -> NasflatModel:
        """The model as it starts on the unseen device: with the embedding of the known one that correlates best."""
        model = copy.deepcopy(self.model)
        likeness = [spearmanr(known, latencies_s)[0] for known in self.known_s[measured].T]
        with torch.no_grad():
            model.devices.weight[-1] = model.devices.weight[int(np.nan_to_num(likeness, nan=-1).argmax())]
        return model

    def _scores(self, model: NasflatModel, device: int) -> Floats:
        parts = []
        with torch.no_grad():
            for rows in np.array_split(np.arange(len(self.encoding.operations)), 1 + len(self.known_s) // _CHUNK):
                parts.append(model(self.encoding.take(rows), torch.full((len(rows),), device)))
        return torch.cat(parts).numpy().astype(np.float64)


def pre_train(  # noqa: PLR0917 (what is learnt from)
    encoding: NasflatEncoding, table: str, known_s: Floats, networks: Ints, epochs: int, seed: int
) -> Nasflat:
    """Learn from known devices, each with the same measured networks."""
    devices = known_s.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = NasflatModel(encoding, devices + 1)
    latencies = known_s[networks]
    labels = (latencies - latencies.min(axis=0)) / np.ptp(latencies, axis=0)
    samples = Samples(np.tile(networks, devices), np.repeat(np.arange(devices), len(networks)), labels.T.ravel())
    train(model, encoding, samples, epochs, _RATE, _BATCH, seed)
    return Nasflat(model, encoding, table, known_s)


def train(  # noqa: PLR0917 (what is learnt from)
    model: NasflatModel, encoding: NasflatEncoding, samples: Samples, epochs: int, rate: float, batch: int, seed: int
) -> None:
    """AdamW with a cosine over epochs."""
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=epochs, eta_min=_LAST_RATE)
    model.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # of dropout, which takes no generator
        for _ in range(epochs):
            for rows in _batches(len(samples.networks), batch, rng):
                scores = model(encoding.take(samples.networks[rows]), torch.from_numpy(samples.devices[rows]))
                loss = pair_loss(scores, samples.labels[rows], rng)
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
            schedule.step()


def pair_loss(scores: Tensor, labels: Floats, rng: np.random.Generator) -> Tensor:
    """Mean hinge over pairs of different latencies: the slower must score higher by a margin of 0.1.

    Four pairs for each network are drawn, of any devices: latencies are compared on their scales of 0..1.
    """
    first, second = np.triu_indices(len(labels), 1)
    different = np.flatnonzero(labels[first] != labels[second])
    most = _PAIRS * len(labels)
    drawn = different if len(different) <= most else rng.choice(different, most, replace=False)
    first, second = first[drawn], second[drawn]
    sign = torch.from_numpy(np.sign(labels[first] - labels[second])).float()
    return torch.relu(_MARGIN - sign * (scores[first] - scores[second])).sum() / max(1, len(drawn))


def _batches(count: int, size: int, rng: np.random.Generator) -> Iterator[Ints]:
    """Rows in a new order; a batch of one, which has no pair, is left out."""
    order = rng.permutation(count)
    for start in range(0, count, size):
        if len(rows := order[start : start + size]) > 1:
            yield rows
