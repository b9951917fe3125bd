"""How sure a median is: its confidence interval from the order of the samples alone, whatever their distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

_Z = 1.959964
"""Two-sided 95 % of the standard normal."""

_DRIFT = 0.05
"""First and last third of the samples may differ by this share before they are said to drift."""


def median_interval(samples: Sequence[float]) -> tuple[float, float] | None:
    """A 95 % confidence interval of the median, or none where there are too few samples (under 8) for one.

    It lies between the order statistics of ranks ``n/2 -+ 1.96 sqrt(n)/2``, rounded outwards (Le Boudec 2010,
    Performance Evaluation of Computer and Communication Systems, theorem 2.1 and the normal approximation after it).
    Samples are taken to be independent.
    """
    ordered, half = sorted(samples), _Z * math.sqrt(len(samples)) / 2
    low = math.floor(len(ordered) / 2 - half)
    high = math.ceil(len(ordered) / 2 + half + 1)
    if low < 1 or high > len(ordered):
        return None
    return ordered[low - 1], ordered[high - 1]


def relative_width(samples: Sequence[float]) -> float:
    """Width of that interval as a share of the median; infinite where there is none."""
    interval = median_interval(samples)
    if interval is None:
        return math.inf
    width, middle = interval[1] - interval[0], median(samples)
    if middle == 0:
        return 0.0 if width == 0 else math.inf
    return width / middle


def sample_flags(samples: Sequence[float], ci_width: float | None) -> tuple[str, ...]:
    """What the samples themselves say against their median.

    ``unsteady``: its confidence interval is wider than asked, ``ci_width`` as a share of the median, or there are too
    few samples for one; nothing is said where None was asked. ``drifting``: the last third of the samples is faster or
    slower than the first by more than 5 %, and the confidence intervals of their medians lie apart.
    """
    flags = []
    if ci_width is not None and relative_width(samples) > ci_width:
        flags.append("unsteady")
    third = len(samples) // 3
    if third and _apart(samples[:third], samples[-third:]):
        flags.append("drifting")
    return tuple(flags)


def _apart(first: Sequence[float], last: Sequence[float]) -> bool:
    before, after = median_interval(first), median_interval(last)
    if before is None or after is None:
        return False
    changed = abs(median(last) - median(first)) > _DRIFT * median(first)
    return changed and (before[1] < after[0] or after[1] < before[0])
