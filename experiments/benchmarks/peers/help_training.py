"""HELP's meta-training over known devices, and what it makes of an unseen one (Lee et al. 2021, algorithms 1 and 2).

Settings are those of the authors' public code. Two of its accidents are left out: there the model with the best score
on training *or* validation devices is kept, and one draw of the latents is scored where ten are averaged.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from peers.help_encoding import HelpEncoding
from peers.help_model import HelpModel, Task
from peers.seconds import positive

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_STEPS, _DEVICES, _SUPPORT, _QUERY = 2, 8, 10, 200
_RATE, _DIVERGENCE = 1e-4, 0.1
_VALIDATED_EVERY, _DRAWS = 50, 10
_LABELS = (0.05, 0.9)
_CHUNK = 1000
_EPISODES = {"nasbench201": 2000, "fbnet": 4000, "ofa_mbv3": 2000}


@dataclass(frozen=True)
class Known:
    """Devices with all their latencies.

    Attributes:
        latencies_s: shape ``(networks, devices)``.
        networks: those that may be looked at besides the references.
    """

    latencies_s: Floats
    networks: Ints

    def middle(self, device: int) -> Ints:
        """Networks without the slowest and the fastest tenth, in the order of their latencies."""
        return middle(self.networks, self.latencies_s[:, device])


@dataclass(frozen=True)
class Help:
    """HELP after meta-training.

    Attributes:
        references: networks that are measured on every device.
    """

    model: HelpModel
    encoding: HelpEncoding
    references: Ints

    def predict(
        self, support: Ints, latencies_s: Floats, references_s: Floats, bounds_s: tuple[float, float], seed: int
    ) -> Floats:
        """Seconds of every network of the table on an unseen device.

        Scaled latencies become seconds as in the authors' search: the range of the predictions on the support becomes
        that of its measurements.

        Args:
            support: networks that the weights are adapted to.
            latencies_s: of the support.
            references_s: of the reference networks.
            bounds_s: latencies that labels are scaled by.
            seed: of the latents.
        """
        generator = torch.Generator().manual_seed(seed)
        task = self._task([support], [latencies_s], [references_s], [bounds_s])
        scaled = self._mean(task, np.arange(self.encoding.features.shape[-2]), generator)[0]
        own = scaled[support]
        share = (scaled - own.min()) / (own.max() - own.min())
        seconds = latencies_s.min() + share * np.ptp(latencies_s)
        return positive(seconds, 1e-3 * float(np.median(latencies_s)))

    def validate(self, known: Known, rng: np.random.Generator, generator: torch.Generator) -> float:
        """Mean rank correlation on known devices, each with ten measured networks."""
        drawn = [rng.permutation(known.middle(device)) for device in range(known.latencies_s.shape[1])]
        task = self.known_task(known, range(len(drawn)), [order[:_SUPPORT] for order in drawn])
        rest = np.stack([order[_SUPPORT:] for order in drawn])
        predicted = self._mean(task, rest, generator)
        measured = [known.latencies_s[rows, device] for device, rows in enumerate(rest)]
        return float(np.mean([spearmanr(*pair)[0] for pair in zip(predicted, measured, strict=True)]))

    def known_task(self, known: Known, devices: range | Ints, supports: list[Ints]) -> Task:
        """Known devices as tasks; labels are scaled by the range of the middle networks."""
        columns = [known.latencies_s[:, device] for device in devices]
        middles = [known.latencies_s[known.middle(int(device)), device] for device in devices]
        return self._task(
            supports,
            [column[support] for column, support in zip(columns, supports, strict=True)],
            [column[self.references] for column in columns],
            [(float(values.min()), float(values.max())) for values in middles],
        )

    def _task(
        self,
        supports: list[Ints],
        latencies_s: list[Floats],
        references_s: list[Floats],
        bounds_s: list[tuple[float, float]],
    ) -> Task:
        labels = [
            _LABELS[0] + _LABELS[1] * (values - low) / (high - low)
            for values, (low, high) in zip(latencies_s, bounds_s, strict=True)
        ]
        embeddings = [(values - values.min()) / np.ptp(values) for values in references_s]
        return Task(
            torch.from_numpy(np.stack(embeddings)).float(),
            self.encoding.take(np.stack(supports)),
            torch.from_numpy(np.stack(labels)).float(),
        )

    def _mean(self, task: Task, networks: Ints, generator: torch.Generator) -> Floats:
        """Mean over ten draws of the latents, shape ``(devices, networks)``.

        ``networks`` are those of each device, or of all of them.
        """
        repeated = Task(*(torch.cat([part] * _DRAWS) for part in (task.embedding, task.features, task.labels)))
        weights, _ = self.model.adapted(repeated, generator, steps=_STEPS, train=False)
        parts = []
        with torch.no_grad():
            for start in range(0, networks.shape[-1], _CHUNK):
                features = self.encoding.take(networks[..., start : start + _CHUNK])
                features = features[None] if networks.ndim == 1 else torch.cat([features] * _DRAWS)
                parts.append(self.model.latencies(weights, features, repeated.embedding))
        scaled = torch.cat(parts, dim=1).view(_DRAWS, -1, networks.shape[-1]).mean(dim=0)
        return scaled.numpy().astype(np.float64)


def meta_train(  # noqa: PLR0917 (what is learnt from)
    encoding: HelpEncoding, train: Known, valid: Known, references: Ints, episodes: int, seed: int
) -> Help:
    """Learn from known devices; the model that does best on the validation devices is kept."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    learnt = Help(HelpModel(encoding, generator), encoding, references)
    optimiser = torch.optim.Adam(learnt.model.parameters(), lr=_RATE)
    best, best_score = learnt, -np.inf
    for episode in range(1, episodes + 1):
        loss = episode_loss(learnt, train, rng, generator)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        if episode % _VALIDATED_EVERY == 0 or episode == episodes:
            score = learnt.validate(valid, rng, generator)
            if score > best_score:
                best, best_score = replace(learnt, model=copy.deepcopy(learnt.model)), score
    return best


def episode_loss(learnt: Help, train: Known, rng: np.random.Generator, generator: torch.Generator) -> torch.Tensor:
    """Error after adaptation on some devices, and the latents' divergence (equation 7)."""
    devices = rng.permutation(train.latencies_s.shape[1])[:_DEVICES]
    drawn = [rng.permutation(train.middle(int(device)))[: _SUPPORT + _QUERY] for device in devices]
    task = learnt.known_task(train, devices, [order[:_SUPPORT] for order in drawn])
    query = learnt.known_task(train, devices, [order[_SUPPORT:] for order in drawn])
    weights, divergence = learnt.model.adapted(task, generator, steps=_STEPS, train=True)
    predicted = learnt.model.latencies(weights, query.features, query.embedding)
    error: torch.Tensor = ((predicted - query.labels) ** 2).mean()
    return error + _DIVERGENCE * divergence


def published_episodes(table: str) -> int:
    """How long the authors train on a table."""
    return _EPISODES[table]


def middle(networks: Ints, latencies_s: Floats) -> Ints:
    """Networks without the slowest and the fastest tenth on a device, as the authors draw samples."""
    order = networks[np.argsort(latencies_s[networks], kind="stable")]
    return order[len(order) // 10 : int(0.9 * len(order))]
