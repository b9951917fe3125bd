"""Groups of columns in the scale that a Gaussian process expects, fixed by the networks that it learns from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.encoding import PHYSICAL, Encoded, Encoding, Group
from nas.accuracy.group_gp import Kernel

Matrix = NDArray[np.float64]

_VIEWS: Mapping[str, tuple[Callable[[Group], bool], bool]] = {
    "everything": (lambda group: True, True),
    "decisions": (lambda group: group.left_out == 0, False),
    "shared": (lambda group: group.left_out > 0 or group.coarsest, True),
    "coarse": (lambda group: group.coarsest, True),
    PHYSICAL: (lambda group: False, True),
}
"""Which groups of decisions a view has, and whether it has the physical columns."""


class View:
    """Some of the groups, centred and scaled; columns that do not vary between the training networks are left out.

    Args:
        groups: the groups of decisions.
        physical: whether the physical columns are a group too.
        train: networks that fix centres and scales.
        linear: whether the kernel has a linear part.
    """

    def __init__(self, groups: Sequence[Group], *, physical: bool, train: Encoded, linear: bool = True) -> None:
        self._groups, self._physical = tuple(groups), physical
        self._work = mean_counts(train)
        raw = self._raw(train)
        self._kept = [np.ptp(part, axis=0) > 1e-12 for part in raw]
        self._centres = [part[:, kept].mean(axis=0) for part, kept in zip(raw, self._kept, strict=True)]
        self._scales: list[Matrix] = []
        for position, (part, kept, centre) in enumerate(zip(raw, self._kept, self._centres, strict=True)):
            spread = ((part[:, kept] - centre) ** 2).mean(axis=0)
            # Counts differ in kind, so each has its own scale; options of one group are alike.
            alone = physical and position == len(raw) - 1
            self._scales.append(np.sqrt(spread * len(spread)) if alone else np.sqrt(np.full_like(spread, spread.sum())))
        used = [position for position, kept in enumerate(self._kept) if kept.any()]
        sizes = [int(self._kept[position].sum()) for position in used]
        self.kernel = Kernel(np.repeat(np.arange(len(used)), sizes), linear=linear)

    def columns(self, networks: Encoded) -> Matrix:
        """Scaled columns, shape ``(networks, columns)``."""
        parts = zip(self._raw(networks), self._kept, self._centres, self._scales, strict=True)
        return np.concatenate([(part[:, kept] - centre) / scale for part, kept, centre, scale in parts], axis=1)

    def _raw(self, networks: Encoded) -> list[Matrix]:
        parts = [networks.options @ group.columns for group in self._groups]
        return [*parts, log_counts(networks.physical, self._work)] if self._physical else parts


def mean_counts(train: Encoded) -> Matrix:
    """Mean of every count over the training networks, and 1 for what none of them has; shape ``(features,)``."""
    means = train.physical.mean(axis=0)
    return np.where(means > 0, means, 1.0)


def log_counts(physical: Matrix, mean: Matrix) -> Matrix:
    """Logarithms of counts that may be zero; ``mean`` is that of each count over the training networks."""
    return np.asarray(np.log(physical / mean + 0.1), np.float64)


def standard_views(encoding: Encoding, train: Encoded) -> dict[str, View]:
    """Different views of the same networks, by name; views without a column that varies are left out."""
    views: dict[str, View] = {}
    seen: set[tuple[tuple[str, ...], bool]] = set()
    for name, (chosen, physical) in _VIEWS.items():
        groups = [group for group in encoding.groups if chosen(group)]
        signature = (tuple(group.name for group in groups), physical)
        if signature in seen:
            continue
        seen.add(signature)
        view = View(groups, physical=physical, train=train)
        if len(view.kernel.group_of):
            views[name] = view
    return views
