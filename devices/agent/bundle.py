"""One file that holds the agent: Python 3.10, numpy and a runtime is all that a board needs beside it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from devices.errors import DeviceError

_TIME = (1980, 1, 1, 0, 0, 0)
_SHEBANG = b"#!/usr/bin/env python3\n"
_MAIN = """\
import sys

if sys.version_info < (3, 10):
    sys.exit("error: the agent needs Python 3.10 or newer; this is " + sys.version.split()[0])
try:
    import numpy
except ImportError as error:
    sys.exit("error: the agent needs numpy (" + str(error) + "); install it with: python3 -m pip install numpy")

if __name__ == "__main__":
    from devices.agent.cli import main

    main(program="agent.pyz")
"""


def write_bundle(path: Path) -> int:
    """Write the package `devices` and a way into it as a zip file that Python runs; the size in bytes.

    Equal sources make equal bytes.

    Raises:
        DeviceError: the sources are not in a directory (but in such a bundle), or the file cannot be written.
    """
    package = Path(__file__).parents[1]
    if not package.is_dir():
        raise DeviceError(f"the package devices is inside {package}, no directory; copy the bundle that you have")
    content = io.BytesIO(_SHEBANG)
    content.seek(0, io.SEEK_END)
    with zipfile.ZipFile(content, "a", zipfile.ZIP_DEFLATED) as bundle:
        _add(bundle, "__main__.py", _MAIN.encode())
        for file in sorted(package.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".pyc":
                _add(bundle, file.relative_to(package.parent).as_posix(), file.read_bytes())
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_bytes(content.getvalue())
        temporary.chmod(0o755)
        temporary.replace(path)
    except OSError as error:
        raise DeviceError(f"cannot write {path}: {error.strerror}; give another place") from error
    return len(content.getvalue())


def _add(bundle: zipfile.ZipFile, name: str, content: bytes) -> None:
    described = zipfile.ZipInfo(name, _TIME)
    described.compress_type = zipfile.ZIP_DEFLATED
    described.external_attr = 0o644 << 16
    bundle.writestr(described, content)
