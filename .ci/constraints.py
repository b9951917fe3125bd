#!/usr/bin/env python3
"""Print an exact pin for everything installed where this runs: `.venv/bin/python .ci/constraints.py`."""

from __future__ import annotations

from importlib.metadata import distributions

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

OLDEST = "3.10"
LEFT_OUT = {"hwnas", "pip", "wheel"}


def pin(name: str, version: str, requires_python: str | None) -> str:
    """One line; a release that the oldest Python cannot have is pinned for newer ones only."""
    public = version.partition("+")[0]
    allowed = SpecifierSet(requires_python or "")
    if allowed.contains(OLDEST):
        return f"{name}=={public}"
    newer = next(f"3.{minor}" for minor in range(11, 40) if allowed.contains(f"3.{minor}"))
    return f'{name}=={public}; python_version >= "{newer}"'


def main() -> None:
    """Print the file."""
    print("# The versions that the tests are run with. Made by `make constraints`; do not edit.")
    found = {canonicalize_name(d.metadata["Name"]): d for d in distributions()}
    for name in sorted(found.keys() - LEFT_OUT):
        print(pin(name, found[name].version, found[name].metadata["Requires-Python"]))


if __name__ == "__main__":
    main()
