from __future__ import annotations

import subprocess
import sys

import devices


def test_all_names_are_there() -> None:
    assert all(hasattr(devices, name) for name in devices.__all__)
    assert sorted(set(devices.__all__)) == sorted(devices.__all__)


def test_import_needs_numpy_only() -> None:
    script = """
import sys
before = set(sys.modules)
import devices
new = {name.split(".")[0] for name in set(sys.modules) - before}
print(*sorted(new - set(sys.stdlib_module_names)))
"""
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert told.stdout.split() == ["devices", "numpy"]
