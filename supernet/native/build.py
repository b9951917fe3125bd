"""Compiles the kernels with the C compiler that is there, once for each kind of processor."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("kernels.c")

_FLAGS = (
    "-O3",
    "-march=native",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-signed-zeros",
    "-ffp-contract=fast",
    "-fopenmp",
    "-shared",
    "-fPIC",
)
_TIMEOUT_S = 300.0


class BuildError(Exception):
    """The kernels cannot be compiled here."""


def compiled(*defines: str) -> Path:
    """The shared library, compiled unless an earlier process has done so.

    Args:
        defines: names of macros to define.

    Raises:
        BuildError: no compiler, one that fails, or no place to keep the library; says which.
    """
    name = os.environ.get("CC", "cc")
    compiler = shutil.which(name)
    if compiler is None:
        raise BuildError(f"there is no C compiler {name!r}; install gcc, or name another one in CC")
    arguments = [compiler, *_FLAGS, *(f"-D{define}" for define in defines)]
    library = _cache() / f"kernels-{_digest(arguments)}.so"
    if library.is_file():
        return library
    try:
        library.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            made = Path(folder, library.name)
            _run([*arguments, str(SOURCE), "-o", str(made), "-lm"])
            # Two processes may both come to this: either's library will do.
            made.replace(library)
    except OSError as error:
        raise BuildError(f"{library.parent} cannot keep compiled kernels ({error}); set XDG_CACHE_HOME") from error
    return library


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "hwnas"


def _digest(arguments: list[str]) -> str:
    """Of all that the library depends on: source, compiler, options and processor."""
    version = _run([arguments[0], "--version"])
    return hashlib.sha256("\0".join([SOURCE.read_text(), version, *arguments, _processor()]).encode()).hexdigest()[:16]


def _processor() -> str:
    """What ``-march=native`` looks at."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    told = {line for line in lines if line.lower().startswith(("model name", "flags", "features", "cpu part"))}
    return "\n".join(sorted(told))


def _run(arguments: list[str]) -> str:
    """What a program prints.

    Raises:
        BuildError: it failed or hung.
    """
    try:
        done = subprocess.run(  # noqa: S603 (the user's own compiler, and no shell)
            arguments, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise BuildError(f"{arguments[0]} could not compile the kernels: {last}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{arguments[0]} could not be run: {error}") from error
    return done.stdout
