"""Networks as features in groups: what is known of them before any device is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from latency_predictors.errors import PredictorError

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.intp]

Quantities: TypeAlias = Mapping[str, Floats]
"""Work by which networks differ on every device (MACs, launches): positive, by name, each of shape ``(networks,)``."""

_LEAST_SPREAD = 1e-12


@dataclass(frozen=True)
class Description:
    """Features of networks, in groups whose members are alike and have one unit.

    Attributes:
        matrix: shape ``(networks, features)``.
        groups: name and number of columns of every group, in the order of the columns.
    """

    matrix: Floats
    groups: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, groups: Mapping[str, Floats]) -> Description:
        """Join groups, each of shape ``(networks, members)``.

        Raises:
            PredictorError: no group, groups of different lengths, or a feature that is not finite.
        """
        if not groups or len({len(matrix) for matrix in groups.values()}) != 1:
            lengths = {name: len(matrix) for name, matrix in groups.items()}
            raise PredictorError(f"groups of features describe {lengths} networks; give at least one, all as long")
        for name, matrix in groups.items():
            if matrix.ndim != 2 or not np.isfinite(matrix).all():
                raise PredictorError(
                    f"features {name!r} of shape {matrix.shape}: give finite numbers in two dimensions"
                )
        joined = np.concatenate([np.asarray(matrix, np.float64) for matrix in groups.values()], axis=1)
        return cls(joined, tuple((name, matrix.shape[1]) for name, matrix in groups.items()))

    def __len__(self) -> int:
        return len(self.matrix)

    def take(self, rows: Ints) -> Description:
        """The same of some networks."""
        return Description(self.matrix[rows], self.groups)


@dataclass(frozen=True)
class Scaling:
    """Features centred on known networks; every group has a mean square of 1 over them.

    A weight of unit variance on a group then changes a prediction by about one, whatever the group's unit and size.

    Attributes:
        groups: as ``Description.groups``.
        kept: features that differ between the known networks, shape ``(kept,)``.
        mean: of the kept features, shape ``(kept,)``.
        spread: what each is divided by, shape ``(kept,)``.
        group: the group that each belongs to, shape ``(kept,)``.
        lowest: of every scaled feature that is believed, shape ``(kept,)``.
        highest: likewise.
    """

    groups: tuple[tuple[str, int], ...]
    kept: Ints
    mean: Floats
    spread: Floats
    group: Ints
    lowest: Floats
    highest: Floats

    @classmethod
    def learnt(cls, known: Description) -> Scaling:
        """From the description of known networks."""
        group = np.repeat(np.arange(len(known.groups)), [width for _, width in known.groups])
        variance = known.matrix.var(axis=0)
        largest = np.abs(known.matrix).max(axis=0) ** 2
        kept = np.flatnonzero(variance > _LEAST_SPREAD * np.maximum(largest, _LEAST_SPREAD))
        total = np.bincount(group[kept], weights=variance[kept], minlength=len(known.groups))
        spread, mean = np.sqrt(total[group[kept]]), known.matrix[:, kept].mean(axis=0)
        scaled = (known.matrix[:, kept] - mean) / spread
        lowest, highest = scaled.min(axis=0), scaled.max(axis=0)
        margin = highest - lowest
        return cls(known.groups, kept, mean, spread, group[kept], lowest - margin, highest + margin)

    def apply(self, networks: Description) -> Floats:
        """Scaled features, shape ``(networks, kept)``.

        They are held within three times the range of the known networks: far from these only the mix of devices, which
        is monotone in work, is to be believed, and not what was learnt of deviations.

        Raises:
            PredictorError: features of another kind.
        """
        if networks.groups != self.groups:
            raise PredictorError(
                f"features {[name for name, _ in networks.groups]} were given for a predictor of "
                f"{[name for name, _ in self.groups]}; describe networks as the fleet's were"
            )
        return np.clip((networks.matrix[:, self.kept] - self.mean) / self.spread, self.lowest, self.highest)
