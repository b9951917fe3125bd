"""Fixtures of the application layer's tests."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

_PLACES = "/usr/lib/postgresql/*/bin"


def _program(name: str) -> str:
    """A program of PostgreSQL's server, which Debian keeps off the path."""
    found = shutil.which(name) or next((str(p) for p in sorted(Path("/").glob(f"{_PLACES[1:]}/{name}"))), None)
    if found is None:
        pytest.skip(f"PostgreSQL's {name} is not installed, neither on the path nor in {_PLACES}")
    return found


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """An empty PostgreSQL database on a server that runs for these tests alone and listens on no network."""
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed: pip install -e '.[postgresql]'")
    initdb, postgres = _program("initdb"), _program("postgres")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    user = "postgres" if root else None  # the server refuses to run as root
    with tempfile.TemporaryDirectory(prefix="pg") as name:
        folder = Path(name)
        if user is not None:
            shutil.chown(folder, user)
        made = [initdb, "--pgdata", str(folder / "data"), "--auth=trust", "--username=nas", "--no-sync"]
        subprocess.run(made, user=user, cwd=folder, check=True, capture_output=True)
        quick = ["-c", "listen_addresses=", "-c", "fsync=off"]
        server = subprocess.Popen(
            [postgres, "-D", str(folder / "data"), "-k", str(folder), *quick],
            user=user,
            cwd=folder,
            stderr=subprocess.DEVNULL,
        )
        try:
            url = f"postgresql+psycopg://nas@/postgres?host={folder}"
            _wait(url, server)
            yield url
        finally:
            server.send_signal(signal.SIGINT)  # at once, whoever is still connected
            server.wait(60)


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server takes connections."""
    engine, deadline = create_engine(url), time.monotonic() + 120
    while True:
        try:
            engine.connect().close()
        except OperationalError:
            assert server.poll() is None and time.monotonic() < deadline, "the PostgreSQL server did not start"
            time.sleep(0.1)
        else:
            engine.dispose()
            return
