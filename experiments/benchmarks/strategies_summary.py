"""What the comparison of training strategies comes to: rows, claims and a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any, Literal

import numpy as np
from common import Claim, markdown
from numpy.typing import NDArray
from scipy.stats import kendalltau

from search_spaces import Architecture, Network, macs

DEPS, SHRINKING = "deps", "progressive_shrinking"
HALF = "deps_half"
"""DεpS with at most half of what progressive shrinking took."""
RECIPE = "recipe"
"""The config's own training, which sets the budget."""
_ENDS = 2
_VALIDATION, _TEST = 0, 1


@dataclass(frozen=True)
class Found:
    """Accuracies, 0 to 1, of the same networks: the smallest, the largest, then random ones.

    Attributes:
        trainings: ``epochs`` and ``macs`` of each by name.
        supernets: by name, shape ``(seeds, networks, 2)``: on validation and on test images.
        alone: of the networks trained alone for the epochs of the best strategy, of the same shape.
    """

    trainings: Mapping[str, Mapping[str, int]]
    supernets: Mapping[str, NDArray[np.float64]]
    alone: NDArray[np.float64]

    def behind(self, name: str) -> list[float]:
        """For each seed how far the sub-networks are behind those trained alone, in points, on average."""
        gaps = self.alone[..., _TEST] - self.supernets[name][..., _TEST]
        return [100 * float(gap) for gap in gaps.mean(axis=1)]

    def tau(self, name: str) -> list[float]:
        """For each seed Kendall's rank correlation of the random networks with themselves trained alone."""
        pairs = zip(self.supernets[name][:, _ENDS:, _TEST], self.alone[:, _ENDS:, _TEST], strict=True)
        found = [float(kendalltau(inside, alone).statistic) for inside, alone in pairs]
        # Networks of one and the same accuracy are in no order at all.
        return [0.0 if math.isnan(value) else value for value in found]

    def lead(self, name: str, other: str) -> list[float]:
        """For each seed how far the sub-networks are ahead of those of another training, in points, on average."""
        leads = self.supernets[name][..., _TEST] - self.supernets[other][..., _TEST]
        return [100 * float(lead) for lead in leads.mean(axis=1)]


def best(supernets: Mapping[str, NDArray[np.float64]]) -> str:
    """The strategy whose sub-networks are the most accurate on validation images, of those of equal compute."""
    equal = [name for name in supernets if name != HALF]
    return max(equal, key=lambda name: float(supernets[name][..., _VALIDATION].mean()))


def claims_of(found: Found) -> list[Claim]:
    """The figures asked for."""
    name, count = best(found.supernets), found.alone.shape[1]
    share = found.trainings[HALF]["macs"] / found.trainings[SHRINKING]["macs"]
    behind = f"behind networks trained alone, best strategy ({name}), mean of {count}"
    lead = f"lead of deps at {share:.2f} of progressive shrinking's compute over it, mean of {count}"
    order = f"Kendall tau of {count - _ENDS} random sub-networks with themselves trained alone, {name}"
    return [
        _claim(behind, found.behind(name), "points", 1, "lower"),
        _claim(lead, found.lead(HALF, SHRINKING), "points", 0, "higher"),
        _claim(order, found.tau(name), "", 0.7, "higher"),
    ]


def _claim(name: str, values: Sequence[float], unit: str, target: float, better: Literal["higher", "lower"]) -> Claim:
    spread = stdev(values) if len(values) > 1 else None
    return Claim(name, mean(values), unit, target, better, len(values), spread)


def rows_of(found: Found, networks: Sequence[tuple[Architecture, Network]]) -> list[dict[str, Any]]:
    """A row for each training and seed, then one for each network."""
    rows: list[dict[str, Any]] = []
    chosen = best(found.supernets)
    for name, accuracies in found.supernets.items():
        behind, tau = found.behind(name), found.tau(name)
        for seed, of_seed in enumerate(accuracies):
            rows.append(
                {
                    "strategy": name,
                    "best": name == chosen,
                    "seed": seed,
                    **found.trainings[name],
                    "budget_share": found.trainings[name]["macs"] / found.trainings[RECIPE]["macs"],
                    **_accuracies(of_seed),
                    "behind_alone_points": behind[seed],
                    "kendall_tau": tau[seed],
                }
            )
    epochs = found.trainings[chosen]["epochs"]
    rows += [{"strategy": None, "seed": s, "epochs": epochs, **_accuracies(one)} for s, one in enumerate(found.alone)]
    kinds = ["smallest", "largest", *["random"] * (len(networks) - _ENDS)]
    for position, (kind, (arch, network)) in enumerate(zip(kinds, networks, strict=True)):
        inside = {name: of_seeds[:, position, _TEST].tolist() for name, of_seeds in found.supernets.items()}
        outside = found.alone[:, position, _TEST].tolist()
        about = {"network": arch.key, "kind": kind, "choices": list(arch.choices), "macs": macs(network)}
        rows.append({**about, "alone": outside, "inside": inside})
    return rows


def _accuracies(accuracies: NDArray[np.float64]) -> dict[str, float]:
    test = accuracies[:, _TEST]
    return {
        "validation_mean": float(accuracies[:, _VALIDATION].mean()),
        "mean": float(test.mean()),
        "smallest": float(test[0]),
        "largest": float(test[1]),
        "random_mean": float(test[_ENDS:].mean()),
    }


def table(found: Found) -> str:
    """Means over the seeds on test images, in Markdown."""
    headings = ["Training", "Epochs", "MACs", "Smallest", "Largest", "Random", "Behind alone (points)", "Kendall tau"]
    lines = []
    for name, accuracies in found.supernets.items():
        about, (smallest, largest, random) = found.trainings[name], _shown(accuracies)
        figures = [f"{mean(found.behind(name)):.2f}", f"{mean(found.tau(name)):.2f}"]
        lines.append([name, str(about["epochs"]), f"{about['macs']:.3g}", smallest, largest, random, *figures])
    chosen = best(found.supernets)
    lines.append(["alone", str(found.trainings[chosen]["epochs"]), "–", *_shown(found.alone), "0", "1"])
    return markdown(headings, lines)


def _shown(accuracies: NDArray[np.float64]) -> list[str]:
    test = accuracies[..., _TEST].mean(axis=0)
    return [f"{100 * float(value):.2f} %" for value in (test[0], test[1], test[_ENDS:].mean())]
