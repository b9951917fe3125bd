from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from devices.engines import engines_folder, use_engine

HOUR_S = 3600.0


def put(path: Path, hours_ago: float) -> Path:
    """An engine of 100 bytes that was used some time ago: a file, or a folder where its name has no suffix."""
    file = path if path.suffix else path / "part"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(100))
    used_s = time.time() - hours_ago * HOUR_S
    os.utime(path, (used_s, used_s))
    return path


@pytest.mark.parametrize("suffix", ["", ".engine"])
def test_longest_unused_engines_make_room(tmp_path: Path, suffix: str) -> None:
    engines = [put(tmp_path / f"{hours}{suffix}", hours) for hours in (4, 3, 2, 0)]
    use_engine(engines[0], 250)
    assert [engine.exists() for engine in engines] == [True, False, False, True]
    use_engine(engines[3], 0)  # used just now, and some may still be read
    assert engines[0].exists() and engines[3].exists()


def test_what_is_no_engine_stays(tmp_path: Path) -> None:
    other, engine = put(tmp_path / "thesis.tex", 1000), put(tmp_path / "a.engine", 1000)
    old = put(tmp_path / "b.engine", 1000)
    use_engine(engine, 0)
    assert other.exists() and engine.exists() and not old.exists()


def test_folder_is_where_caches_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert engines_folder("engines") == tmp_path / "hwnas" / "engines"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert engines_folder("engines") == Path("~/.cache/hwnas/engines").expanduser()
