"""Checks of numbers that people write into configs."""

from __future__ import annotations

from collections.abc import Mapping

from supernet.errors import SupernetError


def check_ranges(section: str, values: Mapping[str, object], ranges: Mapping[str, tuple[float, float]]) -> None:
    """Check that values are numbers within their ranges; where a range's lower end is an ``int``, whole ones.

    Args:
        section: where the values are from, for the message, such as ``train``.
        values: by name.
        ranges: lowest and highest allowed value of each name to check.

    Raises:
        SupernetError: a truth value or text in place of a number, a fraction in place of a whole number, or a number
            out of its range.
    """
    for name, (low, high) in ranges.items():
        value = values[name]
        whole = isinstance(low, int)
        number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high:  # type: ignore[operator]
            kind = "whole numbers from " if whole else ""
            raise SupernetError(f"{section}.{name} is {value!r}; allowed: {kind}{_shown(low)} to {_shown(high)}")


def _shown(bound: float) -> str:
    return f"{bound:,.0f}" if abs(bound) >= 1000 else f"{bound:g}"
